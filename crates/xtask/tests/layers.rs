//! Keeps the rules that a compiler does not: who may depend on whom (ARCHITECTURE.md), and what
//! committed files never hold.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Each room, and our other rooms that it may depend on. A new room is entered here and in
/// ARCHITECTURE.md. `testkit` is for everybody, but only for tests.
const ROOMS: [(&str, &[&str]); 16] = [
    ("trackway", &["server", "repo", "serving", "tracking", "store", "remote"]),
    ("server", &["tracking", "artifacts", "serving", "web"]),
    ("artifacts", &["tracking", "remote"]),
    ("serving", &["artifacts"]),
    ("repo", &["store", "dvcfile", "git", "ini", "yaml", "remote"]),
    ("dvcfile", &["yaml"]),
    ("git", &[]),
    ("ini", &[]),
    ("store", &["remote"]),
    ("tracking", &[]),
    ("remote", &[]),
    ("yaml", &[]),
    ("web", &[]),
    ("testkit", &[]),
    // The project's own tools. The benchmark talks to servers as any client does, but fills one with points itself.
    ("xtask", &["testkit"]),
    ("bench", &["testkit", "tracking"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("crates/xtask lies two folders deep")
}

fn run(program: &str, args: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(args).current_dir(root()).output();
    let output = output.unwrap_or_else(|error| panic!("{program} does not start: {error}"));
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// `trackway-tracking` is the room `tracking`; `trackway` and `xtask` are called what they are.
fn room(package: &str) -> &str {
    package.strip_prefix("trackway-").unwrap_or(package)
}

#[test]
fn rooms_depend_only_on_those_below_them() {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let metadata = run(&cargo, &["metadata", "--no-deps", "--offline", "--format-version=1"]);
    let metadata: Value = serde_json::from_slice(&metadata).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("cargo metadata lists packages");
    let ours: BTreeSet<_> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    assert!(ours.contains("trackway") && ours.contains("trackway-tracking"), "only {ours:?} were found");

    let mut wrong = Vec::new();
    for package in packages {
        let name = room(package["name"].as_str().unwrap());
        let Some((_, allowed)) = ROOMS.iter().find(|(room, _)| *room == name) else {
            wrong.push(format!("{name} is not in the list of rooms"));
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            let package = dependency["name"].as_str().unwrap();
            let only_tests = dependency["kind"] == "dev";
            let fine = allowed.contains(&room(package)) || (only_tests && package == "trackway-testkit");
            if ours.contains(package) && !fine {
                wrong.push(format!("{name} may not depend on {}", room(package)));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The text files that git tracks or would track, as (path, text), without lock files.
fn files() -> Vec<(String, String)> {
    let listed = run("git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let listed = String::from_utf8(listed).expect("paths are UTF-8");
    let files: Vec<_> = listed
        .split_terminator('\0')
        .filter(|path| !path.ends_with("Cargo.lock") && !path.ends_with("package-lock.json"))
        // Binary files, and files that are deleted but still in the index, are passed over.
        .filter_map(|path| Some((path.to_owned(), fs::read_to_string(root().join(path)).ok()?)))
        .collect();
    assert!(files.len() > 20, "git lists only {} files", files.len());
    files
}

fn lines_with(needles: &[String], files: &[(String, String)]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in files {
        for (number, line) in text.lines().enumerate() {
            if needles.iter().any(|needle| line.contains(needle)) {
                found.push(format!("{path}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    found
}

// The needles below are put together from pieces, so that this file does not hold them.

#[test]
fn programs_are_started_from_lists_of_arguments() {
    let mut needles = Vec::new();
    for shell in ["sh", "bash", "dash", "zsh"] {
        needles.push(format!("{shell} {}", "-c"));
        needles.push(format!("\"{shell}\", {}", "\"-c\""));
        needles.push(format!("Command::new(\"{shell}{}", "\")"));
        needles.push(format!("Command::new(\"/bin/{shell}{}", "\")"));
    }
    let rust: Vec<_> = files().into_iter().filter(|(path, _)| path.ends_with(".rs")).collect();
    let found = lines_with(&needles, &rust);
    assert!(found.is_empty(), "a shell is started:\n{}", found.join("\n"));
}

/// Where packages come from is for each machine's own configuration to say (a mirror, a company's
/// index, no network at all); a host name in a file would go round it.
#[test]
fn no_file_names_the_host_of_a_package_registry() {
    let hosts = [
        ["crates", "io"],
        ["pypi", "org"],
        ["pythonhosted", "org"],
        ["registry.npmjs", "org"],
        ["npmjs", "com"],
        ["registry.yarnpkg", "com"],
        ["deb.debian", "org"],
        ["proxy.golang", "org"],
    ];
    let found = lines_with(&hosts.map(|[name, end]| format!("{name}.{end}")), &files());
    assert!(found.is_empty(), "a registry is named:\n{}", found.join("\n"));
}
