//! Keys of the container or the machine that this process runs on.
//!
//! These are asked without a proxy and with short deadlines: on any other machine nobody answers.

use std::net::IpAddr;
use std::time::Duration;

use http::Method;

use super::credentials::{JsonKeys, Keys, Search};
use super::sign::set;
use crate::environment::Environment;
use crate::http::{Answer, Client, Failure, Request};
use crate::options::HttpOptions;

/// The address by which Amazon's container service gives keys.
const CONTAINERS: &str = "http://169.254.170.2";
const MACHINE: &str = "http://169.254.169.254";

fn client(attempts: u32) -> Result<Client, String> {
    let second = Duration::from_secs(1);
    let options = HttpOptions { connect_timeout: second, idle_timeout: second * 2, attempts, ..HttpOptions::default() };
    Client::new(&options, &Environment::only::<String, String>([]))
}

pub(super) async fn container(search: &Search<'_>) -> Result<Option<Keys>, String> {
    let environment = search.environment;
    let url = match environment.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
        Some(path) => format!("{CONTAINERS}{path}"),
        None => match environment.get("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
            Some(url) if is_near(&url) => url,
            Some(_) => {
                return Err("AWS_CONTAINER_CREDENTIALS_FULL_URI leads to another machine without https".to_owned());
            }
            None => return Ok(None),
        },
    };
    let token = match environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
        Some(file) => {
            let text = tokio::fs::read_to_string(&file).await;
            Some(text.map_err(|error| format!("the token file '{file}' cannot be read: {error}"))?.trim().to_owned())
        }
        None => environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN"),
    };
    let headers: Vec<_> = token.iter().map(|token| ("authorization", token.as_str())).collect();
    let answer = ask(&client(3)?, Method::GET, &url, &headers).await;
    let answer = answer.map_err(|failure| format!("the container's keys cannot be had: {failure}"))?;
    keys(answer).await.map(Some).map_err(|reason| format!("the container's keys cannot be had: {reason}"))
}

pub(super) async fn machine(search: &Search<'_>) -> Result<Option<Keys>, String> {
    let environment = search.environment;
    if environment.is_true("AWS_EC2_METADATA_DISABLED") {
        return Ok(None);
    }
    let endpoint = environment.get("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    let endpoint = endpoint.unwrap_or_else(|| MACHINE.to_owned());
    let endpoint = endpoint.trim_end_matches('/');
    let client = client(1)?;
    let lifetime = [("x-aws-ec2-metadata-token-ttl-seconds", "21600")];
    let Ok(token) = ask(&client, Method::PUT, &format!("{endpoint}/latest/api/token"), &lifetime).await else {
        // Not on such a machine.
        return Ok(None);
    };
    if !token.status.is_success() {
        return Ok(None);
    }
    let Ok(token) = token.text().await else { return Ok(None) };
    let headers = [("x-aws-ec2-metadata-token", token.as_str())];
    let base = format!("{endpoint}/latest/meta-data/iam/security-credentials/");
    let failed = |reason: String| format!("the machine's keys cannot be had: {reason}");
    let role = ask(&client, Method::GET, &base, &headers).await.map_err(|failure| failed(failure.to_string()))?;
    if !role.status.is_success() {
        // A machine without a role.
        return Ok(None);
    }
    let role = role.text().await.map_err(|failure| failed(failure.to_string()))?;
    let role = role.lines().next().unwrap_or_default().trim();
    let answer = ask(&client, Method::GET, &format!("{base}{role}"), &headers).await;
    keys(answer.map_err(|failure| failed(failure.to_string()))?).await.map(Some).map_err(failed)
}

async fn ask(client: &Client, method: Method, url: &str, headers: &[(&str, &str)]) -> Result<Answer, Failure> {
    client
        .send(|| {
            let mut request = Request::new(method.clone(), url);
            for (name, value) in headers {
                set(&mut request.headers, name, value);
            }
            request
        })
        .await
}

async fn keys(answer: Answer) -> Result<Keys, String> {
    if !answer.status.is_success() {
        return Err(format!("it answered with the status {}", answer.status.as_u16()));
    }
    let text = answer.bytes(1 << 20).await.map_err(|failure| failure.to_string())?;
    let keys: JsonKeys = serde_json::from_slice(&text).map_err(|_| "the answer has no keys".to_owned())?;
    Ok(keys.into())
}

/// Whether a URL stays on this machine, or is secure.
fn is_near(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else { return false };
    match uri.scheme_str() {
        Some("https") => return true,
        Some("http") => {}
        _ => return false,
    }
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let known = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];
    host == "localhost" || known.contains(&host) || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::is_near;

    #[test]
    fn keys_are_asked_for_only_nearby() {
        for near in ["http://127.0.0.1:9/x", "http://[::1]/x", "http://169.254.170.23/v1", "https://keys.example/x"] {
            assert!(is_near(near), "{near}");
        }
        for far in ["http://keys.example/x", "http://169.254.1.1/x", "ftp://127.0.0.1/", "x"] {
            assert!(!is_near(far), "{far}");
        }
    }
}
