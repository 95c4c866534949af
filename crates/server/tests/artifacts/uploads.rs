//! Bodies that arrive whole, broken or too large, over a real socket where that matters.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::{PROXY, Served, request, serve};

async fn listening() -> (Served, std::net::SocketAddr) {
    let it = serve().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, it.router.clone()).into_future());
    (it, address)
}

async fn connect(address: std::net::SocketAddr, head: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn until_no_file_is_left(it: &Served) {
    let until = Instant::now() + Duration::from_secs(10);
    while !it.files("mlartifacts").is_empty() {
        assert!(Instant::now() < until, "left: {:?}", it.files("mlartifacts"));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn until_a_file_grows(it: &Served) {
    let until = Instant::now() + Duration::from_secs(10);
    while it.files("mlartifacts").is_empty() {
        assert!(Instant::now() < until, "the upload did not begin");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_leaves_nothing() {
    let (it, address) = listening().await;
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, "x".repeat(1 << 20));
    for (name, head, body) in [
        ("length", "Content-Length: 9000000", "x".repeat(2 << 20)),
        ("short", "Content-Length: 100", "x".repeat(99)),
        ("chunked", "Transfer-Encoding: chunked", chunk.repeat(2)),
        ("bad-chunk", "Transfer-Encoding: chunked", format!("{chunk}zz\r\n")),
    ] {
        let head = format!("PUT {PROXY}/up/{name} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n");
        let mut stream = connect(address, &head).await;
        stream.write_all(body.as_bytes()).await.unwrap();
        if body.len() > 1 << 20 && name != "bad-chunk" {
            until_a_file_grows(&it).await;
        }
        drop(stream);
        until_no_file_is_left(&it).await;
        assert_eq!(it.get(&format!("{PROXY}/up/{name}")).await.status, 404);
    }
    assert!(!it.dir.path().join("mlartifacts/up").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunked_body_is_stored() {
    let (it, address) = listening().await;
    let head = format!(
        "PUT {PROXY}/a/b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
    );
    let mut answer = String::new();
    connect(address, &head).await.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(it.get(&format!("{PROXY}/a/b")).await.text(), "abc");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_upload_is_answered_before_its_body_is_sent() {
    let (_it, address) = listening().await;
    let head = format!(
        "PUT {PROXY}/../x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000000\r\nExpect: 100-continue\r\n\r\n"
    );
    let mut stream = connect(address, &head).await;
    let mut answer = [0; 12];
    let read = stream.read_exact(&mut answer);
    tokio::time::timeout(Duration::from_secs(10), read).await.expect("no answer").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 400");
}

/// mlflow 24324: the proxy held whole bodies in memory.
#[tokio::test(flavor = "multi_thread")]
async fn mlflow_24324_bodies_are_streamed_both_ways() {
    let (it, address) = listening().await;
    let size: usize = 192 << 20;
    let before = peak_memory();
    let head = format!("PUT {PROXY}/big HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n");
    let mut stream = connect(address, &head).await;
    let piece = vec![b'x'; 1 << 20];
    for _ in 0..size / piece.len() {
        stream.write_all(&piece).await.unwrap();
    }
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    let file = it.dir.path().join("mlartifacts/big");
    assert_eq!(std::fs::metadata(&file).unwrap().len(), size as u64);

    let head = format!("GET {PROXY}/big HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let mut stream = connect(address, &head).await;
    let (mut received, mut buffer) = (0, vec![0; 1 << 20]);
    loop {
        match stream.read(&mut buffer).await.unwrap() {
            0 => break,
            count => received += count,
        }
    }
    assert!(received > size && received < size + 2000, "received {received}");
    let grown = peak_memory() - before;
    assert!(grown < 64 << 20, "memory grew by {} MiB", grown >> 20);
}

/// The most memory this process ever had, in bytes.
fn peak_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix("kB").unwrap().trim().parse::<usize>().unwrap() << 10
}

#[tokio::test]
async fn a_page_may_upload_ten_megabytes() {
    let it = serve().await;
    let uri = |path: &str| format!("/ajax-api/2.0/mlflow/upload-artifact?run_uuid=run&path={path}");
    let stored = it.ask(request("POST", &uri("up/x.txt"), &[], "data")).await;
    assert_eq!((stored.status.as_u16(), stored.text(), stored.header("content-type")), (200, "", "application/json"));
    let largest = "x".repeat(10 << 20);
    assert_eq!(it.ask(request("POST", &uri("up/big"), &[], largest.clone())).await.status, 200);
    let announced = [("content-length", "10485761")];
    for headers in [&announced[..], &[]] {
        let refused = it.ask(request("POST", &uri("up/more"), headers, format!("{largest}x"))).await;
        assert_eq!(refused.code_and_message().2, "Artifact size is too large. Max size is 10MB.");
    }
    for (uri, message) in [
        ("/ajax-api/2.0/mlflow/upload-artifact", "Request must specify run_uuid."),
        ("/ajax-api/2.0/mlflow/upload-artifact?run_id=run&path=x", "Request must specify run_uuid."),
        ("/ajax-api/2.0/mlflow/upload-artifact?run_uuid=run", "Request must specify path."),
        ("/ajax-api/2.0/mlflow/upload-artifact?run_uuid=nope&path=x", "Run with id=nope not found"),
    ] {
        assert_eq!(it.ask(request("POST", uri, &[], "data")).await.code_and_message().2, message);
    }
    let empty = it.ask(request("POST", &uri("up/empty"), &[], "")).await;
    assert_eq!(empty.code_and_message().2, "Request must specify data.");
    assert_eq!(it.files("mlartifacts"), ["0/run/artifacts/up/big", "0/run/artifacts/up/x.txt"]);
}
