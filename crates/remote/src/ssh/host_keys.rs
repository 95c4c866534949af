//! Whether the server is the one we know: `known_hosts`, as OpenSSH writes it.
//!
//! Stock DVC looks at no known_hosts file at all. Here a host that is listed must show a key that is listed; one
//! that is not is trusted as DVC trusts it, unless `StrictHostKeyChecking yes` says otherwise.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use russh::keys::{Algorithm, PublicKey, parse_public_key_base64};

use super::config::Hop;
use super::pattern;
use crate::fault::Fault;

pub(super) struct HostKeys {
    name: String,
    keys: Vec<Listed>,
    revoked: Vec<PublicKey>,
    strict: bool,
}

struct Listed {
    key: PublicKey,
    file: PathBuf,
    line: usize,
}

pub(super) enum Verdict {
    Trusted,
    Refused(String),
}

impl HostKeys {
    pub async fn read(hop: &Hop) -> Result<HostKeys, Fault> {
        let name = match hop.port {
            22 => hop.known_as.to_lowercase(),
            port => format!("[{}]:{port}", hop.known_as.to_lowercase()),
        };
        let mut found = HostKeys { name, keys: Vec::new(), revoked: Vec::new(), strict: hop.strict };
        for file in &hop.known_hosts {
            match tokio::fs::read(file).await {
                Ok(text) => found.add(&String::from_utf8_lossy(&text), file),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(Fault::NoCredentials(format!("{} cannot be read: {error}", file.display()))),
            }
        }
        Ok(found)
    }

    fn add(&mut self, text: &str, file: &std::path::Path) {
        for (number, line) in text.lines().enumerate() {
            let mut words = line.split_ascii_whitespace();
            let Some(mut hosts) = words.next().filter(|word| !word.starts_with('#')) else { continue };
            let mark = hosts.strip_prefix('@');
            if mark.is_some() {
                let Some(next) = words.next() else { continue };
                hosts = next;
            }
            let (Some(_kind), Some(key)) = (words.next(), words.next()) else { continue };
            if !self.is_meant(hosts) {
                continue;
            }
            // A key of a kind that we do not know is one that the server cannot show us.
            let Ok(key) = parse_public_key_base64(key) else { continue };
            match mark {
                None => self.keys.push(Listed { key, file: file.to_owned(), line: number + 1 }),
                Some("revoked") => self.revoked.push(key),
                // An authority's: certificates are not asked for.
                Some(_) => {}
            }
        }
    }

    fn is_meant(&self, hosts: &str) -> bool {
        match hosts.strip_prefix("|1|") {
            Some(hashed) => {
                let Some((salt, hash)) = hashed.split_once('|') else { return false };
                let (Ok(salt), Ok(hash)) = (STANDARD.decode(salt), STANDARD.decode(hash)) else { return false };
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
                hmac::verify(&key, self.name.as_bytes(), &hash).is_ok()
            }
            None => pattern::any(&hosts.to_lowercase(), ',', &self.name),
        }
    }

    pub fn judge(&self, shown: &PublicKey) -> Verdict {
        let is_shown = |key: &PublicKey| key.key_data() == shown.key_data();
        if self.revoked.iter().any(is_shown) {
            return Verdict::Refused(format!("the key that {} shows is marked as revoked in known_hosts", self.name));
        }
        if self.keys.iter().any(|listed| is_shown(&listed.key)) {
            return Verdict::Trusted;
        }
        match self.keys.first() {
            Some(listed) => Verdict::Refused(format!(
                "{} shows another key than line {} of {} has for it: somebody may stand between; if the server has \
                 a new key, remove that line",
                self.name,
                listed.line,
                listed.file.display()
            )),
            None if self.strict => Verdict::Refused(format!(
                "{} is in no known_hosts file, and StrictHostKeyChecking is 'yes': connect once with ssh and check \
                 its key",
                self.name
            )),
            None => Verdict::Trusted,
        }
    }

    /// The kinds of keys to ask for: first those by which the host is known.
    pub fn preferred(&self, usual: &[Algorithm]) -> Vec<Algorithm> {
        let is_known = |kind: &&Algorithm| {
            self.keys.iter().any(|listed| match (listed.key.algorithm(), kind) {
                (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }) => true,
                (listed, kind) => listed == **kind,
            })
        };
        let (known, others): (Vec<_>, Vec<_>) = usual.iter().partition(is_known);
        known.into_iter().chain(others).cloned().collect()
    }
}
