//! What we make of DVC's files, as JSON. Stock's side is compat/dvc/stock_pipeline_files.py.

use std::path::{Path, PathBuf};

use serde_json::{Map as Object, Value as Json, json};
use trackway_dvcfile::{
    Annotations, DvcFile, DvcYaml, Error, Files, LockFile, PipelineStage, Place, Plot, ReadError, StageEdit,
    USUAL_WIDTH, params,
};
use trackway_yaml::{Map, Value};

struct Dir(PathBuf);

impl Files for Dir {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, ReadError> {
        let full = self.0.join(path);
        if full.is_dir() {
            return Err(ReadError::IsDirectory(path.to_owned()));
        }
        match std::fs::read(full) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ReadError::Io(path.to_owned(), error)),
        }
    }
}

/// Answers one request.
pub fn tell(request: &Json) -> Result<Json, Box<dyn std::error::Error>> {
    let field = |name: &str| request[name].as_str().unwrap_or_default();
    let dir = Path::new(field("dir"));
    Ok(match field("kind") {
        "yaml" => yaml(dir, field("bool") == "boolean_optional", field("list") == "append"),
        "dvc" => dvc(&std::fs::read_to_string(dir.join("x.dvc"))?),
        "lock" => lock(dir, field("stage"))?,
        "edit" => edit(dir, field("stage"), field("action"))?,
        kind => return Err(format!("unknown kind '{kind}'").into()),
    })
}

fn failure(error: &Error) -> Json {
    json!({ "error": error.report(USUAL_WIDTH).unwrap_or_else(|| error.to_string()) })
}

fn yaml(dir: &Path, bool_optional: bool, list_append: bool) -> Json {
    let files = Dir(dir.to_owned());
    let place = Place { wdir: "", files: &files, bool_optional, list_append };
    let text = std::fs::read_to_string(dir.join("dvc.yaml")).unwrap_or_default();
    let yaml = match DvcYaml::parse(&text, "./dvc.yaml", &place) {
        Ok(yaml) => yaml,
        Err(error) => return failure(&error),
    };
    let lock = match std::fs::read_to_string(dir.join("dvc.lock")) {
        Ok(text) => match LockFile::parse(&text, "./dvc.lock") {
            Ok(lock) => lock,
            Err(error) => return failure(&error),
        },
        Err(_) => LockFile::default(),
    };
    let names = match yaml.names() {
        Ok(names) => names,
        Err(error) => return failure(&error),
    };
    let mut stages = Object::new();
    for name in &names {
        let told = match yaml.stage(name) {
            Ok(stage) => describe(dir, &stage, &lock),
            Err(error) => failure(&error),
        };
        stages.insert(name.clone(), told);
    }
    let list = |values: Result<Vec<Value>, Error>| match values {
        Ok(values) => json!(values.iter().map(to_json).collect::<Vec<_>>()),
        Err(error) => failure(&error),
    };
    let texts = |values: Result<Vec<String>, Error>| match values {
        Ok(values) => json!(values),
        Err(error) => failure(&error),
    };
    json!({
        "names": names,
        "stages": stages,
        "warnings": yaml.take_warnings(),
        "params": texts(yaml.params()),
        "metrics": texts(yaml.metrics()),
        "plots": list(yaml.plots()),
        "datasets": list(yaml.datasets()),
        "artifacts": yaml.artifacts().map_or_else(|error| failure(&error), |map| map_to_json(&map)),
    })
}

fn describe(dir: &Path, stage: &PipelineStage, lock: &LockFile) -> Json {
    let entry = lock.get(&stage.name);
    let wdir = dir.join(stage.wdir.as_deref().unwrap_or("."));
    let locked = |path: &str, item: &trackway_dvcfile::LockItem| {
        json!({ "path": path, "marker": item.info.hash, "hash": item.info.identity(path), "size": item.info.size,
                "nfiles": item.info.nfiles, "isexec": item.info.isexec })
    };
    let mut changes = Object::new();
    for dep in &stage.params {
        let told = match std::fs::read(wdir.join(&dep.path)) {
            Err(_) => json!("deleted"),
            Ok(content) => match stage.locked_params(entry, dep) {
                None => json!("new"),
                Some(locked) => {
                    match params::read_params(&content, &dep.path).and_then(|all| params::select(&all, dep)) {
                        Ok(actual) => {
                            let changes = params::changes(dep, &actual, &locked);
                            changes
                                .iter()
                                .map(|(key, change)| (key.clone(), json!(change.as_str())))
                                .collect::<Object<_, _>>()
                                .into()
                        }
                        Err(error) => failure(&error),
                    }
                }
            },
        };
        if told.as_object().is_none_or(|told| !told.is_empty()) {
            changes.insert(dep.path.clone(), told);
        }
    }
    json!({
        "cmd": to_json(&stage.cmd),
        "wdir": stage.wdir,
        "deps": stage.deps.iter().map(|dep| locked(dep, &stage.locked_dep(entry, dep))).collect::<Vec<_>>(),
        "params": stage.params.iter().map(|dep| json!([dep.path, dep.keys])).collect::<Vec<_>>(),
        "outs": stage.outs.iter().map(|out| json!({
            "path": out.path, "cache": out.cache, "persist": out.persist, "push": out.push, "remote": out.remote, "metric": out.metric,
            "plot": match &out.plot { Plot::No => json!(false), Plot::Yes => json!(true), Plot::Props(map) => map_to_json(map) },
            "annotations": annotations(&out.annotations),
            "locked": locked(&out.path, &stage.locked_out(entry, &out.path)),
        })).collect::<Vec<_>>(),
        "frozen": stage.frozen, "always_changed": stage.always_changed, "desc": stage.desc,
        "meta": stage.meta.as_ref().map(to_json), "parametrized": stage.parametrized, "generated_from": stage.generated_from,
        "tracked": stage.tracked.iter().map(|(file, map)| (file.clone(), map_to_json(map))).collect::<Object<_, _>>(),
        "cmd_changed": stage.cmd_changed(entry), "changes": changes,
        "file": trackway_yaml::emit(&stage.to_value()),
    })
}

fn annotations(annotations: &Annotations) -> Json {
    json!({ "desc": annotations.desc, "type": annotations.type_, "labels": annotations.labels,
            "meta": annotations.meta.as_ref().map(to_json) })
}

fn dvc(text: &str) -> Json {
    let file = match DvcFile::parse(text, "./x.dvc") {
        Ok(file) => file,
        Err(error) => return failure(&error),
    };
    let dump = |old| file.dump(old).unwrap_or_else(|error| error.to_string());
    json!({ "fresh": dump(None), "patched": dump(Some(text)), "md5": file.stage_md5() })
}

fn lock(dir: &Path, stage: &str) -> Result<Json, Box<dyn std::error::Error>> {
    let mut lock = match LockFile::parse(&std::fs::read_to_string(dir.join("dvc.lock"))?, "./dvc.lock") {
        Ok(lock) => lock,
        Err(error) => return Ok(failure(&error)),
    };
    let mut removed = lock.clone();
    if let Some(entry) = lock.get(stage).cloned() {
        lock.set(stage, entry);
    }
    removed.remove(stage);
    Ok(json!({ "set": lock.dump()?, "removed": removed.dump()? }))
}

fn edit(dir: &Path, name: &str, action: &str) -> Result<Json, Box<dyn std::error::Error>> {
    let files = Dir(dir.to_owned());
    let place = Place { wdir: "", files: &files, bool_optional: false, list_append: false };
    let text = std::fs::read_to_string(dir.join("dvc.yaml"))?;
    let mut stage = DvcYaml::parse(&text, "./dvc.yaml", &place)?.stage(name)?;
    stage.frozen = action == "freeze";
    let edit = if action == "remove" { StageEdit::Remove(&stage) } else { StageEdit::Set(&stage) };
    Ok(match DvcYaml::edit(&text, "./dvc.yaml", &edit) {
        Ok(text) => json!({ "text": text }),
        Err(error) => failure(&error),
    })
}

fn map_to_json(map: &Map) -> Json {
    map.iter().map(|(key, value)| (key_to_text(key), to_json(value))).collect::<Object<_, _>>().into()
}

fn key_to_text(key: &Value) -> String {
    match to_json(key) {
        Json::String(text) => text,
        other => other.to_string(),
    }
}

fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Int(number) => json!(number),
        Value::BigInt(digits) => json!({ "bigint": digits }),
        Value::Float(number) if number.is_finite() => json!(number),
        Value::Float(number) => json!({ "float": number.to_string() }),
        Value::Str(text) => json!(text),
        Value::Seq(items) => Json::Array(items.iter().map(to_json).collect()),
        Value::Map(map) => map_to_json(map),
    }
}
