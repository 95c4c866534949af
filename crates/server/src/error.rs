//! Errors as MLflow's clients read them: a status, and JSON with `error_code` and `message`.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use trackway_tracking::Error;

/// A request that failed.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    pub status: StatusCode,
    /// One of MLflow's error codes.
    pub code: &'static str,
    pub message: String,
}

impl ApiError {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> ApiError {
        ApiError { status, code, message: message.into() }
    }

    pub fn invalid(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE", message)
    }

    pub fn not_found(message: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST", message)
    }

    /// As MLflow says it, word by word: clients match on it.
    pub fn missing(parameter: &str) -> ApiError {
        ApiError::invalid(format!(
            "Missing value for required parameter '{parameter}'. See the API docs for more information about request parameters."
        ))
    }
}

/// The one place that decides what an error of the store is to a client.
impl From<Error> for ApiError {
    fn from(error: Error) -> ApiError {
        let (status, code) = match &error {
            Error::Invalid(_) => (StatusCode::BAD_REQUEST, "INVALID_PARAMETER_VALUE"),
            Error::NotFound(_) => (StatusCode::NOT_FOUND, "RESOURCE_DOES_NOT_EXIST"),
            // 400, not 409: MLflow's clients look for the code and expect this status.
            Error::AlreadyExists(_) => (StatusCode::BAD_REQUEST, "RESOURCE_ALREADY_EXISTS"),
            Error::BadRequest(_) => (StatusCode::BAD_REQUEST, "BAD_REQUEST"),
            // Stock MLflow answers 500 here, which its own client retries for minutes.
            Error::InvalidState(_) => (StatusCode::BAD_REQUEST, "INVALID_STATE"),
            Error::Busy(_) => (StatusCode::SERVICE_UNAVAILABLE, "TEMPORARILY_UNAVAILABLE"),
            Error::StorageFull(_) => (StatusCode::INSUFFICIENT_STORAGE, "RESOURCE_EXHAUSTED"),
            Error::Storage(_) => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR"),
        };
        ApiError::new(status, code, error.to_string())
    }
}

#[derive(Serialize)]
struct Body<'a> {
    error_code: &'a str,
    message: &'a str,
    sqlstate: &'a str,
    error_class: &'a str,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if self.status.is_server_error() {
            tracing::error!(
                status = self.status.as_u16(),
                code = self.code,
                message = self.message,
                "a request failed"
            );
        }
        let internal = self.status == StatusCode::INTERNAL_SERVER_ERROR;
        let body = Body {
            error_code: self.code,
            message: &self.message,
            // As MLflow 3.17 fills these two.
            sqlstate: if internal { "XXM00" } else { "KAM00" },
            error_class: match self.code {
                "RESOURCE_DOES_NOT_EXIST" => "RESOURCE_NOT_FOUND",
                "BAD_REQUEST" => "INVALID_PARAMETER_VALUE",
                "INTERNAL_ERROR" => "CLIENT_INTERNAL_ERROR",
                code => code,
            },
        };
        let mut response = (self.status, crate::wire::json(&body)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
