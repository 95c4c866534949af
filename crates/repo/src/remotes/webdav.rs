//! `webdav://host/path`, `webdavs://…`: DVC's options, as those of our own client.

use std::path::PathBuf;
use std::time::Duration;

use trackway_remote::{Options, Secret};

use super::{path_or_flag, seconds, wrong_option};
use crate::config::RemoteConfig;
use crate::error::Result;

pub(super) fn options(config: &RemoteConfig, options: &mut Options) -> Result<String> {
    let text = |name| config.text(name).filter(|value| !value.is_empty()).map(str::to_owned);
    let webdav = &mut options.webdav;
    webdav.user = text("user");
    webdav.password = text("password").map(Secret::new);
    webdav.ask_password = config.flag("ask_password") == Some(true);
    webdav.token = text("token").map(Secret::new);
    webdav.custom_auth_header = text("custom_auth_header");
    if let Some(command) = text("bearer_token_command") {
        // As DVC 3.67: split as a shell would, and run without one.
        let words = shlex::split(&command).filter(|words| !words.is_empty()).ok_or_else(|| {
            wrong_option(config, "bearer_token_command", "must be a program and its arguments, with quotes in pairs")
        })?;
        webdav.bearer_token_command = words.into_iter().map(Secret::new).collect();
    }
    let http = &mut options.http;
    // As DVC 3.67.
    let mut timeout = Duration::from_secs(30);
    seconds(config, "timeout", &mut timeout)?;
    http.connect_timeout = timeout;
    http.idle_timeout = timeout;
    path_or_flag(config, "ssl_verify", http);
    http.client_certificate = text("cert_path").map(PathBuf::from);
    http.client_key = text("key_path").map(PathBuf::from);
    if http.client_key.is_some() && http.client_certificate.is_none() {
        return Err(wrong_option(config, "key_path", "needs 'cert_path': the certificate that the key belongs to"));
    }
    Ok(config.url.clone())
}
