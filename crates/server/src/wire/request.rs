//! Requests into typed values.
//!
//! The fast way is one pass of serde over the bytes. Only when that fails a slower one looks for what is wrong, and
//! forgives what protobuf's JSON forgives: a key that comes twice, bare `NaN`.

use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::fields::Object;
use super::lenient::quote_bare_numbers;
use crate::error::ApiError;

/// A JSON body, decoded.
pub struct Body<T>(pub T);

/// A query string, decoded.
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        check_content_type(request.headers())?;
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ApiError::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "INVALID_PARAMETER_VALUE",
                "The request body is too large. Split the request into several smaller ones.",
            ),
            _ => ApiError::invalid("The request body broke off before its end."),
        })?;
        decode_json(&bytes).map(Body)
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        decode_query(parts.uri.query().unwrap_or_default()).map(Params)
    }
}

fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = given.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(ApiError::invalid("Bad Request. Content-Type must be one of ['application/json']."))
}

/// Decodes a JSON body. An empty body and `null` are an empty object, as in MLflow.
pub fn decode_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let bytes = if bytes.trim_ascii().is_empty() { b"{}" } else { bytes };
    match serde_json::from_slice::<Object<T>>(bytes) {
        Ok(Object(value)) => Ok(value),
        Err(_) => decode_with_care(bytes),
    }
}

#[cold]
fn decode_with_care<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let value: Value = serde_json::from_slice(&quote_bare_numbers(bytes))
        .map_err(|error| ApiError::invalid(format!("The request body is not valid JSON: {error}.")))?;
    // Very old clients send the JSON as a string in JSON, and MLflow still reads it.
    let value = match &value {
        Value::String(text) => serde_json::from_str(text).unwrap_or(value),
        _ => value,
    };
    let value = match value {
        Value::Null => Value::Object(serde_json::Map::new()),
        Value::Object(_) => value,
        other => {
            return Err(ApiError::invalid(format!(
                "The request body must be a JSON object, not {}.",
                python_type(&other)
            )));
        }
    };
    let Object(value) = serde_path_to_error::deserialize(&value).map_err(|error| {
        let reason = error.inner().to_string();
        if let Some(name) = reason.strip_prefix("duplicate field `").and_then(|rest| rest.split('`').next()) {
            let camel = camel_case(name);
            return ApiError::invalid(format!(
                "Request specifies both '{name}' and '{camel}'; provide only one of them."
            ));
        }
        match find(&value, error.path()) {
            Some((name, given)) => invalid_type(&name, given, python_type(given)),
            None => ApiError::invalid(format!("The request body is not what this call takes: {reason}.")),
        }
    })?;
    Ok(value)
}

/// Decodes a query string; lists are repeated parameters.
pub fn decode_query<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    let deserializer = serde_html_form::Deserializer::from_bytes(query.as_bytes());
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let name = error.path().iter().find_map(|segment| match segment {
            Segment::Map { key } => Some(key.clone()),
            _ => None,
        });
        match name {
            Some(name) => {
                let given = form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| *key == name).last();
                let given = Value::from(given.map(|(_, value)| value.into_owned()).unwrap_or_default());
                invalid_type(&name, &given, "str")
            }
            None => ApiError::invalid(format!("The query string is not what this call takes: {}.", error.inner())),
        }
    })
}

/// As MLflow says it.
fn invalid_type(name: &str, given: &Value, type_name: &str) -> ApiError {
    let given = given.to_string();
    let shown: String =
        if given.chars().count() > 200 { given.chars().take(200).chain("…".chars()).collect() } else { given };
    ApiError::invalid(format!(
        "Invalid value {shown} for parameter '{name}' supplied:  Hint: Value was of type '{type_name}'. See the API docs for more information about request parameters."
    ))
}

/// The value that a path leads to, with the path's name (`tags[0].key`).
fn find<'a>(value: &'a Value, path: &Path) -> Option<(String, &'a Value)> {
    let mut name = String::new();
    let mut at = value;
    for segment in path.iter() {
        match segment {
            Segment::Map { key } => {
                at = at.get(key)?;
                if !name.is_empty() {
                    name.push('.');
                }
                name.push_str(key);
            }
            Segment::Seq { index } => {
                at = at.get(index)?;
                name.push_str(&format!("[{index}]"));
            }
            Segment::Enum { .. } | Segment::Unknown => return None,
        }
    }
    (!name.is_empty()).then_some((name, at))
}

/// What MLflow calls the type in its hint.
fn python_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

fn camel_case(name: &str) -> String {
    let mut camel = String::new();
    let mut upper = false;
    for c in name.chars() {
        if c == '_' {
            upper = true;
        } else {
            camel.push(if upper { c.to_ascii_uppercase() } else { c });
            upper = false;
        }
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::super::fields;
    use super::*;

    #[derive(Debug, Default, PartialEq, serde::Deserialize)]
    #[serde(default)]
    struct Request {
        #[serde(alias = "runId")]
        run_id: Option<String>,
        #[serde(deserialize_with = "fields::int64")]
        step: Option<i64>,
        #[serde(deserialize_with = "fields::double")]
        value: Option<f64>,
        #[serde(deserialize_with = "fields::list")]
        keys: Vec<String>,
        #[serde(deserialize_with = "fields::boolean")]
        flag: Option<bool>,
    }

    fn message<T: DeserializeOwned + std::fmt::Debug>(body: &str) -> String {
        decode_json::<T>(body.as_bytes()).unwrap_err().message
    }

    #[test]
    fn protobuf_json_is_read() {
        let request: Request =
            decode_json(br#"{"runId": "r", "step": "5", "value": "1e3", "keys": null, "other": [1]}"#).unwrap();
        assert_eq!(
            request,
            Request { run_id: Some("r".into()), step: Some(5), value: Some(1000.0), ..Request::default() }
        );
        let request: Request = decode_json(br#"{"step": 3.0, "value": -Infinity, "step": 4}"#).unwrap();
        assert_eq!((request.step, request.value), (Some(4), Some(f64::NEG_INFINITY)));
        assert_eq!(decode_json::<Request>(b"").unwrap(), Request::default());
        assert_eq!(decode_json::<Request>(b"null").unwrap(), Request::default());
    }

    #[test]
    fn mistakes_name_the_field() {
        assert!(
            message::<Request>(r#"{"run_id": 5}"#)
                .starts_with("Invalid value 5 for parameter 'run_id' supplied:  Hint: Value was of type 'int'.")
        );
        assert!(message::<Request>(r#"{"step": 1.5}"#).contains("Invalid value 1.5 for parameter 'step'"));
        assert!(message::<Request>(r#"{"step": 9223372036854775808}"#).contains("'step'"));
        assert!(message::<Request>(r#"{"value": "abc"}"#).contains("Invalid value \"abc\" for parameter 'value'"));
        assert!(message::<Request>(r#"{"keys": ["a", 1]}"#).contains("Invalid value 1 for parameter 'keys[1]'"));
        assert_eq!(
            message::<Request>(r#"{"run_id": "a", "runId": "a"}"#),
            "Request specifies both 'run_id' and 'runId'; provide only one of them."
        );
        assert!(message::<Request>("[1]").contains("must be a JSON object"));
        assert!(message::<Request>(r#"["a", 1, 2.0]"#).contains("must be a JSON object"));
        assert!(message::<Request>(r#"{"step": -9223372036854775809}"#).contains("'step'"));
        assert!(message::<Request>("{").contains("not valid JSON"));
        assert!(message::<Request>(&"[".repeat(100_000)).contains("not valid JSON"));
    }

    #[test]
    fn query_strings_are_read() {
        let request: Request = decode_query("run_id=r%20s&step=7&value=NaN&keys=a&keys=b&flag=true").unwrap();
        assert_eq!((request.run_id.as_deref(), request.step, request.flag), (Some("r s"), Some(7), Some(true)));
        assert_eq!(request.keys, ["a", "b"]);
        assert!(request.value.is_some_and(f64::is_nan));
        let error = decode_query::<Request>("step=x").unwrap_err().message;
        assert!(
            error.contains("Invalid value \"x\" for parameter 'step' supplied:  Hint: Value was of type 'str'."),
            "{error}"
        );
        assert!(decode_query::<Request>("flag=1").is_err());
    }
}
