//! Digest access authentication (RFC 7616, and RFC 2617 for old servers): the password stays here.

use std::collections::BTreeMap;
use std::sync::Mutex;

use http::{Method, Uri};

use crate::bucket::random_id;
use crate::http::encode::hex;
use crate::options::Secret;

pub(crate) struct Digest {
    user: String,
    password: Secret,
    challenge: Mutex<Option<Challenge>>,
}

/// What a server last asked for.
#[derive(Clone, Debug, PartialEq)]
struct Challenge {
    realm: String,
    nonce: String,
    opaque: Option<String>,
    sum: Sum,
    /// Whether the sum covers a nonce of ours, too.
    session: bool,
    /// As the server wrote it.
    algorithm: Option<String>,
    /// None in the oldest form of it.
    counts: bool,
    used: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Sum {
    Md5,
    Sha256,
}

impl Sum {
    fn of(self, text: &str) -> String {
        match self {
            Sum::Md5 => hex(&fast_md5::digest(text.as_bytes())),
            Sum::Sha256 => hex(ring::digest::digest(&ring::digest::SHA256, text.as_bytes()).as_ref()),
        }
    }
}

impl Digest {
    pub fn new(user: &str, password: Secret) -> Digest {
        Digest { user: user.to_owned(), password, challenge: Mutex::new(None) }
    }

    /// The header's value for a request; None before the server has asked.
    pub fn answer(&self, method: &Method, url: &str) -> Option<String> {
        let challenge = {
            let mut current = self.challenge.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let current = current.as_mut()?;
            current.used += 1;
            current.clone()
        };
        let uri: Uri = url.parse().ok()?;
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        Some(challenge.answer(&self.user, self.password.expose(), method.as_str(), target, &random_id()))
    }

    /// Takes what a 401 asks for. Whether it is something else than what was met already.
    pub fn challenged<'a>(&self, challenges: impl Iterator<Item = &'a str>, shown: &str) -> bool {
        let mut best: Option<(Challenge, bool)> = None;
        for (scheme, parameters) in challenges.flat_map(parse) {
            if let Some(challenge) = Challenge::read(&scheme, &parameters)
                && best.as_ref().is_none_or(|(best, _)| challenge.sum > best.sum)
            {
                let stale = parameters.get("stale").is_some_and(|stale| stale.eq_ignore_ascii_case("true"));
                best = Some((challenge, stale));
            }
        }
        let Some((new, stale)) = best else { return false };
        let mut current = self.challenge.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        // Another request may have been challenged meanwhile, and what we showed is old for that reason.
        let was_met = !stale
            && shown.starts_with("Digest ")
            && current.as_ref().is_some_and(|current| shown.contains(&format!("nonce=\"{}\"", current.nonce)));
        *current = Some(new);
        !was_met
    }
}

impl Challenge {
    fn read(scheme: &str, parameters: &BTreeMap<String, String>) -> Option<Challenge> {
        if !scheme.eq_ignore_ascii_case("digest") {
            return None;
        }
        let algorithm = parameters.get("algorithm").cloned();
        let (sum, session) = match algorithm.as_deref().unwrap_or("MD5").to_ascii_uppercase().as_str() {
            "MD5" => (Sum::Md5, false),
            "MD5-SESS" => (Sum::Md5, true),
            "SHA-256" => (Sum::Sha256, false),
            "SHA-256-SESS" => (Sum::Sha256, true),
            _ => return None,
        };
        let counts = match parameters.get("qop") {
            None => false,
            Some(qop) => match qop.split(',').any(|qop| qop.trim().eq_ignore_ascii_case("auth")) {
                true => true,
                // It wants the body summed up as well.
                false => return None,
            },
        };
        let plain = |name: &str| parameters.get(name).filter(|value| !value.contains('"')).cloned();
        Some(Challenge {
            realm: parameters.get("realm")?.clone(),
            nonce: plain("nonce")?,
            opaque: plain("opaque"),
            sum,
            session,
            algorithm: algorithm.filter(|algorithm| algorithm.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')),
            counts,
            used: 0,
        })
    }

    fn answer(&self, user: &str, password: &str, method: &str, target: &str, ours: &str) -> String {
        let Challenge { realm, nonce, sum, .. } = self;
        let mut secret = sum.of(&format!("{user}:{realm}:{password}"));
        if self.session {
            secret = sum.of(&format!("{secret}:{nonce}:{ours}"));
        }
        let request = sum.of(&format!("{method}:{target}"));
        let count = format!("{:08x}", self.used);
        let response = match self.counts {
            true => sum.of(&format!("{secret}:{nonce}:{count}:{ours}:auth:{request}")),
            false => sum.of(&format!("{secret}:{nonce}:{request}")),
        };
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let mut answer = format!(
            "Digest username=\"{}\", realm=\"{}\", nonce=\"{nonce}\", uri=\"{target}\", response=\"{response}\"",
            quoted(user),
            quoted(realm)
        );
        if let Some(algorithm) = &self.algorithm {
            answer += &format!(", algorithm={algorithm}");
        }
        if let Some(opaque) = &self.opaque {
            answer += &format!(", opaque=\"{opaque}\"");
        }
        if self.counts {
            answer += &format!(", qop=auth, nc={count}");
        }
        if self.counts || self.session {
            answer += &format!(", cnonce=\"{ours}\"");
        }
        answer
    }
}

/// The challenges of one `WWW-Authenticate` header: `Basic realm="a", Digest realm="b", nonce="c"`.
fn parse(header: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let mut found: Vec<(String, BTreeMap<String, String>)> = Vec::new();
    let mut rest = header;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let end = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        if word.is_empty() {
            return found;
        }
        let after = behind.trim_start();
        match after.strip_prefix('=') {
            // `name=value` belongs to the scheme before it.
            Some(value) => {
                let (value, behind) = value_of(value.trim_start());
                if let Some((_, parameters)) = found.last_mut() {
                    parameters.entry(word.to_ascii_lowercase()).or_insert(value);
                }
                rest = behind;
            }
            None => {
                found.push((word.to_owned(), BTreeMap::new()));
                rest = behind;
            }
        }
    }
}

fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t']).unwrap_or(text.len());
        // What is left of base64's padding would look like a name.
        return (text[..end].to_owned(), &text[end..]);
    };
    let (mut value, mut escaped) = (String::new(), false);
    for (at, character) in quoted.char_indices() {
        match character {
            _ if escaped => {
                value.push(character);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return (value, &quoted[at + 1..]),
            _ => value.push(character),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 7616, 3.9.1.
    #[test]
    fn answers_are_those_of_the_standard() {
        let header = "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=SHA-256, \
                      nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
                      opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";
        let ours = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        for (header, expected) in [
            (header.to_owned(), "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
            (header.replace("SHA-256", "MD5"), "8ca523f5e9506fed4657c9700eebdbec"),
        ] {
            let (scheme, parameters) = parse(&header).pop().unwrap();
            let challenge = Challenge { used: 1, ..Challenge::read(&scheme, &parameters).unwrap() };
            let answer = challenge.answer("Mufasa", "Circle of Life", "GET", "/dir/index.html", ours);
            assert!(answer.contains(&format!("response=\"{expected}\"")), "{answer}");
            assert!(answer.contains("nc=00000001") && !answer.contains("Circle"), "{answer}");
        }
    }

    #[test]
    fn several_challenges_in_a_header_are_told_apart() {
        let header = "Basic realm=\"a, b\", Negotiate abc==, Digest realm=\"c \\\"d\\\"\", nonce = n1, stale=TRUE,";
        let found = parse(header);
        assert_eq!(found[0].1["realm"], "a, b");
        let (scheme, parameters) = found.last().unwrap();
        let challenge = Challenge::read(scheme, parameters).unwrap();
        assert_eq!((challenge.realm.as_str(), challenge.nonce.as_str()), ("c \"d\"", "n1"));
        assert!(!challenge.counts);
        for odd in ["", ",", "=", "Digest", "Digest realm=\"", "Digest realm=\"a\\", "a b c", "a=b"] {
            assert!(parse(odd).iter().all(|(scheme, of)| Challenge::read(scheme, of).is_none()), "{odd}");
        }
    }

    #[test]
    fn the_same_challenge_is_met_once() {
        let digest = Digest::new("u", "p".into());
        let ask = |nonce: &str, more: &str| format!("Digest realm=\"r\", nonce=\"{nonce}\", qop=\"auth\"{more}");
        assert_eq!(digest.answer(&Method::GET, "http://h/a?b"), None);
        assert!(!digest.challenged(["Basic realm=\"r\""].into_iter(), ""));
        assert!(digest.challenged([ask("1", "").as_str()].into_iter(), "Basic dTpw"));
        let shown = digest.answer(&Method::GET, "http://h/a?b").unwrap();
        assert!(shown.contains("uri=\"/a?b\""), "{shown}");
        assert!(!digest.challenged([ask("2", "").as_str()].into_iter(), &shown), "a wrong password");
        let shown = digest.answer(&Method::GET, "http://h/a").unwrap();
        assert!(digest.challenged([ask("3", ", stale=true").as_str()].into_iter(), &shown));
        assert!(digest.challenged([ask("4", "").as_str()].into_iter(), &shown), "another request renewed it");
    }
}
