//! What an error of the artifact store is to a client.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use trackway_artifacts::Error;

use crate::error::ApiError;
use crate::wire;

impl From<Error> for ApiError {
    fn from(error: Error) -> ApiError {
        let (status, code) = match &error {
            Error::InvalidPath
            | Error::NotPlain { .. }
            | Error::ReservedName { .. }
            | Error::NoFileName
            | Error::IsADirectory { .. }
            | Error::BelowAFile { .. }
            | Error::NotServed { .. }
            | Error::Incomplete { .. } => (StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE"),
            Error::NotFound { .. } | Error::NoSuchUpload { .. } => (StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST"),
            // Not 500 or 503: MLflow's client would try again for minutes.
            Error::NotReachable { .. } | Error::Unsupported(_) => (StatusCode::NOT_IMPLEMENTED, "NOT_IMPLEMENTED"),
            Error::NoSpace { .. } => (StatusCode::INSUFFICIENT_STORAGE, "RESOURCE_EXHAUSTED"),
            // Nor for what only the operator can mend.
            Error::Refused(_) => (StatusCode::FORBIDDEN, "PERMISSION_DENIED"),
            Error::Unreachable(_) => (StatusCode::SERVICE_UNAVAILABLE, "TEMPORARILY_UNAVAILABLE"),
            // The last two are a purge's own, which is no request.
            Error::Store(_) | Error::NotPurged { .. } | Error::NoDestination { .. } => {
                (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR")
            }
        };
        ApiError::new(status, code, error.to_string())
    }
}

/// How a request to the proxy fails. MLflow 3.17 has three dialects there.
pub(super) enum Failure {
    Api(ApiError),
    /// `{"detail": …}`
    Detail(StatusCode, String),
    /// Plain text, where the whole endpoint is switched off.
    Text(StatusCode, String),
    /// 501 with an error code alone, by which clients learn to take the plain way.
    Unsupported(&'static str),
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Failure {
        Failure::Api(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::Api(error.into())
    }
}

#[derive(Serialize)]
struct Detail<'a> {
    detail: &'a str,
}

#[derive(Serialize)]
struct Unsupported<'a> {
    error_code: &'a str,
    message: &'a str,
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match self {
            Failure::Api(error) => error.into_response(),
            Failure::Detail(status, detail) => (status, wire::json(&Detail { detail: &detail })).into_response(),
            Failure::Text(status, text) => (status, text).into_response(),
            Failure::Unsupported(message) => {
                let body = Unsupported { error_code: "NOT_IMPLEMENTED", message };
                (StatusCode::NOT_IMPLEMENTED, wire::json(&body)).into_response()
            }
        }
    }
}
