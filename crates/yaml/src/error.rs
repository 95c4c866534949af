//! Why a document cannot be read, in the parts that DVC shows one by one.

use std::fmt;

/// A place in a document. Both count from 1; columns are characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    pub line: usize,
    pub column: usize,
}

/// A document that is no YAML, or YAML that is not supported.
///
/// The wording is ruamel.yaml's: `context` is what was being read and where it began, `problem` what went wrong and
/// where. DVC prints each of both with its mark (`While scanning a simple key, in line 3, column 1`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    pub context: Option<String>,
    pub context_mark: Option<Mark>,
    pub problem: String,
    /// None only where ruamel knows no place either: a character that YAML forbids, and the limits on size.
    pub problem_mark: Option<Mark>,
}

impl Error {
    pub(crate) fn at(mark: Mark, problem: impl Into<String>) -> Error {
        Error { context: None, context_mark: None, problem: problem.into(), problem_mark: Some(mark) }
    }

    pub(crate) fn within(context: impl Into<String>, start: Mark, problem: impl Into<String>, mark: Mark) -> Error {
        Error {
            context: Some(context.into()),
            context_mark: Some(start),
            problem: problem.into(),
            problem_mark: Some(mark),
        }
    }

    pub(crate) fn unmarked(problem: impl Into<String>) -> Error {
        Error { context: None, context_mark: None, problem: problem.into(), problem_mark: None }
    }

    /// Where to look first.
    pub fn mark(&self) -> Option<Mark> {
        self.problem_mark.or(self.context_mark)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(context) = &self.context {
            write!(f, "{context}: ")?;
        }
        f.write_str(&self.problem)?;
        if let Some(mark) = self.mark() {
            write!(f, " in line {}, column {}", mark.line, mark.column)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
