//! What core-site.xml and hdfs-site.xml say that the client has to heed itself: Hadoop's files, replication,
//! block size and umask are the client's to choose, not the server's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::environment::Environment;
use crate::http::xml::Element;
use crate::location::Server;

/// Hadoop's port of a NameNode.
const PORT: u16 = 8020;

pub(super) struct Settings {
    folder: PathBuf,
    values: BTreeMap<String, String>,
}

impl Settings {
    /// From HADOOP_CONF_DIR, else HADOOP_HOME's `etc/hadoop`, else there are none.
    pub fn read(environment: &Environment) -> Result<Settings, String> {
        let home = || environment.get("HADOOP_HOME").map(|home| Path::new(&home).join("etc/hadoop"));
        let Some(folder) = environment.get("HADOOP_CONF_DIR").map(PathBuf::from).or_else(home) else {
            // In which there can be nothing.
            return Ok(Settings { folder: PathBuf::from("/dev/null"), values: BTreeMap::new() });
        };
        let mut values = BTreeMap::new();
        for name in ["core-site.xml", "hdfs-site.xml"] {
            let path = folder.join(name);
            let unreadable = |reason: &str| format!("Hadoop's settings '{}' cannot be read: {reason}", path.display());
            match std::fs::read_to_string(&path) {
                Ok(text) => values.extend(properties(&text).ok_or_else(|| unreadable("they are no sound XML"))?),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(unreadable(&error.to_string())),
            }
        }
        Ok(Settings { folder, values })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// `host:port`, or the name of a name service, of which the settings say who it is.
    pub fn authority(&self, server: &Server) -> Result<String, String> {
        let (host, port) = match server.host.as_str() {
            // As Hadoop's, `default` is no host.
            "" | "default" => {
                let set = self.get("fs.defaultFS").or_else(|| self.get("fs.default.name")).ok_or(
                    "it names no host, and no fs.defaultFS is set: write hdfs://HOST:PORT/PATH, or set \
                     HADOOP_CONF_DIR",
                )?;
                let wrong = || format!("fs.defaultFS is '{set}', which is no hdfs:// URL");
                let authority = set.strip_prefix("hdfs://").ok_or_else(wrong)?;
                let authority = authority.split('/').next().filter(|name| !name.is_empty()).ok_or_else(wrong)?;
                match authority.rsplit_once(':') {
                    Some((host, port)) => (host.to_owned(), Some(port.parse().map_err(|_| wrong())?)),
                    None => (authority.to_owned(), None),
                }
            }
            host => (host.to_owned(), server.port),
        };
        Ok(match port {
            Some(port) => format!("{host}:{port}"),
            None if self.is_nameservice(&host) => host,
            None => format!("{host}:{PORT}"),
        })
    }

    pub fn is_nameservice(&self, authority: &str) -> bool {
        self.get(&format!("dfs.ha.namenodes.{authority}")).is_some()
    }

    pub fn uses_kerberos(&self) -> bool {
        self.get("hadoop.security.authentication").is_some_and(|how| !how.eq_ignore_ascii_case("simple"))
    }

    pub fn replication(&self) -> Option<u32> {
        self.get("dfs.replication")?.parse().ok().filter(|copies| *copies > 0)
    }

    /// `134217728`, or `128m`.
    pub fn block_size(&self) -> Option<u64> {
        let text = self.get("dfs.blocksize")?.trim().to_ascii_lowercase();
        let (number, shift) = match text.char_indices().last()? {
            (at, unit @ ('k' | 'm' | 'g' | 't')) => (&text[..at], 10 * (1 + "kmgt".find(unit)?)),
            _ => (text.as_str(), 0),
        };
        number.parse::<u64>().ok()?.checked_mul(1 << shift).filter(|size| *size > 0)
    }

    /// As octal digits (`022`, `0002`), or as what is allowed (`u=rwx,g=rwx,o=rx`); 022 without a setting, or where
    /// we don't understand it.
    pub fn umask(&self) -> u32 {
        let set = self.get("fs.permissions.umask-mode").map(str::trim);
        set.and_then(|set| octal(set).or_else(|| symbolic(set))).unwrap_or(0o022)
    }
}

fn octal(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 8).ok().map(|mask| mask & 0o777)
}

fn symbolic(text: &str) -> Option<u32> {
    let mut mask = 0o777;
    for clause in text.split(',') {
        let (who, allowed) = clause.split_once('=')?;
        let bits = allowed.chars().try_fold(0, |bits, letter| Some(bits | 4 >> "rwx".find(letter)?))?;
        for letter in who.chars() {
            let shifts: &[u32] = match letter {
                'u' => &[6],
                'g' => &[3],
                'o' => &[0],
                'a' => &[6, 3, 0],
                _ => return None,
            };
            for shift in shifts {
                mask = mask & !(7 << shift) | (7 & !bits) << shift;
            }
        }
    }
    Some(mask)
}

/// The `<property>` elements of a `<configuration>`.
fn properties(text: &str) -> Option<Vec<(String, String)>> {
    let configuration = Element::parse(text)?;
    let property = |property: &Element| {
        let text = |name| property.text_of(name).trim().to_owned();
        (text("name"), text("value"))
    };
    Some(configuration.all("property").map(property).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(values: &[(&str, &str)]) -> Settings {
        let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings { folder: PathBuf::new(), values: values.collect() }
    }

    fn server(host: &str, port: Option<u16>) -> Server {
        Server { host: host.to_owned(), port, ..Server::default() }
    }

    #[test]
    fn a_url_leads_to_a_namenode() {
        let none = with(&[]);
        assert_eq!(none.authority(&server("h", Some(1))).unwrap(), "h:1");
        assert_eq!(none.authority(&server("h", None)).unwrap(), "h:8020");
        assert!(none.authority(&server("", None)).unwrap_err().contains("fs.defaultFS"));
        let one = with(&[("fs.defaultFS", "hdfs://h:9000/")]);
        assert_eq!(one.authority(&server("", None)).unwrap(), "h:9000");
        let ha = with(&[("fs.defaultFS", "hdfs://team"), ("dfs.ha.namenodes.team", "nn1,nn2")]);
        assert_eq!(ha.authority(&server("default", None)).unwrap(), "team");
        assert_eq!(ha.authority(&server("team", None)).unwrap(), "team");
        assert_eq!(ha.authority(&server("other", None)).unwrap(), "other:8020");
    }

    #[test]
    fn numbers_are_read_as_hadoop_reads_them() {
        let sizes = [
            ("134217728", Some(128 << 20)),
            ("128m", Some(128 << 20)),
            ("1G", Some(1 << 30)),
            ("m", None),
            ("-1", None),
        ];
        for (text, size) in sizes {
            assert_eq!(with(&[("dfs.blocksize", text)]).block_size(), size, "{text}");
        }
        for (text, mask) in
            [("022", 0o022), ("0002", 0o002), ("u=rwx,g=rwx,o=rx", 0o002), ("a=rx", 0o222), ("x", 0o022)]
        {
            assert_eq!(with(&[("fs.permissions.umask-mode", text)]).umask(), mask, "{text}");
        }
        assert_eq!(with(&[]).umask(), 0o022);
    }

    #[test]
    fn properties_are_read_from_xml() {
        let text = "<?xml version=\"1.0\"?><!-- a --><configuration>\n <property><name> a </name><value>1 &amp; 2</value>\
                    <final>true</final></property><property><name>b</name><value/></property></configuration>";
        let found = properties(text).unwrap();
        let expected = [("a", "1 & 2"), ("b", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(found, expected);
        assert!(properties("<configuration><property></x>").is_none());
    }
}
