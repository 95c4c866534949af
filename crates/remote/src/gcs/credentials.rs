//! Tokens where Google's own libraries find them (Application Default Credentials).
//!
//! The file that `GOOGLE_APPLICATION_CREDENTIALS` names, what `gcloud auth application-default login`
//! wrote, the metadata service. A service account's key makes its tokens itself.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::environment::Environment;
use crate::fresh::Bearer;
use crate::http::{Answer, Client, Request, encode, time};
use crate::options::{GcsOptions, HttpOptions, Secret};

const SCOPE: &str = "https://www.googleapis.com/auth/devstorage.full_control";
const CLOUD_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const AN_HOUR: Duration = Duration::from_secs(3600);

pub(super) enum Source {
    Anonymous,
    Account(ServiceAccount),
    /// A person who has logged in.
    User(User),
    /// Somebody whom another authority vouches for.
    External(External),
    Impersonated {
        url: String,
        by: Box<Source>,
    },
    /// The machine's own account, if it has one.
    Machine,
}

pub(super) struct ServiceAccount {
    pub email: String,
    key_id: Option<String>,
    key: RsaKeyPair,
}

#[derive(Deserialize)]
pub(super) struct User {
    client_id: String,
    client_secret: Secret,
    refresh_token: Secret,
}

#[derive(Deserialize)]
pub(super) struct External {
    audience: String,
    subject_token_type: String,
    token_url: String,
    service_account_impersonation_url: Option<String>,
    credential_source: TokenSource,
}

#[derive(Deserialize)]
struct TokenSource {
    file: Option<PathBuf>,
    url: Option<String>,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    format: Option<TokenFormat>,
}

#[derive(Deserialize)]
struct TokenFormat {
    subject_token_field_name: Option<String>,
}

impl Source {
    pub async fn find(options: &GcsOptions, environment: &Environment) -> Result<Source, String> {
        if options.anonymous {
            return Ok(Source::Anonymous);
        }
        let named = options.credentials_file.clone();
        let named =
            named.or_else(|| environment.get("GOOGLE_APPLICATION_CREDENTIALS").map(|path| environment.expand(&path)));
        if let Some(path) = named {
            let text = tokio::fs::read(&path).await;
            let text = text.map_err(|error| format!("the file '{}' cannot be read: {error}", path.display()))?;
            return Source::of_file(&text, &path);
        }
        // An emulator asks for nothing.
        if environment.get("STORAGE_EMULATOR_HOST").is_some() {
            return Ok(Source::Anonymous);
        }
        let folder = environment.get("CLOUDSDK_CONFIG").map(PathBuf::from);
        let folder = folder.or_else(|| environment.home().map(|home| home.join(".config/gcloud")));
        if let Some(path) = folder.map(|folder| folder.join("application_default_credentials.json"))
            && let Ok(text) = tokio::fs::read(&path).await
        {
            return Source::of_file(&text, &path);
        }
        Ok(Source::Machine)
    }

    fn of_file(text: &[u8], path: &Path) -> Result<Source, String> {
        let wrong = |what: &str| format!("the credentials in '{}' {what}", path.display());
        let value: Value = serde_json::from_slice(text).map_err(|_| wrong("are no JSON"))?;
        Source::of_json(value).map_err(|what| wrong(&what))
    }

    fn of_json(value: Value) -> Result<Source, String> {
        let kind = value["type"].as_str().unwrap_or_default().to_owned();
        let incomplete = |_| format!("are not a complete '{kind}'");
        Ok(match kind.as_str() {
            "service_account" => Source::Account(ServiceAccount::of_json(&value)?),
            "authorized_user" => Source::User(serde_json::from_value(value).map_err(incomplete)?),
            "external_account" => Source::External(serde_json::from_value(value).map_err(incomplete)?),
            "impersonated_service_account" => {
                let url = value["service_account_impersonation_url"].as_str();
                let url = url.ok_or("name nobody to act as")?.to_owned();
                match Source::of_json(value["source_credentials"].clone())? {
                    Source::Impersonated { .. } => return Err("lead through too many others".to_owned()),
                    by => Source::Impersonated { url, by: Box::new(by) },
                }
            }
            other => return Err(format!("are of the type '{other}', which is not supported")),
        })
    }

    /// None without credentials.
    pub fn needs_token(&self) -> bool {
        !matches!(self, Source::Anonymous)
    }

    pub async fn token(&self, client: &Client, environment: &Environment) -> Result<Bearer, String> {
        match self {
            Source::Impersonated { url, by } => {
                impersonate(client, url, &by.own_token(client, environment).await?).await
            }
            other => other.own_token(client, environment).await,
        }
    }

    async fn own_token(&self, client: &Client, environment: &Environment) -> Result<Bearer, String> {
        match self {
            Source::Anonymous | Source::Impersonated { .. } => Err("there is no such token".to_owned()),
            Source::Account(account) => account.token(),
            Source::User(user) => user.token(client).await,
            Source::External(external) => external.token(client).await,
            Source::Machine => machine(environment).await,
        }
    }
}

impl ServiceAccount {
    fn of_json(value: &Value) -> Result<ServiceAccount, String> {
        let text = |name: &str| value[name].as_str().ok_or_else(|| format!("have no '{name}'"));
        let unusable = || "have a private key that cannot be used".to_owned();
        let der = PrivatePkcs8KeyDer::from_pem_slice(text("private_key")?.as_bytes()).map_err(|_| unusable())?;
        Ok(ServiceAccount {
            email: text("client_email")?.to_owned(),
            key_id: value["private_key_id"].as_str().map(str::to_owned),
            key: RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| unusable())?,
        })
    }

    /// RSA with SHA-256.
    pub fn sign(&self, text: &str) -> Result<Vec<u8>, String> {
        let mut signature = vec![0; self.key.public().modulus_len()];
        let signed = self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature);
        signed.map_err(|_| "the private key of the service account cannot sign".to_owned())?;
        Ok(signature)
    }

    /// Signed by itself: Google takes it without having given it.
    fn token(&self) -> Result<Bearer, String> {
        let now = SystemTime::now();
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut header = json!({"alg": "RS256", "typ": "JWT"});
        if let Some(id) = &self.key_id {
            header["kid"] = json!(id);
        }
        let claims = json!({
            "iss": self.email, "sub": self.email, "scope": SCOPE, "iat": since, "exp": since + AN_HOUR.as_secs(),
        });
        let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let text = format!("{}.{}", encode(&header), encode(&claims));
        let signature = BASE64_URL_SAFE_NO_PAD.encode(self.sign(&text)?);
        Ok(Bearer { token: Secret::new(format!("{text}.{signature}")), expires: Some(now + AN_HOUR) })
    }
}

impl User {
    async fn token(&self, client: &Client) -> Result<Bearer, String> {
        let form = [
            ("grant_type", "refresh_token"),
            ("client_id", &self.client_id),
            ("client_secret", self.client_secret.expose()),
            ("refresh_token", self.refresh_token.expose()),
        ];
        let failed = |reason| format!("run 'gcloud auth application-default login' again: {reason}");
        let answer = post(client, "https://oauth2.googleapis.com/token", encode::query(&form)).await;
        token(answer.map_err(failed)?).await.map_err(failed)
    }
}

impl External {
    async fn token(&self, client: &Client) -> Result<Bearer, String> {
        let failed = |reason| format!("the workload's identity cannot be exchanged: {reason}");
        let subject = self.credential_source.read(client).await.map_err(failed)?;
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("audience", &self.audience),
            ("scope", CLOUD_SCOPE),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("subject_token_type", &self.subject_token_type),
            ("subject_token", &subject),
        ];
        let answer = post(client, &self.token_url, encode::query(&form)).await.map_err(failed)?;
        let bearer = token(answer).await.map_err(failed)?;
        match &self.service_account_impersonation_url {
            Some(url) => impersonate(client, url, &bearer).await,
            None => Ok(bearer),
        }
    }
}

impl TokenSource {
    async fn read(&self, client: &Client) -> Result<String, String> {
        let text = match (&self.file, &self.url) {
            (Some(path), _) => {
                let read = tokio::fs::read_to_string(path).await;
                read.map_err(|error| format!("the file '{}' cannot be read: {error}", path.display()))?
            }
            (None, Some(url)) => {
                let mut headers = HeaderMap::new();
                for (name, value) in &self.headers {
                    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                        headers.insert(name, value);
                    }
                }
                let make = || Request { headers: headers.clone(), ..Request::new(Method::GET, url) };
                let answer = client.send(make).await.map_err(|failure| failure.to_string())?;
                answer.text().await.map_err(|failure| failure.to_string())?
            }
            (None, None) => return Err("its credential_source is neither a file nor a URL".to_owned()),
        };
        match self.format.as_ref().and_then(|format| format.subject_token_field_name.as_ref()) {
            None => Ok(text.trim().to_owned()),
            Some(field) => {
                let value: Value = serde_json::from_str(&text).map_err(|_| "the token is no JSON".to_owned())?;
                Ok(value[field.as_str()].as_str().ok_or_else(|| format!("there is no '{field}'"))?.to_owned())
            }
        }
    }
}

async fn impersonate(client: &Client, url: &str, by: &Bearer) -> Result<Bearer, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Given {
        access_token: String,
        expire_time: String,
    }
    let failed = |reason: String| format!("the service account cannot be acted as: {reason}");
    let body = json!({"scope": [SCOPE], "lifetime": "3600s"}).to_string();
    let answer = client
        .send(|| {
            let mut request = Request::new(Method::POST, url);
            request.headers.insert("content-type", HeaderValue::from_static("application/json"));
            if let Ok(value) = HeaderValue::from_str(&format!("Bearer {}", by.token.expose())) {
                request.headers.insert(http::header::AUTHORIZATION, value);
            }
            request.body = body.clone().into();
            request
        })
        .await
        .map_err(|failure| failed(failure.to_string()))?;
    if !answer.status.is_success() {
        return Err(failed(format!("it answered with the status {}", answer.status.as_u16())));
    }
    let text = answer.bytes(1 << 20).await.map_err(|failure| failed(failure.to_string()))?;
    let given: Given = serde_json::from_slice(&text).map_err(|_| failed("the answer has no token".to_owned()))?;
    Ok(Bearer { token: given.access_token.into(), expires: time(&given.expire_time) })
}

async fn machine(environment: &Environment) -> Result<Bearer, String> {
    let nobody = || {
        "set GOOGLE_APPLICATION_CREDENTIALS to a key file, or run 'gcloud auth application-default login'".to_owned()
    };
    if environment.is_true("NO_GCE_CHECK") {
        return Err(nobody());
    }
    let second = Duration::from_secs(1);
    let options =
        HttpOptions { connect_timeout: second, idle_timeout: second * 3, attempts: 2, ..HttpOptions::default() };
    // Never through a proxy: the address means this machine.
    let client = Client::new(&options, &Environment::only::<String, String>([]))?;
    let host = environment.first(&["GCE_METADATA_HOST", "GCE_METADATA_ROOT"]);
    let host = host.unwrap_or_else(|| "169.254.169.254".to_owned());
    let url = format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/token");
    let asked = client.send(|| {
        let mut request = Request::new(Method::GET, &url);
        request.headers.insert("metadata-flavor", HeaderValue::from_static("Google"));
        request
    });
    match asked.await {
        Err(_) => Err(nobody()),
        Ok(answer) => token(answer).await.map_err(|_| nobody()),
    }
}

async fn post(client: &Client, url: &str, form: String) -> Result<Answer, String> {
    let asked = client.send(|| {
        let mut request = Request::new(Method::POST, url);
        request.headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
        request.body = form.clone().into();
        request
    });
    asked.await.map_err(|failure| failure.to_string())
}

async fn token(answer: Answer) -> Result<Bearer, String> {
    #[derive(Deserialize)]
    struct Given {
        access_token: String,
        expires_in: Option<u64>,
    }
    let status = answer.status;
    let text = answer.bytes(1 << 20).await.map_err(|failure| failure.to_string())?;
    if !status.is_success() {
        let said: Value = serde_json::from_slice(&text).unwrap_or_default();
        let code: String =
            said["error"].as_str().unwrap_or_default().chars().filter(|c| !c.is_control()).take(100).collect();
        return Err(format!("it answered {code} (status {})", status.as_u16()));
    }
    let given: Given = serde_json::from_slice(&text).map_err(|_| "the answer has no token".to_owned())?;
    let lifetime = Duration::from_secs(given.expires_in.unwrap_or(600).min(86_400));
    Ok(Bearer { token: given.access_token.into(), expires: Some(SystemTime::now() + lifetime) })
}
