//! Builds the targets of fuzz/ on the stable toolchain, and runs each for a bounded time.
//!
//! cargo-fuzz wants a nightly compiler, for the address sanitizer. What libFuzzer itself needs is
//! coverage, and that comes from an LLVM pass which a stable compiler runs as well; our own code
//! has no `unsafe` that a sanitizer could watch. So the flags below are those of `cargo fuzz -s none`.
//!
//! Comparisons of whole words are opaque to it; `fuzz/dictionaries/TARGET.dict` names the words.
//!
//! Inputs that reach something new are kept in the cache folder and grow from run to run; those
//! committed in `fuzz/seeds/TARGET` come first. An input that fails is written to `fuzz/artifacts`.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::project::Project;
use crate::steps::Steps;
use crate::{debian, process};

const COVERAGE: [&str; 7] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    // One unit for each crate: coverage tables of several would be dropped by the linker.
    "-Ccodegen-units=1",
];

/// Inputs are short texts and requests; memory use beyond this is a finding.
const LIMITS: [&str; 3] = ["-max_len=65536", "-rss_limit_mb=1024", "-timeout=10"];

pub fn run(project: &Project, steps: &mut Steps, target: Option<&str>, seconds: u32) -> Result<()> {
    let mut targets = targets(project)?;
    if let Some(target) = target {
        if !targets.iter().any(|known| known.name == target) {
            let names: Vec<_> = targets.iter().map(|known| known.name.as_str()).collect();
            bail!("There is no fuzz target {target}; there are: {}", names.join(", "));
        }
        targets.retain(|known| known.name == target);
    }
    let host = host(project)?;
    let built = steps.step("build of the fuzz targets", |_| {
        debian::ensure("c++", "--version", &["g++"], project.ci)?;
        let mut build = project.cargo();
        // With a target, cargo keeps the flags away from build scripts and procedural macros.
        build.args(["build", "--release", "--manifest-path", "fuzz/Cargo.toml", "--target", &host]);
        build.arg("--no-default-features");
        for target in &targets {
            build.args(["--bin", &target.name, "--features", &target.features.join(",")]);
        }
        build.env("CARGO_TARGET_DIR", project.target.join("fuzz"));
        build.env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\u{1f}"));
        process::run(&mut build, project.ci)
    });
    for Target { name: target, .. } in &targets {
        let name = format!("fuzz {target}, {seconds} s");
        if built {
            steps.step(&name, |closing| {
                let program = project.target.join("fuzz").join(&host).join("release").join(target);
                fuzz(project, &program, target, seconds, closing)
            });
        } else {
            steps.not_run(&name, "the fuzz targets were not built");
        }
    }
    Ok(())
}

fn fuzz(project: &Project, program: &Path, target: &str, seconds: u32, closing: &mut Vec<String>) -> Result<()> {
    let corpus = project.cache.join("fuzz").join(target);
    let artifacts = project.root.join("fuzz/artifacts").join(target);
    for folder in [&corpus, &artifacts] {
        fs::create_dir_all(folder).with_context(|| format!("{} could not be made", folder.display()))?;
    }
    let mut command = Command::new(program);
    command.current_dir(&project.root).args(LIMITS).args([
        format!("-max_total_time={seconds}"),
        format!("-artifact_prefix={}/", artifacts.display()),
        "-print_final_stats=1".to_owned(),
    ]);
    let dictionary = project.root.join("fuzz/dictionaries").join(target).with_extension("dict");
    if dictionary.is_file() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    // libFuzzer writes to the first folder only.
    command.arg(&corpus);
    let seeds = project.root.join("fuzz/seeds").join(target);
    if seeds.is_dir() {
        command.arg(seeds);
    }
    let mut last = Vec::new();
    let ended =
        process::watch(&mut command, project.ci, |line| line.starts_with("Done ") || line.contains("cov:"), &mut last);
    // `#524288 pulse cov: 812 ft: 2071 …`, then `Done 913404 runs in 61 second(s)`.
    closing.extend(last.into_iter().rev().take(2).rev().map(|line| format!("{target}: {line}")));
    ended.with_context(|| format!("an input that fails may lie in {}", artifacts.display()))
}

/// A target that fuzz/Cargo.toml declares, with the features that build the rooms it needs.
struct Target {
    name: String,
    features: Vec<String>,
}

fn targets(project: &Project) -> Result<Vec<Target>> {
    let mut metadata = project.cargo();
    metadata.args(["metadata", "--no-deps", "--format-version=1", "--manifest-path", "fuzz/Cargo.toml"]);
    let metadata: serde_json::Value = serde_json::from_str(&process::output(&mut metadata)?)?;
    let targets = metadata["packages"][0]["targets"].as_array().context("fuzz/Cargo.toml has no targets")?;
    let texts = |list: &serde_json::Value| -> Vec<String> {
        list.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let target = |target: &serde_json::Value| {
        Some(Target { name: target["name"].as_str()?.to_owned(), features: texts(&target["required-features"]) })
    };
    Ok(targets.iter().filter_map(target).collect())
}

/// The triple of this machine, as the compiler names it.
fn host(project: &Project) -> Result<String> {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let version = process::output(rustc.arg("-vV").current_dir(&project.root))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc -vV names no host")?.to_owned())
}
