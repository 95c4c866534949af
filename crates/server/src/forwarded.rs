//! Who asks, when a proxy stands between: `X-Forwarded-For`, `-Proto`, `-Host`, `-Port` and `Forwarded` (RFC 7239).
//!
//! Anybody can send these headers, so they count only on connections from a trusted proxy. The client is then, as for
//! uvicorn, the last address in the list that is no trusted proxy itself: what stands before it the client may have
//! written. `Forwarded` is read only where none of the others is there, for a proxy that sets those may pass a
//! client's own `Forwarded` through.
//!
//! `X-Forwarded-Prefix` needs no reading: no answer of this server holds an absolute URL of its own, and its
//! redirects and pages are relative.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};

use crate::config::ConfigError;
use crate::serve::Peer;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");

/// The proxies whose headers are believed: `--forwarded-allow-ips`, which uvicorn and gunicorn have under that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedProxies {
    any: bool,
    networks: Vec<Network>,
}

impl Default for TrustedProxies {
    /// This machine, as for uvicorn.
    fn default() -> Self {
        let networks = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])].map(Network::of).into();
        TrustedProxies { any: false, networks }
    }
}

impl TrustedProxies {
    pub fn nobody() -> TrustedProxies {
        TrustedProxies { any: false, networks: Vec::new() }
    }

    /// Reads addresses and networks with commas; `*` trusts everybody.
    pub fn parse(list: &str) -> Result<TrustedProxies, ConfigError> {
        if list.trim() == "*" {
            return Ok(TrustedProxies { any: true, networks: Vec::new() });
        }
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let networks: Result<_, _> = entries
            .map(|entry| {
                Network::parse(entry).ok_or_else(|| {
                    ConfigError(format!(
                        "--forwarded-allow-ips holds '{entry}', which is no address and no network. Give those of the proxies, for example \
                         10.0.0.7 or 10.0.0.0/24, with commas between, or '*' alone for everybody."
                    ))
                })
            })
            .collect();
        Ok(TrustedProxies { any: false, networks: networks? })
    }

    fn trust(&self, address: IpAddr) -> bool {
        self.any || self.networks.iter().any(|network| network.holds(address))
    }
}

/// Addresses with the same first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    fn of(address: IpAddr) -> Network {
        Network { address, bits: if address.is_ipv4() { 32 } else { 128 } }
    }

    fn parse(text: &str) -> Option<Network> {
        let Some((address, bits)) = text.split_once('/') else {
            return Some(Network::of(text.parse::<IpAddr>().ok()?.to_canonical()));
        };
        let whole = Network::of(address.parse().ok()?);
        let bits = bits.parse().ok().filter(|bits| *bits <= whole.bits)?;
        Some(Network { bits, ..whole })
    }

    fn holds(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(other)) => {
                (u32::from(ours) ^ u32::from(other)).checked_shr(32 - self.bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(ours), IpAddr::V6(other)) => {
                (u128::from(ours) ^ u128::from(other)).checked_shr(128 - self.bits).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// Who asks, and by which name, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    pub address: IpAddr,
    /// Whether the client's own connection is encrypted; `false` also where a proxy does not say.
    pub https: bool,
    /// The names that a trusted proxy says the client asked by; empty where none does.
    pub hosts: Vec<String>,
    /// The port that belongs to the first of `hosts`, when it stands apart.
    port: Option<u16>,
}

impl Caller {
    pub fn of(peer: Peer, headers: &HeaderMap, trusted: &TrustedProxies) -> Caller {
        let mut caller = Caller { address: peer.address, https: peer.tls, hosts: Vec::new(), port: None };
        if !trusted.trust(peer.address) {
            return caller;
        }
        let said = [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST].map(|name| headers.contains_key(name));
        if said.contains(&true) {
            caller.x_forwarded(headers, trusted);
        } else if headers.contains_key(http::header::FORWARDED) {
            caller.forwarded(headers, trusted);
        }
        caller
    }

    fn x_forwarded(&mut self, headers: &HeaderMap, trusted: &TrustedProxies) {
        let hops: Vec<_> = list(headers, &X_FORWARDED_FOR).into_iter().map(address).collect();
        if let Some(at) = client(&hops, trusted) {
            self.address = hops[at].unwrap_or(self.address);
        }
        if let Some(proto) = list(headers, &X_FORWARDED_PROTO).first() {
            self.say_proto(proto);
        }
        self.hosts = list(headers, &X_FORWARDED_HOST).into_iter().map(str::to_owned).collect();
        self.port = list(headers, &X_FORWARDED_PORT).first().and_then(|port| port.parse().ok());
    }

    fn forwarded(&mut self, headers: &HeaderMap, trusted: &TrustedProxies) {
        let elements: Vec<Element> = headers
            .get_all(http::header::FORWARDED)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(elements)
            .collect();
        let hops: Vec<_> = elements.iter().map(|element| address(&element.client)).collect();
        let Some(at) = client(&hops, trusted) else { return };
        self.address = hops[at].unwrap_or(self.address);
        // Written by the proxy that the client was connected to.
        let Element { proto, host, .. } = &elements[at];
        self.say_proto(proto);
        self.hosts = Some(host.clone()).filter(|host| !host.is_empty()).into_iter().collect();
    }

    fn say_proto(&mut self, proto: &str) {
        match proto.to_ascii_lowercase().as_str() {
            "https" | "wss" => self.https = true,
            "http" | "ws" => self.https = false,
            _ => {}
        }
    }

    /// The host and port that stand in the client's address bar, as an `Origin` spells them.
    pub fn authority(&self) -> Option<String> {
        let host = self.hosts.first()?;
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
        let usual = if self.https { 443 } else { 80 };
        Some(match self.port {
            Some(port) if !has_port && port != usual => format!("{host}:{port}"),
            _ => host.clone(),
        })
    }
}

/// The place of the client in a list to which each proxy added what it saw.
fn client(hops: &[Option<IpAddr>], trusted: &TrustedProxies) -> Option<usize> {
    if trusted.any {
        return (!hops.is_empty()).then_some(0);
    }
    let foreign = hops.iter().rposition(|hop| !hop.is_some_and(|address| trusted.trust(address)));
    foreign.or(if hops.is_empty() { None } else { Some(0) })
}

/// The entries of a header that may stand there several times, each with commas.
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Vec<&'a str> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|entry| !entry.is_empty()).collect()
}

/// An address with or without a port; IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()))?;
    Some(IpAddr::to_canonical(&address))
}

/// What one proxy wrote into `Forwarded`; empty where it did not say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Element {
    client: String,
    proto: String,
    host: String,
}

/// Reads `for="[2001:db8::1]:4711";proto=https;host=x, for=…`.
fn elements(header: &str) -> Vec<Element> {
    let mut all = vec![Element::default()];
    let mut rest = header.chars().peekable();
    while rest.peek().is_some() {
        let (mut name, mut value) = (String::new(), None::<String>);
        let mut end = None;
        while let Some(char) = rest.next() {
            match char {
                ';' | ',' => {
                    end = Some(char);
                    break;
                }
                '=' if value.is_none() => value = Some(String::new()),
                '"' if value.is_some() => {
                    let text = value.get_or_insert_default();
                    while let Some(char) = rest.next().filter(|char| *char != '"') {
                        text.extend(if char == '\\' { rest.next() } else { Some(char) });
                    }
                }
                char => value.as_mut().unwrap_or(&mut name).push(char),
            }
        }
        if let (Some(element), Some(value)) = (all.last_mut(), value) {
            let value = value.trim().to_owned();
            match name.trim().to_ascii_lowercase().as_str() {
                "for" => element.client = value,
                "proto" => element.proto = value,
                "host" => element.host = value,
                _ => {}
            }
        }
        if end == Some(',') {
            all.push(Element::default());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn ask(from: &str, tls: bool, trusted: &str, headers: &[(&'static str, &str)]) -> Caller {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        let trusted = TrustedProxies::parse(trusted).unwrap();
        Caller::of(Peer { address: from.parse().unwrap(), tls }, &map, &trusted)
    }

    fn address_of(from: &str, trusted: &str, list: &str) -> String {
        ask(from, false, trusted, &[("x-forwarded-for", list)]).address.to_string()
    }

    #[test]
    fn the_client_is_the_last_that_is_no_trusted_proxy() {
        for (from, trusted, list, expected) in [
            ("127.0.0.1", "127.0.0.1", "203.0.113.7", "203.0.113.7"),
            ("127.0.0.1", "127.0.0.1", "spoofed, 198.51.100.1, 203.0.113.7", "203.0.113.7"),
            ("127.0.0.1", "127.0.0.1,10.0.0.0/8", "1.1.1.1, 203.0.113.7, 10.1.2.3", "203.0.113.7"),
            ("127.0.0.1", "127.0.0.1,10.0.0.0/8", "10.9.9.9, 10.1.2.3", "10.9.9.9"),
            ("127.0.0.1", "*", "1.1.1.1, 203.0.113.7", "1.1.1.1"),
            ("127.0.0.1", "127.0.0.1", "203.0.113.7:4711", "203.0.113.7"),
            ("127.0.0.1", "127.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
            ("127.0.0.1", "127.0.0.1", "2001:db8::1", "2001:db8::1"),
            // What cannot be read is nobody that we know.
            ("127.0.0.1", "127.0.0.1", "203.0.113.7, unknown", "127.0.0.1"),
            ("127.0.0.1", "127.0.0.1", " , ", "127.0.0.1"),
            // Not from a trusted proxy: not believed.
            ("203.0.113.9", "127.0.0.1", "1.1.1.1", "203.0.113.9"),
            ("10.0.0.9", "10.0.0.8/30", "1.1.1.1", "1.1.1.1"),
            ("10.0.0.12", "10.0.0.8/30", "1.1.1.1", "10.0.0.12"),
            ("2001:db8::5", "2001:db8::/64", "1.1.1.1", "1.1.1.1"),
            ("2001:db9::5", "2001:db8::/64", "1.1.1.1", "2001:db9::5"),
            ("203.0.113.9", "0.0.0.0/0", "::ffff:1.1.1.1", "1.1.1.1"),
        ] {
            assert_eq!(address_of(from, trusted, list), expected, "{list} from {from}");
        }
        assert_eq!(ask("::1", false, "::1", &[("x-forwarded-for", "1.1.1.1")]).address.to_string(), "1.1.1.1");
    }

    #[test]
    fn entries_that_are_no_addresses_stop_the_start() {
        for bad in ["proxy", "10.0.0.0/33", "10.0.0.0/x", "/tmp/socket", "10.0.0.1, *"] {
            assert!(TrustedProxies::parse(bad).unwrap_err().0.starts_with("--forwarded-allow-ips holds"), "{bad}");
        }
        assert_eq!(TrustedProxies::parse(" "), Ok(TrustedProxies::nobody()));
        assert_eq!(TrustedProxies::parse("127.0.0.1,::1"), Ok(TrustedProxies::default()));
    }

    #[test]
    fn scheme_host_and_port() {
        let said = |headers: &[(&'static str, &str)]| {
            let caller = ask("127.0.0.1", false, "127.0.0.1", headers);
            (caller.https, caller.authority().unwrap_or_default())
        };
        let (proto, host, port) = ("x-forwarded-proto", "x-forwarded-host", "x-forwarded-port");
        assert_eq!(said(&[(proto, "https"), (host, "ml.org")]), (true, "ml.org".to_owned()));
        assert_eq!(said(&[(proto, "HTTPS"), (host, "ml.org"), (port, "443")]), (true, "ml.org".to_owned()));
        assert_eq!(said(&[(proto, "https"), (host, "ml.org"), (port, "8443")]), (true, "ml.org:8443".to_owned()));
        assert_eq!(said(&[(proto, "http"), (host, "ml.org:81"), (port, "80")]), (false, "ml.org:81".to_owned()));
        assert_eq!(said(&[(proto, "gopher")]), (false, String::new()));
        assert_eq!(said(&[(host, "ml.org, inner")]), (false, "ml.org".to_owned()));
        assert!(ask("127.0.0.1", true, "127.0.0.1", &[]).https);
        assert!(!ask("127.0.0.1", true, "127.0.0.1", &[(proto, "http")]).https);
        let untrusted = ask("203.0.113.9", false, "127.0.0.1", &[(proto, "https"), (host, "ml.org")]);
        assert_eq!((untrusted.https, untrusted.authority()), (false, None));
    }

    #[test]
    fn forwarded_is_read_where_nothing_else_is_said() {
        let header = r#"for=evil;host=evil.com, For="[2001:db8::1]:4711";proto=https;host="ml.org", for=10.0.0.3"#;
        let caller = ask("127.0.0.1", false, "127.0.0.1,10.0.0.3", &[("forwarded", header)]);
        assert_eq!((caller.address.to_string().as_str(), caller.https), ("2001:db8::1", true));
        assert_eq!(caller.hosts, ["ml.org"]);

        let both = [("forwarded", "for=1.1.1.1;host=evil.com"), ("x-forwarded-for", "203.0.113.7")];
        let caller = ask("127.0.0.1", false, "127.0.0.1", &both);
        assert_eq!((caller.address.to_string().as_str(), caller.hosts.len()), ("203.0.113.7", 0));

        let element = |client: &str, proto: &str, host: &str| Element {
            client: client.to_owned(),
            proto: proto.to_owned(),
            host: host.to_owned(),
        };
        assert_eq!(
            elements(r#"for="a\"b,;c"; HOST = x ,proto=http"#),
            [element("a\"b,;c", "", "x"), element("", "http", "")]
        );
        assert_eq!(elements(r#"for="open"#), [element("open", "", "")]);
        assert_eq!(elements(";;=,"), [element("", "", ""), element("", "", "")]);
    }
}
