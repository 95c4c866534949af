//! The decoder of request bodies and query strings, with a request that has every kind of field.
//!
//! Whatever comes in, the answer is a value or a 400 with a message, never a panic; and a value
//! that is written as we write answers, and read again, is the same value.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use trackway_server::wire::{self, decode_json, decode_query, fields};

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
struct Request {
    #[serde(alias = "runId")]
    run_id: Option<String>,
    #[serde(deserialize_with = "fields::text")]
    value: String,
    #[serde(alias = "maxResults", deserialize_with = "fields::int64")]
    max_results: Option<i64>,
    #[serde(deserialize_with = "fields::boolean")]
    flag: Option<bool>,
    #[serde(alias = "runViewType", deserialize_with = "view_type")]
    run_view_type: Option<i64>,
    #[serde(alias = "orderBy", deserialize_with = "fields::list")]
    order_by: Vec<String>,
    #[serde(deserialize_with = "fields::list")]
    metrics: Vec<Metric>,
}

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
struct Metric {
    key: Option<String>,
    #[serde(deserialize_with = "fields::double", serialize_with = "double")]
    value: Option<f64>,
    #[serde(deserialize_with = "fields::int64")]
    step: Option<i64>,
}

fn view_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    fields::enumeration(deserializer, &[("ACTIVE_ONLY", 1, 1), ("DELETED_ONLY", 2, 2), ("ALL", 3, 3)])
}

fn double<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => wire::double(value, serializer),
        None => serializer.serialize_none(),
    }
}

fuzz_target!(|data: &[u8]| {
    match decode_json::<Request>(data) {
        Ok(request) => {
            let written = serde_json::to_vec(&request).expect("a request can be written");
            let Ok(again) = decode_json::<Request>(&written) else {
                panic!("what was written is not read again: {}", String::from_utf8_lossy(&written));
            };
            // As text, because a NaN does not equal itself.
            let again = serde_json::to_vec(&again).expect("a request can be written");
            assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(&again));
        }
        Err(error) => {
            assert_eq!(error.status.as_u16(), 400);
            assert!(!error.message.is_empty());
        }
    }
    if let Ok(query) = std::str::from_utf8(data)
        && let Err(error) = decode_query::<Request>(query)
    {
        assert_eq!(error.status.as_u16(), 400);
        assert!(!error.message.is_empty());
    }
});
