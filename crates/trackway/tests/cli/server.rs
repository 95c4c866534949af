//! `trackway server`: its start, its end, and what outlives it.

use trackway_testkit::{Result, Server, json};

use crate::BIN;

#[test]
fn a_server_starts_answers_and_stops_by_sigterm() -> Result {
    let mut server = Server::start(BIN)?;
    assert_eq!(server.raw("GET", "/health", &[], None)?.text(), "OK");
    let found = server.get("experiments/get?experiment_id=0")?;
    assert_eq!(found["experiment"]["name"], "Default");
    assert!(server.folder().join("trackway.db").is_file(), "{}", server.log());
    assert!(server.stop()?.success(), "{}", server.log());
    Ok(())
}

#[test]
fn what_was_acknowledged_outlives_kill_9() -> Result {
    let mut server = Server::start(BIN)?;
    let made = server.post("experiments/create", json!({"name": "wine"}))?;
    let id = made["experiment_id"].as_str().unwrap_or_default().to_owned();
    let port = server.port();
    server.kill9()?;
    assert!(server.get("experiments/get?experiment_id=0").is_err(), "it answers after its end");
    server.restart()?;
    assert_eq!(server.port(), port);
    let found = server.get(&format!("experiments/get?experiment_id={id}"))?;
    assert_eq!(found["experiment"]["name"], "wine");
    let refused = server.send("POST", "experiments/create", &json!({"name": "wine"}))?;
    assert_eq!((refused.status, refused.error_code().as_str()), (400, "RESOURCE_ALREADY_EXISTS"));
    Ok(())
}

#[test]
fn a_start_that_fails_says_why() {
    let error = Server::of(BIN).arg("--no-such-flag").start().expect_err("there is no such flag");
    let said = format!("{error:#}");
    assert!(said.contains("--no-such-flag"), "{said}");
}
