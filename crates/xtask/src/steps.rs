//! Runs steps one after the other, each with a header and its duration. A step that fails does not
//! stop those after it; the end lists all of them and repeats the closing lines of the test runners.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;

pub struct Steps {
    ci: bool,
    started: Instant,
    done: Vec<Done>,
}

struct Done {
    name: String,
    took: Duration,
    error: Option<anyhow::Error>,
    closing: Vec<String>,
}

impl Steps {
    pub fn new(ci: bool) -> Self {
        Self { ci, started: Instant::now(), done: Vec::new() }
    }

    /// Runs one step, which may add closing lines of its own. Says whether it went well.
    pub fn step(&mut self, name: &str, work: impl FnOnce(&mut Vec<String>) -> Result<()>) -> bool {
        eprintln!("\n==> {name}");
        let started = Instant::now();
        let mut closing = Vec::new();
        let error = work(&mut closing).err();
        let took = started.elapsed();
        match &error {
            None => eprintln!("==> {name}: ok in {:.1} s", took.as_secs_f64()),
            Some(error) => eprintln!("==> {name}: FAILED in {:.1} s: {error:#}", took.as_secs_f64()),
        }
        let ok = error.is_none();
        self.done.push(Done { name: name.to_owned(), took, error, closing });
        ok
    }

    /// Records a step that cannot run because one that it needs has failed.
    pub fn not_run(&mut self, name: &str, reason: &str) {
        eprintln!("\n==> {name}: NOT RUN: {reason}");
        self.done.push(Done {
            name: name.to_owned(),
            took: Duration::ZERO,
            error: Some(anyhow::anyhow!("NOT RUN: {reason}")),
            closing: Vec::new(),
        });
    }

    /// Prints how every step went, then the runners' own closing lines, which stand last so that
    /// they are what a reader of the log's end sees.
    pub fn finish(self) -> ExitCode {
        let failed = self.done.iter().filter(|done| done.error.is_some()).count();
        println!("\n==> all steps, {:.1} s{}", self.started.elapsed().as_secs_f64(), if self.ci { ", CI" } else { "" });
        for done in &self.done {
            let took = done.took.as_secs_f64();
            match &done.error {
                None => println!("  ok      {took:7.1} s  {}", done.name),
                Some(error) => println!("  FAILED  {took:7.1} s  {}: {error:#}", done.name),
            }
        }
        for line in self.done.iter().flat_map(|done| &done.closing) {
            println!("{line}");
        }
        if failed == 0 {
            ExitCode::SUCCESS
        } else {
            eprintln!("error: {failed} of {} steps failed", self.done.len());
            ExitCode::FAILURE
        }
    }
}
