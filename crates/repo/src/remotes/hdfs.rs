//! `hdfs://host:port/path` and `webhdfs://host:port/path`: DVC's options, as those of our own clients.

use trackway_remote::{Options, Secret};

use super::{path_or_flag, wrong_option};
use crate::config::RemoteConfig;
use crate::error::Result;

pub(super) fn options(config: &RemoteConfig, options: &mut Options) -> Result<String> {
    let hdfs = &mut options.hdfs;
    hdfs.user = text(config, "user");
    hdfs.kerb_ticket = text(config, "kerb_ticket");
    if let Some(copies) = config.int("replication") {
        let copies = u32::try_from(copies).ok().filter(|copies| *copies > 0);
        let wrong = || wrong_option(config, "replication", "must be a number of copies greater than zero");
        hdfs.replication = Some(copies.ok_or_else(wrong)?);
    }
    Ok(config.url.clone())
}

pub(super) fn web_options(config: &RemoteConfig, options: &mut Options) -> Result<String> {
    path_or_flag(config, "ssl_verify", &mut options.http);
    let flag = |name| config.flag(name) == Some(true);
    let webhdfs = &mut options.webhdfs;
    webhdfs.user = text(config, "user");
    webhdfs.password = text(config, "password").map(Secret::new);
    webhdfs.token = text(config, "token").map(Secret::new);
    // `kerberos_principal` says whose ticket it is; without `kerberos` it says nothing to stock either.
    webhdfs.kerberos = flag("kerberos");
    webhdfs.proxy_to = text(config, "proxy_to");
    webhdfs.use_https = flag("use_https");
    webhdfs.data_proxy_target = text(config, "data_proxy_target");
    Ok(config.url.clone())
}

fn text(config: &RemoteConfig, name: &str) -> Option<String> {
    config.text(name).filter(|value| !value.is_empty()).map(str::to_owned)
}
