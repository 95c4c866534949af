//! PostgreSQL as tests get it: shared and own, in its kinds, through crashes, and to the end.

use std::env;
use std::net::TcpStream;
use std::process::{self, Command};
use std::thread;
use std::time::{Duration, Instant};

use trackway_testkit::Result;
use trackway_testkit::services::host::{self, Host};
use trackway_testkit::services::postgres::{self, Locale, Options};
use trackway_testkit::services::{Postgres, programs};

/// `psql` over TCP, as a client would come; what it prints to either output.
fn psql(url: &str, variables: &[(&str, &str)], sql: &str) -> Result<(bool, String)> {
    let mut psql = Command::new(programs::postgres("psql")?);
    psql.env_clear().envs(variables.iter().copied()).args(["-X", "-q", "-A", "-t", url, "-c", sql]);
    let output = psql.output()?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&said).trim().to_owned()))
}

#[test]
fn databases_of_the_shared_server_are_apart_and_go_with_the_test() -> Result {
    let (one, two) = (postgres::database()?, postgres::database()?);
    one.query("CREATE TABLE wine (name text); INSERT INTO wine VALUES ('Riesling')")?;
    assert_eq!(psql(one.url(), &[], "SELECT name FROM wine")?, (true, "Riesling".to_owned()));
    assert_eq!(two.query("SELECT count(*) FROM pg_tables WHERE tablename = 'wine'")?.trim(), "0");
    let name = one.name().to_owned();
    drop(one);
    // The shared server is still there for `two`, unless it is this process's own.
    let left = two.query(&format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'"))?;
    assert!(left.trim() == "0" || env::var_os("TRACKWAY_TEST_SERVICES").is_none(), "{left}");
    Ok(())
}

#[test]
fn what_was_committed_is_there_after_a_crash() -> Result {
    let mut server = Postgres::start(Options { durable: true, ..Options::default() })?;
    server.query("postgres", "CREATE TABLE wine (name text); INSERT INTO wine VALUES ('Riesling')")?;
    let address = server.address();
    server.crash()?;
    assert!(TcpStream::connect(&address).is_err());
    server.restart()?;
    assert_eq!(server.address(), address);
    assert_eq!(server.query("postgres", "SELECT name FROM wine")?, "Riesling\n");
    server.stop()?;
    server.restart()?;
    assert_eq!(server.query("postgres", "SHOW fsync")?, "on\n");
    assert_eq!(server.create_database("other")?, format!("postgresql://postgres@{address}/other"));
    Ok(())
}

#[test]
fn a_locale_of_icu_sorts_as_people_do() -> Result {
    let words = "SELECT string_agg(w, ' ' ORDER BY w) FROM (VALUES ('b'), ('B'), ('a'), ('A'), ('é')) AS t(w)";
    let icu = Postgres::start(Options { locale: Locale::Icu("en-US".to_owned()), ..Options::default() })?;
    assert_eq!(icu.query("postgres", words)?, "a A b B é\n");
    let c = Postgres::start(Options::default())?;
    assert_eq!(c.query("postgres", words)?, "A B a b é\n");
    Ok(())
}

#[test]
fn with_tls_and_a_password_nobody_comes_in_without_both() -> Result {
    let password = "not 'simple".replace([' ', '\''], "-");
    let server = Postgres::start(Options { tls: true, password: Some(password.clone()), ..Options::default() })?;
    let url = server.url();
    assert_eq!(psql(&url, &[], "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")?, (true, "t".to_owned()));
    // The certificate is valid for the address, under the authority that is told.
    let authority = server.authority();
    let trust = [("PGSSLMODE", "verify-full"), ("PGSSLROOTCERT", authority.to_str().unwrap())];
    let unencrypted = url.replace("?sslmode=require", "");
    assert_eq!(psql(&unencrypted, &trust, "SELECT 1")?, (true, "1".to_owned()));
    let (ok, said) = psql(&unencrypted, &[("PGSSLMODE", "disable")], "SELECT 1")?;
    assert!(!ok && said.contains("no encryption"), "{said}");
    let (ok, said) = psql(&url.replace(&password, "wrong"), &[], "SELECT 1")?;
    assert!(!ok && said.contains("password authentication failed"), "{said}");
    Ok(())
}

#[test]
fn settings_are_passed_on() -> Result {
    let options = Options::read(&[("max_connections", "17"), ("locale", "C")])?;
    assert_eq!(Postgres::start(options)?.query("postgres", "SHOW max_connections")?, "17\n");
    let error = Options::read(&[("colour", "red")]).unwrap_err().to_string();
    assert_eq!(error, "colour is no option of this service");
    Ok(())
}

#[test]
fn a_server_ends_with_the_process_that_started_it() -> Result {
    const ENDS: &str = "TRACKWAY_TEST_ENDS_AT_ONCE";
    if env::var_os(ENDS).is_some() {
        let server = Postgres::start(Options::default())?;
        println!("\nport {}", server.port());
        // Without a chance to clear up.
        process::abort();
    }
    let child = Command::new(env::current_exe()?)
        .args(["--exact", "a_server_ends_with_the_process_that_started_it", "--nocapture"])
        .env(ENDS, "1")
        .output()?;
    assert!(!child.status.success());
    let said = String::from_utf8_lossy(&child.stdout);
    let port = said.lines().find_map(|line| line.strip_prefix("port ")).expect("the server was started");
    let port: u16 = port.parse()?;
    let asked = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_ok() {
        assert!(asked.elapsed() < Duration::from_secs(20), "the server runs on without its parent");
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

#[test]
fn one_host_serves_all_who_ask() -> Result {
    let folder = trackway_testkit::temp_dir()?;
    let socket = folder.path().join("socket");
    let host = Host::default();
    host.listen(&socket)?;
    let start = || host::ask(&socket, "start postgres");
    let (one, two) = thread::scope(|scope| {
        let (one, two) = (scope.spawn(start), scope.spawn(start));
        (one.join().unwrap(), two.join().unwrap())
    });
    let (one, two) = (one?, two?);
    assert_eq!(one, two);
    let url = one["variables"]["POSTGRES_URL"].as_str().unwrap();
    host::ask(&socket, "postgres crash")?;
    assert!(!psql(url, &[], "SELECT 1")?.0);
    host::ask(&socket, "postgres restart")?;
    assert!(psql(url, &[], "SELECT 1")?.0);
    assert_eq!(host::ask(&socket, "list")?["services"]["postgres"]["variables"], one["variables"]);
    let error = |line| host::ask(&socket, line).unwrap_err().to_string();
    assert_eq!(error("start postgres tls=yes"), "postgres runs already, so it takes no options");
    assert_eq!(error("haproxy crash"), "haproxy does not run");
    assert!(error("start nothing").starts_with("There is no service nothing; there are: postgres, "));
    host::ask(&socket, "end")?;
    host.wait();
    assert!(!psql(url, &[], "SELECT 1")?.0);
    Ok(())
}
