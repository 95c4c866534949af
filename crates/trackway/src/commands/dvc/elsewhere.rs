//! Arguments that `get`, `list` and `du` share: a repository elsewhere, and how to reach its data.

use std::ffi::OsString;

use super::words::setting;

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
    /// As DVC 3.67, `--rev` without a value is as good as none.
    pub fn rev(&self) -> Option<&str> {
        self.rev.as_ref()?.as_deref()
    }
}
