//! `azure://container/path`: DVC's options, as those of our own client.

use trackway_ini::Ini;
use trackway_remote::{Options, Secret};

use super::{seconds, wrong_option};
use crate::config::{Environment, RemoteConfig};
use crate::error::Result;

pub(super) fn options(config: &RemoteConfig, environment: &Environment, options: &mut Options) -> Result<String> {
    let text = |name| config.text(name).filter(|value| !value.is_empty()).map(str::to_owned);
    // As DVC 3.67: what nobody says comes from the configuration of Azure's own command line, where the environment's
    // variables go before its file.
    for (name, variable) in [
        ("connection_string", "AZURE_STORAGE_CONNECTION_STRING"),
        ("account", "AZURE_STORAGE_ACCOUNT"),
        ("key", "AZURE_STORAGE_KEY"),
        ("sas_token", "AZURE_STORAGE_SAS_TOKEN"),
    ] {
        if environment.var(variable).is_none()
            && let Some(value) = of_command_line(environment, name)
        {
            options.environment.set_default(variable, value);
        }
    }
    let accounts = ["AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME"];
    if text("connection_string").or_else(|| text("account_name")).is_none()
        && accounts.iter().all(|variable| options.environment.get(variable).is_none())
    {
        let why = "is needed, for nothing else says which storage account has the container: not the option \
                   'connection_string', nor AZURE_STORAGE_ACCOUNT or AZURE_STORAGE_CONNECTION_STRING";
        return Err(wrong_option(config, "account_name", why));
    }
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

/// A value of the section `[storage]` in `~/.azure/config`.
fn of_command_line(environment: &Environment, name: &str) -> Option<String> {
    let folder = environment.var("AZURE_CONFIG_DIR").map(std::path::PathBuf::from);
    let folder = folder.or_else(|| Some(environment.home_dir()?.join(".azure")))?;
    let file = Ini::parse(std::fs::read(folder.join("config")).ok()?).ok()?;
    file.raw_tree().section("storage")?.text(name).map(str::to_owned)
}
