//! Where keys are found: the order of the AWS tools.
//!
//! Given ones; the environment; the profile (a role to assume, web identity, single sign-on, keys, a
//! program); the container's endpoint; the machine's metadata service. What expires is fetched anew five
//! minutes before.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use ring::hmac;
use serde::Deserialize;

use super::profile::Profiles;
use super::{metadata, sso, sts};
use crate::environment::Environment;
use crate::fault::Fault;
use crate::fresh::{Expires, Fresh};
use crate::http::Client;
use crate::options::{S3Options, Secret};

#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub access_key_id: String,
    pub secret_access_key: Secret,
    pub session_token: Option<Secret>,
    pub expires: Option<SystemTime>,
    pub derived: Derived,
}

/// What was last made of the secret key, to sign with on one day in one region, and for which.
#[derive(Clone, Debug, Default)]
pub(super) struct Derived(Arc<Mutex<Option<(String, hmac::Key)>>>);

impl Derived {
    /// The key for this scope, which is made if it is not the last one.
    pub fn get(&self, scope: &str, make: impl FnOnce() -> hmac::Key) -> hmac::Key {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((of, key)) if of == scope => key.clone(),
            _ => last.insert((scope.to_owned(), make())).1.clone(),
        }
    }
}

/// As containers, the metadata service and programs write keys.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct JsonKeys {
    access_key_id: String,
    secret_access_key: String,
    #[serde(alias = "Token")]
    session_token: Option<String>,
    expiration: Option<String>,
}

impl From<JsonKeys> for Keys {
    fn from(keys: JsonKeys) -> Keys {
        Keys {
            access_key_id: keys.access_key_id,
            secret_access_key: keys.secret_access_key.into(),
            session_token: keys.session_token.filter(|token| !token.is_empty()).map(Secret::new),
            expires: keys.expiration.as_deref().and_then(time),
            derived: Derived::default(),
        }
    }
}

pub(super) fn time(text: &str) -> Option<SystemTime> {
    text.parse::<Timestamp>().ok().map(SystemTime::from)
}

impl Keys {
    fn new(access_key_id: String, secret: String, token: Option<String>) -> Keys {
        Keys {
            access_key_id,
            secret_access_key: secret.into(),
            session_token: token.map(Secret::new),
            expires: None,
            derived: Derived::default(),
        }
    }
}

impl Expires for Keys {
    fn expires(&self) -> Option<SystemTime> {
        self.expires
    }
}

/// Finds keys once, and again when they expire.
pub(super) struct Provider {
    options: S3Options,
    environment: Environment,
    profiles: Profiles,
    region: String,
    found: Fresh<Keys>,
}

/// Everything a step of the chain needs.
pub(super) struct Search<'a> {
    pub client: &'a Client,
    pub environment: &'a Environment,
    pub profiles: &'a Profiles,
    pub region: &'a str,
}

impl Provider {
    pub fn new(options: &S3Options, environment: &Environment, profiles: Profiles, region: String) -> Provider {
        Provider {
            options: options.clone(),
            environment: environment.clone(),
            profiles,
            region,
            found: Fresh::default(),
        }
    }

    pub async fn keys(&self, client: &Client) -> Result<Arc<Keys>, Fault> {
        self.found.get(self.find(client)).await
    }

    /// They were refused as expired: the next request looks for others.
    pub fn forget(&self) {
        self.found.forget();
    }

    async fn find(&self, client: &Client) -> Result<Keys, String> {
        let search = Search { client, environment: &self.environment, profiles: &self.profiles, region: &self.region };
        let options = &self.options;
        if let (Some(id), Some(secret)) = (&options.access_key_id, &options.secret_access_key) {
            return Ok(Keys {
                session_token: options.session_token.clone(),
                ..Keys::new(id.clone(), secret.expose().to_owned(), None)
            });
        }
        // As boto3: a profile that was asked for goes before the environment's keys.
        let asked_for = options.profile.is_some() || options.credentials_file.is_some();
        if let Some(keys) = environment_keys(&self.environment).filter(|_| !asked_for) {
            return Ok(keys);
        }
        let profile = &self.profiles.name;
        if self.profiles.is_named && !self.profiles.exists(profile) {
            return Err(format!("there is no profile '{profile}' in the AWS configuration"));
        }
        if let Some(keys) = search.of_profile(profile).await? {
            return Ok(keys);
        }
        if let Some(keys) = metadata::container(&search).await? {
            return Ok(keys);
        }
        if let Some(keys) = metadata::machine(&search).await? {
            return Ok(keys);
        }
        Err("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in ~/.aws/credentials".to_owned())
    }
}

pub(super) fn environment_keys(environment: &Environment) -> Option<Keys> {
    let id = environment.get("AWS_ACCESS_KEY_ID")?;
    let secret = environment.get("AWS_SECRET_ACCESS_KEY")?;
    Some(Keys::new(id, secret, environment.first(&["AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"])))
}

impl Search<'_> {
    /// The keys that a profile leads to, through the profiles that it names.
    async fn of_profile(&self, profile: &str) -> Result<Option<Keys>, String> {
        let mut roles = Vec::new();
        let mut name = profile.to_owned();
        let first = loop {
            let get = |setting| self.profiles.get(&name, setting);
            let Some(role) = get("role_arn") else { break self.without_role(&name).await? };
            if get("web_identity_token_file").is_some() {
                break self.without_role(&name).await?;
            }
            if roles.len() >= 8 {
                return Err(format!("the profile '{profile}' leads through too many others"));
            }
            let session = get("role_session_name").unwrap_or("trackway").to_owned();
            let external = get("external_id").map(str::to_owned);
            if get("mfa_serial").is_some() {
                return Err(format!(
                    "the profile '{name}' asks for a one-time password (mfa_serial), which is not supported: make a session with 'aws sts assume-role'"
                ));
            }
            roles.push(sts::Role { arn: role.to_owned(), session, external });
            match (get("source_profile"), get("credential_source")) {
                // A profile may be its own source: then its own keys are meant.
                (Some(source), _) if source == name => break self.without_role(&name).await?,
                (Some(source), _) => {
                    let source = source.to_owned();
                    if !self.profiles.exists(&source) {
                        return Err(format!("the profile '{source}', which '{name}' names, is not there"));
                    }
                    name = source;
                }
                (None, Some("Environment")) => break environment_keys(self.environment),
                (None, Some("EcsContainer")) => break metadata::container(self).await?,
                (None, Some("Ec2InstanceMetadata")) => break metadata::machine(self).await?,
                _ => return Err(format!("the profile '{name}' has a role_arn, but no source_profile")),
            }
        };
        let Some(mut keys) = first else {
            return match roles.is_empty() {
                true => Ok(None),
                false => Err(format!("the profile '{name}' has no keys to assume a role with")),
            };
        };
        for role in roles.iter().rev() {
            keys = sts::assume(self, &keys, role).await?;
        }
        Ok(Some(keys))
    }

    async fn without_role(&self, profile: &str) -> Result<Option<Keys>, String> {
        let get = |setting| self.profiles.get(profile, setting);
        let identity = match (get("web_identity_token_file"), get("role_arn")) {
            (Some(file), Some(role)) => Some((file.to_owned(), role.to_owned(), get("role_session_name"))),
            _ => None,
        };
        let from_environment = || {
            let file = self.environment.get("AWS_WEB_IDENTITY_TOKEN_FILE")?;
            Some((file, self.environment.get("AWS_ROLE_ARN")?, None))
        };
        if let Some((file, arn, session)) = identity.or_else(from_environment) {
            let named = self.environment.get("AWS_ROLE_SESSION_NAME");
            let session = session.map(str::to_owned).or(named).unwrap_or_else(|| "trackway".to_owned());
            return sts::assume_by_token(self, &file, &sts::Role { arn, session, external: None }).await.map(Some);
        }
        if get("sso_account_id").is_some() {
            return sso::keys(self, profile).await.map(Some);
        }
        if let (Some(id), Some(secret)) = (get("aws_access_key_id"), get("aws_secret_access_key")) {
            let token = get("aws_session_token").map(str::to_owned);
            return Ok(Some(Keys::new(id.to_owned(), secret.to_owned(), token)));
        }
        match get("credential_process") {
            Some(command) => program(command).await.map(Some),
            None => Ok(None),
        }
    }
}

/// Keys that a program prints. Its words are split as a shell would, but no shell runs.
async fn program(command: &str) -> Result<Keys, String> {
    let words = words(command);
    let Some((name, arguments)) = words.split_first() else {
        return Err("credential_process is empty".to_owned());
    };
    let mut started = tokio::process::Command::new(name);
    started.args(arguments).stdin(std::process::Stdio::null()).kill_on_drop(true);
    let failed = |reason: String| format!("the program '{name}' (credential_process) failed: {reason}");
    let output = tokio::time::timeout(Duration::from_secs(60), started.output()).await;
    let output = output.map_err(|_| failed("it took longer than a minute".to_owned()))?;
    let output = output.map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    // What it printed is not shown: it may hold a secret.
    let keys: JsonKeys =
        serde_json::from_slice(&output.stdout).map_err(|_| failed("it printed no keys as JSON".to_owned()))?;
    Ok(keys.into())
}

/// Words between blanks, where quotes keep blanks together.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for character in text.chars() {
        match quote {
            Some(end) if character == end => quote = None,
            Some(_) => word.get_or_insert_default().push(character),
            None if character == '"' || character == '\'' => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            None if character.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    words
}
