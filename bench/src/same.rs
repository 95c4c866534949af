//! Before times are compared, answers are: what does not say the same is not the same work.
//!
//! Answers are normalised: ids, places and the server's own times give way to a mark, lists whose order means nothing are
//! sorted. Trackway and MLflow must then agree in every field; FastTrackML, whose answers have fewer fields, in what
//! the operations are about (names, status, times given by the client, metrics, params, tags).

use anyhow::Result;
use serde_json::{Map, Value, json};

use crate::measure::Contender;
use crate::operations::{FILTER, ORDER, search_body};
use crate::servers::Kind;
use crate::world::model_name;

const API: &str = "/api/2.0/mlflow";

/// Fields that name things differently on every server, or that hold the server's own clock.
const MASKED: &[&str] = &[
    "run_id",
    "run_uuid",
    "experiment_id",
    "artifact_uri",
    "creation_timestamp",
    "last_updated_timestamp",
    "next_page_token",
];

/// Every way in which the contenders do not say the same.
pub fn differences(contenders: &[Contender]) -> Result<Vec<String>> {
    let mut told: Vec<(Kind, Vec<(String, Value)>)> = Vec::new();
    for contender in contenders {
        told.push((contender.server.kind, answers(contender)?));
    }
    let mut found = Vec::new();
    let Some((first, expected)) = told.iter().find(|(k, _)| *k == Kind::Mlflow).or(told.first()) else {
        return Ok(found);
    };
    for (kind, answers) in told.iter().filter(|(k, _)| k != first) {
        for (name, answer) in answers {
            let Some((_, wanted)) = expected.iter().find(|(n, _)| n == name) else { continue };
            let (answer, wanted) = if *kind == Kind::FastTrackMl || *first == Kind::FastTrackMl {
                (essence(answer), essence(wanted))
            } else {
                (answer.clone(), wanted.clone())
            };
            if let Some(difference) = difference(&wanted, &answer, "") {
                found.push(format!("{kind} and {first} do not say the same to {name}: {difference}"));
            }
        }
    }
    Ok(found)
}

/// Every operation's answer, after a few writes whose effect is read back.
fn answers(contender: &Contender) -> Result<Vec<(String, Value)>> {
    let Contender { server, world, .. } = contender;
    let mut list = Vec::new();
    let mut ask = |name: &str, method: &str, path: String, body: Option<Value>| -> Result<()> {
        let answer = server.call(method, &format!("{API}/{path}"), body.as_ref())?;
        list.push((name.to_owned(), normal(answer)));
        Ok(())
    };
    for number in [0, world.runs.len() / 2, world.runs.len() - 1] {
        ask(&format!("runs/get of run {number}"), "GET", format!("runs/get?run_id={}", world.runs[number]), None)?;
    }
    for count in [100, 1000] {
        for (name, filter, order) in [("plain", "", ""), ("filtered", FILTER, ""), ("ordered", "", ORDER)] {
            let body = search_body(world, count, filter, order);
            ask(&format!("runs/search of {count} {name}"), "POST", "runs/search".to_owned(), Some(body))?;
        }
    }
    let path = format!("metrics/get-history?run_id={}&metric_key=loss", world.history_run);
    ask("metrics/get-history", "GET", path, None)?;
    if server.kind.has_registry() {
        let name = model_name(3);
        ask("registered-models/get", "GET", format!("registered-models/get?name={name}"), None)?;
        ask("model-versions/get", "GET", format!("model-versions/get?name={name}&version=3"), None)?;
        let body = json!({"name": name, "stages": ["Production"]});
        ask("get-latest-versions", "POST", "registered-models/get-latest-versions".to_owned(), Some(body))?;
    }
    let body = json!({"experiment_id": world.write_experiment, "run_name": "same", "start_time": 5,
                      "tags": [{"key": "a", "value": "b"}]});
    ask("runs/create", "POST", "runs/create".to_owned(), Some(body.clone()))?;
    let run = server.call("POST", &format!("{API}/runs/create"), Some(&body))?["run"]["info"]["run_id"].clone();
    let id = run.as_str().unwrap_or_default().to_owned();
    for step in 0..3 {
        let body = json!({"run_id": run, "key": "loss", "value": 0.1 * f64::from(step), "timestamp": 1000 + step, "step": step});
        ask("runs/log-metric", "POST", "runs/log-metric".to_owned(), Some(body))?;
    }
    for (keys, steps) in [(1, 1000), (1000, 1), (20, 50)] {
        let mut metrics = Vec::new();
        for step in 0..steps {
            for key in 0..keys {
                let value = f64::from(((step * 7 + key) as f32).sin());
                metrics.push(
                    json!({"key": format!("k{keys}_{key}"), "value": value, "timestamp": 1000 + step, "step": step}),
                );
            }
        }
        let body = json!({"run_id": run, "metrics": metrics, "params": [], "tags": []});
        ask("runs/log-batch", "POST", "runs/log-batch".to_owned(), Some(body))?;
        ask(
            &format!("metrics/get-history of a batch of {keys} keys"),
            "GET",
            format!("metrics/get-history?run_id={id}&metric_key=k{keys}_0"),
            None,
        )?;
    }
    ask("metrics/get-history of log-metric", "GET", format!("metrics/get-history?run_id={id}&metric_key=loss"), None)?;
    ask("runs/get of what was written", "GET", format!("runs/get?run_id={id}"), None)?;
    Ok(list)
}

fn normal(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(key, value)| {
                    let value = if MASKED.contains(&key.as_str()) { json!("…") } else { normal(value) };
                    let value = match (key.as_str(), value) {
                        ("metrics" | "params" | "tags" | "aliases" | "latest_versions", Value::Array(list)) => {
                            sorted(list)
                        }
                        (_, value) => value,
                    };
                    (key, value)
                })
                .collect(),
        ),
        Value::Array(list) => Value::Array(list.into_iter().map(normal).collect()),
        other => other,
    }
}

fn sorted(mut list: Vec<Value>) -> Value {
    // get-history gives points in their order; sorting by step first keeps it readable in a report of a difference.
    list.sort_by_cached_key(|v| (v["step"].as_i64(), v.to_string()));
    Value::Array(list)
}

/// What FastTrackML's answers have too.
fn essence(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut kept = Map::new();
            for (key, value) in fields {
                // mlflow also gives the run's name as a tag; empty groups are left out by some.
                let foreign = matches!(key.as_str(), "inputs" | "outputs" | "user_id" | "next_page_token")
                    || MASKED.contains(&key.as_str());
                let value = essence(value);
                if !foreign && value != json!({}) && value != json!([]) {
                    kept.insert(key.clone(), value);
                }
            }
            Value::Object(kept)
        }
        Value::Array(list) => Value::Array(list.iter().filter(|v| v["key"] != "mlflow.runName").map(essence).collect()),
        other => other.clone(),
    }
}

/// Where two answers part, or None.
fn difference(wanted: &Value, found: &Value, path: &str) -> Option<String> {
    match (wanted, found) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in a {
                let Some(other) = b.get(key) else {
                    return Some(format!("{path}.{key} is missing, it should be {value}"));
                };
                if let Some(d) = difference(value, other, &format!("{path}.{key}")) {
                    return Some(d);
                }
            }
            b.keys().find(|k| !a.contains_key(*k)).map(|k| format!("{path}.{k} is not expected: {}", b[k]))
        }
        (Value::Array(a), Value::Array(b)) => {
            if a.len() != b.len() {
                return Some(format!("{path} has {} entries instead of {}", b.len(), a.len()));
            }
            a.iter().zip(b).enumerate().find_map(|(i, (a, b))| difference(a, b, &format!("{path}[{i}]")))
        }
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => None,
        (a, b) if a == b => None,
        (a, b) => Some(format!("{path} is {b} instead of {a}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_found_where_it_is() {
        let a = json!({"run": {"info": {"run_id": "x"}, "data": {"metrics": [{"key": "a", "value": 1.0}, {"key": "b", "value": 2}]}}});
        let mut b = a.clone();
        b["run"]["info"]["run_id"] = json!("y");
        b["run"]["data"]["metrics"].as_array_mut().unwrap().reverse();
        assert_eq!(difference(&normal(a.clone()), &normal(b.clone()), ""), None);
        b["run"]["data"]["metrics"][0]["value"] = json!(3);
        let told = difference(&normal(a.clone()), &normal(b.clone()), "").unwrap();
        assert_eq!(told, ".run.data.metrics[1].value is 3 instead of 2");
        b["run"]["data"]["metrics"].as_array_mut().unwrap().pop();
        assert!(difference(&normal(a), &normal(b), "").unwrap().contains("has 1 entries instead of 2"));
    }

    #[test]
    fn the_essence_leaves_out_what_fasttrackml_does_not_say() {
        let a = json!({"runs": [{"info": {"run_id": "…", "user_id": "", "status": "RUNNING"}, "inputs": {}, "data": {"tags": [{"key": "mlflow.runName", "value": "r"}]}}]});
        assert_eq!(essence(&a), json!({"runs": [{"info": {"status": "RUNNING"}}]}));
    }
}
