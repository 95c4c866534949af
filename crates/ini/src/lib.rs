//! INI files in configobj's dialect, read and edited without losing comments.
//!
//! DVC keeps its configuration in such files: `key = value` lines, sections `[core]` and `['remote "name"']`, values in
//! single, double or triple quotes, lists with commas, comments behind `#`.
//!
//! - [`Ini`]: a document. [`Ini::parse`] keeps every byte, [`Ini::set`] and [`Ini::remove`] touch only the lines they
//!   must, `to_string()` gives the text back (`parse.rs`, `edit.rs`).
//! - [`Section`] and [`Value`]: what a document says, in order (`tree.rs`). [`Ini::tree`] resolves `%(name)s` as
//!   configobj does by default (`interpolate.rs`); [`Ini::raw_tree`] leaves it alone.
//! - [`write()`]: a fresh text for a tree, byte for byte what configobj writes (`write.rs`).
//!
//! Input is untrusted: its size and the depth of sections are limited, and patterns run in linear time.

mod edit;
mod interpolate;
mod parse;
mod python;
mod tree;
mod write;

pub use parse::Ini;
pub use python::repr;
pub use tree::{Section, Value};
pub use write::write;

/// The largest file that is read, in bytes.
pub const MAX_SIZE: usize = 4 << 20;
/// The deepest nesting of sections, `[[[…]]]`.
pub const MAX_DEPTH: usize = 64;

/// What can be wrong with a document or a value. Wordings are configobj's where it has one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("{message}")]
    Syntax { message: String, line: usize },
    /// Bytes that are not UTF-8, in Python's words.
    #[error("{0}")]
    Encoding(String),
    #[error("Value \"{0}\" cannot be safely quoted.")]
    Unquotable(String),
    /// A `%(name)s` that cannot be resolved.
    #[error("{0}")]
    Interpolation(String),
    #[error("the file has {0} bytes, more than the {MAX_SIZE} that a configuration may have")]
    TooLarge(usize),
}
