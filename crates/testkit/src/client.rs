//! Requests to a server: over one agent with kept connections, each with a time limit.

use std::time::Duration;

use anyhow::{Context, bail};
use serde_json::Value;
use ureq::Agent;
use ureq::http::{HeaderMap, Request};

use crate::Result;

/// Long enough for a slow machine, short enough that a server that hangs fails its test.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Answers are read up to this size.
const MOST: u64 = 1 << 30;

/// An answer, whatever its status.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body)
            .with_context(|| format!("The answer {} is not JSON: {}", self.status, self.text()))
    }

    /// A header's value, or an empty string.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// MLflow's `error_code`, or an empty string.
    pub fn error_code(&self) -> String {
        self.field("error_code")
    }

    /// MLflow's `message`, or an empty string.
    pub fn message(&self) -> String {
        self.field("message")
    }

    fn field(&self, name: &str) -> String {
        let json: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        json[name].as_str().unwrap_or_default().to_owned()
    }
}

#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
    /// `http://127.0.0.1:5000`
    base: String,
}

impl Client {
    pub fn new(base: &str) -> Self {
        let agent = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .allow_non_standard_methods(true)
            .proxy(None)
            .build()
            .into();
        Self { agent, base: base.to_owned() }
    }

    /// `runs/create` is one of MLflow's API 2.0; a route with a leading slash is taken as it is.
    pub fn url(&self, route: &str) -> String {
        match route.starts_with('/') {
            true => format!("{}{route}", self.base),
            false => format!("{}/api/2.0/mlflow/{route}", self.base),
        }
    }

    pub fn send(&self, method: &str, route: &str, headers: &[(&str, &str)], body: Option<&[u8]>) -> Result<Reply> {
        let mut request = Request::builder().method(method).uri(self.url(route));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let what = || format!("{method} {} got no answer", self.url(route));
        // A GET or DELETE with a body is odd, but tests may want to send it.
        let answer = match body {
            None => self.agent.run(request.body(())?),
            Some(body) => {
                let request = request.body(body)?;
                self.agent.run(self.agent.configure_request(request).allow_non_standard_methods(true).build())
            }
        };
        let mut answer = answer.with_context(what)?;
        let body = answer.body_mut().with_config().limit(MOST).read_to_vec().with_context(what)?;
        Ok(Reply { status: answer.status().as_u16(), headers: answer.headers().clone(), body })
    }

    /// The JSON of a 2xx answer; an empty body is `null`.
    pub fn ok(&self, method: &str, route: &str, body: Option<&Value>) -> Result<Value> {
        let text = body.map(Value::to_string);
        let headers: &[_] = if text.is_some() { &[("content-type", "application/json")] } else { &[] };
        let reply = self.send(method, route, headers, text.as_deref().map(str::as_bytes))?;
        if !(200..300).contains(&reply.status) {
            bail!("{method} {} was answered {}: {}", self.url(route), reply.status, reply.text());
        }
        if reply.body.is_empty() { Ok(Value::Null) } else { reply.json() }
    }
}
