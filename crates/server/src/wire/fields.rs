//! How single fields of a request are read, for `#[serde(deserialize_with = …)]`.
//!
//! `null` means "not given", as in protobuf's JSON. Query strings come through the same functions, where every
//! value is text.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};

/// A 64-bit integer, as a number, a whole double or text.
pub fn int64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    deserializer.deserialize_any(Int64)
}

#[derive(Clone, Copy)]
struct Int64;

impl<'de> Visitor<'de> for Int64 {
    type Value = Option<i64>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a 64-bit integer")
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Some(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        i64::try_from(value).map(Some).map_err(|_| E::invalid_value(Unexpected::Unsigned(value), &self))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        // The bounds are exact: 2^63 itself is out.
        const LIMIT: f64 = 9_223_372_036_854_775_808.0;
        if value.fract() == 0.0 && (-LIMIT..LIMIT).contains(&value) {
            return Ok(Some(value as i64));
        }
        Err(E::invalid_value(Unexpected::Float(value), &self))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        match value.parse::<i64>() {
            Ok(number) => Ok(Some(number)),
            Err(_) => value
                .parse::<f64>()
                .ok()
                .and_then(|number| self.visit_f64::<E>(number).ok().flatten())
                .map(Some)
                .ok_or_else(|| E::invalid_value(Unexpected::Str(value), &self)),
        }
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// A double, as a number or text; `"NaN"`, `"Infinity"` and `"-Infinity"` are values.
pub fn double<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    deserializer.deserialize_any(Double)
}

struct Double;

impl<'de> Visitor<'de> for Double {
    type Value = Option<f64>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("a number, \"NaN\", \"Infinity\" or \"-Infinity\"")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Some(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Some(value as f64))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Some(value as f64))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        let number = match value {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            // Rust also reads "inf" and "nan"; protobuf does not.
            _ if value.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte)) => value.parse().ok(),
            _ => None,
        };
        number.map(Some).ok_or_else(|| E::invalid_value(Unexpected::Str(value), &self))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// A boolean; in a query string `true` or `false` and nothing else, as in MLflow.
pub fn boolean<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    deserializer.deserialize_any(Boolean)
}

struct Boolean;

impl<'de> Visitor<'de> for Boolean {
    type Value = Option<bool>;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("true or false")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Some(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        value.parse().map(Some).map_err(|_| E::invalid_value(Unexpected::Str(value), &self))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// A list; `null` is an empty one. In a query string the parameter is repeated.
pub fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default())
}

/// Text; `null` is empty.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.unwrap_or_default())
}

/// An enumeration by name or number, given as `(name, number, value)`. One that is not known counts as not given, as in
/// protobuf's JSON when unknown fields are ignored.
pub fn enumeration<'de, D: Deserializer<'de>, T: Copy>(deserializer: D, values: &[(&str, i64, T)]) -> Result<Option<T>, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged)]
    enum Given {
        Number(i64),
        Name(String),
        Nothing(()),
    }
    let known = |matches: &dyn Fn(&str, i64) -> bool| values.iter().find(|(name, number, _)| matches(name, *number)).map(|(_, _, value)| *value);
    Ok(match Given::deserialize(deserializer)? {
        Given::Number(given) => known(&|_, number| number == given),
        Given::Name(given) => known(&|name, number| name == given || given.parse() == Ok(number)),
        Given::Nothing(()) => None,
    })
}
