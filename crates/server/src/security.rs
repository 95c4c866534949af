//! Who may talk to the server from a browser: the Host and Origin rules, preflights and headers of MLflow 3.17.
//!
//! A page from anywhere can make its visitor's browser send requests to this server. Two checks stop that. The Host
//! header must name this server (against DNS rebinding). A request that changes something must not come from a foreign
//! origin (against cross-site requests). What differs from stock, each on purpose:
//! - the Origin is checked on every path, also `/graphql` and `/v1/traces`, which stock leaves open;
//! - an Origin that is the very host and port of the request is no foreign one, as long as Host itself is checked:
//!   stock refuses its own page when that is opened by a private address;
//! - behind a trusted proxy, the name that the client asked by is the one that is meant (`forwarded.rs`);
//! - a pattern in the list of origins also counts for preflights, where stock compares whole strings;
//! - a changing request that the browser itself marks as cross-site is refused even without an Origin.

use axum::body::Body;
use axum::response::Response;
use http::header::{self, HeaderName};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use crate::config::Config;
use crate::forwarded::Caller;

const INVALID_HOST: &str = "Invalid Host header - possible DNS rebinding attack detected";
const CROSS_ORIGIN: &str = "Cross-origin request blocked";
const TWO_HOSTS: &str = "The request carries more than one Host header.";
const NO_WORKSPACES: &str = r#"{"error_code":"FEATURE_DISABLED","message":"The request names a workspace in X-MLFLOW-WORKSPACE, but this server has no workspaces. Unset MLFLOW_WORKSPACE on the client."}"#;

/// The stock page's trace view is embedded by notebooks, so its files may be framed.
const FRAMED_BY_NOTEBOOKS: &str = "/static-files/lib/notebook-trace-renderer";

const METHODS: &str = "GET, POST, PUT, DELETE, OPTIONS, PATCH";
const METHODS_FOR_ANY_ORIGIN: &str = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT";
const PREFLIGHT_VARY: &str =
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers, Access-Control-Request-Private-Network";

const WORKSPACE: HeaderName = HeaderName::from_static("x-mlflow-workspace");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The checks, built once from the configuration.
#[derive(Debug, Clone)]
pub struct Security {
    enabled: bool,
    hosts: AllowedHosts,
    /// What a proxy may call this server by, when it tells the client's name for it apart.
    behind_proxy: AllowedHosts,
    origins: AllowedOrigins,
    frame_options: Option<HeaderValue>,
    /// Asked by balancers and monitors, under any name: they tell nothing about what is stored.
    probes: [String; 3],
    static_prefix: String,
}

/// What [`Security::check`] found out about a request that may pass, for the headers of its answer.
#[derive(Debug, Clone, Default)]
pub struct Passed {
    /// The Origin header, when there is one and CORS headers are wanted.
    origin: Option<HeaderValue>,
    framed_by_notebooks: bool,
}

impl Security {
    pub fn new(config: &Config) -> Security {
        Security {
            enabled: !config.disable_security_middleware,
            hosts: config.allowed_hosts.clone(),
            behind_proxy: AllowedHosts::default(),
            origins: config.cors_allowed_origins.clone(),
            frame_options: config.x_frame_options.header().map(HeaderValue::from_static),
            probes: ["health", "version", "ready"].map(|probe| format!("{}/{probe}", config.static_prefix)),
            static_prefix: config.static_prefix.clone(),
        }
    }

    /// Lets a request pass, or answers it: refusals and preflights end here.
    // A refusal is as large as any answer; boxing it would cost the rare case only, but every caller would unbox.
    #[allow(clippy::result_large_err)]
    pub fn check(&self, method: &Method, path: &str, headers: &HeaderMap, caller: &Caller) -> Result<Passed, Response> {
        // Not a browser matter: a client that believes in workspaces would mix its data with everybody's. Stock answers 500
        // here, which clients try again and again.
        if let Some(workspace) = headers.get(WORKSPACE)
            && !workspace.as_bytes().trim_ascii().is_empty()
            && !path.ends_with("/mlflow/server-info")
        {
            return Err(answer(StatusCode::BAD_REQUEST, "application/json", NO_WORKSPACES));
        }
        if !self.enabled {
            return Ok(Passed::default());
        }

        let mut hosts = headers.get_all(header::HOST).iter();
        let host = hosts.next();
        if hosts.next().is_some() {
            return Err(answer(StatusCode::BAD_REQUEST, "text/plain", TWO_HOSTS));
        }
        if !self.probes.iter().any(|probe| probe == path) && !self.may_ask_by(host, caller) {
            tracing::warn!(
                ?host,
                forwarded = ?caller.hosts,
                client = %caller.address,
                "refused a request whose Host header is not allowed; --allowed-hosts names the allowed ones"
            );
            return Err(answer(StatusCode::FORBIDDEN, "text/plain", INVALID_HOST));
        }

        let origin = headers.get(header::ORIGIN);
        if let Some(origin) = origin
            && *method == Method::OPTIONS
            && let Some(wanted) = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD)
        {
            return Err(self.preflight(origin, wanted, headers));
        }
        if changes_state(method) && !self.origins.any && self.is_foreign(origin, host, headers, caller) {
            tracing::warn!(?origin, client = %caller.address, %method, path, "refused a request from a foreign origin; --cors-allowed-origins names the allowed ones");
            return Err(answer(StatusCode::FORBIDDEN, "text/plain", CROSS_ORIGIN));
        }
        Ok(Passed {
            origin: origin.cloned(),
            framed_by_notebooks: path
                .strip_prefix(self.static_prefix.as_str())
                .is_some_and(|path| path.starts_with(FRAMED_BY_NOTEBOOKS)),
        })
    }

    /// Adds the headers that every answer carries.
    pub fn finish(&self, passed: Passed, headers: &mut HeaderMap) {
        if !self.enabled {
            return;
        }
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Some(value) = &self.frame_options
            && !passed.framed_by_notebooks
        {
            headers.insert(header::X_FRAME_OPTIONS, value.clone());
        }
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        let Some(origin) = passed.origin else { return };
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("*"));
        if self.origins.any {
            // Never together with credentials: a browser then sends neither cookies nor passwords.
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            return;
        }
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        if self.origins.may_read(&origin) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        }
    }

    /// A proxy either keeps the client's Host, or puts its own name for this server there and tells the client's apart.
    /// The latter counts when somebody has listed hosts: the list is of names by which clients ask.
    fn may_ask_by(&self, host: Option<&HeaderValue>, caller: &Caller) -> bool {
        if !self.hosts.listed || caller.hosts.is_empty() {
            return self.hosts.allow(host);
        }
        // All of them: the first the client may have made up, which a proxy then added to.
        let known = caller.hosts.iter().all(|host| self.hosts.allow_name(host));
        known && (self.hosts.allow(host) || self.behind_proxy.allow(host))
    }

    fn is_foreign(
        &self,
        origin: Option<&HeaderValue>,
        host: Option<&HeaderValue>,
        headers: &HeaderMap,
        caller: &Caller,
    ) -> bool {
        let Some(origin) = origin.filter(|origin| !origin.is_empty()) else {
            return headers.get(SEC_FETCH_SITE).is_some_and(|site| site == "cross-site");
        };
        let Ok(origin) = origin.to_str() else {
            return true;
        };
        if is_localhost(origin) || self.origins.lists(origin) {
            return false;
        }
        if self.hosts.any || !caller.hosts.iter().all(|host| self.hosts.allow_name(host)) {
            return true;
        }
        let same = || {
            let (scheme, name) = origin.split_once("://")?;
            let asked_by = caller.authority().or_else(|| Some(host?.to_str().ok()?.to_owned()))?;
            // A page that came in the clear is not this server's page that came encrypted.
            Some(name == asked_by && (scheme == "https" || !caller.https))
        };
        !same().unwrap_or(false)
    }

    fn preflight(&self, origin: &HeaderValue, wanted: &HeaderValue, headers: &HeaderMap) -> Response {
        let any = self.origins.any;
        let methods = if any { METHODS_FOR_ANY_ORIGIN } else { METHODS };
        let known_origin = any || self.origins.may_read(origin);
        let known_method = wanted.to_str().is_ok_and(|wanted| methods.split(", ").any(|method| method == wanted));
        let mut response = match (known_origin, known_method) {
            (true, true) => answer(StatusCode::OK, "text/plain; charset=utf-8", "OK"),
            (false, true) => answer(StatusCode::BAD_REQUEST, "text/plain; charset=utf-8", "Disallowed CORS origin"),
            (true, false) => answer(StatusCode::BAD_REQUEST, "text/plain; charset=utf-8", "Disallowed CORS method"),
            (false, false) => {
                answer(StatusCode::BAD_REQUEST, "text/plain; charset=utf-8", "Disallowed CORS origin, method")
            }
        };
        let answered = response.headers_mut();
        answered.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
        answered.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
        if any {
            answered.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        } else {
            answered.insert(header::VARY, HeaderValue::from_static(PREFLIGHT_VARY));
            answered.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            if known_origin {
                answered.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            }
        }
        if let Some(names) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            answered.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        }
        response
    }
}

fn changes_state(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::DELETE | Method::PATCH)
}

fn answer(status: StatusCode, content_type: &'static str, body: &'static str) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Whether the origin's host is this machine, by any scheme and port.
fn is_localhost(origin: &str) -> bool {
    let Some((_, rest)) = origin.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host_port = authority.rsplit('@').next().unwrap_or_default();
    let host = match host_port.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host_port.split(':').next().unwrap_or_default(),
    };
    ["localhost", "127.0.0.1", "::1"].iter().any(|local| host.eq_ignore_ascii_case(local))
}

/// Whether the origin is one of this machine whose page may also read answers: by http alone.
fn is_readable_localhost(origin: &str) -> bool {
    let Some(rest) = origin.strip_prefix("http://") else {
        return false;
    };
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|local| match rest.strip_prefix(local) {
        Some("") => true,
        Some(port) => {
            port.strip_prefix(':').is_some_and(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
        }
        None => false,
    })
}

/// The Host headers that are accepted.
#[derive(Debug, Clone)]
pub struct AllowedHosts {
    any: bool,
    /// Whether somebody has listed them.
    listed: bool,
    patterns: Vec<Pattern>,
}

impl Default for AllowedHosts {
    /// This machine and the private ranges, as MLflow 3.17 has them.
    fn default() -> Self {
        let mut patterns = Vec::new();
        for local in ["localhost", "127.0.0.1", "[::1]", "0.0.0.0"] {
            patterns.push(Pattern::Exact(local.to_owned()));
            patterns.push(Pattern::Prefix(format!("{local}:")));
        }
        patterns.extend(["192.168.", "10."].map(|start| Pattern::Prefix(start.to_owned())));
        patterns.extend((16..32).map(|second| Pattern::Prefix(format!("172.{second}."))));
        patterns.extend(["fc00:", "fd00:"].map(|start| Pattern::Prefix(start.to_owned())));
        AllowedHosts { any: false, listed: false, patterns }
    }
}

impl AllowedHosts {
    /// Reads a list with commas. Only an entry with a `*` is a pattern, as in stock; the others are compared as they stand.
    pub fn parse(list: &str) -> AllowedHosts {
        let patterns = parse_list(list);
        AllowedHosts { any: patterns.contains(&Pattern::Any), listed: true, patterns }
    }

    /// Whether every Host is accepted.
    pub fn any(&self) -> bool {
        self.any
    }

    fn allow(&self, host: Option<&HeaderValue>) -> bool {
        self.any || host.and_then(|host| host.to_str().ok()).is_some_and(|host| self.allow_name(host))
    }

    fn allow_name(&self, host: &str) -> bool {
        self.any || !host.is_empty() && self.patterns.iter().any(|pattern| pattern.matches(host))
    }
}

/// The foreign origins that are accepted, beside those of this machine. Empty by default.
#[derive(Debug, Clone, Default)]
pub struct AllowedOrigins {
    any: bool,
    patterns: Vec<Pattern>,
}

impl AllowedOrigins {
    pub fn parse(list: &str) -> AllowedOrigins {
        let patterns = parse_list(list);
        AllowedOrigins { any: patterns.contains(&Pattern::Any), patterns }
    }

    /// Whether every origin is accepted.
    pub fn any(&self) -> bool {
        self.any
    }

    fn lists(&self, origin: &str) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(origin))
    }

    fn may_read(&self, origin: &HeaderValue) -> bool {
        origin.to_str().is_ok_and(|origin| is_readable_localhost(origin) || self.lists(origin))
    }
}

fn parse_list(list: &str) -> Vec<Pattern> {
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(Pattern::new).collect()
}

/// One entry of a list, with the shell-like patterns of Python's `fnmatch`, compared with regard to case.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Any,
    Exact(String),
    /// One `*`, at the end: the common shape, and quick to compare.
    Prefix(String),
    Glob(Vec<Token>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Char(char),
    One,
    Many,
    Set { negated: bool, ranges: Vec<(char, char)> },
}

impl Pattern {
    fn new(text: &str) -> Pattern {
        if text == "*" {
            return Pattern::Any;
        }
        if !text.contains('*') {
            return Pattern::Exact(text.to_owned());
        }
        match text.strip_suffix('*') {
            Some(start) if !start.contains(['*', '?', '[']) => Pattern::Prefix(start.to_owned()),
            _ => Pattern::Glob(tokens(text)),
        }
    }

    fn matches(&self, text: &str) -> bool {
        match self {
            Pattern::Any => true,
            Pattern::Exact(exact) => exact == text,
            Pattern::Prefix(start) => text.starts_with(start.as_str()),
            Pattern::Glob(tokens) => glob(tokens, &text.chars().collect::<Vec<_>>()),
        }
    }
}

fn tokens(pattern: &str) -> Vec<Token> {
    let chars: Vec<char> = pattern.chars().collect();
    let mut tokens = Vec::with_capacity(chars.len());
    let mut at = 0;
    while at < chars.len() {
        match chars[at] {
            '*' => tokens.push(Token::Many),
            '?' => tokens.push(Token::One),
            '[' => match set(&chars[at + 1..]) {
                Some((token, length)) => {
                    tokens.push(token);
                    at += length;
                }
                None => tokens.push(Token::Char('[')),
            },
            other => tokens.push(Token::Char(other)),
        }
        at += 1;
    }
    tokens
}

/// Reads a `[set]` behind its opening bracket: the token and how many characters it took. None when no bracket closes it.
fn set(rest: &[char]) -> Option<(Token, usize)> {
    let negated = rest.first() == Some(&'!');
    let start = usize::from(negated);
    // A closing bracket right at the start stands for itself.
    let end = start + 1 + rest.get(start + 1..)?.iter().position(|&c| c == ']')?;
    let inside = &rest[start..end];
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < inside.len() {
        if at + 2 < inside.len() && inside[at + 1] == '-' {
            ranges.push((inside[at], inside[at + 2]));
            at += 3;
        } else {
            ranges.push((inside[at], inside[at]));
            at += 1;
        }
    }
    Some((Token::Set { negated, ranges }, end + 1))
}

/// Matches in time linear in the pattern for each character: on a mismatch only the last `*` takes one character more.
fn glob(tokens: &[Token], text: &[char]) -> bool {
    let (mut token, mut at) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while at < text.len() {
        let fits = match tokens.get(token) {
            Some(Token::Many) => {
                retry = Some((token + 1, at));
                token += 1;
                continue;
            }
            Some(Token::One) => true,
            Some(Token::Char(c)) => *c == text[at],
            Some(Token::Set { negated, ranges }) => {
                ranges.iter().any(|&(from, to)| (from..=to).contains(&text[at])) != *negated
            }
            None => false,
        };
        if fits {
            token += 1;
            at += 1;
        } else if let Some((after_many, from)) = retry {
            token = after_many;
            at = from + 1;
            retry = Some((after_many, from + 1));
        } else {
            return false;
        }
    }
    tokens[token..].iter().all(|token| *token == Token::Many)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forwarded::TrustedProxies;
    use crate::serve::Peer;

    fn from(address: &str) -> Peer {
        Peer { address: address.parse().unwrap(), tls: false }
    }
    use crate::config::XFrameOptions;

    fn header_map(headers: &[(&str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap());
        }
        map
    }

    fn status(config: &Config, method: Method, path: &str, headers: &[(&str, &str)]) -> u16 {
        let headers = header_map(headers);
        let caller = Caller::of(from("127.0.0.1"), &headers, &config.trusted_proxies);
        match Security::new(config).check(&method, path, &headers, &caller) {
            Ok(_) => 200,
            Err(response) => response.status().as_u16(),
        }
    }

    const API: &str = "/api/2.0/mlflow/runs/create";

    #[test]
    fn hosts_by_default_are_those_that_stock_accepts() {
        let config = Config::default();
        for (host, expected) in [
            ("localhost", 200),
            ("localhost:5000", 200),
            ("127.0.0.1:5000", 200),
            ("[::1]", 200),
            ("[::1]:5000", 200),
            ("0.0.0.0:5000", 200),
            ("10.1.2.3:5000", 200),
            ("192.168.0.9", 200),
            ("172.16.0.1", 200),
            ("172.31.255.1:80", 200),
            ("172.15.0.1", 403),
            ("172.32.0.1", 403),
            ("fd00::1", 200),
            ("[fd00::1]", 403),
            ("127.0.0.2", 403),
            ("LOCALHOST", 403),
            ("localhost.evil.com", 403),
            ("evil.com", 403),
            ("", 403),
            // As stock: the private ranges are compared as text.
            ("10.evil.com", 200),
        ] {
            assert_eq!(status(&config, Method::GET, API, &[("host", host)]), expected, "{host}");
        }
        assert_eq!(status(&config, Method::GET, API, &[]), 403, "no Host");
        assert_eq!(status(&config, Method::GET, API, &[("host", "localhost"), ("host", "evil.com")]), 400);
    }

    #[test]
    fn behind_a_trusted_proxy_the_name_that_the_client_asked_by_counts() {
        const FORWARDED: &str = "x-forwarded-host";
        let listed = Config { allowed_hosts: AllowedHosts::parse("ml.org"), ..Config::default() };
        for (host, forwarded, expected) in [
            // The proxy keeps the client's Host, or puts a local name there.
            ("ml.org", "ml.org", 200),
            ("127.0.0.1:5000", "ml.org", 200),
            ("10.0.0.7:5000", "ml.org", 200),
            // A page of evil.com whose name was bound to the proxy's address.
            ("127.0.0.1:5000", "evil.com", 403),
            ("evil.com", "evil.com", 403),
            ("evil.com", "ml.org", 403),
            ("127.0.0.1:5000", "ml.org, evil.com", 403),
        ] {
            let headers = [("host", host), (FORWARDED, forwarded)];
            assert_eq!(status(&listed, Method::GET, API, &headers), expected, "{host} for {forwarded}");
        }
        assert_eq!(status(&listed, Method::GET, API, &[("host", "127.0.0.1:5000")]), 403, "no proxy says who asks");
        // Without a list, as stock: only Host is looked at.
        let headers = [("host", "127.0.0.1:5000"), (FORWARDED, "ml.org")];
        assert_eq!(status(&Config::default(), Method::GET, API, &headers), 200);

        let page = |config: &Config, origin, more: &[(&'static str, &'static str)]| {
            let headers = [[("host", "127.0.0.1:5000"), ("origin", origin)].as_slice(), more].concat();
            status(config, Method::POST, API, &headers)
        };
        let by_tls = [(FORWARDED, "ml.org"), ("x-forwarded-proto", "https")];
        assert_eq!(page(&listed, "https://ml.org", &by_tls), 200);
        assert_eq!(page(&listed, "http://ml.org", &by_tls), 403, "a page that came in the clear");
        assert_eq!(page(&listed, "https://evil.com", &by_tls), 403);
        assert_eq!(page(&Config::default(), "https://ml.org", &by_tls), 403, "as stock");
        let with_port = [(FORWARDED, "ml.org"), ("x-forwarded-port", "8080")];
        assert_eq!(page(&listed, "http://ml.org:8080", &with_port), 200);
        assert_eq!(page(&listed, "http://ml.org", &with_port), 403);

        let nobody = Config { trusted_proxies: TrustedProxies::nobody(), ..listed };
        assert_eq!(status(&nobody, Method::GET, API, &[("host", "127.0.0.1:5000"), (FORWARDED, "ml.org")]), 403);
        assert_eq!(status(&nobody, Method::GET, API, &[("host", "ml.org"), (FORWARDED, "evil.com")]), 200);
    }

    #[test]
    fn health_and_version_are_asked_by_any_host_under_the_prefix_only() {
        let evil = [("host", "evil.com")];
        assert_eq!(status(&Config::default(), Method::GET, "/health", &evil), 200);
        assert_eq!(status(&Config::default(), Method::GET, "/version", &evil), 200);
        assert_eq!(status(&Config::default(), Method::GET, "/ready", &evil), 200);
        assert_eq!(status(&Config::default(), Method::GET, "/metrics", &evil), 403);
        let config = Config { static_prefix: "/pre".to_owned(), ..Config::default() };
        assert_eq!(status(&config, Method::GET, "/pre/health", &evil), 200);
        assert_eq!(status(&config, Method::GET, "/health", &evil), 403);
    }

    #[test]
    fn listed_hosts_replace_the_default_ones() {
        let config = Config {
            allowed_hosts: AllowedHosts::parse("mlflow.company.com, 10.0.0.100:5000 ,app-*.internal.com,[ab]*.org"),
            ..Config::default()
        };
        for (host, expected) in [
            ("mlflow.company.com", 200),
            ("mlflow.company.com:443", 403),
            ("10.0.0.100:5000", 200),
            ("10.0.0.100", 403),
            ("app-1.internal.com", 200),
            ("app-1.internal.com.evil.com", 403),
            ("a.org", 200),
            ("c.org", 403),
            ("localhost", 403),
        ] {
            assert_eq!(status(&config, Method::GET, API, &[("host", host)]), expected, "{host}");
        }
        let config = Config { allowed_hosts: AllowedHosts::parse("x.com,*"), ..Config::default() };
        assert_eq!(status(&config, Method::GET, API, &[("host", "anything")]), 200);
    }

    #[test]
    fn changing_requests_from_foreign_origins_are_refused_on_every_path() {
        let config = Config::default();
        for (method, path, origin, expected) in [
            (Method::POST, API, "https://evil.com", 403),
            (Method::POST, "/graphql", "https://evil.com", 403),
            (Method::POST, "/v1/traces", "https://evil.com", 403),
            (Method::PUT, API, "https://evil.com", 403),
            (Method::PATCH, API, "https://evil.com", 403),
            (Method::DELETE, API, "https://evil.com", 403),
            (Method::GET, API, "https://evil.com", 200),
            (Method::POST, API, "null", 403),
            (Method::POST, API, "", 200),
            (Method::POST, API, "http://localhost", 200),
            (Method::POST, API, "https://localhost:3000", 200),
            (Method::POST, API, "http://LocalHost:3000", 200),
            (Method::POST, API, "http://127.0.0.1:1", 200),
            (Method::POST, API, "http://[::1]:1", 200),
            (Method::POST, API, "http://localhost.evil.com", 403),
            (Method::POST, API, "http://evil.com/localhost", 403),
            (Method::POST, API, "http://evil.com@localhost", 200),
            (Method::POST, API, "http://localhost@evil.com", 403),
            (Method::POST, API, "localhost", 403),
            // The server's own page, opened by a private address.
            (Method::POST, API, "http://10.0.0.5:5000", 200),
            (Method::POST, API, "http://10.0.0.5:5001", 403),
            (Method::POST, API, "http://10.0.0.6:5000", 403),
        ] {
            let headers = [("host", "10.0.0.5:5000"), ("origin", origin)];
            assert_eq!(status(&config, method.clone(), path, &headers), expected, "{method} {path} {origin}");
        }
        let any_host = Config { allowed_hosts: AllowedHosts::parse("*"), ..Config::default() };
        let rebound = [("host", "evil.com"), ("origin", "http://evil.com")];
        assert_eq!(status(&any_host, Method::POST, API, &rebound), 403, "Host is not checked, so it proves nothing");
        let marked = [("host", "localhost"), ("sec-fetch-site", "cross-site")];
        assert_eq!(status(&config, Method::POST, API, &marked), 403);
        assert_eq!(status(&config, Method::GET, API, &marked), 200);
    }

    #[test]
    fn listed_origins_may_change_things() {
        let config = Config {
            cors_allowed_origins: AllowedOrigins::parse("https://app.com, https://*.x.com"),
            ..Config::default()
        };
        for (origin, expected) in [
            ("https://app.com", 200),
            ("https://a.x.com", 200),
            ("http://a.x.com", 403),
            ("https://evil.com", 403),
            ("http://localhost:1", 200),
        ] {
            assert_eq!(
                status(&config, Method::POST, API, &[("host", "localhost"), ("origin", origin)]),
                expected,
                "{origin}"
            );
        }
        let any = Config { cors_allowed_origins: AllowedOrigins::parse("*"), ..Config::default() };
        assert_eq!(status(&any, Method::POST, API, &[("host", "localhost"), ("origin", "https://evil.com")]), 200);
    }

    fn preflight(config: &Config, origin: &str, wanted: &str) -> Response {
        let headers = header_map(&[
            ("host", "localhost"),
            ("origin", origin),
            ("access-control-request-method", wanted),
            ("access-control-request-headers", "content-type,x-foo"),
        ]);
        let caller = Caller::of(from("127.0.0.1"), &headers, &config.trusted_proxies);
        Security::new(config)
            .check(&Method::OPTIONS, API, &headers, &caller)
            .expect_err("a preflight is answered at once")
    }

    #[test]
    fn preflights_are_answered_as_stock_does() {
        let response = preflight(&Config::default(), "http://localhost:3000", "POST");
        assert_eq!(response.status(), 200);
        let get = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(get("access-control-allow-origin"), Some("http://localhost:3000"));
        assert_eq!(get("access-control-allow-credentials"), Some("true"));
        assert_eq!(get("access-control-allow-methods"), Some("GET, POST, PUT, DELETE, OPTIONS, PATCH"));
        assert_eq!(get("access-control-allow-headers"), Some("content-type,x-foo"));
        assert_eq!(get("access-control-max-age"), Some("600"));

        let foreign = preflight(&Config::default(), "https://evil.com", "POST");
        assert_eq!(foreign.status(), 400);
        assert_eq!(foreign.headers().get("access-control-allow-origin"), None);
        assert_eq!(preflight(&Config::default(), "http://localhost", "FOO").status(), 400);
        assert_eq!(preflight(&Config::default(), "https://localhost", "POST").status(), 400, "http alone, as stock");

        let any = Config { cors_allowed_origins: AllowedOrigins::parse("*"), ..Config::default() };
        let response = preflight(&any, "https://evil.com", "POST");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers().get("access-control-allow-origin").unwrap(), "*");
        assert_eq!(response.headers().get("access-control-allow-credentials"), None);
    }

    fn finished(config: &Config, path: &str, origin: Option<&str>) -> HeaderMap {
        let security = Security::new(config);
        let mut headers = vec![("host", "localhost")];
        headers.extend(origin.map(|origin| ("origin", origin)));
        let headers = header_map(&headers);
        let caller = Caller::of(from("127.0.0.1"), &headers, &config.trusted_proxies);
        let passed = security.check(&Method::GET, path, &headers, &caller).unwrap();
        let mut answered = HeaderMap::new();
        security.finish(passed, &mut answered);
        answered
    }

    #[test]
    fn answers_carry_the_headers_of_stock() {
        let plain = finished(&Config::default(), API, None);
        assert_eq!(plain["x-content-type-options"], "nosniff");
        assert_eq!(plain["x-frame-options"], "SAMEORIGIN");
        assert_eq!(plain["vary"], "Origin");
        assert!(!plain.contains_key("access-control-allow-origin"));

        let local = finished(&Config::default(), API, Some("http://localhost:3000"));
        assert_eq!(local["access-control-allow-origin"], "http://localhost:3000");
        assert_eq!(local["access-control-allow-credentials"], "true");
        let foreign = finished(&Config::default(), API, Some("https://evil.com"));
        assert!(!foreign.contains_key("access-control-allow-origin"));

        let embedded = Config { x_frame_options: XFrameOptions::None, ..Config::default() };
        assert!(!finished(&embedded, API, None).contains_key("x-frame-options"));
        let renderer = "/static-files/lib/notebook-trace-renderer/index.html";
        assert!(!finished(&Config::default(), renderer, None).contains_key("x-frame-options"));

        let off = Config { disable_security_middleware: true, ..Config::default() };
        assert!(finished(&off, API, Some("https://evil.com")).is_empty());
    }

    #[test]
    fn a_workspace_header_is_refused_rather_than_ignored() {
        let config = Config::default();
        let headers = [("host", "localhost"), ("x-mlflow-workspace", "team")];
        assert_eq!(status(&config, Method::GET, API, &headers), 400);
        assert_eq!(status(&config, Method::GET, "/api/3.0/mlflow/server-info", &headers), 200);
        assert_eq!(status(&config, Method::GET, API, &[("host", "localhost"), ("x-mlflow-workspace", " ")]), 200);
        let off = Config { disable_security_middleware: true, ..Config::default() };
        assert_eq!(status(&off, Method::GET, API, &headers), 400);
    }

    #[test]
    fn credentials_are_ignored() {
        let headers = [("host", "localhost"), ("authorization", "Basic YTpi")];
        assert_eq!(status(&Config::default(), Method::POST, API, &headers), 200);
    }

    #[test]
    fn patterns_match_as_fnmatch_does() {
        for (pattern, text, expected) in [
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "abd", false),
            ("*.x.com", "a.b.x.com", true),
            ("*", "", true),
            ("*a?", "xxab", true),
            ("*a?", "xxa", false),
            ("[[]::1]:*", "[::1]:5000", true),
            ("[!a]*", "b", true),
            ("[!a]*", "a", false),
            ("[a-c]*", "b1", true),
            ("[]]*", "]x", true),
            ("[a*", "[abc", true),
            ("**", "anything", true),
            ("*a*b*c*d*e*f*", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
        ] {
            assert_eq!(Pattern::new(pattern).matches(text), expected, "{pattern} {text}");
        }
    }
}
