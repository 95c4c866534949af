//! Tokens where Azure's own `DefaultAzureCredential` finds them.
//!
//! A client's secret, a workload's federated token, the machine's managed identity, and whoever is
//! logged in with `az`.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Deserialize;

use crate::environment::Environment;
use crate::fresh::Bearer;
use crate::http::{Answer, Client, Request, encode};
use crate::options::{AzureOptions, HttpOptions, Secret};

const RESOURCE: &str = "https://storage.azure.com/";
const SCOPE: &str = "https://storage.azure.com/.default";

/// As the authority and the metadata services write a token. Numbers may be text.
#[derive(Deserialize)]
struct Token {
    access_token: String,
    #[serde(default)]
    expires_in: serde_json::Value,
}

pub(super) async fn find(client: &Client, options: &AzureOptions, environment: &Environment) -> Result<Bearer, String> {
    let nothing = Environment::only::<String, String>([]);
    let variables = if options.without_environment { &nothing } else { environment };
    let get = |given: &Option<String>, names: &[&str]| given.clone().or_else(|| variables.first(names));
    let tenant = get(&options.tenant_id, &["AZURE_TENANT_ID", "AZURE_STORAGE_TENANT_ID"]);
    let id = get(&options.client_id, &["AZURE_CLIENT_ID", "AZURE_STORAGE_CLIENT_ID"]);
    let secret = options.client_secret.clone();
    let secret =
        secret.or_else(|| variables.first(&["AZURE_CLIENT_SECRET", "AZURE_STORAGE_CLIENT_SECRET"]).map(Secret::new));
    if let (Some(tenant), Some(id)) = (&tenant, &id) {
        if let Some(secret) = &secret {
            let proof = [("client_secret", secret.expose().to_owned())];
            return authority(client, environment, tenant, id, &proof).await;
        }
        if let Some(file) = variables.get("AZURE_FEDERATED_TOKEN_FILE") {
            let assertion = tokio::fs::read_to_string(&file).await;
            let assertion = assertion.map_err(|error| format!("the token file '{file}' cannot be read: {error}"))?;
            let proof = [
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer".to_owned()),
                ("client_assertion", assertion.trim().to_owned()),
            ];
            return authority(client, environment, tenant, id, &proof).await;
        }
    }
    if !options.without_managed_identity
        && let Some(token) = managed_identity(environment, id.as_deref()).await?
    {
        return Ok(token);
    }
    match command_line(tenant.as_deref()).await {
        Some(token) => Ok(token),
        None => Err("set AZURE_STORAGE_CONNECTION_STRING or AZURE_STORAGE_ACCESS_KEY, or AZURE_TENANT_ID, \
                     AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or run 'az login'"
            .to_owned()),
    }
}

async fn authority(
    client: &Client,
    environment: &Environment,
    tenant: &str,
    id: &str,
    proof: &[(&str, String)],
) -> Result<Bearer, String> {
    let host = environment.get("AZURE_AUTHORITY_HOST");
    let host = host.unwrap_or_else(|| "https://login.microsoftonline.com".to_owned());
    let host = if host.contains("://") { host } else { format!("https://{host}") };
    let url = format!("{}/{}/oauth2/v2.0/token", host.trim_end_matches('/'), encode::strict(tenant));
    let mut form = vec![
        ("grant_type", "client_credentials".to_owned()),
        ("client_id", id.to_owned()),
        ("scope", SCOPE.to_owned()),
    ];
    form.extend_from_slice(proof);
    let body = encode::query(&form);
    let answer = client
        .send(|| {
            let mut request = Request::new(Method::POST, &url);
            request.headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
            request.body = body.clone().into();
            request
        })
        .await
        .map_err(|failure| format!("no token can be had for the client '{id}': {failure}"))?;
    token(answer).await.map_err(|reason| format!("no token can be had for the client '{id}': {reason}"))
}

async fn managed_identity(environment: &Environment, id: Option<&str>) -> Result<Option<Bearer>, String> {
    let second = Duration::from_secs(1);
    let options =
        HttpOptions { connect_timeout: second, idle_timeout: second * 5, attempts: 1, ..HttpOptions::default() };
    // Never through a proxy: the address means this machine.
    let client = Client::new(&options, &Environment::only::<String, String>([]))?;
    let mut query = vec![("resource", RESOURCE)];
    query.extend(id.map(|id| ("client_id", id)));
    let service = environment.get("IDENTITY_ENDPOINT").zip(environment.get("IDENTITY_HEADER"));
    let is_service = service.is_some();
    let (url, header, value) = match service {
        Some((endpoint, header)) => {
            query.push(("api-version", "2019-08-01"));
            (format!("{endpoint}?{}", encode::query(&query)), "x-identity-header", header)
        }
        None => {
            query.push(("api-version", "2018-02-01"));
            let host = environment.get("AZURE_POD_IDENTITY_AUTHORITY_HOST");
            let host = host.unwrap_or_else(|| "http://169.254.169.254".to_owned());
            let path = "metadata/identity/oauth2/token";
            (format!("{}/{path}?{}", host.trim_end_matches('/'), encode::query(&query)), "metadata", "true".to_owned())
        }
    };
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(&value) {
        headers.insert(HeaderName::from_static(header), value);
    }
    let asked = client
        .send(|| Request { headers: headers.clone(), ..Request::new(Method::GET, &url) })
        .await
        .map_err(|failure| failure.to_string());
    let outcome = match asked {
        Ok(answer) => token(answer).await,
        Err(reason) => Err(reason),
    };
    match outcome {
        Ok(token) => Ok(Some(token)),
        Err(reason) if is_service => Err(format!("no token can be had for the managed identity: {reason}")),
        // Not on such a machine.
        Err(_) => Ok(None),
    }
}

async fn token(answer: Answer) -> Result<Bearer, String> {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let status = answer.status;
    let text = answer.bytes(1 << 20).await.map_err(|failure| failure.to_string())?;
    if !status.is_success() {
        let refusal = serde_json::from_slice::<Refusal>(&text).map(|refusal| refusal.error);
        let code = refusal.unwrap_or_default().chars().filter(|c| !c.is_control()).take(100).collect::<String>();
        return Err(format!("it answered {code} (status {})", status.as_u16()));
    }
    let token: Token = serde_json::from_slice(&text).map_err(|_| "the answer has no token".to_owned())?;
    let seconds = match &token.expires_in {
        serde_json::Value::Number(seconds) => seconds.as_u64(),
        serde_json::Value::String(seconds) => seconds.parse().ok(),
        _ => None,
    };
    let expires = SystemTime::now() + Duration::from_secs(seconds.unwrap_or(600).min(86_400));
    Ok(Bearer { token: token.access_token.into(), expires: Some(expires) })
}

/// Whoever is logged in with Azure's command line.
async fn command_line(tenant: Option<&str>) -> Option<Bearer> {
    #[derive(Deserialize)]
    struct Printed {
        #[serde(rename = "accessToken")]
        access_token: String,
        /// Seconds since 1970; older versions print only a local time.
        expires_on: Option<u64>,
    }
    let mut az = tokio::process::Command::new("az");
    az.args(["account", "get-access-token", "--output", "json", "--resource", RESOURCE]);
    if let Some(tenant) = tenant {
        az.args(["--tenant", tenant]);
    }
    az.stdin(std::process::Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(30), az.output()).await.ok()?.ok()?;
    let printed: Printed = serde_json::from_slice(&output.stdout).ok()?;
    let expires = match printed.expires_on {
        Some(seconds) => SystemTime::UNIX_EPOCH + Duration::from_secs(seconds),
        None => SystemTime::now() + Duration::from_secs(600),
    };
    Some(Bearer { token: printed.access_token.into(), expires: Some(expires) })
}
