//! JSON as protobuf writes it: the rules that MLflow's clients rely on, between HTTP and typed values.
//!
//! * `request.rs`: bodies and query strings into typed requests, once.
//! * `fields.rs`: how single fields are read: numbers as strings, `NaN`, enumerations by name or number.
//! * [`json`] and `number.rs`: answers. 64-bit integers are numbers, a NaN is the string `"NaN"`, empty lists are left out.

pub mod fields;
mod lenient;
mod number;
mod request;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use serde::Serialize;

use crate::error::ApiError;

pub use number::double;
pub use request::{Body, Params, decode_json, decode_query};

/// An answer in JSON.
pub fn json<T: Serialize>(value: &T) -> Response {
    json_of(value, 512)
}

/// An answer in JSON that is about so many bytes long.
pub fn json_of<T: Serialize>(value: &T, bytes: usize) -> Response {
    let mut body = Vec::with_capacity(bytes);
    if let Err(error) = serde_json::to_writer(&mut body, value) {
        // Only a map with keys that are no strings can fail; none of ours has such.
        tracing::error!(%error, "an answer could not be written as JSON");
        return http::StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let mut response = Response::new(axum::body::Body::from(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// The answer of a call that has nothing to say: `{}`.
pub fn empty() -> Response {
    let mut response = Response::new(axum::body::Body::from("{}"));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A field that must be there and not be empty, as MLflow's validation has it.
pub fn required(value: Option<String>, parameter: &str) -> Result<String, ApiError> {
    value.filter(|value| !value.is_empty()).ok_or_else(|| ApiError::missing(parameter))
}

/// For `skip_serializing_if`: proto2 leaves an empty list out.
pub fn is_empty<T>(list: &[T]) -> bool {
    list.is_empty()
}
