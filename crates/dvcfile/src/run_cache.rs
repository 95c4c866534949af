//! The names under which DVC's run cache keeps what a step once did: `runs/KK/KEY/VALUE`.

use sha2::{Digest, Sha256};
use trackway_yaml::{Map, Value};

use crate::dvc::without;
use crate::{LockEntry, python};

/// What says nothing of the content.
const LEFT_OUT: [&str; 2] = ["size", "nfiles"];

impl LockEntry {
    /// What a step would read: its command, dependencies, parameters and the names of its outputs. As DVC 3.67: the SHA-256 of
    /// the JSON of the entry, with the paths of the outputs in place of them.
    pub fn run_key(&self) -> String {
        let mut value = self.to_value();
        if let Value::Map(map) = &mut value {
            let paths = outs(map).into_iter().flatten().filter_map(|out| out.as_map()?.get("path").cloned()).collect();
            map.insert("outs", Value::Seq(paths));
        }
        sha256(&value)
    }

    /// The same with what it wrote.
    pub fn run_value(&self) -> String {
        sha256(&self.to_value())
    }
}

fn outs(map: &Map) -> Option<&[Value]> {
    map.get("outs")?.as_seq()
}

fn sha256(value: &Value) -> String {
    let mut json = String::new();
    python::sorted_json(&without(value, &LEFT_OUT), &mut json);
    Sha256::digest(json.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
