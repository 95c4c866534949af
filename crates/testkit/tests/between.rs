//! What stands between clients and servers: PgBouncer, HAProxy, Patroni's pair, the proxy of our own.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use trackway_testkit::Result;
use trackway_testkit::services::fault_proxy::Faults;
use trackway_testkit::services::postgres::Options;
use trackway_testkit::services::{FaultProxy, Haproxy, Patroni, Pgbouncer, Postgres, programs};

fn psql(url: &str, sql: &str) -> Result<String> {
    let output = Command::new(programs::postgres("psql")?).args(["-X", "-q", "-A", "-t", url, "-c", sql]).output()?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[test]
fn a_query_goes_through_pgbouncer() -> Result {
    let postgres = Postgres::start(Options { password: Some("it-knows".to_owned()), ..Options::default() })?;
    postgres.create_database("wine")?;
    let pgbouncer = Pgbouncer::start(&postgres)?;
    assert_eq!(psql(&pgbouncer.url_of("wine"), "SELECT current_database()")?, "wine");
    let mode = psql(&pgbouncer.url_of("pgbouncer"), "SHOW CONFIG")?;
    assert!(mode.lines().any(|line| line.starts_with("pool_mode|transaction|")), "{mode}");
    Ok(())
}

/// Answers every request with its name, the health check with 200 or 503.
fn backend(name: &'static str) -> Result<(String, std::sync::Arc<std::sync::atomic::AtomicBool>)> {
    use std::sync::atomic::{AtomicBool, Ordering};
    let healthy = std::sync::Arc::new(AtomicBool::new(true));
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let state = healthy.clone();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let first = lines.next().unwrap_or_default();
            lines.find(String::is_empty);
            let sick = first.contains("/health") && !state.load(Ordering::Relaxed);
            let status = if sick { "503 Sick" } else { "200 OK" };
            let length = name.len();
            let _ = write!(&stream, "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{name}");
        }
    });
    Ok((address, healthy))
}

#[test]
fn haproxy_gives_requests_in_turns_to_those_that_are_healthy() -> Result {
    let ((one, healthy), (two, _)) = (backend("one")?, backend("two")?);
    let haproxy = Haproxy::http(&[one, two])?;
    let ask = || -> Result<String> { Ok(ureq::get(haproxy.url()).call()?.body_mut().read_to_string()?) };
    let mut counted = BTreeMap::new();
    for _ in 0..10 {
        *counted.entry(ask()?).or_insert(0) += 1;
    }
    assert_eq!(counted, BTreeMap::from([("one".to_owned(), 5), ("two".to_owned(), 5)]));
    healthy.store(false, std::sync::atomic::Ordering::Relaxed);
    let asked = Instant::now();
    while (0..4).map(|_| ask()).collect::<Result<Vec<_>>>()?.iter().any(|name| name == "one") {
        assert!(asked.elapsed() < Duration::from_secs(20), "the sick one is still asked");
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

#[test]
fn the_other_one_of_the_pair_takes_over() -> Result {
    let mut pair = Patroni::start()?;
    let haproxy = Haproxy::primary_of(&pair)?;
    let through = format!("postgresql://postgres@{}/postgres", haproxy.address());
    let first = pair.primary()?;
    psql(&first, "CREATE TABLE wine (name text)")?;
    psql(&pair.url(), "INSERT INTO wine VALUES ('Riesling')")?;
    pair.kill_primary()?;
    assert!(psql(&first, "SELECT 1").is_err());
    let second = pair.primary()?;
    assert_ne!(first, second);
    assert_eq!(psql(&second, "SELECT name FROM wine")?, "Riesling");
    assert_eq!(psql(&pair.url(), "SELECT name FROM wine")?, "Riesling");
    let asked = Instant::now();
    while psql(&through, "SELECT name FROM wine").is_err() {
        assert!(asked.elapsed() < Duration::from_secs(20), "HAProxy does not find the new leader");
        thread::sleep(Duration::from_millis(100));
    }
    // The dead one comes back and follows; then it leads again, in good order.
    pair.restart()?;
    psql(&second, "INSERT INTO wine VALUES ('Silvaner')")?;
    pair.switch_over()?;
    assert_eq!(pair.primary()?, first);
    assert_eq!(psql(&first, "SELECT count(*) FROM wine")?, "2");
    Ok(())
}

/// Sends back what it gets.
fn echo() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || io::copy(&mut &stream, &mut &stream));
        }
    });
    Ok(address)
}

/// Sends so many bytes, says that these are all, and reads to the end.
fn exchange(address: &str, bytes: usize) -> io::Result<usize> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    stream.write_all(&vec![7; bytes])?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut got = Vec::new();
    match stream.read_to_end(&mut got) {
        // What came before the cut counts.
        Err(error) if error.kind() != ErrorKind::ConnectionReset => Err(error),
        _ => Ok(got.len()),
    }
}

#[test]
fn the_proxy_does_the_harm_that_it_is_told_to() -> Result {
    let proxy = FaultProxy::start(&echo()?)?;
    let address = proxy.address();
    assert_eq!(exchange(&address, 100_000)?, 100_000);
    assert_eq!(proxy.accepted(), 1);

    proxy.next(Faults { cut_down: Some(1000), ..Faults::default() });
    assert_eq!(exchange(&address, 5000)?, 1000);
    proxy.next(Faults { cut_up: Some(10), ..Faults::default() });
    assert!(exchange(&address, 5000)? <= 10);
    assert_eq!(exchange(&address, 5000)?, 5000);

    proxy.next(Faults { refuse: true, ..Faults::default() });
    assert!(exchange(&address, 10).map_or(true, |got| got == 0));
    proxy.set(Faults { refuse: true, ..Faults::default() })?;
    assert_eq!(exchange(&address, 10).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    proxy.set(Faults::default())?;
    assert_eq!(exchange(&address, 10)?, 10);

    let delay = Duration::from_millis(100);
    proxy.set(Faults { delay, ..Faults::default() })?;
    let sent = Instant::now();
    assert_eq!(exchange(&address, 10)?, 10);
    assert!(sent.elapsed() >= 2 * delay, "once for each way");

    proxy.set(Faults { black_hole: true, ..Faults::default() })?;
    let mut swallowed = TcpStream::connect(&address)?;
    swallowed.write_all(b"hello")?;
    swallowed.set_read_timeout(Some(Duration::from_millis(200)))?;
    assert_eq!(swallowed.read(&mut [0; 5]).unwrap_err().kind(), ErrorKind::WouldBlock);
    proxy.set(Faults::default())?;
    swallowed.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut got = [0; 5];
    swallowed.read_exact(&mut got)?;
    assert_eq!(&got, b"hello");

    proxy.cut_all();
    assert_eq!(swallowed.read(&mut got)?, 0);
    Ok(())
}
