//! Arguments that `get`, `list` and `du` share: a repository elsewhere, and how to reach its data.

use std::ffi::{OsStr, OsString};

use trackway_repo::Error;
use trackway_repo::browse::{self, Browser};
use trackway_repo::config::{ConfigValue, Overrides, Table, read_file};

use super::context::Context;
use super::words::setting;
use crate::failure::Failure;

#[derive(Debug, clap::Args)]
pub struct Elsewhere {
    /// The revision to look at: a commit, branch or tag
    #[arg(long, value_name = "commit", num_args = 0..=1)]
    rev: Option<Option<String>>,

    /// A file of settings laid over those of the repository
    #[arg(long, value_name = "config")]
    pub config: Option<OsString>,

    /// The remote of the repository to take data from
    #[arg(long, value_name = "remote")]
    pub remote: Option<String>,

    /// Settings for that remote, laid over its own
    #[arg(long, value_name = "name=value", num_args = 0.., value_parser = setting)]
    pub remote_config: Vec<(String, String)>,
}

impl Elsewhere {
    /// The repository at `url`, opened to be looked at.
    pub fn open(&self, url: &OsStr, context: &Context) -> Result<Browser, Failure> {
        let config = match &self.config {
            Some(file) if !file.is_empty() => match std::fs::metadata(context.folder.join(file)) {
                Err(source) => return Err(Error::Io { path: file.into(), source }.into()),
                Ok(_) => read_file(&context.folder.join(file))?,
            },
            _ => Table::default(),
        };
        let overrides = Overrides { config, remote: self.remote.clone(), remote_config: table(&self.remote_config) };
        let elsewhere = browse::Elsewhere {
            url: url.into(),
            rev: self.rev().map(str::to_owned),
            overrides,
            ..browse::Elsewhere::default()
        };
        Ok(Browser::open(&elsewhere, &context.environment())?)
    }

    /// As DVC 3.67, `--rev` without a value is as good as none.
    pub fn rev(&self) -> Option<&str> {
        self.rev.as_ref()?.as_deref().filter(|rev| !rev.is_empty())
    }
}

/// Settings that were given on the command line.
pub fn table(given: &[(String, String)]) -> Table {
    given.iter().map(|(name, value)| (name.clone(), ConfigValue::Text(value.clone()))).collect()
}
