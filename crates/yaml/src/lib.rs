//! YAML as ruamel.yaml reads and writes it, which is how DVC's files are read and written.
//!
//! [`parse`] and [`emit`] go between text and [`Value`]: for reading any file, and for writing one from nothing
//! (`.dvc`, `dvc.lock`, the run cache), byte for byte as DVC does. [`Document`] keeps the comments and the look of a
//! file that a user edits too (`dvc.yaml`, `.dvc`), and changes only what has to change.
//!
//! Inside: `scanner` (text to tokens, comments among them) → `load` (tokens to a graph of nodes, with ruamel's wording
//! for what is wrong) → `plain` (nodes to values) or `document` (nodes to objects that remember); and back over
//! `emitter` (nodes to text). `resolve` knows which type a plain scalar has, `scalar` how a scalar may be written,
//! `number` how a number keeps its look.

mod document;
mod emitter;
mod error;
mod load;
mod number;
mod plain;
mod resolve;
mod scalar;
mod scanner;
mod value;

pub use document::Document;
pub use error::{Error, Mark};
pub use plain::{emit, parse};
pub use value::{Map, Value};
