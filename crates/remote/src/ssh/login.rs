//! Who we are: keys, an agent's keys, a password, in the order in which the ssh program tries them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::MethodKind;
use russh::client::AuthResult;
use russh::client::{Handle, KeyboardInteractiveAuthResponse as Reply};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Error as KeyError, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey, load_secret_key};

use super::config::{Hop, KeyFile};
use super::connect::{Client, broken};
use crate::fault::Fault;
use crate::options::{Options, Secret};

/// How many questions of a server are answered with the password.
const MOST_QUESTIONS: usize = 8;

/// What a person was asked for, once.
#[derive(Default)]
pub(super) struct Asked {
    password: tokio::sync::OnceCell<Secret>,
    passphrase: tokio::sync::OnceCell<Secret>,
}

pub(super) async fn login(
    handle: &mut Handle<Client>,
    hop: &Hop,
    options: &Options,
    asked: &Asked,
) -> Result<(), Fault> {
    let mut login = Login { handle, hop, options, asked, takes: Vec::new(), tried: Vec::new(), unusable: None };
    let outcome = login.handle.authenticate_none(&hop.user).await;
    if login.is_in(outcome)? {
        return Ok(());
    }
    if login.takes(MethodKind::PublicKey) && login.by_keys().await? {
        return Ok(());
    }
    if login.by_password().await? {
        return Ok(());
    }
    if let Some(fault) = login.unusable {
        return Err(fault);
    }
    let (user, host) = (&hop.user, &hop.host);
    Err(match login.tried.as_slice() {
        [] => Fault::NoCredentials(format!(
            "{host} lets '{user}' in by {} only: set keyfile or password, or load a key into an agent",
            login.takes.iter().map(<&str>::from).collect::<Vec<_>>().join(" or ")
        )),
        tried => Fault::Refused(format!("{host} did not let '{user}' in by {}", tried.join(", "))),
    })
}

struct Login<'a> {
    handle: &'a mut Handle<Client>,
    hop: &'a Hop,
    options: &'a Options,
    asked: &'a Asked,
    /// What the server says it takes.
    takes: Vec<MethodKind>,
    /// What it did not take, for a person.
    tried: Vec<String>,
    /// Why the key that was named cannot be used.
    unusable: Option<Fault>,
}

impl Login<'_> {
    fn takes(&self, method: MethodKind) -> bool {
        self.takes.contains(&method)
    }

    fn is_in(&mut self, outcome: Result<AuthResult, russh::Error>) -> Result<bool, Fault> {
        match outcome.map_err(|error| broken(&self.hop.host, &error))? {
            AuthResult::Success => Ok(true),
            AuthResult::Failure { remaining_methods, .. } => {
                self.takes = remaining_methods.iter().copied().collect();
                Ok(false)
            }
        }
    }

    async fn by_keys(&mut self) -> Result<bool, Fault> {
        let rsa = self.handle.best_supported_rsa_hash().await.map_err(|error| broken(&self.hop.host, &error))?;
        // A server that does not say knows SHA-2 unless it is older than 2016.
        let rsa = rsa.unwrap_or(Some(HashAlg::Sha512));
        let (asked_for, others): (Vec<_>, Vec<_>) = self.hop.key_files.iter().partition(|file| file.is_asked_for);
        for file in asked_for {
            if self.by_file(file, rsa).await? {
                return Ok(true);
            }
        }
        // The agent may hold the key of a file whose passphrase we were not told.
        if self.by_agent(rsa).await? {
            return Ok(true);
        }
        for file in others {
            if self.takes(MethodKind::PublicKey) && self.by_file(file, rsa).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn by_file(&mut self, file: &KeyFile, rsa: Option<HashAlg>) -> Result<bool, Fault> {
        let key = match self.load(&file.path, file.is_asked_for).await {
            Ok(Some(key)) => key,
            Ok(None) => return Ok(false),
            Err(fault) => {
                // Another key or the password may do.
                self.unusable.get_or_insert(fault);
                return Ok(false);
            }
        };
        let hash = if key.algorithm().is_rsa() { rsa } else { None };
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), hash);
        let outcome = self.handle.authenticate_publickey(&self.hop.user, key).await;
        if self.is_in(outcome)? {
            return Ok(true);
        }
        self.tried.push(format!("the key {}", file.path.display()));
        Ok(false)
    }

    async fn by_agent(&mut self, rsa: Option<HashAlg>) -> Result<bool, Fault> {
        let Some(socket) = &self.hop.agent else { return Ok(false) };
        // An agent that is gone has no keys.
        let Ok(mut agent) = AgentClient::connect_uds(socket).await else { return Ok(false) };
        let Ok(held) = agent.request_identities().await else { return Ok(false) };
        let wanted = match self.hop.identities_only {
            true => Some(self.public_keys().await),
            false => None,
        };
        let mut tried = 0;
        for identity in held {
            let AgentIdentity::PublicKey { key, .. } = identity else { continue };
            if wanted.as_ref().is_some_and(|wanted| !wanted.iter().any(|one| one.key_data() == key.key_data())) {
                continue;
            }
            let hash = if key.algorithm().is_rsa() { rsa } else { None };
            match self.handle.authenticate_publickey_with(&self.hop.user, key, hash, &mut agent).await {
                // It does not want to sign by this one.
                Err(_) if !self.handle.is_closed() => {}
                Err(error) => return Err(Fault::Unreachable(format!("{}: {error}", self.hop.host))),
                Ok(outcome) => {
                    if self.is_in(Ok(outcome))? {
                        return Ok(true);
                    }
                    tried += 1;
                }
            }
        }
        if tried > 0 {
            self.tried.push(format!("{tried} keys of the agent"));
        }
        Ok(false)
    }

    /// The public halves of the key files, as far as they can be read without a passphrase.
    async fn public_keys(&self) -> Vec<PublicKey> {
        let mut keys = Vec::new();
        for file in &self.hop.key_files {
            let mut public = file.path.clone().into_os_string();
            public.push(".pub");
            if let Ok(text) = tokio::fs::read_to_string(PathBuf::from(public)).await
                && let Ok(key) = PublicKey::from_openssh(text.trim())
            {
                keys.push(key);
            }
        }
        keys
    }

    /// The key of a file. One that nobody asked for may be missing, or locked.
    async fn load(&self, path: &Path, is_asked_for: bool) -> Result<Option<PrivateKey>, Fault> {
        let unusable = |reason: &str| Fault::NoCredentials(format!("the key file {} {reason}", path.display()));
        let read = |passphrase: Option<Secret>| {
            let path = path.to_owned();
            // The key of a passphrase is made slowly, by intent.
            tokio::task::spawn_blocking(move || load_secret_key(&path, passphrase.as_ref().map(Secret::expose)))
        };
        let failed = |error: tokio::task::JoinError| Fault::Other(error.to_string());
        let mut loaded = read(None).await.map_err(failed)?;
        if matches!(loaded, Err(KeyError::KeyIsEncrypted)) {
            let passphrase = match &self.options.ssh.passphrase {
                Some(passphrase) => Some(passphrase.clone()),
                None if self.options.ssh.ask_passphrase => {
                    Some(self.ask(&self.asked.passphrase, &format!("the passphrase of {}", path.display())).await?)
                }
                None => None,
            };
            match passphrase {
                Some(passphrase) => loaded = read(Some(passphrase)).await.map_err(failed)?,
                None if is_asked_for => {
                    return Err(unusable(
                        "has a passphrase: set passphrase or ask_passphrase, or load it into an agent",
                    ));
                }
                None => return Ok(None),
            }
            if loaded.is_err() && is_asked_for {
                return Err(unusable("cannot be read with this passphrase"));
            }
        }
        match loaded {
            Ok(key) => Ok(Some(key)),
            Err(_) if !is_asked_for => Ok(None),
            Err(KeyError::IO(error)) => Err(unusable(&format!("cannot be read: {error}"))),
            Err(error) => Err(unusable(&format!("is not a private key that can be used: {error}"))),
        }
    }

    async fn by_password(&mut self) -> Result<bool, Fault> {
        let (plain, questions) = (self.takes(MethodKind::Password), self.takes(MethodKind::KeyboardInteractive));
        if !plain && !questions {
            return Ok(false);
        }
        let Hop { user, host, .. } = self.hop;
        let password = match &self.hop.password {
            Some(password) => password.clone(),
            None if self.options.ssh.ask_password => {
                self.ask(&self.asked.password, &format!("the password of {user} at {host}")).await?
            }
            None => return Ok(false),
        };
        if plain {
            let outcome = self.handle.authenticate_password(user, password.expose()).await;
            if self.is_in(outcome)? {
                return Ok(true);
            }
        }
        // Servers that ask by PAM offer questions only.
        if questions && self.takes(MethodKind::KeyboardInteractive) && self.answer_questions(&password).await? {
            return Ok(true);
        }
        self.tried.push("the password".to_owned());
        Ok(false)
    }

    async fn answer_questions(&mut self, password: &Secret) -> Result<bool, Fault> {
        let failed = |error: russh::Error| broken(&self.hop.host, &error);
        let user = &self.hop.user;
        let mut reply =
            self.handle.authenticate_keyboard_interactive_start(user, None::<String>).await.map_err(failed)?;
        for _ in 0..MOST_QUESTIONS {
            reply = match reply {
                Reply::Success => return Ok(true),
                Reply::Failure { .. } => return Ok(false),
                Reply::InfoRequest { prompts, .. } => {
                    // Only what is not shown while it is typed is meant for the password.
                    let answer = |shown: bool| if shown { String::new() } else { password.expose().to_owned() };
                    let answers = prompts.iter().map(|prompt| answer(prompt.echo)).collect();
                    let answered = self.handle.authenticate_keyboard_interactive_respond(answers).await;
                    answered.map_err(failed)?
                }
            };
        }
        Ok(false)
    }

    async fn ask(&self, kept: &tokio::sync::OnceCell<Secret>, what: &str) -> Result<Secret, Fault> {
        let asking = kept.get_or_try_init(|| async {
            let answered = self.options.ask.ask(format!("Enter {what}: ")).await;
            answered.filter(|secret| !secret.expose().is_empty()).ok_or_else(|| {
                Fault::NoCredentials(format!("{what} is to be asked for, and nobody at a terminal has answered"))
            })
        });
        asking.await.cloned()
    }
}
