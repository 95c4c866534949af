//! A connection's beginning.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::Tls;

/// The first byte of a TLS handshake.
const HANDSHAKE: u8 = 0x16;

const SPEAK_TLS: &str =
    "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: ";
const SPEAK_TLS_BODY: &str =
    r#"{"error_code":"BAD_REQUEST","message":"This server speaks HTTPS here. Use a URL that begins with https://"}"#;

/// Does the handshake, in the connection's own task: a slow client holds up nobody else. None when there is nobody to
/// serve; whoever speaks plain HTTP is told, for a closed connection looks to MLflow's client as if it should try again.
pub(crate) async fn greet(tls: &Tls, stream: TcpStream, within: Duration) -> Option<TlsStream<TcpStream>> {
    let greeting = async {
        let mut first = [0];
        let seen = stream.peek(&mut first).await.ok()?;
        if seen == 1 && first[0] != HANDSHAKE && first[0].is_ascii_uppercase() {
            say_that_this_is_tls(stream).await;
            return None;
        }
        match TlsAcceptor::from(tls.config()).accept(stream).await {
            Ok(stream) => Some(stream),
            Err(error) => {
                tracing::debug!(%error, "a TLS handshake failed");
                None
            }
        }
    };
    tokio::time::timeout(within, greeting).await.unwrap_or_else(|_| {
        tracing::debug!("a TLS handshake took too long");
        None
    })
}

async fn say_that_this_is_tls(mut stream: TcpStream) {
    let answer = format!("{SPEAK_TLS}{}\r\n\r\n{SPEAK_TLS_BODY}", SPEAK_TLS_BODY.len());
    // What the client sent is taken off first, or the kernel would answer it with a reset that eats our words.
    let mut head = [0; 16 << 10];
    let _ = stream.readable().await;
    let _ = stream.try_read(&mut head);
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}
