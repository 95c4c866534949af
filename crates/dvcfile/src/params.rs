//! Parameters: reading them from their files and comparing them with what a run recorded.

use trackway_yaml::{Map, Value};

use crate::{Error, ParamsDep};

/// What a parameters file is written in; its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamsFormat {
    Yaml,
    Json,
    Toml,
    Python,
}

/// How a parameter differs from the one that was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamChange {
    New,
    Modified,
    Deleted,
}

impl ParamsFormat {
    pub fn of(path: &str) -> ParamsFormat {
        unimplemented!("{path}")
    }
}

/// Reads a parameters file. `name` is how messages name it.
pub fn read_params(bytes: &[u8], name: &str) -> Result<Value, Error> {
    unimplemented!("{bytes:?}{name}")
}

/// The value at `a.b.0.c`.
pub fn lookup<'v>(params: &'v Value, key: &str) -> Option<&'v Value> {
    unimplemented!("{params:?}{key}")
}

/// The values of the keys that a stage names, or all of them; keys that are missing are left out. Keys stay as named (`train.lr`).
pub fn select(params: &Value, dep: &ParamsDep) -> Result<Map, Error> {
    unimplemented!("{params:?}{dep:?}")
}

/// What differs, in the order in which DVC tells it. `actual` is of [`select`], `locked` of `PipelineStage::locked_params`.
pub fn changes(dep: &ParamsDep, actual: &Map, locked: &Map) -> Vec<(String, ParamChange)> {
    unimplemented!("{dep:?}{actual:?}{locked:?}")
}
