//! Keys in exchange for others, or for the token of an identity provider.

use http::Method;
use jiff::Timestamp;

use super::credentials::{Keys, Search, time};
use super::sign::{Signer, Target, set, sha256};
use crate::http::xml::Element;
use crate::http::{Request, encode};
use crate::options::Secret;

pub(super) struct Role {
    pub arn: String,
    /// What the session is called in the account's records.
    pub session: String,
    pub external: Option<String>,
}

pub(super) async fn assume(search: &Search<'_>, keys: &Keys, role: &Role) -> Result<Keys, String> {
    let mut form = form("AssumeRole", role);
    if let Some(external) = &role.external {
        form.push(("ExternalId", external));
    }
    call(search, encode::query(&form), Some(keys), &role.arn).await
}

pub(super) async fn assume_by_token(search: &Search<'_>, file: &str, role: &Role) -> Result<Keys, String> {
    let file = search.environment.expand(file);
    let token = tokio::fs::read_to_string(&file).await;
    let token = token.map_err(|error| format!("the token file '{}' cannot be read: {error}", file.display()))?;
    let mut form = form("AssumeRoleWithWebIdentity", role);
    form.push(("WebIdentityToken", token.trim()));
    call(search, encode::query(&form), None, &role.arn).await
}

fn form<'a>(action: &'a str, role: &'a Role) -> Vec<(&'a str, &'a str)> {
    vec![("Action", action), ("Version", "2011-06-15"), ("RoleArn", &role.arn), ("RoleSessionName", &role.session)]
}

async fn call(search: &Search<'_>, body: String, keys: Option<&Keys>, role: &str) -> Result<Keys, String> {
    let failed = |reason: String| format!("the role '{role}' cannot be assumed: {reason}");
    let endpoint = search.environment.get("AWS_ENDPOINT_URL_STS");
    let endpoint = endpoint.unwrap_or_else(|| format!("https://sts.{}.amazonaws.com", search.region));
    let (scheme, host) = endpoint.trim_end_matches('/').split_once("://").ok_or_else(|| {
        failed("AWS_ENDPOINT_URL_STS must be a URL like https://sts.eu-west-1.amazonaws.com".to_owned())
    })?;
    let target =
        Target { scheme: scheme.to_owned(), host: host.to_owned(), path: "/".to_owned(), query: String::new() };
    let answer = search
        .client
        .send(|| {
            let mut request = Request::new(Method::POST, target.url());
            set(&mut request.headers, "content-type", "application/x-www-form-urlencoded; charset=utf-8");
            request.body = body.clone().into();
            if let Some(keys) = keys {
                let signer = Signer { keys, region: search.region, service: "sts", now: Timestamp::now() };
                signer.sign(&Method::POST, &target, &mut request.headers, &sha256(&request.body));
            }
            request
        })
        .await
        .map_err(|failure| failed(failure.to_string()))?;
    let ok = answer.status.is_success();
    let text = answer.text().await.map_err(|failure| failed(failure.to_string()))?;
    let root = Element::parse(&text).ok_or_else(|| failed("the answer is no XML".to_owned()))?;
    if !ok {
        let error = root.child("Error").unwrap_or(&root);
        return Err(failed(format!("{} {}", error.text_of("Code"), error.text_of("Message"))));
    }
    let result = root.children.iter().find(|child| child.name.ends_with("Result"));
    let given = result.and_then(|result| result.child("Credentials"));
    let given = given.ok_or_else(|| failed("the answer has no keys".to_owned()))?;
    Ok(Keys {
        access_key_id: given.text_of("AccessKeyId").to_owned(),
        secret_access_key: given.text_of("SecretAccessKey").into(),
        session_token: Some(Secret::new(given.text_of("SessionToken"))),
        expires: time(given.text_of("Expiration")),
        derived: Default::default(),
    })
}
