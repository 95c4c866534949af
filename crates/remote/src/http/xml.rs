//! The little XML that S3, Azure and GCS speak, as a tree. Of attributes only one counts.

use quick_xml::Reader;
use quick_xml::events::Event;

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Element {
    /// Without a name space's prefix.
    pub name: String,
    pub text: String,
    /// Azure marks so a name that XML cannot hold: it is percent-encoded.
    pub is_encoded: bool,
    pub children: Vec<Element>,
}

/// Deeper than any answer of a store goes.
const DEEPEST: usize = 16;

impl Element {
    /// The outermost element, or None where there is no sound one.
    pub fn parse(text: &str) -> Option<Element> {
        let mut reader = Reader::from_str(text);
        let mut open: Vec<Element> = Vec::new();
        loop {
            let closed = match reader.read_event().ok()? {
                Event::Start(start) => {
                    if open.len() >= DEEPEST {
                        return None;
                    }
                    let is_encoded = start
                        .try_get_attribute("Encoded")
                        .is_ok_and(|found| found.is_some_and(|attribute| attribute.value.as_ref() == "true"));
                    let name = start.local_name().as_ref().to_owned();
                    open.push(Element { name, is_encoded, ..Element::default() });
                    None
                }
                Event::Empty(empty) => {
                    Some(Element { name: empty.local_name().as_ref().to_owned(), ..Element::default() })
                }
                Event::Text(piece) => {
                    if let Some(element) = open.last_mut() {
                        element.text.push_str(&piece);
                    }
                    None
                }
                Event::CData(piece) => {
                    if let Some(element) = open.last_mut() {
                        element.text.push_str(&piece);
                    }
                    None
                }
                Event::GeneralRef(reference) => {
                    let resolved = match reference.resolve_char_ref().ok()? {
                        Some(character) => character,
                        None => named(&reference)?,
                    };
                    if let Some(element) = open.last_mut() {
                        element.text.push(resolved);
                    }
                    None
                }
                Event::End(_) => Some(open.pop()?),
                Event::Eof => return None,
                _ => None,
            };
            if let Some(element) = closed {
                match open.last_mut() {
                    Some(parent) => parent.children.push(element),
                    None => return Some(element),
                }
            }
        }
    }

    pub fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The text of a child; of a missing one, the empty string.
    pub fn text_of(&self, name: &str) -> &str {
        self.child(name).map_or("", |child| &child.text)
    }
}

/// What the five names of XML's own mean.
pub(crate) fn named(reference: &str) -> Option<char> {
    Some(match reference {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}

/// Text as the content of an element.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\r' | '\n' | '\t' => escaped.push_str(&format!("&#{};", character as u32)),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_stores_write() {
        let text = "<?xml version=\"1.0\"?>\n<a xmlns=\"x\"><b>1 &amp; &#x32;</b><c/><b><![CDATA[<]]></b></a>";
        let root = Element::parse(text).unwrap();
        assert_eq!(root.name, "a");
        assert_eq!(root.all("b").map(|b| b.text.as_str()).collect::<Vec<_>>(), ["1 & 2", "<"]);
        assert_eq!(root.text_of("c"), "");
    }

    #[test]
    fn refuses_what_is_not_whole() {
        for text in ["", "<a>", "<a><b></a>", "no XML", "<a>&unknown;</a>", &"<a>".repeat(100)] {
            assert_eq!(Element::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_escaped_comes_back() {
        let odd = "a<b>&\"c\"\r\n\té";
        assert_eq!(Element::parse(&format!("<a>{}</a>", escape(odd))).unwrap().text, odd);
    }
}
