//! What a WebDAV server says of files: `207 Multi-Status`, by names and name spaces, whatever the prefixes.

use quick_xml::events::Event;
use quick_xml::name::ResolveResult;
use quick_xml::reader::NsReader;

use crate::files::Meta;
use crate::http::unquoted;

pub(super) struct Described {
    /// As it was sent: encoded, a path or a whole URL.
    pub href: String,
    pub meta: Meta,
}

/// Deeper than any answer goes.
const DEEPEST: usize = 32;

#[derive(Default)]
struct Response {
    href: Option<String>,
    /// Of the resource as a whole, where it has one.
    status: Option<u16>,
    found: Properties,
}

/// What one `propstat` has, which counts if its status is good.
#[derive(Clone, Default)]
struct Properties {
    status: Option<u16>,
    size: Option<u64>,
    is_dir: bool,
    modified: Option<std::time::SystemTime>,
    etag: Option<String>,
}

/// The resources that an answer describes, in its order; None if it is not sound.
pub(super) fn parse(bytes: &[u8]) -> Option<Vec<Described>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut reader = NsReader::from_str(text.trim_start_matches('\u{feff}'));
    let mut described = Vec::new();
    // The elements that are open, of the name space DAV: or else empty.
    let mut open: Vec<String> = Vec::new();
    let mut said = String::new();
    let (mut response, mut properties) = (Response::default(), Properties::default());
    loop {
        let (space, event) = reader.read_resolved_event().ok()?;
        let is_dav = matches!(space, ResolveResult::Bound(space) if AsRef::<str>::as_ref(&space) == "DAV:");
        match event {
            Event::Start(start) => {
                let name = if is_dav { start.local_name().as_ref().to_owned() } else { String::new() };
                match (open.is_empty(), open.len() >= DEEPEST) {
                    (true, _) if name != "multistatus" => return None,
                    (_, true) => return None,
                    _ => {}
                }
                opened(&name, &open, &mut response, &mut properties);
                open.push(name);
                said.clear();
            }
            Event::Empty(empty) => {
                let name = if is_dav { empty.local_name().as_ref().to_owned() } else { String::new() };
                if open.is_empty() {
                    return (name == "multistatus").then_some(described);
                }
                opened(&name, &open, &mut response, &mut properties);
            }
            Event::Text(piece) => said.push_str(&piece),
            Event::CData(piece) => said.push_str(&piece),
            Event::GeneralRef(reference) => match reference.resolve_char_ref().ok()? {
                Some(character) => said.push(character),
                None => said.push(crate::http::xml::named(&reference)?),
            },
            Event::End(_) => {
                let name = open.pop()?;
                closed(&name, &open, said.trim(), &mut response, &mut properties);
                said.clear();
                match (name.as_str(), open.len()) {
                    ("multistatus", 0) => return Some(described),
                    ("response", 1) => {
                        if let Some(found) = std::mem::take(&mut response).described() {
                            described.push(found?);
                        }
                    }
                    _ => {}
                }
            }
            Event::Eof => return None,
            _ => {}
        }
    }
}

fn opened(name: &str, open: &[String], response: &mut Response, properties: &mut Properties) {
    match (name, open.len()) {
        ("response", 1) => *response = Response::default(),
        ("propstat", 2) => *properties = Properties::default(),
        ("collection", _) if open.last().is_some_and(|above| above == "resourcetype") => properties.is_dir = true,
        _ => {}
    }
}

fn closed(name: &str, open: &[String], said: &str, response: &mut Response, properties: &mut Properties) {
    let within: Vec<&str> = open.iter().skip(2).map(String::as_str).collect();
    match (within.as_slice(), name) {
        ([], "href") => response.href = Some(said.to_owned()),
        ([], "status") => response.status = status(said),
        (["propstat"], "status") => properties.status = status(said),
        ([], "propstat") if properties.status.is_none_or(|status| status == 200) => {
            let new = std::mem::take(properties);
            let found = &mut response.found;
            found.is_dir |= new.is_dir;
            found.size = found.size.or(new.size);
            found.modified = found.modified.or(new.modified);
            found.etag = found.etag.take().or(new.etag);
        }
        (["propstat", "prop"], "getcontentlength") => properties.size = said.parse().ok(),
        (["propstat", "prop"], "getlastmodified") => properties.modified = httpdate::parse_http_date(said).ok(),
        (["propstat", "prop"], "getetag") => properties.etag = Some(unquoted(said)).filter(|etag| !etag.is_empty()),
        _ => {}
    }
}

impl Response {
    /// None if it says that there is nothing; within, None if it makes no sense.
    fn described(self) -> Option<Option<Described>> {
        if self.status.is_some_and(|status| status >= 400) {
            return None;
        }
        let found = self.found;
        Some(self.href.filter(|href| !href.is_empty()).map(|href| Described {
            href,
            meta: Meta {
                size: if found.is_dir { 0 } else { found.size.unwrap_or(0) },
                is_dir: found.is_dir,
                modified: found.modified,
                etag: if found.is_dir { None } else { found.etag },
            },
        }))
    }
}

/// `HTTP/1.1 200 OK`
fn status(line: &str) -> Option<u16> {
    line.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<Vec<String>> {
        let found = parse(text.as_bytes())?;
        let line = |found: Described| {
            let Meta { size, is_dir, etag, modified } = found.meta;
            format!("{} {size} {is_dir} {} {}", found.href, etag.unwrap_or_default(), modified.is_some())
        };
        Some(found.into_iter().map(line).collect())
    }

    #[test]
    fn answers_are_read_whatever_their_prefixes() {
        // As Apache, with its many prefixes.
        let apache = "<?xml version=\"1.0\"?>\n<D:multistatus xmlns:D=\"DAV:\" xmlns:ns0=\"DAV:\">\n\
            <D:response xmlns:lp1=\"DAV:\"><D:href>/dav/a%20b/</D:href><D:propstat><D:prop><lp1:resourcetype>\
            <D:collection/></lp1:resourcetype><lp1:getlastmodified>Sun, 06 Nov 1994 08:49:37 GMT</lp1:getlastmodified>\
            </D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>\
            <D:response xmlns:lp1=\"DAV:\"><D:href>/dav/a%20b/c&amp;d</D:href><D:propstat><D:prop><lp1:resourcetype/>\
            <lp1:getcontentlength>7</lp1:getcontentlength><lp1:getetag>W/\"x-1\"</lp1:getetag></D:prop>\
            <D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response></D:multistatus>";
        assert_eq!(shown(apache).unwrap(), ["/dav/a%20b/ 0 true  true", "/dav/a%20b/c&d 7 false x-1 false"]);
        // No prefix, a property that is missing, one of a stranger's name space, one resource that is gone.
        let plain = "<multistatus xmlns=\"DAV:\" xmlns:o=\"other:\"><response><href>http://h/x</href>\
            <propstat><prop><getcontentlength>3</getcontentlength><o:getcontentlength>9</o:getcontentlength></prop>\
            <status>HTTP/1.1 200 OK</status></propstat><propstat><prop><getetag>lost</getetag></prop>\
            <status>HTTP/1.1 404 Not Found</status></propstat></response><response><href>/gone</href>\
            <status>HTTP/1.1 404 Not Found</status></response></multistatus>";
        assert_eq!(shown(plain).unwrap(), ["http://h/x 3 false  false"]);
        assert_eq!(shown("<multistatus xmlns='DAV:'/>").unwrap(), [""; 0]);
    }

    #[test]
    fn what_is_not_sound_is_refused() {
        let deep = format!("<multistatus xmlns=\"DAV:\">{}", "<a>".repeat(100));
        for text in [
            "",
            "<html></html>",
            "<multistatus/>",
            "<multistatus xmlns=\"DAV:\">",
            "<multistatus xmlns=\"DAV:\"><response></response></multistatus>",
            "<multistatus xmlns=\"DAV:\"><response><href>&boom;</href></response></multistatus>",
            "<multistatus xmlns=\"DAV:\"><response></multistatus>",
            &deep,
        ] {
            assert!(parse(text.as_bytes()).is_none(), "{text}");
        }
        assert!(parse(b"<multistatus xmlns=\"DAV:\">\xff</multistatus>").is_none());
    }

    proptest::proptest! {
        #[test]
        fn no_answer_makes_it_panic(text in "(<[/]?(D:)?(multistatus|response|href|prop|propstat)( xmlns(:D)?=\"DAV:\")?[/]?>|&[a-z]*;|[a-z%]){0,20}") {
            let _ = parse(text.as_bytes());
        }
    }
}
