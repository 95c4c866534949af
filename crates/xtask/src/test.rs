//! `cargo xtask test`, and its parts: which steps there are, and in which order.
//!
//! All parts use the dev profile. nextest has to build the binary in that profile for its own
//! tests, so the Python clients get it for nothing, whereas a release build would cost another
//! full compilation; SQLite and the codec of metric points, where a debug build would be slow, are optimised in both.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use trackway_testkit::services::host::{self, Host};

use crate::project::Project;
use crate::steps::Steps;
use crate::{Part, debian, node, process, python, services};

/// Small programs by which Python tests reach into a room, and the variables that name them.
const EXAMPLES: [(&str, &str); 3] = [
    ("parse_filter", "TRACKWAY_PARSE_FILTER"),
    ("yaml_round", "TRACKWAY_YAML_ROUND"),
    ("resolve", "TRACKWAY_DVCFILE_RESOLVE"),
];

/// The environment whose Python runs pytest: the newest client's.
const PYTEST: &str = "mlflow-3.17";

/// The suite of the data commands.
const DATA_SUITE: &str = "dvc";

/// The environment of stock DVC.
const DVC: &str = "dvc-3.67";

/// The environment whose program the servers' benchmark starts.
const FASTTRACKML: &str = "fasttrackml-0.6";

pub fn everything(project: &Project, steps: &mut Steps) {
    fmt(project, steps, true);
    lint(project, steps);
    for part in [Part::Rust, Part::Compat, Part::Browser] {
        self::part(project, steps, part, &[]);
    }
}

pub fn part(project: &Project, steps: &mut Steps, part: Part, args: &[String]) {
    match part {
        Part::Rust => rust(project, steps, args),
        Part::Compat => compat(project, steps, args),
        Part::Browser => browser(project, steps, args),
    }
}

pub fn fmt(project: &Project, steps: &mut Steps, check: bool) {
    let check: &[&str] = if check { &["--check"] } else { &[] };
    steps.step("fmt", |_| {
        process::run(project.cargo().args(["fmt", "--all"]).args(check), project.ci)?;
        process::run(project.cargo().args(["fmt", "--manifest-path", "fuzz/Cargo.toml"]).args(check), project.ci)
    });
}

pub fn lint(project: &Project, steps: &mut Steps) {
    steps.step("clippy", |_| {
        let targets = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
        process::run(project.cargo().args(targets), project.ci)
    });
    // They are a workspace of their own, and would go stale if nothing but fuzzing built them.
    steps.step("clippy of the fuzz targets", |_| {
        let targets = ["clippy", "--manifest-path", "fuzz/Cargo.toml", "--", "-D", "warnings"];
        process::run(project.cargo().args(targets).env("CARGO_TARGET_DIR", &project.target), project.ci)
    });
}

fn rust(project: &Project, steps: &mut Steps, args: &[String]) {
    let ready = steps.step("nextest, installed", |_| {
        if process::output(project.cargo().args(["nextest", "--version"])).is_ok() {
            return Ok(());
        }
        process::run(project.cargo().args(["install", "cargo-nextest", "--locked"]), project.ci)
    });
    if !ready {
        return steps.not_run("Rust tests", "cargo-nextest could not be installed");
    }
    if !steps.step("services, installed", |_| services::install(project, &[])) {
        return steps.not_run("Rust tests", "the servers that they stand on could not be installed");
    }
    steps.step("Rust tests", |closing| {
        let mut nextest = project.cargo();
        // Tests ask here for the servers that they share, and each starts when it is first asked for.
        let (shared, folder) = (Host::default(), tempfile::tempdir()?);
        let socket = folder.path().join("services");
        shared.listen(&socket)?;
        nextest.env(host::SOCKET, &socket);
        nextest.args(["nextest", "run", "--workspace", "--color", colour()]).args(args);
        let ran = process::watch(&mut nextest, project.ci, |line| line.contains("Summary ["), closing);
        shared.end();
        ran
    });
    // nextest runs no documentation tests.
    if args.is_empty() {
        steps.step("documentation tests", |_| {
            process::run(project.cargo().args(["test", "--doc", "--workspace", "--quiet"]), project.ci)
        });
    }
}

fn compat(project: &Project, steps: &mut Steps, args: &[String]) {
    let Some((python, variables)) = clients(project, steps, "compat tests") else {
        return;
    };
    if !steps.step("services, installed", |_| services::install(project, &[])) {
        return steps.not_run("compat tests", "the servers that they stand on could not be installed");
    }
    let traced = steps.step("strace, installed", |_| debian::ensure("strace", "--version", &["strace"], project.ci));
    if !traced {
        return steps.not_run("compat tests", "strace could not be installed");
    }
    let colour = if colour() == "always" { "--color=yes" } else { "--color=no" };
    let mut run = |name: &str, args: &[String]| {
        steps.step(name, |closing| {
            let mut pytest = Command::new(&python);
            // From compat/, whose pytest.ini says where tests are. -ra: every skip is listed with its reason.
            pytest.args(["-m", "pytest", "-ra", colour]).args(args);
            pytest.current_dir(project.root.join("compat")).envs(variables.iter().map(|(name, value)| (name, value)));
            // By which compat/services.py starts servers.
            pytest.env("TRACKWAY_XTASK", &project.program);
            // pytest ends with 5 when it ran no test, which is a failure here too.
            process::watch(&mut pytest, project.ci, is_pytest_summary, closing)
        })
    };
    if !args.is_empty() {
        run("compat tests", args);
        return;
    }
    // Servers are shared by the tests of one process, so these run one after the other. Those of the data commands start
    // programs, each in a place of its own: two at a time, and what a file shares is made once.
    let servers = suites(project).into_iter().filter(|suite| suite != DATA_SUITE).collect::<Vec<_>>();
    run("compat tests of the servers", &servers);
    run("compat tests of the data commands", &[DATA_SUITE, "-n", "2", "--dist", "loadfile"].map(str::to_owned));
}

/// The folders that compat/pytest.ini names.
fn suites(project: &Project) -> Vec<String> {
    let settings = std::fs::read_to_string(project.root.join("compat/pytest.ini")).unwrap_or_default();
    let named = settings.lines().find_map(|line| line.strip_prefix("testpaths = ")).unwrap_or_default();
    named.split_whitespace().map(str::to_owned).collect()
}

fn browser(project: &Project, steps: &mut Steps, args: &[String]) {
    let ready = steps.step("Node packages and Chromium", |_| {
        node::packages(project)?;
        node::chromium(project)
    });
    if !ready {
        return steps.not_run("browser tests", "Node's packages or Chromium could not be installed");
    }
    let Some((_, variables)) = clients(project, steps, "browser tests") else {
        return;
    };
    steps.step("browser tests", |closing| {
        let mut node = Command::new("node");
        node.args(["--test", "--test-reporter=spec"]).args(args).args(node::tests(project)?);
        node.current_dir(&project.root).envs(variables);
        process::watch(&mut node, project.ci, is_node_summary, closing)
    });
}

pub fn bench(project: &Project, steps: &mut Steps, args: &[String]) -> Result<()> {
    // The benchmarks of the servers, of the data commands and of what a company adds stand on different things.
    let needed = match args.first().map(String::as_str).filter(|word| !word.starts_with('-')) {
        None => vec![PYTEST.to_owned(), FASTTRACKML.to_owned()],
        Some("data") => vec![DVC.to_owned()],
        Some("remotes") => {
            let servers = ["seaweedfs", "rclone", "sshd", "apache", "azurite", "fake-gcs", "hdfs"];
            services::install(project, &servers.map(str::to_owned))?;
            debian::ensure("curl", "--version", &["curl"], project.ci)?;
            vec![DVC.to_owned()]
        }
        Some(_) => {
            services::install(project, &["postgres", "seaweedfs", "rclone"].map(str::to_owned))?;
            debian::ensure("curl", "--version", &["curl"], project.ci)?;
            vec![PYTEST.to_owned(), FASTTRACKML.to_owned()]
        }
    };
    let environments = python::make(project, &needed)?;
    let variables = environments.iter().map(|made| (made.variable(), made.python()));
    let mut build = project.cargo();
    build.args(["build", "--release", "--package", "trackway", "--package", "trackway-bench"]);
    if !steps.step("release build", |_| process::run(&mut build, false)) {
        return Ok(());
    }
    let mut bench = Command::new(project.target.join("release/trackway-bench"));
    bench.args(args).current_dir(&project.root).envs(variables);
    bench.env("TRACKWAY_BIN", project.target.join("release/trackway"));
    if let Some(made) = environments.iter().find(|made| made.name.starts_with("fasttrackml")) {
        bench.env("TRACKWAY_FML", made.python().with_file_name("fml"));
    }
    steps.step("bench", |_| process::run(&mut bench, false));
    Ok(())
}

/// Builds the binary and makes the environments of the real clients: the Python that runs pytest,
/// and the variables by which tests find all of it. `None` if something
/// failed, which is recorded then.
fn clients(project: &Project, steps: &mut Steps, what: &str) -> Option<(PathBuf, Vec<(String, OsString)>)> {
    let built = steps.step("build of the binary", |_| {
        // Of the whole workspace, as nextest builds it: cargo chooses the features of libraries by
        // what is built together, and one package alone would compile SQLite once more.
        let mut build = project.cargo();
        build.args(["build", "--workspace", "--bin", "trackway"]);
        for (example, _) in EXAMPLES {
            build.args(["--example", example]);
        }
        process::run(&mut build, project.ci)
    });
    let mut environments = Vec::new();
    let mut python = None;
    let made = steps.step("Python environments", |_| {
        environments = python::make(project, &python::of_compat(project)?)?;
        python = environments.iter().find(|made| made.name == PYTEST).map(|made| made.python());
        python.as_ref().with_context(|| format!("compat/requirements/{PYTEST}.txt is missing"))?;
        Ok(())
    });
    if !built || !made {
        steps.not_run(what, "the binary or an environment of its clients is missing");
        return None;
    }
    let mut variables = vec![("TRACKWAY_BIN".to_owned(), project.target.join("debug/trackway").into_os_string())];
    let examples = project.target.join("debug/examples");
    variables.extend(EXAMPLES.map(|(name, variable)| (variable.to_owned(), examples.join(name).into_os_string())));
    variables.extend(environments.iter().map(|made| (made.variable(), made.python().into_os_string())));
    Some((python?, variables))
}

fn colour() -> &'static str {
    if io::stdout().is_terminal() && io::stderr().is_terminal() { "always" } else { "never" }
}

/// `===== 31 passed, 1 failed in 40.21s =====`, in colour or not.
fn is_pytest_summary(line: &str) -> bool {
    line.contains("==")
        && line.contains(" in ")
        && ["passed", "failed", "error", "no tests ran"].iter().any(|word| line.contains(word))
}

/// `ℹ pass 3`, one of the eight lines by which Node's runner closes.
fn is_node_summary(line: &str) -> bool {
    ["tests", "pass", "fail", "skipped", "cancelled"].iter().any(|word| line.contains(&format!("ℹ {word} ")))
}

#[cfg(test)]
mod tests {
    use super::{is_node_summary, is_pytest_summary};

    #[test]
    fn closing_lines_are_told_from_others() {
        assert!(is_pytest_summary("======= 31 passed, 1 failed in 40.21s ======="));
        assert!(is_pytest_summary("======= no tests ran in 0.01s ======="));
        assert!(!is_pytest_summary("======= test session starts ======="));
        assert!(!is_pytest_summary("compat/test_runs.py::test_passed PASSED"));
        assert!(is_node_summary("ℹ pass 3"));
        assert!(!is_node_summary("✔ the runs page opens (312ms)"));
    }
}
