//! Artifacts that an MLflow or Trackway server keeps, reached through its proxy: as far as deleting goes.

use std::sync::Arc;

use http::{HeaderValue, Method, header::AUTHORIZATION};

use crate::error::{Error, Result};
use crate::http::encode::{base64, key};
use crate::http::{Client, Request};
use crate::options::Options;
use crate::path::RelPath;

/// The `mlflow-artifacts` routes of a server.
#[derive(Clone)]
pub struct ThroughServer(Arc<Inner>);

struct Inner {
    client: Client,
    /// Without a slash at its end, and without anything secret.
    url: String,
    authorization: Option<HeaderValue>,
}

impl ThroughServer {
    /// `url` is a tracking URI, `http://` or `https://`. Who asks stands in it, or in MLflow's variables.
    pub fn open(url: &str, options: &Options) -> Result<ThroughServer> {
        let invalid = |reason: &str| {
            let location = url.split(['?', '#']).next().unwrap_or_default();
            let location = location.rsplit_once('@').map_or(location, |(_, host)| host);
            Error::InvalidLocation { location: location.to_owned(), reason: reason.to_owned() }
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| invalid("it is no http:// or https:// URL"))?;
        let scheme = scheme.to_ascii_lowercase();
        if !matches!(scheme.as_str(), "http" | "https") {
            return Err(invalid("it is no http:// or https:// URL"));
        }
        let rest = rest.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        let authority_end = rest.find('/').unwrap_or(rest.len());
        let (user, place) = match rest[..authority_end].rfind('@') {
            Some(at) => (Some(&rest[..at]), &rest[at + 1..]),
            None => (None, rest),
        };
        let environment = &options.environment;
        let basic = |pair: String| format!("Basic {}", base64(pair));
        let authorization = match user {
            Some(user) => Some(basic(percent_encoding::percent_decode_str(user).decode_utf8_lossy().into_owned())),
            None => match environment.get("MLFLOW_TRACKING_USERNAME") {
                Some(user) => {
                    let password = environment.get("MLFLOW_TRACKING_PASSWORD").unwrap_or_default();
                    Some(basic(format!("{user}:{password}")))
                }
                None => environment.get("MLFLOW_TRACKING_TOKEN").map(|token| format!("Bearer {token}")),
            },
        };
        let authorization = authorization.map(|text| {
            let mut value = HeaderValue::try_from(text).map_err(|_| invalid("its password cannot be sent"))?;
            value.set_sensitive(true);
            Ok::<_, Error>(value)
        });
        let mut http = options.http.clone();
        http.ignore_tls |= environment.is_true("MLFLOW_TRACKING_INSECURE_TLS");
        if let Some(bundle) = environment.get("MLFLOW_TRACKING_SERVER_CERT_PATH") {
            http.ca_bundle = Some(bundle.into());
        }
        let client = Client::new(&http, environment).map_err(|reason| invalid(&reason))?;
        let url = format!("{scheme}://{place}");
        Ok(ThroughServer(Arc::new(Inner { client, url, authorization: authorization.transpose()? })))
    }

    /// Deletes a directory and all below it. The server takes what is missing for deleted.
    pub async fn delete_tree(&self, path: &RelPath) -> Result<()> {
        let server = &self.0;
        if path.is_root() {
            return Err(Error::InvalidPath { path: String::new(), reason: "the root itself cannot be deleted" });
        }
        let url = format!("{}/api/2.0/mlflow-artifacts/artifacts/{}", server.url, key(path.as_str()));
        let answer = server.client.send(|| {
            let mut request = Request::new(Method::DELETE, url.clone());
            if let Some(authorization) = &server.authorization {
                request.headers.insert(AUTHORIZATION, authorization.clone());
            }
            request
        });
        let location = server.url.clone();
        let answer = match answer.await {
            Ok(answer) => answer,
            Err(failure) => return Err(Error::Unreachable { location, reason: failure.to_string() }),
        };
        let status = answer.status;
        match status.as_u16() {
            200..=299 | 404 => Ok(()),
            401 | 403 => Err(Error::Refused { location, reason: format!("it answered {status}") }),
            _ => {
                let said = answer.text().await.unwrap_or_default();
                let said: String = said.chars().filter(|c| !c.is_control()).take(300).collect();
                Err(Error::Store { location, reason: format!("it answered {status} {said}") })
            }
        }
    }
}
