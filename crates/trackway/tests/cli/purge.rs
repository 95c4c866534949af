//! `trackway server purge` and `mlflow gc` beside a running server, and what `kill -9` leaves of them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use trackway_testkit::{Result, Server, Value, json};

use crate::BIN;

/// A server, and commands in its folder.
struct Place {
    server: Server,
    experiment: String,
}

impl Place {
    fn start() -> Result<Place> {
        let server = Server::start(BIN)?;
        let made = server.post("experiments/create", json!({"name": "e"}))?;
        Ok(Place { experiment: text(&made["experiment_id"]), server })
    }

    /// A run with some metrics and artifacts; its id.
    fn run(&self, experiment: &str) -> Result<String> {
        let made = self.server.post("runs/create", json!({"experiment_id": experiment, "start_time": 1}))?;
        let id = text(&made["run"]["info"]["run_id"]);
        let metrics: Vec<Value> =
            (0..50).map(|step| json!({"key": "m", "value": 0.5, "timestamp": step, "step": step})).collect();
        self.server.post("runs/log-batch", json!({"run_id": id, "metrics": metrics}))?;
        for name in ["a.txt", "deep/er/b.txt"] {
            self.put(&format!("{experiment}/{id}/artifacts/{name}"))?;
        }
        Ok(id)
    }

    fn put(&self, path: &str) -> Result {
        let route = format!("/api/2.0/mlflow-artifacts/artifacts/{path}");
        assert_eq!(self.server.raw("PUT", &route, &[], Some(b"12345"))?.status, 200);
        Ok(())
    }

    fn delete(&self, run: &str) -> Result {
        self.server.post("runs/delete", json!({"run_id": run}))?;
        Ok(())
    }

    fn exists(&self, run: &str) -> Result<bool> {
        Ok(self.server.raw("GET", &format!("/api/2.0/mlflow/runs/get?run_id={run}"), &[], None)?.status == 200)
    }

    fn kept(&self, run: &str) -> PathBuf {
        self.server.folder().join("mlartifacts").join(&self.experiment).join(run)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(BIN);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("MLFLOW_") {
                command.env_remove(&name);
            }
        }
        command.args(words).current_dir(self.server.folder()).stdin(Stdio::null());
        command
    }

    fn said(&self, words: &[&str]) -> Result<(Option<i32>, String, String)> {
        let output = self.command(words).output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => found.append(&mut files(&path)),
            path => found.push(path),
        }
    }
    found
}

#[test]
fn a_purge_takes_what_is_deleted_and_lists_it_first() -> Result {
    let place = Place::start()?;
    let (gone, stays) = (place.run(&place.experiment)?, place.run(&place.experiment)?);
    place.delete(&gone)?;
    let (code, _, err) = place.said(&["server", "purge"])?;
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("Say what is to be purged"), "{err}");

    let (code, out, err) = place.said(&["server", "purge", "--all", "--dry-run"])?;
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.starts_with(&format!("run {gone} of experiment {}: ", place.experiment)), "{out}");
    assert!(out.contains("10 in 2 artifacts\nWould purge 1 thing: "), "{out}");
    assert_eq!(files(&place.kept(&gone)).len(), 2);
    let (_, out, _) = place.said(&["server", "purge", "--all", "--dry-run", "--json"])?;
    let listed: Value = serde_json::from_str(&out)?;
    assert_eq!(
        (&listed["count"], &listed["artifact_bytes"], &listed["things"][0]["id"]),
        (&json!(1), &json!(10), &json!(gone))
    );

    let (code, out, _) = place.said(&["server", "purge", "--older-than", "1h"])?;
    assert_eq!((code, out.as_str()), (Some(0), "There is nothing to purge.\n"));
    let (code, _, err) = place.said(&["server", "purge", "--run-ids", &stays])?;
    assert_eq!(code, Some(1));
    assert!(err.contains("is not in `deleted` lifecycle stage"), "{err}");

    let (code, out, err) = place.said(&["server", "purge", "--older-than", "0s"])?;
    assert_eq!(
        (code, out, err),
        (Some(0), format!("Run with ID {gone} has been permanently deleted.\n"), String::new())
    );
    assert!(!place.kept(&gone).exists() && !place.exists(&gone)?);
    assert!(place.exists(&stays)?);
    assert_eq!(files(&place.kept(&stays)).len(), 2);
    Ok(())
}

#[test]
fn what_cannot_be_reached_stays_and_is_told() -> Result {
    let place = Place::start()?;
    let elsewhere = json!({"name": "elsewhere", "artifact_location": "dbfs:/x"});
    let elsewhere = text(&place.server.post("experiments/create", elsewhere)?["experiment_id"]);
    let made = place.server.post("runs/create", json!({"experiment_id": elsewhere}))?;
    let far = text(&made["run"]["info"]["run_id"]);
    let near = place.run(&place.experiment)?;
    let missing = place.run(&place.experiment)?;
    fs::remove_dir_all(place.kept(&missing))?;
    for run in [&far, &near, &missing] {
        place.delete(run)?;
    }
    let (code, out, err) = place.said(&["server", "purge", "--all"])?;
    assert_eq!(code, Some(1));
    assert!(
        err.contains(&format!(
            "Run with ID {far} was not purged: The artifacts at 'dbfs:/x/{far}/artifacts' are not deleted"
        )),
        "{err}"
    );
    assert!(err.ends_with("error: 1 thing could not be purged. What was told as purged is gone.\n"), "{err}");
    assert_eq!(out.lines().count(), 2, "{out}");
    // It was not begun, and can be restored.
    place.server.post("runs/restore", json!({"run_id": far}))?;

    // A folder of the wrong name does not look as if all artifacts were gone.
    place.delete(&place.run(&place.experiment)?)?;
    let (code, _, err) = place.said(&["server", "purge", "--all", "--artifacts-destination", "./mlartifact"])?;
    assert_eq!(code, Some(1));
    assert!(err.contains("There is no folder './mlartifact'"), "{err}");
    let (code, _, err) = place.said(&["server", "purge", "--all", "--backend-store-uri", "sqlite:///other.db"])?;
    assert_eq!(code, Some(1));
    assert!(err.contains("There is no database at other.db"), "{err}");
    assert!(!place.server.folder().join("other.db").exists());
    Ok(())
}

#[test]
fn gc_has_the_words_of_mlflow_and_deletes_through_the_server() -> Result {
    let place = Place::start()?;
    let second = text(&place.server.post("experiments/create", json!({"name": "second"}))?["experiment_id"]);
    let (alone, within) = (place.run(&place.experiment)?, place.run(&second)?);
    let model = json!({"experiment_id": place.experiment, "name": "m"});
    let model = text(&place.server.post("logged-models", model)?["model"]["info"]["model_id"]);
    place.put(&format!("{}/models/{model}/artifacts/MLmodel", place.experiment))?;
    let url = place.server.url();
    let gc = |words: &[&str]| {
        // The tracking URI alone says where artifacts are: no folder is named, and none is near.
        let database = format!("sqlite:///{}", place.server.folder().join("trackway.db").display());
        let fixed = ["mlflow", "gc", "--backend-store-uri", &database, "--tracking-uri", &url];
        let mut command = place.command(&[&fixed[..], words].concat());
        let output = command.current_dir("/").output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok::<_, std::io::Error>((output.status.code(), text(&output.stdout), text(&output.stderr)))
    };
    assert_eq!(gc(&[])?, (Some(0), String::new(), String::new()));
    let (code, _, err) = gc(&["--run-ids", &alone])?;
    assert_eq!(code, Some(1));
    assert!(
        err.contains(&format!(
            "Run {alone} is not in `deleted` lifecycle stage. Only runs in `deleted` lifecycle stage can be deleted."
        )),
        "{err}"
    );
    place.delete(&alone)?;
    place.server.post("experiments/delete", json!({"experiment_id": second}))?;
    place.server.delete(&format!("logged-models/{model}"), json!({}))?;
    let (code, _, err) = gc(&["--experiment-ids", &second, "--older-than", "1d"])?;
    assert_eq!(code, Some(1));
    assert!(err.contains(&format!("Experiments ['{second}'] are not older than the required age. Only experiments older than 1d can be deleted.")), "{err}");
    let (code, _, err) = gc(&["--older-than", "soon"])?;
    assert_eq!(code, Some(1));
    assert!(err.contains("Could not parse any time information from 'soon'."), "{err}");
    let (code, out, err) = gc(&["--older-than", "0s"])?;
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(
        out,
        format!(
            "Run with ID {alone} has been permanently deleted.\nRun with ID {within} has been permanently deleted.\n\
             Logged model with ID {model} has been permanently deleted.\nExperiment with ID {second} has been permanently deleted.\n"
        )
    );
    assert_eq!(files(&place.server.folder().join("mlartifacts")), Vec::<PathBuf>::new());
    Ok(())
}

/// A purge is killed at many moments. What could still be restored then has all its artifacts, and the last purge leaves
/// neither rows nor artifacts.
#[test]
fn kill_9_at_any_moment_loses_nothing_that_could_be_restored() -> Result {
    let place = Place::start()?;
    let mut doomed = BTreeMap::new();
    let mut kept = vec![];
    let mut wait = Duration::from_millis(5);
    for round in 0..25 {
        for _ in 0..6 {
            let run = place.run(&place.experiment)?;
            place.delete(&run)?;
            doomed.insert(run, round);
        }
        let started = Instant::now();
        let mut purge = place.command(&["server", "purge", "--all"]).stdout(Stdio::null()).spawn()?;
        std::thread::sleep(wait);
        if purge.try_wait()?.is_some() {
            // It came to its end: be earlier.
            wait = wait.mul_f64(0.5);
        } else {
            wait += started.elapsed().min(Duration::from_millis(60)) / 3;
        }
        purge.kill()?;
        purge.wait()?;
        for run in doomed.keys() {
            if !place.exists(run)? {
                assert_eq!(
                    files(&place.kept(run)),
                    Vec::<PathBuf>::new(),
                    "round {round}: {run} is gone, and not its artifacts"
                );
            }
        }
        // Some are restored: either wholly, or not any more.
        if let Some(run) = doomed.iter().find(|(_, of)| **of == round).map(|(run, _)| run.clone()) {
            let answer = place.server.send("POST", "runs/restore", &json!({"run_id": run}))?;
            if answer.status == 200 {
                assert_eq!(
                    files(&place.kept(&run)).len(),
                    2,
                    "round {round}: {run} was restored without its artifacts"
                );
                doomed.remove(&run);
                kept.push(run);
            }
        }
    }
    let (code, _, err) = place.said(&["server", "purge", "--all"])?;
    assert_eq!((code, err.as_str()), (Some(0), ""));
    for run in doomed.keys() {
        assert!(!place.exists(run)?);
    }
    for run in &kept {
        assert!(place.exists(run)?);
        assert_eq!(files(&place.kept(run)).len(), 2);
    }
    let left = files(&place.server.folder().join("mlartifacts"));
    assert_eq!(left.len(), kept.len() * 2, "{left:?}");
    let (_, out, _) = place.said(&["server", "purge", "--all", "--dry-run"])?;
    assert_eq!(out, "There is nothing to purge.\n");
    Ok(())
}
