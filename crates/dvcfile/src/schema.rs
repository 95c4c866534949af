//! The forms of DVC's files, and the checker that says what DVC says when a file has another.
//!
//! As DVC 3.67 (voluptuous 0.16): all wrong keys of a mapping are reported, a list stops at the first entry that is wrong inside, and of
//! alternatives the one that came furthest into the data speaks.

use std::sync::LazyLock;

use trackway_yaml::{Map, Value};

use crate::{Error, Problem};

#[derive(Clone)]
pub(crate) enum Schema {
    Str,
    Int,
    Bool,
    Dict,
    List,
    Anything,
    Null,
    /// Nothing, a text of at least three characters, or such a number.
    Checksum,
    /// The text `2.0`.
    LockVersion,
    ListOf(Box<Schema>),
    OneOf(Vec<Schema>),
    Fields(Fields),
    /// At most one key.
    AtMostOne(Box<Schema>),
    /// The second form if one of its keys is there.
    Either(Box<Schema>, Box<Schema>, &'static [&'static str]),
}

/// A mapping's keys.
#[derive(Clone, Default)]
pub(crate) struct Fields {
    named: Vec<(&'static str, Schema)>,
    required: Vec<&'static str>,
    /// Any other key that is a text.
    others: Option<Box<Schema>>,
    others_required: bool,
}

pub(crate) static DVC_FILE: LazyLock<Schema> = LazyLock::new(dvc_file);
pub(crate) static LOCK_FILE: LazyLock<Schema> = LazyLock::new(lock_file);
pub(crate) static DVC_YAML: LazyLock<Schema> = LazyLock::new(dvc_yaml);

/// Checks a document. `name` is how messages name the file.
pub(crate) fn check(schema: &Schema, data: &Value, name: &str, text: &str) -> Result<(), Error> {
    let problems = schema.problems(&mut Vec::new(), data);
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::Validation { name: name.to_owned(), text: text.to_owned(), problems, revision: None })
}

fn fields(named: Vec<(&'static str, Schema)>) -> Fields {
    Fields { named, ..Fields::default() }
}

fn every(schema: Schema) -> Schema {
    Schema::Fields(Fields { others: Some(Box::new(schema)), ..Fields::default() })
}

fn list(schema: Schema) -> Schema {
    Schema::ListOf(Box::new(schema))
}

fn or_null(schema: Schema) -> Schema {
    Schema::OneOf(vec![schema, Schema::Null])
}

impl Fields {
    fn with(mut self, more: Vec<(&'static str, Schema)>) -> Fields {
        self.named.extend(more);
        self
    }

    fn required(mut self, keys: &[&'static str]) -> Fields {
        self.required.extend(keys);
        self
    }
}

fn checksums_and_meta() -> Fields {
    use Schema::*;
    fields(vec![
        ("md5", Checksum),
        ("checksum", Checksum),
        ("etag", Checksum),
        ("size", Int),
        ("nfiles", Int),
        ("isexec", Bool),
        ("version_id", Str),
    ])
}

fn cloud() -> Schema {
    Schema::AtMostOne(Box::new(every(Schema::Fields(checksums_and_meta()))))
}

fn files() -> Schema {
    let entry = checksums_and_meta().with(vec![("relpath", Schema::Str), ("cloud", cloud())]).required(&["relpath"]);
    list(Schema::Fields(entry))
}

fn artifact() -> Fields {
    use Schema::*;
    checksums_and_meta().with(vec![("path", Str), ("persist", Bool), ("cloud", cloud()), ("hash", Str)])
}

fn annotations() -> Vec<(&'static str, Schema)> {
    use Schema::*;
    vec![("desc", Str), ("type", Str), ("labels", list(Str)), ("meta", Anything)]
}

fn dvc_file() -> Schema {
    use Schema::*;
    let repo = fields(vec![
        ("url", Str),
        ("rev", Str),
        ("rev_lock", Str),
        ("config", OneOf(vec![Str, Dict])),
        ("remote", OneOf(vec![Str, Dict])),
    ])
    .required(&["url"]);
    let db = fields(vec![("query", Str), ("connection", Str), ("file_format", Str), ("table", Str)]);
    let dep =
        artifact().with(vec![("repo", Fields(repo)), ("db", Fields(db)), ("files", files()), ("fs_config", Dict)]);
    let out = artifact().with(annotations()).with(vec![
        ("cache", Bool),
        ("remote", Str),
        ("push", Bool),
        ("files", files()),
        ("fs_config", Dict),
    ]);
    Fields(fields(vec![
        ("md5", Checksum),
        ("wdir", OneOf(vec![Str, Null])),
        ("deps", or_null(list(Fields(dep)))),
        ("outs", or_null(list(Fields(out)))),
        ("locked", Bool),
        ("frozen", Bool),
        ("meta", Anything),
        ("always_changed", Bool),
        ("desc", Str),
    ]))
}

fn lock_file() -> Schema {
    use Schema::*;
    let item = checksums_and_meta()
        .with(vec![("path", Str), ("cloud", cloud()), ("files", files()), ("hash", Str), ("dataset", Dict)])
        .required(&["path"]);
    let stage = fields(vec![
        ("cmd", OneOf(vec![Str, List])),
        ("deps", list(Fields(item.clone()))),
        ("params", every(every(Anything))),
        ("outs", list(Fields(item))),
    ])
    .required(&["cmd"]);
    Fields(
        fields(vec![("schema", LockVersion), ("datasets", Anything), ("stages", every(Fields(stage)))])
            .required(&["schema"]),
    )
}

fn dvc_yaml() -> Schema {
    use Schema::*;
    let flags = fields(annotations()).with(vec![
        ("cache", Bool),
        ("persist", Bool),
        ("checkpoint", Bool),
        ("remote", Str),
        ("push", Bool),
    ]);
    let plot = flags.clone().with(vec![
        ("template", Str),
        ("x", Str),
        ("y", Str),
        ("x_label", Str),
        ("y_label", Str),
        ("title", Str),
        ("header", Bool),
    ]);
    let out = || OneOf(vec![Str, every(Fields(flags.clone()))]);
    let vars = || list(OneOf(vec![Str, Dict]));
    let stage = Fields(
        fields(vec![
            ("matrix", every(OneOf(vec![Str, List]))),
            ("cmd", OneOf(vec![Str, List])),
            ("wdir", Str),
            ("deps", list(Str)),
            ("params", list(OneOf(vec![Str, Dict]))),
            ("vars", vars()),
            ("frozen", Bool),
            ("meta", Anything),
            ("desc", Str),
            ("always_changed", Bool),
            ("outs", list(out())),
            ("metrics", list(out())),
            ("plots", list(OneOf(vec![Str, every(OneOf(vec![Fields(plot.clone()), list(Fields(plot.clone()))]))]))),
        ])
        .required(&["cmd"]),
    );
    let foreach = Fields(
        fields(vec![("foreach", OneOf(vec![Dict, List, Str])), ("do", stage.clone())]).required(&["foreach", "do"]),
    );
    let y = OneOf(vec![Str, list(Str), every(OneOf(vec![Str, list(Str)]))]);
    let top_plot = fields(vec![
        ("x", OneOf(vec![Str, every(Str)])),
        ("y", y),
        ("x_label", Str),
        ("y_label", Str),
        ("title", Str),
        ("template", Str),
    ]);
    let plots = Fields(self::Fields {
        others: Some(Box::new(or_null(Fields(top_plot)))),
        others_required: true,
        ..Default::default()
    });
    let artifact = fields(vec![("path", Str)]).with(annotations()).required(&["path"]);
    Fields(fields(vec![
        ("datasets", Anything),
        ("plots", list(OneOf(vec![Str, plots]))),
        ("stages", every(Either(Box::new(stage), Box::new(foreach), &["foreach", "do"]))),
        ("vars", vars()),
        ("params", list(Str)),
        ("metrics", list(Str)),
        ("artifacts", every(Fields(artifact))),
    ]))
}

impl Schema {
    /// What is wrong with `data`, which lies at `path`.
    fn problems(&self, path: &mut Vec<String>, data: &Value) -> Vec<Problem> {
        let here = path.len();
        let expected = |ok: bool, message: &str| {
            if ok { Vec::new() } else { vec![Problem { message: message.to_owned(), path: Vec::new() }] }
        };
        let mut problems = self.problems_here(path, data, &expected);
        debug_assert_eq!(path.len(), here);
        for problem in &mut problems {
            if problem.path.is_empty() {
                problem.path.clone_from(path);
            }
        }
        problems
    }

    fn problems_here(
        &self,
        path: &mut Vec<String>,
        data: &Value,
        expected: &impl Fn(bool, &str) -> Vec<Problem>,
    ) -> Vec<Problem> {
        match self {
            Schema::Anything => Vec::new(),
            Schema::Str => expected(matches!(data, Value::Str(_)), "expected str"),
            // A truth value is a number to Python.
            Schema::Int => expected(matches!(data, Value::Int(_) | Value::BigInt(_) | Value::Bool(_)), "expected int"),
            Schema::Bool => expected(matches!(data, Value::Bool(_)), "expected bool"),
            Schema::Dict => expected(matches!(data, Value::Map(_)), "expected dict"),
            Schema::List => expected(matches!(data, Value::Seq(_)), "expected list"),
            Schema::Null => expected(data.is_null(), "not a valid value"),
            Schema::Checksum => expected(is_checksum(data), "not a valid value"),
            Schema::LockVersion => expected(data.as_str() == Some("2.0"), "invalid schema version"),
            Schema::ListOf(entry) => entry.list_problems(path, data),
            Schema::OneOf(schemas) => {
                let mut worst: Option<Vec<Problem>> = None;
                for schema in schemas {
                    let problems = schema.problems(path, data);
                    let Some(first) = problems.first() else { return Vec::new() };
                    if worst.as_ref().is_none_or(|worst| first.path.len() > worst[0].path.len()) {
                        worst = Some(problems);
                    }
                }
                worst.unwrap_or_default()
            }
            Schema::Fields(fields) => fields.problems(path, data),
            Schema::AtMostOne(schema) => {
                let problems = schema.problems(path, data);
                if !problems.is_empty() {
                    return problems;
                }
                expected(data.as_map().is_none_or(|map| map.len() <= 1), "length of value must be at most 1")
            }
            Schema::Either(first, second, keys) => {
                let second_form = data.as_map().is_some_and(|map| keys.iter().any(|key| map.contains_key(key)));
                if second_form { second.problems(path, data) } else { first.problems(path, data) }
            }
        }
    }

    fn list_problems(&self, path: &mut Vec<String>, data: &Value) -> Vec<Problem> {
        let Value::Seq(entries) = data else {
            return vec![Problem { message: "expected a list".to_owned(), path: path.clone() }];
        };
        let mut found = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            path.push(index.to_string());
            let problems = self.problems(path, entry);
            path.pop();
            match problems.first() {
                Some(first) if first.path.len() > path.len() + 1 => return problems,
                Some(first) => found.push(first.clone()),
                None => {}
            }
        }
        found
    }
}

impl Fields {
    fn problems(&self, path: &mut Vec<String>, data: &Value) -> Vec<Problem> {
        let Value::Map(map) = data else {
            return vec![Problem { message: "expected a dictionary".to_owned(), path: path.clone() }];
        };
        let mut found = Vec::new();
        for (key, value) in map.iter() {
            path.push(python_str(key));
            let named = key.as_str().and_then(|key| self.named.iter().find(|(name, _)| *name == key));
            match (named, &self.others) {
                (Some((_, schema)), _) => found.extend(schema.problems(path, value)),
                (None, Some(schema)) if key.as_str().is_some() => found.extend(schema.problems(path, value)),
                (None, others) => {
                    let message = if others.is_some() { "expected str" } else { "extra keys not allowed" };
                    found.push(Problem { message: message.to_owned(), path: path.clone() });
                }
            }
            path.pop();
        }
        let missing = self.required.iter().copied().filter(|key| !map.contains_key(key));
        let any =
            (self.others_required && !map.iter().any(|(key, _)| key.as_str().is_some())).then_some("<class 'str'>");
        for key in missing.chain(any) {
            path.push(key.to_owned());
            found.push(Problem { message: "required key not provided".to_owned(), path: path.clone() });
            path.pop();
        }
        found
    }
}

fn is_checksum(data: &Value) -> bool {
    match data {
        Value::Null | Value::Bool(_) => true,
        Value::Str(text) => text.is_empty() || text.chars().count() >= 3,
        Value::Int(number) => number.to_string().len() >= 3,
        Value::BigInt(_) => true,
        _ => false,
    }
}

/// A scalar as Python's `str` shows it.
pub(crate) fn python_str(value: &Value) -> String {
    match value {
        Value::Str(text) => text.clone(),
        other => crate::python::repr(other),
    }
}

/// The mapping that a document is; `{}` for one that says nothing, as in DVC.
pub(crate) fn document(data: Value) -> Value {
    let nothing = match &data {
        Value::Null | Value::Bool(false) | Value::Int(0) => true,
        Value::Float(number) => *number == 0.0,
        Value::Str(text) => text.is_empty(),
        Value::Seq(items) => items.is_empty(),
        _ => false,
    };
    if nothing { Value::Map(Map::new()) } else { data }
}
