//! How a server is shown who we are.

use http::header::{AUTHORIZATION, HeaderName, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method};

use super::command::TokenCommand;
use super::digest::Digest;
use crate::fault::Fault;
use crate::http::encode;
use crate::location::HttpPlace;
use crate::options::{Options, Secret};

pub(crate) enum Login {
    Nobody,
    /// The same header with each request.
    Header(HeaderName, HeaderValue),
    /// Basic with each request, until the server asks for Digest.
    Password(Digest, HeaderValue),
    /// Digest only: the password itself is never sent.
    Digest(Digest),
    Command(TokenCommand),
}

impl Login {
    pub fn password(user: &str, password: &Secret) -> Login {
        let pair = Secret::new(format!("{user}:{}", password.expose()));
        let basic = secret_value(&format!("Basic {}", encode::base64(pair.expose())));
        match basic {
            Some(basic) => Login::Password(Digest::new(user, password.clone()), basic),
            None => Login::Nobody,
        }
    }

    pub fn digest(user: &str, password: &Secret) -> Login {
        Login::Digest(Digest::new(user, password.clone()))
    }

    pub fn bearer(token: &Secret) -> Result<Login, String> {
        let value = secret_value(&format!("Bearer {}", token.expose()));
        let value = value.ok_or("the token has characters that no HTTP header can have")?;
        Ok(Login::Header(AUTHORIZATION, value))
    }

    /// A header of the server's own choice.
    pub fn custom(name: &str, value: &Secret) -> Result<Login, String> {
        let name = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| format!("'{}' is no name of an HTTP header", name.escape_debug()))?;
        let value = secret_value(value.expose());
        let value = value.ok_or("the password has characters that no HTTP header can have")?;
        Ok(Login::Header(name, value))
    }

    pub fn command(command: Vec<Secret>, within: std::time::Duration) -> Login {
        Login::Command(TokenCommand::new(command, within))
    }

    pub fn is_nobody(&self) -> bool {
        matches!(self, Login::Nobody)
    }

    /// Whether a request may be answered with a challenge that another try can meet.
    pub fn may_be_challenged(&self) -> bool {
        matches!(self, Login::Password(..) | Login::Digest(_) | Login::Command(_))
    }

    /// Adds what shows who we are, and returns it.
    pub async fn show(
        &self,
        method: &Method,
        url: &str,
        headers: &mut HeaderMap,
    ) -> Result<Option<HeaderValue>, Fault> {
        let (name, value) = match self {
            Login::Nobody => return Ok(None),
            Login::Header(name, value) => (name.clone(), value.clone()),
            Login::Password(digest, basic) => {
                (AUTHORIZATION, digest.answer(method, url).as_deref().and_then(secret_value).unwrap_or(basic.clone()))
            }
            Login::Digest(digest) => match digest.answer(method, url).as_deref().and_then(secret_value) {
                Some(value) => (AUTHORIZATION, value),
                None => return Ok(None),
            },
            Login::Command(command) => {
                let token = command.token().await?;
                let value = secret_value(&format!("Bearer {}", token.expose())).ok_or_else(|| {
                    Fault::NoCredentials("the command for a token printed what no HTTP header can have".to_owned())
                })?;
                (AUTHORIZATION, value)
            }
        };
        headers.insert(name, value.clone());
        Ok(Some(value))
    }

    /// Takes note of a 401. Whether another try, which shows something else, may succeed.
    pub fn challenged(&self, headers: &HeaderMap, shown: Option<&HeaderValue>) -> bool {
        let shown = shown.and_then(|shown| shown.to_str().ok()).unwrap_or_default();
        match self {
            Login::Nobody | Login::Header(..) => false,
            Login::Password(digest, _) | Login::Digest(digest) => {
                let challenges = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
                digest.challenged(challenges, shown)
            }
            Login::Command(command) => {
                command.refused(shown.strip_prefix("Bearer ").unwrap_or_default());
                true
            }
        }
    }
}

fn secret_value(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_bytes(text.as_bytes()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// The password that was given, else the one that a person types.
pub(crate) async fn password(
    given: Option<Secret>,
    ask: bool,
    place: &HttpPlace,
    user: &str,
    options: &Options,
) -> Result<Secret, String> {
    if let Some(password) = given {
        return Ok(password);
    }
    if !ask {
        return Err(format!("there is '{user}' without a password: set 'password', or 'ask_password' to be asked"));
    }
    // As DVC 3.67.
    let prompt = format!("Enter a password for host '{}' user '{user}':\n", place.base());
    options.ask.ask(prompt).await.ok_or_else(|| {
        "a password should be asked for, and there is no terminal to ask at: set 'password' in .dvc/config.local"
            .to_owned()
    })
}
