//! Keys of a single sign-on, by the token that `aws sso login` left behind.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Method;
use ring::digest;
use serde::Deserialize;

use super::credentials::{Keys, Search, time};
use super::sign::set;
use crate::http::{Request, encode};
use crate::options::Secret;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Token {
    access_token: String,
    expires_at: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answered {
    role_credentials: RoleKeys,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RoleKeys {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    /// Milliseconds.
    expiration: u64,
}

pub(super) async fn keys(search: &Search<'_>, profile: &str) -> Result<Keys, String> {
    let failed = |reason: &str| format!("the single sign-on of the profile '{profile}' does not work: {reason}");
    let session = search.profiles.get(profile, "sso_session");
    let get = |setting| match session {
        Some(session) => {
            search.profiles.other("sso-session", session, setting).or_else(|| search.profiles.get(profile, setting))
        }
        None => search.profiles.get(profile, setting),
    };
    let needed = |setting: &'static str| get(setting).ok_or_else(|| failed(&format!("{setting} is not set")));
    let (start, region) = (needed("sso_start_url")?, needed("sso_region")?);
    let (account, role) = (needed("sso_account_id")?, needed("sso_role_name")?);

    // The token's file is named after the session, or in the older form after the address.
    let name =
        encode::hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, session.unwrap_or(start).as_bytes()).as_ref());
    let login = || failed(&format!("run 'aws sso login --profile {profile}'"));
    let home = search.environment.home().ok_or_else(login)?;
    let text = tokio::fs::read(home.join(format!(".aws/sso/cache/{name}.json"))).await.map_err(|_| login())?;
    let token: Token = serde_json::from_slice(&text).map_err(|_| login())?;
    // Older tools wrote "UTC" where a zone belongs.
    let expires = time(&token.expires_at.replace("UTC", "Z")).ok_or_else(login)?;
    if expires <= SystemTime::now() {
        return Err(login());
    }
    let query = encode::query(&[("account_id", account), ("role_name", role)]);
    let url = format!("https://portal.sso.{region}.amazonaws.com/federation/credentials?{query}");
    let answer = search
        .client
        .send(|| {
            let mut request = Request::new(Method::GET, &url);
            set(&mut request.headers, "x-amz-sso_bearer_token", &token.access_token);
            request
        })
        .await
        .map_err(|failure| failed(&failure.to_string()))?;
    match answer.status.as_u16() {
        200 => {}
        401 => return Err(login()),
        403 => return Err(failed("the role is not given to you in this account")),
        status => return Err(failed(&format!("it answered with the status {status}"))),
    }
    let answered = answer.bytes(1 << 20).await.map_err(|failure| failed(&failure.to_string()))?;
    let answered: Answered = serde_json::from_slice(&answered).map_err(|_| failed("the answer has no keys"))?;
    let keys = answered.role_credentials;
    Ok(Keys {
        access_key_id: keys.access_key_id,
        secret_access_key: keys.secret_access_key.into(),
        session_token: Some(Secret::new(keys.session_token)),
        expires: Some(UNIX_EPOCH + Duration::from_millis(keys.expiration)),
        derived: Default::default(),
    })
}
