//! What stands in the place of `{*path}`, as it was sent: not decoded, so that the artifact store judges every
//! encoding itself.

use std::convert::Infallible;

use axum::extract::{FromRequestParts, MatchedPath, OriginalUri};
use http::request::Parts;

pub(super) struct RawPath {
    pub path: String,
    /// The route, with MLflow's name for the place; it stands in a message.
    pub endpoint: String,
}

impl<S: Send + Sync> FromRequestParts<S> for RawPath {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let route = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
        let uri = parts.extensions.get::<OriginalUri>().map_or(&parts.uri, |original| &original.0);
        let (prefix, _) = route.split_once("{*").unwrap_or((route, ""));
        Ok(RawPath {
            path: uri.path().strip_prefix(prefix).unwrap_or_default().to_owned(),
            endpoint: route.replace("{*path}", "<path:artifact_path>"),
        })
    }
}
