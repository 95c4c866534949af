//! `pull`: `fetch`, then `checkout`.

use trackway_store::Progress;

use crate::add::expand;
use crate::checkout::{CheckedOut, CheckoutOptions};
use crate::error::Result;
use crate::fetch::{FetchOptions, Moved};
use crate::remotes::TransferOptions;
use crate::repo::Repo;

#[derive(Clone, Debug, Default)]
pub struct PullOptions {
    pub transfer: TransferOptions,
    /// The targets are patterns.
    pub glob: bool,
    /// Overwrite and delete what is not in the cache.
    pub force: bool,
    pub allow_missing: bool,
}

#[derive(Debug, Default)]
pub struct Pulled {
    pub fetched: Moved,
    /// Nothing is checked out if something could not be fetched.
    pub checked_out: Option<CheckedOut>,
}

impl Repo {
    pub fn pull(&self, targets: &[String], options: &PullOptions, progress: &dyn Progress) -> Result<Pulled> {
        let targets = if options.glob { expand(self.cwd(), targets)? } else { targets.to_vec() };
        let fetching = FetchOptions { transfer: options.transfer.clone(), ..FetchOptions::default() };
        let fetched = self.fetch(&targets, &fetching, progress)?;
        if fetched.failed() > 0 {
            return Ok(Pulled { fetched, checked_out: None });
        }
        let checking_out = CheckoutOptions {
            follow: options.transfer.follow,
            force: options.force,
            relink: false,
            allow_missing: options.allow_missing,
        };
        let checked_out = self.checkout(&targets, checking_out, progress)?;
        Ok(Pulled { fetched, checked_out: Some(checked_out) })
    }
}
