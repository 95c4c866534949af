//! Reads and writes YAML on demand, questions and answers as JSON lines: for the comparison with ruamel.yaml, and to
//! try a document by hand.
//!
//! ```text
//! $ echo '{"do": "parse", "text": "a: [1, 2.0]"}' | yaml_round
//! {"ok":true,"value":{"map":[["a",[1,{"float":"2.0"}]]]}}
//! ```
//!
//! `parse` takes a text, `emit` a value, `round` a text and (if it is to change) the value that it shall have. Mappings are `{"map": [[key, value], ..]}`,
//! floats `{"float": "digits"}`, and integers beyond 64 bits `{"int": "digits"}`.

use std::io::{self, BufRead, Write};

use serde_json::{Value as Json, json};
use trackway_yaml::{Document, Error, Map, Mark, Value, emit, parse};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let question: Json = serde_json::from_str(&line?)?;
        let text = question["text"].as_str().unwrap_or_default();
        let answer = match question["do"].as_str() {
            Some("parse") => answer(parse(text), |value| json!({"ok": true, "value": to_json(&value)})),
            Some("emit") => json!({"ok": true, "text": emit(&from_json(&question["value"])?)}),
            Some("round") => match Document::parse(text) {
                Ok(mut document) => {
                    if let Some(value) = question.get("value") {
                        document.apply(&from_json(value)?);
                    }
                    json!({"ok": true, "text": document.to_string(), "value": to_json(&document.value())})
                }
                Err(error) => answer(Err(error), |()| Json::Null),
            },
            other => return Err(format!("{other:?} is none of parse, emit and round").into()),
        };
        writeln!(out, "{answer}")?;
    }
    Ok(out.flush()?)
}

fn answer<T>(result: Result<T, Error>, show: impl FnOnce(T) -> Json) -> Json {
    let mark = |mark: Option<Mark>| mark.map(|mark| json!([mark.line, mark.column]));
    result.map_or_else(
        |error| {
            json!({
                "ok": false,
                "context": error.context,
                "context_mark": mark(error.context_mark),
                "problem": error.problem,
                "problem_mark": mark(error.problem_mark),
            })
        },
        show,
    )
}

fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Int(value) => json!(value),
        Value::BigInt(digits) => json!({"int": digits}),
        Value::Float(value) => json!({"float": format!("{value:?}")}),
        Value::Str(text) => json!(text),
        Value::Seq(items) => items.iter().map(to_json).collect(),
        Value::Map(map) => {
            json!({"map": map.iter().map(|(key, value)| json!([to_json(key), to_json(value)])).collect::<Vec<_>>()})
        }
    }
}

fn from_json(json: &Json) -> Result<Value, String> {
    let digits = |name: &str| json[name].as_str();
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => Value::Int(number.as_i64().ok_or_else(|| format!("{number} has more than 64 bits"))?),
        Json::String(text) => Value::Str(text.clone()),
        Json::Array(items) => Value::Seq(items.iter().map(from_json).collect::<Result<_, _>>()?),
        Json::Object(_) if digits("int").is_some() => Value::BigInt(digits("int").unwrap_or_default().to_owned()),
        Json::Object(_) if digits("float").is_some() => {
            Value::Float(digits("float").unwrap_or_default().parse().map_err(|_| format!("{json} is no float"))?)
        }
        Json::Object(object) => {
            let pairs = object.get("map").and_then(Json::as_array).ok_or_else(|| format!("{json} is no value"))?;
            let entries: Vec<(Value, Value)> = pairs
                .iter()
                .map(|pair| Ok((from_json(&pair[0])?, from_json(&pair[1])?)))
                .collect::<Result<_, String>>()?;
            Value::Map(entries.into_iter().collect::<Map>())
        }
    })
}
