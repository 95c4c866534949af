//! One file for each command, named as the person names it.

pub mod dvc;
pub mod mlflow;
pub mod server;
