//! What DVC 3.67.1 with ruamel.yaml 0.19.1 answers, recorded; `compat/dvc/yaml_stock.py` made the lines.

use serde_json::Value as Json;
use trackway_yaml::{Document, Map, Value, emit, parse};

fn value(json: &Json) -> Value {
    let digits = |name: &str| json[name].as_str().map(str::to_owned);
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => Value::Int(number.as_i64().unwrap()),
        Json::String(text) => Value::Str(text.clone()),
        Json::Array(items) => Value::Seq(items.iter().map(value).collect()),
        Json::Object(_) => match (digits("int"), digits("float")) {
            (Some(int), _) => Value::BigInt(int),
            (_, Some(float)) => Value::Float(float.parse().unwrap()),
            _ => {
                let pairs = json["map"].as_array().unwrap();
                Value::Map(pairs.iter().map(|pair| (value(&pair[0]), value(&pair[1]))).collect::<Map>())
            }
        },
    }
}

#[test]
fn every_recorded_answer_is_ours() {
    let mut asked = 0;
    for line in include_str!("recorded.jsonl").lines() {
        let case: Json = serde_json::from_str(line).unwrap();
        let (question, answer) = (&case["question"], &case["answer"]);
        let text = question["text"].as_str().unwrap_or_default();
        let error = match question["do"].as_str().unwrap() {
            "emit" => {
                assert_eq!(emit(&value(&question["value"])), answer["text"].as_str().unwrap(), "{line}");
                None
            }
            "parse" => match parse(text) {
                Ok(ours) => {
                    assert_eq!(ours, value(&answer["value"]), "{line}");
                    None
                }
                Err(error) => Some(error),
            },
            _ => match Document::parse(text) {
                Ok(mut document) => {
                    if let Some(wanted) = question.get("value") {
                        document.apply(&value(wanted));
                    }
                    let written = document.to_string();
                    assert_eq!(written, answer["text"].as_str().unwrap(), "{line}");
                    None
                }
                Err(error) => Some(error),
            },
        };
        assert_eq!(error.is_none(), answer["ok"] == true, "{line}");
        if let Some(error) = error {
            assert_eq!(error.context.as_deref(), answer["context"].as_str(), "{line}");
            assert_eq!(error.problem, answer["problem"].as_str().unwrap(), "{line}");
            let mark = error.problem_mark.map(|mark| vec![mark.line as u64, mark.column as u64]);
            let wanted = answer["problem_mark"].as_array().map(|mark| mark.iter().filter_map(Json::as_u64).collect());
            assert_eq!(mark, wanted, "{line}");
        }
        asked += 1;
    }
    assert!(asked > 300);
}
