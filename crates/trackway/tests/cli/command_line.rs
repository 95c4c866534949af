//! What the binary says without a server: help, versions, what is not built, and starts that are refused.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use trackway_testkit::{Result, Server, TempDir, temp_dir};

use crate::BIN;

/// Runs it in a folder, with a width of its own and none of the settings that a developer may have exported.
fn run(program: impl AsRef<OsStr>, arguments: &[&str], folder: &Path) -> Result<Output> {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("MLFLOW_") || text.starts_with("TRACKWAY_") {
            command.env_remove(&name);
        }
    }
    Ok(command.args(arguments).env("COLUMNS", "100").current_dir(folder).output()?)
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// A folder with links to the binary, named as the commands that it stands in for.
fn links() -> Result<TempDir> {
    let folder = temp_dir()?;
    for name in ["mlflow", "dvc"] {
        std::os::unix::fs::symlink(BIN, folder.path().join(name))?;
    }
    Ok(folder)
}

#[test]
fn help_is_this() -> Result {
    let folder = links()?;
    for (program, arguments, expected) in [
        (Path::new(BIN).to_owned(), vec!["--help"], include_str!("help/trackway.txt")),
        (Path::new(BIN).to_owned(), vec!["dvc", "--help"], include_str!("help/dvc.txt")),
        (Path::new(BIN).to_owned(), vec!["server", "--help"], include_str!("help/server.txt")),
        (folder.path().join("mlflow"), vec!["--help"], include_str!("help/mlflow.txt")),
    ] {
        let (code, out, err) = said(&run(&program, &arguments, folder.path())?);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{arguments:?}");
        assert_eq!(out, expected, "{arguments:?} says otherwise now");
    }
    Ok(())
}

#[test]
fn each_name_has_its_version() -> Result {
    let folder = links()?;
    let version = env!("CARGO_PKG_VERSION");
    let (code, out, _) = said(&run(BIN, &["--version"], folder.path())?);
    assert_eq!((code, out), (Some(0), format!("trackway {version}\n")));
    let mlflow = format!("mlflow, version 3.17.2 (Trackway {version})\n");
    let (code, out, _) = said(&run(folder.path().join("mlflow"), &["--version"], folder.path())?);
    assert_eq!((code, &out), (Some(0), &mlflow));
    assert_eq!(said(&run(BIN, &["mlflow", "--version"], folder.path())?).1, mlflow);
    // Programs read DVC's as a PEP 440 version.
    for arguments in [vec!["dvc", "--version"], vec!["dvc", "-V"]] {
        assert_eq!(said(&run(BIN, &arguments, folder.path())?), (Some(0), "3.67.1\n".to_owned(), String::new()));
    }
    assert_eq!(said(&run(folder.path().join("dvc"), &["--version"], folder.path())?).1, "3.67.1\n");
    Ok(())
}

#[test]
fn what_is_not_built_says_so_and_fails() -> Result {
    let folder = links()?;
    let link = |name: &str| folder.path().join(name);
    for (program, arguments, code, says) in [
        (
            link("mlflow"),
            vec!["runs", "list", "--experiment-id", "0"],
            1,
            "error: `mlflow runs` is not built yet in Trackway",
        ),
        (link("mlflow"), vec!["doctor"], 1, "error: `mlflow doctor` is not built yet"),
        (
            Path::new(BIN).to_owned(),
            vec!["mlflow", "models", "serve", "-m", "x"],
            1,
            "error: `mlflow models` is not built yet",
        ),
        (link("mlflow"), vec!["nonsense"], 2, "error: No such command 'nonsense'."),
        (link("mlflow"), vec!["--env-file", "x", "server"], 2, "error: The file x of --env-file cannot be read"),
        (link("dvc"), vec!["repro", "-P"], 255, "ERROR: `dvc repro` is not built yet"),
        (Path::new(BIN).to_owned(), vec!["dvc", "exp", "run"], 255, "ERROR: `dvc exp` is not built yet"),
        (Path::new(BIN).to_owned(), vec!["repro"], 255, "error: `trackway repro` is not built yet"),
        (Path::new(BIN).to_owned(), vec!["nonsense"], 2, "error: There is no command 'nonsense'."),
        (Path::new(BIN).to_owned(), vec!["server", "extra"], 2, "error: unexpected argument 'extra'"),
        (Path::new(BIN).to_owned(), vec!["server", "--app-name", "basic-auth"], 2, "would let everybody in"),
        (
            Path::new(BIN).to_owned(),
            vec!["server", "--uvicorn-opts", "--root-path /x"],
            2,
            "--uvicorn-opts holds --root-path which Trackway cannot honour",
        ),
    ] {
        let (answered, out, err) = said(&run(&program, &arguments, folder.path())?);
        assert_eq!(answered, Some(code), "{arguments:?}: {err}");
        assert!(err.contains(says) && out.is_empty(), "{arguments:?}: {err}");
    }
    Ok(())
}

#[test]
fn mlflows_data_stops_a_start_and_stays_as_it_is() -> Result {
    let folder = temp_dir()?;
    let database = b"SQLite format 3\0 and the runs of a year";
    fs::write(folder.path().join("mlflow.db"), database)?;
    let (code, _, err) = said(&run(BIN, &["server", "--port", "0"], folder.path())?);
    assert_eq!(code, Some(1), "{err}");
    for says in ["mlflow.db is MLflow's database", "--backend-store-uri sqlite:///trackway.db", "mlflow server"] {
        assert!(err.contains(says), "{err}");
    }
    let left: Vec<_> =
        fs::read_dir(folder.path())?.map(|entry| entry.map(|entry| entry.file_name())).collect::<Result<_, _>>()?;
    assert_eq!(left, ["mlflow.db"], "nothing was made beside it");

    // The way out that the message names.
    let named = ["--backend-store-uri", "sqlite:///trackway.db"];
    let mut server = Server::of(BIN).folder(folder.path()).args(named).start()?;
    assert!(server.stop()?.success());
    // Chosen once, it needs no flag.
    let mut server = Server::of(BIN).folder(folder.path()).start()?;
    assert!(server.stop()?.success());
    assert_eq!(fs::read(folder.path().join("mlflow.db"))?, database);
    Ok(())
}

#[test]
fn a_busy_port_is_told_before_anything_is_made() -> Result {
    let first = Server::start(BIN)?;
    let folder = temp_dir()?;
    let port = first.port().to_string();
    let (code, _, err) = said(&run(BIN, &["server", "--port", &port], folder.path())?);
    assert_eq!(code, Some(1), "{err}");
    assert!(err.contains(&format!("Port {port} on 127.0.0.1 is in use by another program.")), "{err}");
    assert_eq!(fs::read_dir(folder.path())?.count(), 0);
    Ok(())
}

#[test]
fn start_up_lines_say_where_things_are() -> Result {
    let server = Server::of(BIN).arg("--workers").arg("4").start()?;
    let (log, folder) = (server.log(), fs::canonicalize(server.folder())?);
    for says in [
        "warning: --workers has no effect".to_owned(),
        format!("Trackway {}\n", env!("CARGO_PKG_VERSION")),
        format!("Runs and models  {}/trackway.db\n", folder.display()),
        format!("Artifacts        {}/mlartifacts\n", folder.display()),
        format!("Page and API     {}\n", server.url()),
        format!("export MLFLOW_TRACKING_URI={}\n", server.url()),
    ] {
        assert!(log.contains(&says), "{says} is not in\n{log}");
    }
    Ok(())
}

#[test]
fn json_logs_are_one_object_a_line() -> Result {
    let mut server =
        Server::of(BIN).args(["--log-format", "json", "--workers", "2", "--log-level", "debug"]).start()?;
    server.get("experiments/get?experiment_id=0")?;
    assert!(server.stop()?.success());
    let log = server.log();
    let lines: Vec<trackway_testkit::Value> = log.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let has = |field: &str, value: &str| lines.iter().any(|line| line[field] == value);
    assert!(has("message", "listening") && has("url", &server.url()), "{log}");
    assert!(has("path", "/api/2.0/mlflow/experiments/get"), "{log}");
    Ok(())
}

#[test]
fn a_link_named_mlflow_runs_the_server() -> Result {
    let folder = links()?;
    let mut server = Server::start(folder.path().join("mlflow"))?;
    assert_eq!(server.raw("GET", "/version", &[], None)?.text(), "3.17.2");
    assert!(server.stop()?.success());
    Ok(())
}
