//! What can be wrong with a file, in DVC's words.

/// An error of this room. `Display` is the line that DVC prints behind `ERROR: `; for the two kinds that DVC shows with lines of the file
/// there is [`Error::report`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is not YAML, or not text.
    #[error("'{name}' is invalid{}{}.", if *conflict { " (possible merge conflicts)" } else { "" }, within(revision))]
    Syntax { name: String, text: String, conflict: bool, source: Box<trackway_yaml::Error>, revision: Option<String> },
    /// The file is YAML but not what it should be.
    #[error("'{name}' validation failed{}{}.", within(revision), count(problems))]
    Validation { name: String, text: String, problems: Vec<Problem>, revision: Option<String> },
    /// A template, `vars` or a generated name could not be resolved.
    #[error("{0}")]
    Resolve(String),
    /// The file has no stage of that name.
    #[error("Stage '{stage}' not found inside '{name}' file")]
    StageNotFound { stage: String, name: String },
    /// A stage that is written with templates cannot be rewritten.
    #[error("cannot {action} a parametrized stage: '{stage}'")]
    Parametrized { action: &'static str, stage: String },
    /// A parameters file cannot be read as what its name says it is.
    #[error("unable to read: '{name}', {message}")]
    ParamsFile { name: String, message: String },
    /// The file could not be read at all.
    #[error(transparent)]
    Read(#[from] crate::ReadError),
    /// Valid in form, but no meaning can be given to it, or it is beyond what we accept.
    #[error("{0}")]
    Invalid(String),
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// `extra keys not allowed`, `expected str`, …
    pub message: String,
    /// The keys and indices that lead there; empty for the whole document.
    pub path: Vec<String>,
}

impl Error {
    /// The same, of the file as it was in a revision.
    pub fn in_revision(mut self, name: &str) -> Error {
        if let Error::Syntax { revision, .. } | Error::Validation { revision, .. } = &mut self {
            *revision = Some(name.to_owned());
        }
        self
    }
}

fn within(revision: &Option<String>) -> String {
    revision.as_ref().map(|name| format!(" in revision '{name}'")).unwrap_or_default()
}

fn count(problems: &[Problem]) -> String {
    if problems.len() > 1 { format!(": {} errors", problems.len()) } else { String::new() }
}

/// Reads YAML; `name` is how messages name the file.
pub(crate) fn parse_yaml(text: &str, name: &str) -> Result<trackway_yaml::Value, Error> {
    trackway_yaml::parse(text).map_err(|source| syntax(text, name, source))
}

fn syntax(text: &str, name: &str, source: trackway_yaml::Error) -> Error {
    // As DVC 3.67: lines that look like those of an unfinished merge are pointed out.
    let marker = |line: &str| ["<<<<<<< ", "======= ", ">>>>>>> "].iter().any(|marker| line.starts_with(marker));
    Error::Syntax {
        name: name.to_owned(),
        text: text.to_owned(),
        conflict: text.lines().any(marker),
        source: Box::new(source),
        revision: None,
    }
}

/// Reads YAML for changing it.
pub(crate) fn parse_document(text: &str, name: &str) -> Result<trackway_yaml::Document, Error> {
    trackway_yaml::Document::parse(text).map_err(|source| syntax(text, name, source))
}
