//! `azure://container/path`: DVC's options, as those of our own client.

use trackway_ini::IniFile;
use trackway_remote::{Options, Secret};

use super::seconds;
use crate::config::RemoteConfig;
use crate::error::Result;

pub(super) fn options(config: &RemoteConfig, options: &mut Options) -> Result<String> {
    let text = |name| config.text(name).filter(|value| !value.is_empty()).map(str::to_owned);
    let flag = |name| config.flag(name) == Some(true);
    let azure = &mut options.azure;
    azure.connection_string = text("connection_string").map(Secret::new);
    azure.account_name = text("account_name");
    azure.account_key = text("account_key").map(Secret::new);
    azure.sas_token = text("sas_token").map(Secret::new);
    azure.tenant_id = text("tenant_id");
    azure.client_id = text("client_id");
    azure.client_secret = text("client_secret").map(Secret::new);
    azure.anonymous = flag("allow_anonymous_login");
    azure.without_environment = flag("exclude_environment_credential");
    azure.without_managed_identity = flag("exclude_managed_identity_credential");
    // `exclude_visual_studio_code_credential` and `exclude_shared_token_cache_credential` are about places that are not
    // looked at here.
    seconds(config, "connection_timeout", &mut options.http.connect_timeout)?;
    seconds(config, "read_timeout", &mut options.http.idle_timeout)?;
    seconds(config, "timeout", &mut options.http.idle_timeout)?;
    Ok(config.url.clone())
}
