//! YAML as ruamel.yaml reads and writes it.

mod value;

pub use value::{Map, Value};
