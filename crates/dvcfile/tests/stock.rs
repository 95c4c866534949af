//! The recorded answers of stock DVC 3.67.1 to the cases in data/cases. compat/dvc/test_pipeline_files.py asks it anew.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value as Json, json};

mod told;

/// Where ours differs on purpose, or where stock ends in an error of Python's.
const DIFFERS: [&str; 4] = ["an int as md5", "an empty md5", "a list of plots' properties", "invalid: keys"];

/// Cases by name: `#### name` begins a case, `## file` a file in it.
fn cases(text: &str) -> BTreeMap<&str, Vec<(&str, String)>> {
    let mut cases: BTreeMap<&str, Vec<(&str, String)>> = BTreeMap::new();
    let mut case = "";
    let mut open = false;
    for line in text.split_inclusive('\n') {
        if let Some(name) = line.strip_prefix("#### ") {
            case = name.trim();
            cases.insert(case, Vec::new());
            open = false;
        } else if let Some(name) = line.strip_prefix("## ") {
            cases.entry(case).or_default().push((name.trim(), String::new()));
            open = true;
        } else if open && let Some((_, content)) = cases.entry(case).or_default().last_mut() {
            content.push_str(line);
        }
    }
    cases
}

fn normal(answer: &Json) -> Json {
    match answer {
        Json::Object(map) => map
            .iter()
            .map(|(key, value)| {
                let value = match (key.as_str(), value) {
                    ("wdir", Json::String(wdir)) => json!(Path::new(wdir).components().as_path()),
                    ("wdir", Json::Null) => json!("."),
                    ("error", Json::String(text)) => json!(text.trim_end_matches('\n')),
                    (_, value) => normal(value),
                };
                (key.clone(), value)
            })
            .collect(),
        Json::Array(items) => items.iter().map(normal).collect(),
        other => other.clone(),
    }
}

fn compare(kind: &str, text: &str, more: &[(&str, &str)], wrong: &mut Vec<String>) {
    let recorded: Json = serde_json::from_str(include_str!("data/stock.json")).expect("the recorded answers are JSON");
    let cases = cases(text);
    assert!(!cases.is_empty());
    for (name, files) in cases {
        let folder = tempfile::tempdir().expect("a folder for the case");
        let mut request = json!({ "kind": kind, "dir": folder.path() });
        for (key, value) in more {
            request[*key] = json!(value);
        }
        for (file, content) in files {
            if file == "settings" {
                let settings: Json = serde_json::from_str(&content).expect("settings are JSON");
                settings.as_object().into_iter().flatten().for_each(|(key, value)| request[key] = value.clone());
                continue;
            }
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder for the file");
            std::fs::write(path, content).expect("the case's file is written");
        }
        let ours = told::tell(&request).expect("an answer");
        let action = more.iter().find(|(key, _)| *key == "action").map(|(_, action)| *action);
        let key = action.map_or_else(|| format!("{kind}: {name}"), |action| format!("{kind} {action}: {name}"));
        let stock = &recorded[&key];
        assert!(!stock.is_null(), "{key}: nothing is recorded");
        if (normal(&ours) == normal(stock)) == DIFFERS.contains(&name) {
            wrong.push(format!("{key}\n  ours: {}\n stock: {}\n", normal(&ours), normal(stock)));
        }
    }
}

#[test]
fn files_mean_what_stock_says() {
    let mut wrong = Vec::new();
    compare("yaml", include_str!("data/cases/dvc_yaml.txt"), &[], &mut wrong);
    compare("dvc", include_str!("data/cases/dvc.txt"), &[], &mut wrong);
    compare("lock", include_str!("data/cases/lock.txt"), &[("stage", "x")], &mut wrong);
    for action in ["freeze", "unfreeze", "remove"] {
        compare("edit", include_str!("data/cases/edit.txt"), &[("stage", "x"), ("action", action)], &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
