//! Tells as JSON what we make of DVC's files, for comparing it with what stock DVC makes of them.
//!
//! Reads requests from its standard input, one JSON object a line: `{"kind": "yaml" | "dvc" | "lock" | "edit", "dir": …, …}`, and answers
//! each with a line.

use std::io::{BufRead, Write};

#[path = "../tests/told/mod.rs"]
mod told;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        writeln!(out, "{}", told::tell(&serde_json::from_str(&line?)?)?)?;
    }
    Ok(())
}
