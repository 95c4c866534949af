//! The binary as a person or a client meets it. One file per command; all in one test program, which links once.

mod command_line;
mod dvc;
mod gc;
mod purge;
mod server;

/// The binary that cargo built for these tests.
const BIN: &str = env!("CARGO_BIN_EXE_trackway");
