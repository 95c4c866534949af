//! How a connection is made: directly, or through the proxy that the environment names.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::innermost;
use super::tls::Trust;
use crate::environment::Environment;
use crate::options::HttpOptions;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone)]
pub(super) struct Connector {
    direct: HttpConnector,
    proxies: Arc<Matcher>,
    trust: Arc<Trust>,
}

impl Connector {
    pub fn new(options: &HttpOptions, environment: &Environment) -> Result<Connector, String> {
        let mut direct = HttpConnector::new();
        direct.enforce_http(false);
        direct.set_nodelay(true);
        direct.set_connect_timeout(Some(options.connect_timeout));
        direct.set_keepalive(Some(std::time::Duration::from_secs(60)));
        let proxies = match &options.proxy {
            Some(proxy) => {
                let uri: Uri = proxy.parse().map_err(|_| "the proxy is not a valid URL".to_owned())?;
                if !matches!(uri.scheme_str(), Some("http" | "socks5" | "socks5h")) {
                    return Err("the proxy must be an http:// or a socks5:// URL".to_owned());
                }
                Matcher::builder().all(proxy.as_str()).build()
            }
            None => {
                let get = |names: &[&str]| environment.first(names).unwrap_or_default();
                Matcher::builder()
                    .all(get(&["ALL_PROXY", "all_proxy"]))
                    // Upper case could come from a request's header when we run as a CGI program.
                    .http(get(&["http_proxy", "HTTP_PROXY"]))
                    .https(get(&["https_proxy", "HTTPS_PROXY"]))
                    .no(get(&["no_proxy", "NO_PROXY"]))
                    .build()
            }
        };
        Ok(Connector { direct, proxies: Arc::new(proxies), trust: Arc::new(Trust::new(options, environment)) })
    }

    /// What a plain request through a proxy has to carry itself; a tunnel carries it when it is made.
    pub fn proxy_authorization(&self, uri: &Uri) -> Option<HeaderValue> {
        if uri.scheme_str() != Some("http") {
            return None;
        }
        self.proxies.intercept(uri)?.basic_auth().cloned()
    }

    async fn connect(self, uri: Uri) -> Result<Io, BoxError> {
        let secure = uri.scheme_str() == Some("https");
        let tls = match secure {
            true => Some(Arc::clone(&self.trust).config().await?),
            false => None,
        };
        let Some(proxy) = self.proxies.intercept(&uri) else {
            return connect_over(self.direct, tls, uri, false).await;
        };
        let shown = proxy.uri().authority().map(|at| at.as_str().rsplit('@').next().unwrap_or_default().to_owned());
        let connected = self.connect_by(&proxy, tls, uri).await;
        connected.map_err(|error| {
            format!("by way of the proxy {}: {}", shown.unwrap_or_default(), innermost(&*error)).into()
        })
    }

    async fn connect_by(
        self,
        proxy: &Intercept,
        tls: Option<Arc<rustls::ClientConfig>>,
        uri: Uri,
    ) -> Result<Io, BoxError> {
        let secure = tls.is_some();
        match proxy.uri().scheme_str() {
            Some("socks5" | "socks5h") => {
                let mut socks = SocksV5::new(proxy.uri().clone(), self.direct);
                if let Some((user, password)) = proxy.raw_auth() {
                    socks = socks.with_auth(user.to_owned(), password.to_owned());
                }
                connect_over(socks, tls, uri, false).await
            }
            Some("http") if secure => connect_over(tunnel(proxy, self.direct), tls, uri, false).await,
            // A plain request is sent to the proxy itself, with the whole URL in its first line.
            Some("http") => connect_over(self.direct, None, proxy.uri().clone(), true).await,
            _ => Err("the proxy must be an http:// or a socks5:// URL".into()),
        }
    }
}

fn tunnel(proxy: &Intercept, direct: HttpConnector) -> Tunnel<HttpConnector> {
    let tunnel = Tunnel::new(proxy.uri().clone(), direct);
    match proxy.basic_auth() {
        Some(authorization) => tunnel.with_auth(authorization.clone()),
        None => tunnel,
    }
}

async fn connect_over<C>(
    tcp: C,
    tls: Option<Arc<rustls::ClientConfig>>,
    uri: Uri,
    proxied: bool,
) -> Result<Io, BoxError>
where
    C: Service<Uri, Response = TokioIo<TcpStream>> + Send + 'static,
    C::Future: Send + 'static,
    C::Error: Into<BoxError>,
{
    let mut tcp = tcp;
    let stream = match tls {
        Some(tls) => HttpsConnector::from((tcp, tls)).call(uri).await?,
        None => {
            std::future::poll_fn(|cx| tcp.poll_ready(cx)).await.map_err(Into::into)?;
            MaybeHttpsStream::Http(tcp.call(uri).await.map_err(Into::into)?)
        }
    };
    Ok(Io { stream, proxied })
}

impl Service<Uri> for Connector {
    type Response = Io;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Io, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}

/// A connection, which knows whether it leads to a proxy.
pub(super) struct Io {
    stream: MaybeHttpsStream<TokioIo<TcpStream>>,
    proxied: bool,
}

impl Connection for Io {
    fn connected(&self) -> Connected {
        self.stream.connected().proxy(self.proxied)
    }
}

impl Read for Io {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl Write for Io {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }
}
