//! `http://host/path`, `https://…`: DVC's options, as those of our own client.

use std::time::Duration;

use trackway_remote::{Options, Secret, Upload, WebAuth};

use super::{path_or_flag, seconds, wrong_option};
use crate::config::RemoteConfig;
use crate::error::Result;

pub(super) fn options(config: &RemoteConfig, options: &mut Options) -> Result<String> {
    let text = |name| config.text(name).filter(|value| !value.is_empty()).map(str::to_owned);
    let web = &mut options.web;
    // DVC 3.67 has Digest among its settings, and then refuses it.
    web.auth = match text("auth").as_deref() {
        Some("basic") => Some(WebAuth::Basic),
        Some("digest") => Some(WebAuth::Digest),
        Some("custom") => Some(WebAuth::Custom),
        _ => None,
    };
    web.user = text("user");
    web.password = text("password").map(Secret::new);
    web.ask_password = config.flag("ask_password") == Some(true);
    web.custom_auth_header = text("custom_auth_header");
    web.upload = match text("method").map(|method| method.to_ascii_lowercase()).as_deref() {
        None | Some("post") => Upload::Post,
        Some("put") => Upload::Put,
        Some(_) => return Err(wrong_option(config, "method", "must be POST or PUT")),
    };
    let http = &mut options.http;
    // As DVC 3.67.
    http.connect_timeout = Duration::from_secs(60);
    http.idle_timeout = Duration::from_secs(60);
    seconds(config, "connect_timeout", &mut http.connect_timeout)?;
    seconds(config, "read_timeout", &mut http.idle_timeout)?;
    path_or_flag(config, "ssl_verify", http);
    // As DVC 3.67: beside the system's certificates, not instead of them.
    http.ca_added = http.ca_bundle.take();
    Ok(config.url.clone())
}
