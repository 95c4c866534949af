//! `gs://bucket/path`: DVC's options, as those of our own client.
//!
//! `projectname` is heard and has no effect, as in DVC: a project owns buckets, and none is made here.

use std::path::PathBuf;

use trackway_remote::Options;

use crate::config::RemoteConfig;
use crate::error::Result;

pub(super) fn options(config: &RemoteConfig, options: &mut Options) -> Result<String> {
    let text = |name| config.text(name).filter(|value| !value.is_empty());
    options.gcs.anonymous = config.flag("allow_anonymous_login") == Some(true);
    options.gcs.credentials_file = text("credentialpath").map(PathBuf::from);
    options.gcs.endpoint = text("endpointurl").map(str::to_owned);
    Ok(config.url.clone())
}
