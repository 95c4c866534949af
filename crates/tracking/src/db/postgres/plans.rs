//! Statements as they are sent: translated once, and planned once where the connection is ours alone.
//!
//! A statement without a name is parsed and planned each time, which for the small ones costs PostgreSQL more than running
//! them. One with a name keeps its plan, but belongs to one server connection, and behind PgBouncer the next transaction may
//! meet another. So names are used only where the server sees our own socket at the other end.

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use tokio_postgres::Statement;
use tokio_postgres::types::Type;

use crate::db::Sql;

/// Dynamic statements could fill the memory.
const MOST_STATEMENTS: usize = 1024;
const MOST_PLANS: usize = 256;
/// A statement that comes for the second time will come again.
const PLANNED_FROM: u32 = 2;

#[derive(Default)]
pub(super) struct Plans {
    known: HashMap<String, Known>,
    planned: usize,
}

struct Known {
    text: Arc<str>,
    uses: u32,
    /// One for each set of types: what is NULL one time may be text another.
    plans: Vec<(Vec<Type>, Statement)>,
}

/// How a statement is to be sent.
pub(super) enum Way {
    /// By its text.
    Text(Arc<str>),
    /// By its text, and it is worth a name.
    Worthy(Arc<str>),
    Planned(Statement),
}

impl Plans {
    pub fn of(&mut self, sql: &str, parameters: &[Sql]) -> Way {
        let Some(known) = self.known.get_mut(sql) else {
            let text: Arc<str> = placeholders(sql).into();
            if self.known.len() < MOST_STATEMENTS {
                self.known.insert(sql.to_owned(), Known { text: Arc::clone(&text), uses: 1, plans: Vec::new() });
            }
            return Way::Text(text);
        };
        let fits = |kinds: &[Type]| {
            kinds.len() == parameters.len() && kinds.iter().zip(parameters).all(|(kind, value)| *kind == value.kind())
        };
        if let Some((_, statement)) = known.plans.iter().find(|(kinds, _)| fits(kinds)) {
            return Way::Planned(statement.clone());
        }
        known.uses = known.uses.saturating_add(1);
        let text = Arc::clone(&known.text);
        match known.uses >= PLANNED_FROM && self.planned < MOST_PLANS {
            true => Way::Worthy(text),
            false => Way::Text(text),
        }
    }

    pub fn keep(&mut self, sql: &str, parameters: &[Sql], statement: Statement) {
        if let Some(known) = self.known.get_mut(sql) {
            known.plans.push((parameters.iter().map(Sql::kind).collect(), statement));
            self.planned += 1;
        }
    }
}

/// Whether a socket of this process, connected to one of these ports, has this address: what the server says of its client
/// then is us, and not a pooler between.
pub(super) fn is_own_socket(address: IpAddr, port: u16, server_ports: &[u16]) -> bool {
    let Ok(descriptors) = fs::read_dir("/proc/self/fd") else { return false };
    let own: Vec<String> = descriptors
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .filter_map(|link| Some(link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    ["/proc/self/net/tcp", "/proc/self/net/tcp6"].iter().any(|table| {
        let Ok(table) = fs::read_to_string(Path::new(table)) else { return false };
        table.lines().skip(1).filter_map(Socket::parse).any(|socket| {
            socket.local == (address, port)
                && server_ports.contains(&socket.remote_port)
                && own.iter().any(|inode| *inode == socket.inode)
        })
    })
}

/// A line of the kernel's table of TCP sockets.
struct Socket<'a> {
    local: (IpAddr, u16),
    remote_port: u16,
    inode: &'a str,
}

impl Socket<'_> {
    fn parse(line: &str) -> Option<Socket<'_>> {
        let mut words = line.split_ascii_whitespace().skip(1);
        let local = endpoint(words.next()?)?;
        let (_, remote_port) = endpoint(words.next()?)?;
        Some(Socket { local, remote_port, inode: words.nth(6)? })
    }
}

/// `0100007F:1538`: words of 32 bits in the machine's order, and the port.
fn endpoint(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let mut bytes = Vec::with_capacity(16);
    for at in (0..address.len()).step_by(8) {
        bytes.extend(u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    }
    let address = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?).to_canonical(),
    };
    Some((address, u16::from_str_radix(port, 16).ok()?))
}

/// PostgreSQL's placeholders are `$1`, `$2`, …: `?1` and bare `?` (numbered in their order), but for those in quotes.
fn placeholders(sql: &str) -> String {
    let mut translated = String::with_capacity(sql.len() + 8);
    let mut next = 0;
    let mut quote = None;
    let mut characters = sql.chars().peekable();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (None, '\'' | '"') => quote = Some(character),
            (None, '?') => {
                translated.push('$');
                if !characters.peek().is_some_and(char::is_ascii_digit) {
                    next += 1;
                    translated.push_str(&next.to_string());
                }
                continue;
            }
            _ => {}
        }
        translated.push(character);
    }
    translated
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::{is_own_socket, placeholders};

    #[test]
    fn placeholders_are_numbered() {
        assert_eq!(placeholders("a = ?2 AND b = ?1"), "a = $2 AND b = $1");
        assert_eq!(placeholders("a = ? AND b = '?''?' AND \"?\" = ?"), "a = $1 AND b = '?''?' AND \"?\" = $2");
    }

    #[test]
    fn a_socket_of_ours_is_known_by_its_address() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(host).unwrap();
            let server = listener.local_addr().unwrap();
            let stream = TcpStream::connect(server).unwrap();
            let client = stream.local_addr().unwrap();
            assert!(is_own_socket(client.ip(), client.port(), &[server.port()]));
            assert!(!is_own_socket(client.ip(), client.port(), &[1]));
            assert!(!is_own_socket("192.0.2.1".parse().unwrap(), client.port(), &[server.port()]));
            drop(stream);
            assert!(!is_own_socket(client.ip(), client.port(), &[server.port()]));
        }
    }
}
