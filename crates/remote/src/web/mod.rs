//! `http://`, `https://`: whatever serves files, read with GET and HEAD as DVC 3.67 does.
//!
//! Such a server lists nothing and deletes nothing. It takes files by POST or PUT if it is made so, and
//! what it does with half of one is its own business: there is no name to write to first. A small body is
//! sent when all of it is at hand; a large one ends with the connection if it breaks off.

mod describe;
mod read;
mod write;

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::http::url::Origin;
use crate::http::{Client, encode};
use crate::location::HttpPlace;
use crate::options::{Options, Secret, Upload, WebAuth};
use crate::path::RelPath;
use crate::site::{Login, Site, password};

pub use describe::Described;
pub(crate) use read::{WebObject, WebStream};

#[derive(Clone)]
pub(crate) struct Web(Arc<Inner>);

pub(crate) struct Inner {
    site: Site,
    /// As a person names it, for errors; without anything secret.
    location: String,
    /// `https://host/folder`, encoded, without a slash at its end.
    base: String,
    query: Option<Secret>,
    upload: Upload,
}

pub(crate) async fn open(place: &HttpPlace, options: &Options) -> Result<Web> {
    let location = place.shown();
    let invalid = |reason: String| Error::InvalidLocation { location: location.clone(), reason };
    let origin = Origin::of(&place.base()).ok_or_else(|| invalid("its host makes no valid URL".to_owned()))?;
    let client = Client::new(&options.http, &options.environment).map_err(invalid)?;
    let login = login(place, options).await;
    let login = login.map_err(|reason| Error::NoCredentials { location: location.clone(), reason })?;
    let base = format!("{}{}", place.base(), place.encoded_path());
    let query = place.query.clone();
    let upload = options.web.upload;
    Ok(Web(Arc::new(Inner { site: Site::new(client, origin, login), location, base, query, upload })))
}

/// As DVC 3.67: without `auth`, a user and a password count only where they stand in the URL.
async fn login(place: &HttpPlace, options: &Options) -> std::result::Result<Login, String> {
    let web = &options.web;
    let user = || web.user.clone().or_else(|| place.user.clone());
    let given = web.password.clone().or_else(|| place.password.clone());
    match web.auth {
        None => Ok(match (&place.user, &place.password) {
            (Some(user), password) => Login::password(user, &password.clone().unwrap_or_default()),
            _ => Login::Nobody,
        }),
        Some(auth @ (WebAuth::Basic | WebAuth::Digest)) => {
            let user = user().ok_or("'auth' is set, and there is no 'user'")?;
            let password = password(given, web.ask_password, place, &user, options).await?;
            Ok(match auth {
                WebAuth::Digest => Login::digest(&user, &password),
                _ => Login::password(&user, &password),
            })
        }
        Some(WebAuth::Custom) => {
            let name = web.custom_auth_header.as_ref();
            let name = name.ok_or("'auth' is 'custom', and there is no 'custom_auth_header'")?;
            let user = user().unwrap_or_else(|| "custom".to_owned());
            Login::custom(name, &password(given, web.ask_password, place, &user, options).await?)
        }
    }
}

impl Web {
    pub fn unsupported<T>(&self, what: &'static str) -> Result<T> {
        Err(Error::Unsupported { what, kind: "an HTTP server" })
    }
}

impl Inner {
    /// The root is the URL itself.
    fn url(&self, path: &RelPath) -> String {
        let query = self.query.as_ref().map(|query| format!("?{}", query.expose())).unwrap_or_default();
        match path.is_root() {
            true => format!("{}{query}", self.base),
            false => format!("{}/{}{query}", self.base.trim_end_matches('/'), encode::key(path.as_str())),
        }
    }

    fn error(&self, fault: Fault, path: &RelPath) -> Error {
        fault.into_error(&self.location, path.as_str())
    }
}
