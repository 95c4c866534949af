//! `~/.ssh/config`: for each setting the first value that is meant for the host.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::pattern;
use crate::environment::Environment;
use crate::fault::Fault;

/// How deep files may include files.
const DEEPEST: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Settings {
    pub host_name: Option<String>,
    pub user: Option<String>,
    pub port: Option<u16>,
    /// All that are named, in their order.
    pub identity_files: Vec<String>,
    pub identities_only: bool,
    pub agent: Option<String>,
    pub proxy: Option<Proxy>,
    pub known_hosts: Option<Vec<String>>,
    pub host_key_alias: Option<String>,
    pub strict: bool,
    pub timeout: Option<Duration>,
}

/// How a host is reached that is not reached directly.
#[derive(Debug)]
pub(super) struct Proxy {
    pub is_command: bool,
    pub value: String,
}

/// What a file is read for.
struct Reader<'a> {
    environment: &'a Environment,
    host: &'a str,
    user: Option<&'a str>,
    me: Option<&'a str>,
    values: Vec<(String, String)>,
}

impl Settings {
    pub fn read(
        environment: &Environment,
        host: &str,
        user: Option<&str>,
        me: Option<&str>,
    ) -> Result<Settings, Fault> {
        let mut reader = Reader { environment, host, user, me, values: Vec::new() };
        if let Some(home) = environment.home() {
            reader.file(&home.join(".ssh/config"), true, 0)?;
        }
        reader.settings()
    }
}

impl Reader<'_> {
    /// Gathers what a file says, if it is meant; what includes it may not be.
    fn file(&mut self, path: &Path, is_meant: bool, depth: usize) -> Result<(), Fault> {
        let text = match std::fs::read(path) {
            Ok(text) => String::from_utf8_lossy(&text).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Fault::NoCredentials(format!("{} cannot be read: {error}", path.display()))),
        };
        self.text(&text, is_meant, depth)
    }

    fn text(&mut self, text: &str, outside: bool, depth: usize) -> Result<(), Fault> {
        let mut is_meant = outside;
        for line in text.lines() {
            let Some((keyword, rest)) = setting(line) else { continue };
            match keyword.as_str() {
                "host" => is_meant = outside && pattern::any(&words(rest).join(" "), ' ', self.host),
                "match" => is_meant = outside && self.matches(&words(rest)),
                "include" if depth < DEEPEST => {
                    for file in words(rest) {
                        for path in self.included(&file) {
                            self.file(&path, is_meant, depth + 1)?;
                        }
                    }
                }
                _ if is_meant => self.values.push((keyword, rest.to_owned())),
                _ => {}
            }
        }
        Ok(())
    }

    /// The conditions that can be judged without running anything; others count as not met.
    fn matches(&self, conditions: &[String]) -> bool {
        let mut conditions = conditions.iter();
        let mut any = false;
        while let Some(condition) = conditions.next() {
            any = true;
            let condition = condition.to_lowercase();
            if condition == "all" {
                continue;
            }
            let (condition, wanted) = match condition.strip_prefix('!') {
                Some(condition) => (condition.to_owned(), false),
                None => (condition, true),
            };
            let Some(patterns) = conditions.next() else { return false };
            let name = match condition.as_str() {
                "host" => Some(self.value("hostname").unwrap_or_else(|| self.host.to_owned())),
                "originalhost" => Some(self.host.to_owned()),
                "user" => self.user.map(str::to_owned).or_else(|| self.value("user")).or(self.me.map(str::to_owned)),
                "localuser" => self.me.map(str::to_owned),
                _ => return false,
            };
            if name.is_some_and(|name| pattern::any(patterns, ',', &name)) != wanted {
                return false;
            }
        }
        any
    }

    /// The files that an `Include` means: below `~/.ssh` unless it says where, `*` and `?` in their names.
    fn included(&self, file: &str) -> Vec<PathBuf> {
        let path = self.environment.expand(file);
        let path = match (path.is_absolute(), self.environment.home()) {
            (true, _) => path,
            (false, Some(home)) => home.join(".ssh").join(path),
            (false, None) => return Vec::new(),
        };
        let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
            return Vec::new();
        };
        if !name.contains(['*', '?']) {
            return vec![path];
        }
        let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
        let is_meant = |found: &str| !found.starts_with('.') && pattern::any(name, '\0', found);
        let mut found: Vec<_> = entries
            .flatten()
            .filter(|entry| entry.file_name().to_str().is_some_and(is_meant))
            .map(|entry| entry.path())
            .collect();
        found.sort();
        found
    }

    /// The first value of a setting.
    fn value(&self, keyword: &str) -> Option<String> {
        let (_, rest) = self.values.iter().find(|(found, _)| found == keyword)?;
        words(rest).into_iter().next()
    }

    fn settings(&self) -> Result<Settings, Fault> {
        let wrong = |what: &str, value: &str| Fault::Other(format!("~/.ssh/config: {what} '{value}' makes no sense"));
        let is_yes = |keyword: &str| self.value(keyword).is_some_and(|value| matches!(value.as_str(), "yes" | "true"));
        let number = |keyword: &str, most: u64| match self.value(keyword) {
            None => Ok(None),
            Some(value) => match value.parse::<u64>().ok().filter(|number| (1..=most).contains(number)) {
                Some(number) => Ok(Some(number)),
                None => Err(wrong(keyword, &value)),
            },
        };
        // Whichever comes first counts, as for the ssh program.
        let proxy = self.values.iter().find(|(keyword, _)| matches!(keyword.as_str(), "proxyjump" | "proxycommand"));
        let proxy = proxy.map(|(keyword, value)| Proxy {
            is_command: keyword == "proxycommand",
            value: value.trim().trim_matches('"').to_owned(),
        });
        let all = |keyword: &'static str| self.values.iter().filter(move |(found, _)| found == keyword);
        let files = all("identityfile").flat_map(|(_, rest)| words(rest)).filter(|file| file != "none");
        Ok(Settings {
            host_name: self.value("hostname"),
            user: self.value("user"),
            port: number("port", 65535)?.and_then(|port| u16::try_from(port).ok()),
            identity_files: files.collect(),
            identities_only: is_yes("identitiesonly"),
            agent: self.value("identityagent"),
            proxy: proxy.filter(|proxy| !proxy.value.eq_ignore_ascii_case("none")),
            known_hosts: all("userknownhostsfile").next().map(|(_, rest)| words(rest)),
            host_key_alias: self.value("hostkeyalias"),
            strict: is_yes("stricthostkeychecking"),
            timeout: match self.value("connecttimeout").as_deref() {
                Some("none") | None => None,
                Some(_) => number("connecttimeout", 1_000_000)?.map(Duration::from_secs),
            },
        })
    }
}

/// A line's keyword in lower case, and what follows it.
fn setting(line: &str) -> Option<(String, &str)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line.find(|sign: char| sign.is_ascii_whitespace() || sign == '=')?;
    let rest = line[end..].trim_start();
    Some((line[..end].to_lowercase(), rest.strip_prefix('=').unwrap_or(rest).trim()))
}

/// The words of a value; those in quotes may have spaces, and a `#` before a word ends it.
fn words(text: &str) -> Vec<String> {
    let (mut words, mut rest) = (Vec::new(), text.trim_start());
    while !rest.is_empty() && !rest.starts_with('#') {
        let (word, behind) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_at(rest.find(|sign: char| sign.is_ascii_whitespace()).unwrap_or(rest.len())),
        };
        words.push(word.to_owned());
        rest = behind.trim_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)], host: &str) -> Result<Settings, Fault> {
        let home = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = home.path().join(".ssh").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let environment = Environment::only([("HOME", home.path().to_str().unwrap())]);
        Settings::read(&environment, host, None, Some("me"))
    }

    #[test]
    fn the_first_value_that_is_meant_counts() {
        let text = "Host a* !ab\n  HostName=%h.example.com\n  Port 2222\n  IdentityFile ~/one\n\
                    Host *\n  Port 22 # usual\n  IdentityFile \"a b\"\n  StrictHostKeyChecking yes\n";
        let a = read(&[("config", text)], "aa").unwrap();
        assert_eq!((a.host_name.as_deref(), a.port, a.strict), (Some("%h.example.com"), Some(2222), true));
        assert_eq!(a.identity_files, ["~/one", "a b"]);
        let b = read(&[("config", text)], "ab").unwrap();
        assert_eq!((b.host_name, b.port), (None, Some(22)));
        assert!(read(&[("config", "Port many\n")], "a").is_err());
        assert!(read(&[], "a").unwrap().port.is_none());
    }

    #[test]
    fn files_are_included_where_they_are_meant() {
        let files = [
            ("config", "Include conf.d/*\nHost b\n  Include b\n"),
            ("conf.d/1", "Host a\n User x\n"),
            ("b", "User y\n"),
        ];
        assert_eq!(read(&files, "a").unwrap().user.as_deref(), Some("x"));
        assert_eq!(read(&files, "b").unwrap().user.as_deref(), Some("y"));
        assert_eq!(read(&files, "c").unwrap().user, None);
        assert!(read(&[("config", "Include config\nUser z\n")], "a").unwrap().user.is_some());
    }

    #[test]
    fn conditions_and_proxies() {
        let text = "Match host a exec \"touch x\"\n User no\nMatch originalhost a user me\n ProxyJump j1,u@j2:23\n\
                    Match all\n ProxyCommand none\n";
        let a = read(&[("config", text)], "a").unwrap();
        let proxy = a.proxy.unwrap();
        assert_eq!((a.user, proxy.value.as_str(), proxy.is_command), (None, "j1,u@j2:23", false));
        assert!(read(&[("config", text)], "b").unwrap().proxy.is_none());
        assert!(read(&[("config", "ProxyCommand nc %h %p")], "b").unwrap().proxy.unwrap().is_command);
    }
}
