//! `ssh://user@host:port/path`: DVC's options, as those of our own client.

use std::time::Duration;

use trackway_remote::{Options, Secret};

use super::{seconds, wrong_option};
use crate::config::{ConfigValue, RemoteConfig};
use crate::error::Result;

pub(super) fn options(config: &RemoteConfig, options: &mut Options) -> Result<String> {
    let text = |name| config.text(name).filter(|value| !value.is_empty()).map(str::to_owned);
    let flag = |name| config.flag(name) == Some(true);
    let number = |name| match config.options.get(name) {
        Some(ConfigValue::Int(number)) => Some(*number),
        _ => None,
    };
    if flag("gss_auth") {
        let why = "cannot be honoured: there is no Kerberos login by SSH here; use a key, an agent or a password";
        return Err(wrong_option(config, "gss_auth", why));
    }
    let ssh = &mut options.ssh;
    ssh.user = text("user");
    ssh.password = text("password").map(Secret::new);
    ssh.ask_password = flag("ask_password");
    ssh.keyfile = text("keyfile").map(|path| options.environment.expand(&path));
    ssh.passphrase = text("passphrase").map(Secret::new);
    ssh.ask_passphrase = flag("ask_passphrase");
    ssh.allow_agent = config.flag("allow_agent") != Some(false);
    if let Some(port) = number("port") {
        let port = u16::try_from(port).ok().filter(|port| *port > 0);
        ssh.port = Some(port.ok_or_else(|| wrong_option(config, "port", "must be a number from 1 to 65535"))?);
    }
    if let Some(sessions) = number("max_sessions") {
        // As DVC 3.67, which keeps two for commands.
        let sessions = usize::try_from(sessions).ok().filter(|sessions| *sessions > 2);
        ssh.max_sessions = sessions.ok_or_else(|| wrong_option(config, "max_sessions", "must be greater than 2"))?;
    }
    let mut timeout = Duration::ZERO;
    seconds(config, "timeout", &mut timeout)?;
    ssh.timeout = Some(timeout).filter(|timeout| !timeout.is_zero());
    Ok(config.url.clone())
}
