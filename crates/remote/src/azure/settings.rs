//! Which account, where it is, and with what it is opened: options first, then the environment.

use std::collections::BTreeMap;

use crate::http::encode;
use crate::location::Account;
use crate::options::{Options, Secret};

pub(super) struct Settings {
    pub account: String,
    /// Of the account, without a slash at its end.
    pub endpoint: String,
    pub access: Access,
}

pub(super) enum Access {
    /// The account's key, decoded.
    Key(Vec<u8>),
    /// A shared access signature: a query that goes with each request.
    Sas(Secret),
    /// A token of whoever we are found to be.
    Token,
    Anonymous,
}

impl Settings {
    pub fn find(named: Option<&Account>, options: &Options) -> Result<Settings, String> {
        let (azure, environment) = (&options.azure, &options.environment);
        let given = azure.account_key.is_some() || azure.sas_token.is_some() || azure.client_secret.is_some();
        let connection = azure.connection_string.clone();
        let from_environment = || environment.get("AZURE_STORAGE_CONNECTION_STRING").map(Secret::new);
        let connection = connection.or_else(|| if given || azure.anonymous { None } else { from_environment() });
        if let Some(connection) = connection {
            return Settings::of_connection_string(connection.expose());
        }

        let account = azure.account_name.clone().or_else(|| named.map(|account| account.name.clone()));
        let account = account.or_else(|| environment.first(&["AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME"]));
        let account = account.ok_or(
            "the storage account is not named: set AZURE_STORAGE_CONNECTION_STRING or AZURE_STORAGE_ACCOUNT, or write \
             wasbs://CONTAINER@ACCOUNT.blob.core.windows.net/PATH",
        )?;
        let suffix = named.map_or("core.windows.net", |account| &account.suffix);
        let endpoint = azure.endpoint.clone().unwrap_or_else(|| format!("https://{account}.blob.{suffix}"));

        let key = azure.account_key.clone().or_else(|| {
            let names = ["AZURE_STORAGE_ACCESS_KEY", "AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY"];
            environment.first(&names).map(Secret::new).filter(|_| azure.sas_token.is_none() && !azure.anonymous)
        });
        let sas = azure.sas_token.clone().or_else(|| environment.get("AZURE_STORAGE_SAS_TOKEN").map(Secret::new));
        let access = match (key, sas) {
            _ if azure.anonymous => Access::Anonymous,
            (_, _) if azure.client_secret.is_some() => Access::Token,
            (Some(key), _) => Access::Key(decoded(key.expose())?),
            (None, Some(sas)) => Access::Sas(Secret::new(sas.expose().trim_start_matches('?'))),
            (None, None) => Access::Token,
        };
        Ok(Settings { account, endpoint: endpoint.trim_end_matches('/').to_owned(), access })
    }

    /// `AccountName=…;AccountKey=…;…`, as Azure's portal shows it.
    fn of_connection_string(text: &str) -> Result<Settings, String> {
        let wrong = |what: &str| format!("the connection string {what}");
        let mut pairs = BTreeMap::new();
        for pair in text.split(';').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(|| wrong("is not made of NAME=VALUE pairs"))?;
            pairs.insert(name.trim().to_ascii_lowercase(), value.trim());
        }
        if pairs.get("usedevelopmentstorage") == Some(&"true") {
            return Ok(Settings {
                account: "devstoreaccount1".to_owned(),
                endpoint: "http://127.0.0.1:10000/devstoreaccount1".to_owned(),
                access: Access::Key(decoded(EMULATOR_KEY)?),
            });
        }
        let account = pairs.get("accountname").map(|name| (*name).to_owned());
        let endpoint = match pairs.get("blobendpoint") {
            Some(endpoint) => endpoint.trim_end_matches('/').to_owned(),
            None => {
                let account = account.as_deref().ok_or_else(|| wrong("has neither AccountName nor BlobEndpoint"))?;
                let scheme = pairs.get("defaultendpointsprotocol").copied().unwrap_or("https");
                let suffix = pairs.get("endpointsuffix").copied().unwrap_or("core.windows.net");
                format!("{scheme}://{account}.blob.{suffix}")
            }
        };
        // Of an endpoint alone, the account is the first name of the host.
        let account = account.or_else(|| {
            let (_, host) = endpoint.split_once("://")?;
            Some(host.split(['.', '/', ':']).next()?.to_owned())
        });
        let access = match (pairs.get("accountkey"), pairs.get("sharedaccesssignature")) {
            (Some(key), _) => Access::Key(decoded(key)?),
            (None, Some(sas)) => Access::Sas(Secret::new(sas.trim_start_matches('?'))),
            (None, None) => Access::Token,
        };
        Ok(Settings { account: account.unwrap_or_default(), endpoint, access })
    }
}

/// Of Azurite and its forerunners: known to everybody.
const EMULATOR_KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

fn decoded(key: &str) -> Result<Vec<u8>, String> {
    encode::from_base64(key).ok_or_else(|| "the account key is not valid base64".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Environment;

    fn find(named: Option<&str>, variables: &[(&str, &str)]) -> Result<Settings, String> {
        let account = named.map(|name| Account { name: name.to_owned(), suffix: "core.windows.net".to_owned() });
        let environment = Environment::only(variables.iter().copied());
        Settings::find(account.as_ref(), &Options { environment, ..Options::default() })
    }

    #[test]
    fn the_order_is_mlflows() {
        let connection =
            "DefaultEndpointsProtocol=https;AccountName=one;AccountKey=a2V5;EndpointSuffix=core.windows.net";
        let variables = [("AZURE_STORAGE_CONNECTION_STRING", connection), ("AZURE_STORAGE_ACCESS_KEY", "b3RoZXI=")];
        let found = find(Some("two"), &variables).unwrap();
        assert_eq!((found.account.as_str(), found.endpoint.as_str()), ("one", "https://one.blob.core.windows.net"));
        assert!(matches!(found.access, Access::Key(key) if key == b"key"));
        let found = find(Some("two"), &variables[1..]).unwrap();
        assert_eq!(found.endpoint, "https://two.blob.core.windows.net");
        assert!(matches!(found.access, Access::Key(key) if key == b"other"));
        assert!(matches!(find(Some("two"), &[]).unwrap().access, Access::Token));
    }

    #[test]
    fn a_missing_account_and_a_wrong_key_are_told_without_the_key() {
        assert!(find(None, &[]).err().unwrap().contains("AZURE_STORAGE_ACCOUNT"));
        let error = find(Some("two"), &[("AZURE_STORAGE_ACCESS_KEY", "secret!")]).err().unwrap();
        assert!(!error.contains("secret!"), "{error}");
    }
}
