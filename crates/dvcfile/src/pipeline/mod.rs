//! `dvc.yaml`: stages and what they are made from.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;

use trackway_yaml::{Map, Value};

use crate::params::DEFAULT_PARAMS_FILE;
use crate::schema::{self, document, python_str};
use crate::{Error, python};
use context::{Context, Failure, Resolving, Tracked};
use expression::ArgumentStyle;
use files::Folder;
use groups::Members;

mod context;
mod edit;
mod expression;
mod files;
mod groups;
mod stage;

/// Templates of one file may produce this many bytes in all.
const MOST_TEXT: usize = 512 << 20;

/// Reads the files that `vars` and templates name, at whatever revision the caller looks at.
pub trait Files {
    /// The content of `path`, joined to [`Place::wdir`] and with `.` and `..` folded; `Ok(None)` if there is no such file.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, ReadError>;
}

/// A file that is there and could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("'{0}' is a directory")]
    IsDirectory(String),
    #[error("cannot read '{0}': {1}")]
    Io(String, #[source] std::io::Error),
}

/// Where a `dvc.yaml` stands, and the settings that matter to it.
pub struct Place<'a> {
    /// The folder of the `dvc.yaml`, relative to where the command runs, as DVC's messages show it; empty if it is there itself.
    pub wdir: &'a str,
    pub files: &'a dyn Files,
    /// `parsing.bool` is `boolean_optional`, not `store_true`.
    pub bool_optional: bool,
    /// `parsing.list` is `append`, not `nargs`.
    pub list_append: bool,
}

/// A `dvc.yaml`, read and checked; its stages are resolved one by one.
pub struct DvcYaml<'a> {
    wdir: String,
    /// The file as messages about templates name it (`sub/dvc.yaml`).
    relpath: String,
    folder: Folder<'a>,
    style: ArgumentStyle,
    data: Map,
    context: Context,
    definitions: Vec<Definition>,
    by_name: HashMap<String, usize>,
    warnings: RefCell<Vec<String>>,
    budget: Cell<usize>,
}

/// What stands under a name in `stages`.
struct Definition {
    name: String,
    form: Form,
    /// The keys of a stage, or what every stage of a group is made from.
    body: Map,
    members: OnceCell<Members>,
    checked: OnceCell<()>,
}

enum Form {
    Stage,
    Foreach(Value),
    Matrix(Map),
}

/// A stage with all templates resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct PipelineStage {
    /// `train`, `each@u`, `mat@1-s`.
    pub name: String,
    /// Text or a list of texts.
    pub cmd: Value,
    /// As resolved, with `.` and `..` folded; `None` is the folder of the `dvc.yaml`.
    pub wdir: Option<String>,
    /// As written, relative to `wdir`; may be a URL.
    pub deps: Vec<String>,
    pub params: Vec<ParamsDep>,
    /// `outs`, `metrics` and `plots`, in the order of these three sections in the file.
    pub outs: Vec<OutDecl>,
    pub frozen: bool,
    pub always_changed: bool,
    pub desc: Option<String>,
    pub meta: Option<Value>,
    /// The stage's text differs from what it resolves to: such a stage cannot be rewritten.
    pub parametrized: bool,
    /// The group of a stage that `foreach` or `matrix` made.
    pub generated_from: Option<String>,
    /// The values of params files that templates used: by file (as [`Files::read`] was asked), then by key.
    pub tracked: Vec<(String, Map)>,
}

/// Parameters that a stage depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamsDep {
    /// Relative to the stage's `wdir`.
    pub path: String,
    /// Empty: the whole file.
    pub keys: Vec<String>,
}

/// An output that a stage declares.
#[derive(Clone, Debug, PartialEq)]
pub struct OutDecl {
    pub path: String,
    pub cache: bool,
    pub persist: bool,
    pub push: bool,
    pub remote: Option<String>,
    pub metric: bool,
    pub plot: Plot,
    pub annotations: Annotations,
}

/// Whether an output is a plot, and how it is drawn.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Plot {
    #[default]
    No,
    Yes,
    /// `template`, `x`, `y`, `x_label`, `y_label`, `title`, `header`, as written.
    Props(Map),
}

/// What users say about an output.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Annotations {
    pub desc: Option<String>,
    pub type_: Option<String>,
    pub labels: Vec<String>,
    pub meta: Option<Value>,
}

/// A change of one stage in a `dvc.yaml`'s text.
#[derive(Clone, Debug, PartialEq)]
pub enum StageEdit<'e> {
    /// Adds the stage at the end, or brings the one of that name to this form (`stage add`, `freeze`, `unfreeze`).
    Set(&'e PipelineStage),
    /// Takes the stage out.
    Remove(&'e PipelineStage),
}

impl<'a> DvcYaml<'a> {
    /// Reads and checks a `dvc.yaml`; loads the global `vars`. `name` is how messages about its form name it (`./dvc.yaml`).
    pub fn parse(text: &str, name: &str, place: &Place<'a>) -> Result<DvcYaml<'a>, Error> {
        let data = document(crate::error::parse_yaml(text, name)?);
        schema::check(&schema::DVC_YAML, &data, name, text)?;
        let data = match data {
            Value::Map(map) => map,
            _ => Map::new(),
        };
        let relpath = files::join(place.wdir, "dvc.yaml");
        let folder = Folder::new(place.files);
        let vars = data.get("vars").and_then(Value::as_seq).unwrap_or_default();
        refuse_templates(vars, "vars", &relpath)?;
        let mut context = Context::default();
        context
            .load_default(&folder, place.wdir)
            .and_then(|()| context.load(&folder, vars, place.wdir, ""))
            .map_err(|failure| failure.about("'vars'", &relpath))?;
        let stages = data.get("stages").and_then(Value::as_map);
        let definitions: Vec<Definition> =
            stages.into_iter().flat_map(Map::iter).map(|(name, body)| Definition::new(name, body)).collect();
        Ok(DvcYaml {
            wdir: place.wdir.to_owned(),
            folder,
            style: ArgumentStyle { bool_optional: place.bool_optional, list_append: place.list_append },
            context,
            by_name: definitions.iter().enumerate().map(|(at, one)| (one.name.clone(), at)).collect(),
            definitions,
            data,
            relpath,
            warnings: RefCell::default(),
            budget: Cell::new(MOST_TEXT),
        })
    }

    /// The names of all stages in order, generated ones included.
    pub fn names(&self) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        for definition in &self.definitions {
            match self.members(definition)? {
                None => names.push(definition.name.clone()),
                Some(members) => names.extend(members.keys.iter().map(|key| format!("{}@{key}", definition.name))),
            }
        }
        Ok(names)
    }

    pub fn has(&self, name: &str) -> Result<bool, Error> {
        let (group, key) = split(name);
        let Some(definition) = self.definition(group) else { return Ok(false) };
        Ok(match (self.members(definition)?, key) {
            (None, key) => key.is_none(),
            (Some(members), Some(key)) => members.get(key).is_some(),
            (Some(_), None) => false,
        })
    }

    /// The names of the stages of a `foreach` or `matrix` group; `None` if `name` is no group.
    pub fn group(&self, name: &str) -> Result<Option<Vec<String>>, Error> {
        let Some(definition) = self.definition(name) else { return Ok(None) };
        let members = self.members(definition)?;
        Ok(members.map(|members| members.keys.iter().map(|key| format!("{name}@{key}")).collect()))
    }

    /// One stage.
    pub fn stage(&self, name: &str) -> Result<PipelineStage, Error> {
        let (group, key) = split(name);
        let missing = || Error::StageNotFound { stage: name.to_owned(), name: self.relpath.clone() };
        let definition = self.definition(group).ok_or_else(missing)?;
        let (resolved, tracked) = match (self.members(definition)?, key) {
            (None, None) => self.resolve(definition, name, &self.context)?,
            (Some(members), Some(key)) => {
                let values = members.get(key).ok_or_else(missing)?;
                self.resolve(definition, name, &self.context.with(values.clone()))?
            }
            _ => return Err(missing()),
        };
        let mut stage = PipelineStage::from_map(name, &resolved)?;
        stage.generated_from = key.map(|_| group.to_owned());
        let written = self.data.get("stages").and_then(Value::as_map).and_then(|stages| stages.get(name));
        stage.parametrized = written.is_none_or(|written| !python::equal(written, &Value::Map(resolved)));
        stage.tracked = tracked;
        Ok(stage)
    }

    /// All stages; fails with the first that cannot be resolved, as DVC does.
    pub fn stages(&self) -> Result<Vec<PipelineStage>, Error> {
        self.names()?.iter().map(|name| self.stage(name)).collect()
    }

    /// What DVC warns of, as far as the stages have been asked for; each warning is given once.
    pub fn take_warnings(&self) -> Vec<String> {
        self.warnings.take()
    }

    /// Top-level `params`: files.
    pub fn params(&self) -> Result<Vec<String>, Error> {
        self.top_level("params").map(|values| values.iter().map(python_str).collect())
    }

    /// Top-level `metrics`: files.
    pub fn metrics(&self) -> Result<Vec<String>, Error> {
        self.top_level("metrics").map(|values| values.iter().map(python_str).collect())
    }

    /// Top-level `plots`: each a text or a mapping.
    pub fn plots(&self) -> Result<Vec<Value>, Error> {
        self.top_level("plots")
    }

    pub fn datasets(&self) -> Result<Vec<Value>, Error> {
        self.top_level("datasets")
    }

    /// `artifacts`, by name.
    pub fn artifacts(&self) -> Result<Map, Error> {
        let mut artifacts = Map::new();
        for (name, artifact) in self.data.get("artifacts").and_then(Value::as_map).into_iter().flat_map(Map::iter) {
            let place = format!("'artifacts.{}'", python_str(name));
            let resolved = self.resolve_top(name, &place)?;
            let Value::Str(name) = resolved else {
                return Err(Error::Resolve(format!(
                    "failed to resolve {place} in '{}': expected str, got {}",
                    self.relpath,
                    python::type_name(&resolved)
                )));
            };
            artifacts.insert(name, self.resolve_top(artifact, &place)?);
        }
        Ok(artifacts)
    }

    fn definition(&self, name: &str) -> Option<&Definition> {
        self.by_name.get(name).map(|at| &self.definitions[*at])
    }

    fn members<'d>(&self, definition: &'d Definition) -> Result<Option<&'d Members>, Error> {
        if matches!(definition.form, Form::Stage) {
            return Ok(None);
        }
        if let Some(members) = definition.members.get() {
            return Ok(Some(members));
        }
        let mut resolving = self.resolving(&self.context, None, None);
        let mut warnings = self.warnings.borrow_mut();
        let (name, file) = (&definition.name, &self.relpath);
        let members = match &definition.form {
            Form::Foreach(data) => groups::foreach(data, &mut resolving, name, file, &mut warnings)?,
            Form::Matrix(data) => groups::matrix(data, &mut resolving, name, file, &mut warnings)?,
            Form::Stage => return Ok(None),
        };
        Ok(Some(definition.members.get_or_init(|| members)))
    }

    /// The mapping of one stage without templates, and what it took from params files.
    fn resolve(&self, definition: &Definition, name: &str, context: &Context) -> Result<(Map, Tracked), Error> {
        let file = &self.relpath;
        if definition.checked.get().is_none() {
            for (key, value) in definition.body.iter() {
                groups::check_syntax(value).map_err(|failure| {
                    failure.about(&format!("'stages.{}.{}'", definition.name, python_str(key)), file)
                })?;
            }
            let _ = definition.checked.set(());
        }
        let wdir = match definition.body.get("wdir").and_then(Value::as_str).filter(|wdir| !wdir.is_empty()) {
            None => self.wdir.clone(),
            Some(wdir) => {
                let resolved = self.resolving(context, None, None).value(&Value::from(wdir));
                let plain = ArgumentStyle::default();
                let text = resolved.and_then(|wdir| expression::to_text(&wdir, plain).map_err(Failure::Parse));
                files::join(&self.wdir, &text.map_err(|failure| failure.about(&format!("'stages.{name}.wdir'"), file))?)
            }
        };
        let vars = definition.body.get("vars").and_then(Value::as_seq).unwrap_or_default();
        refuse_templates(vars, &format!("stages.{name}.vars"), file)?;
        let mut own = None;
        if !vars.is_empty() {
            let mut context = context.for_stage();
            context.load(&self.folder, vars, &wdir, name).map_err(|failure| match failure {
                failure @ Failure::Loaded(_) => failure.about(&format!("'stages.{name}.vars'"), file),
                failure => failure.about(&format!("stage '{name}'"), file),
            })?;
            own = Some(context);
        }
        let context = own.as_ref().unwrap_or(context);
        let mut tracked = Tracked::new();
        let mut resolved = Map::new();
        for (key, value) in definition.body.iter() {
            if key.as_str() == Some("vars") {
                continue;
            }
            let mut resolving = self.resolving(context, key.as_str(), Some(&mut tracked));
            resolving.checked = !matches!(definition.form, Form::Stage);
            let value = resolving
                .value(value)
                .map_err(|failure| failure.about(&format!("'stages.{name}.{}'", python_str(key)), file))?;
            resolved.insert(key.clone(), value);
        }
        Ok((resolved, tracked))
    }

    fn resolving<'r>(
        &'r self,
        context: &'r Context,
        key: Option<&'r str>,
        tracked: Option<&'r mut Tracked>,
    ) -> Resolving<'r> {
        // Only stages know the settings; elsewhere mappings become arguments in the usual way.
        let style = if key.is_some() { self.style } else { ArgumentStyle::default() };
        Resolving { context, key, checked: false, style, tracked, budget: &self.budget }
    }

    fn top_level(&self, section: &str) -> Result<Vec<Value>, Error> {
        let entries = self.data.get(section).and_then(Value::as_seq).unwrap_or_default();
        let numbered = entries.iter().enumerate();
        numbered.map(|(index, entry)| self.resolve_top(entry, &format!("'{section}.{index}'"))).collect()
    }

    fn resolve_top(&self, data: &Value, place: &str) -> Result<Value, Error> {
        groups::check_syntax(data)
            .and_then(|()| self.resolving(&self.context, None, None).value(data))
            .map_err(|failure| failure.about(place, &self.relpath))
    }
}

impl Definition {
    fn new(name: &Value, body: &Value) -> Definition {
        let mut body = body.as_map().cloned().unwrap_or_default();
        let form = match (body.remove("matrix"), body.remove("foreach")) {
            (Some(Value::Map(matrix)), _) => Form::Matrix(matrix),
            (_, Some(data)) => {
                body = body.remove("do").and_then(|body| body.as_map().cloned()).unwrap_or_default();
                Form::Foreach(data)
            }
            _ => Form::Stage,
        };
        Definition { name: python_str(name), form, body, members: OnceCell::new(), checked: OnceCell::new() }
    }
}

/// `each@u` as `each` and `u`.
fn split(name: &str) -> (&str, Option<&str>) {
    name.rsplit_once('@').map_or((name, None), |(group, key)| (group, Some(key)))
}

fn refuse_templates(vars: &[Value], place: &str, file: &str) -> Result<(), Error> {
    if vars.iter().any(groups::is_templated) {
        return Err(Error::Resolve(format!("failed to parse '{place}' in '{file}': interpolating is not allowed")));
    }
    Ok(())
}
