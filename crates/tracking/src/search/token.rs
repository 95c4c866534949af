//! Page tokens, and what comes behind them.

use std::cmp::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::Value as Json;

use super::sort::{Kind, Sort};
use super::{Condition, Sql};
use crate::error::{Error, Result};

/// "Comes after these keys in the order": `k0 > v0 OR (k0 = v0 AND (k1 > v1 OR …))`. `None` if nothing can.
pub(super) fn behind(sorts: &[Sort], keys: &[Sql]) -> Option<Condition> {
    let mut pairs = sorts.iter().zip(keys);
    // Keys that are the same in all rows are compared here, so that an index can begin with the one behind them.
    let (first, key) = loop {
        let (sort, key) = pairs.next()?;
        let Some(constant) = &sort.constant else { break (sort, key) };
        match compare(constant, key, sort.descending) {
            Ordering::Less => return None,
            Ordering::Equal => {}
            Ordering::Greater => return Some(Condition::always()),
        }
    };
    let after = |sort: &Sort| if sort.descending { "<" } else { ">" };
    // Said once more for the first key alone, where an index can use it.
    let mut sql = format!("{} {}= ? AND ", first.expression, after(first));
    let mut parameters = vec![key.clone()];
    let mut open = 0;
    let mut rest = std::iter::once((first, key)).chain(pairs).peekable();
    while let Some((sort, key)) = rest.next() {
        sql.push_str(&format!("({} {} ?", sort.expression, after(sort)));
        parameters.push(key.clone());
        open += 1;
        if rest.peek().is_some() {
            sql.push_str(&format!(" OR {} = ? AND ", sort.expression));
            parameters.push(key.clone());
        }
    }
    sql.push_str(&")".repeat(open));
    Some(Condition { sql, parameters })
}

/// The order of two keys of one sort. Numbers are never NaN; texts compare by their bytes, as in both engines.
pub(super) fn compare(left: &Sql, right: &Sql, descending: bool) -> Ordering {
    let order = match (left, right) {
        (Sql::Integer(left), Sql::Integer(right)) => left.cmp(right),
        (Sql::Real(left), Sql::Real(right)) => left.partial_cmp(right).unwrap_or(Ordering::Equal),
        (Sql::Text(left), Sql::Text(right)) => left.cmp(right),
        _ => Ordering::Equal,
    };
    if descending { order.reverse() } else { order }
}

pub(super) fn write_token(keys: Vec<Sql>) -> String {
    let keys: Vec<Json> = keys
        .into_iter()
        .map(|key| match key {
            Sql::Integer(number) => Json::from(number),
            // By its bits: a decimal might come back one unit off.
            Sql::Real(number) => serde_json::json!({ "bits": number.to_bits() }),
            Sql::Text(text) => Json::from(text.into_owned()),
            _ => Json::Null,
        })
        .collect();
    BASE64.encode(Json::from(keys).to_string())
}

pub(super) fn read_token(token: &str, sorts: &[Sort]) -> Result<Vec<Sql>> {
    let wrong =
        || Error::invalid("Invalid page token: it was not made by this search. Start again without a page token.");
    let bytes = BASE64.decode(token).map_err(|_| Error::invalid("Invalid page token, could not base64-decode"))?;
    let keys: Vec<Json> = serde_json::from_slice(&bytes).map_err(|_| wrong())?;
    if keys.len() != sorts.len() {
        return Err(wrong());
    }
    keys.into_iter()
        .zip(sorts)
        .map(|(key, sort)| match (sort.kind, key) {
            (Kind::Integer, Json::Number(number)) => number.as_i64().map(Sql::Integer).ok_or_else(wrong),
            (Kind::Text, Json::String(text)) => Ok(Sql::from(text)),
            (Kind::Real, Json::Object(object)) => {
                let bits = object.get("bits").and_then(Json::as_u64).ok_or_else(wrong)?;
                Ok(Sql::Real(f64::from_bits(bits)))
            }
            _ => Err(wrong()),
        })
        .collect()
}
