//! Bare `NaN`, `Infinity` and `-Infinity` in JSON.
//!
//! Python's `json` writes them, so they come from clients that build their requests by hand. They stand for the values
//! they name; here each is put in quotes, which the field readers understand.

use std::borrow::Cow;

/// The text with bare tokens quoted; the text itself when it has none.
pub(super) fn quote_bare_numbers(text: &[u8]) -> Cow<'_, [u8]> {
    const TOKENS: [&[u8]; 3] = [b"NaN", b"-Infinity", b"Infinity"];
    let mut quoted: Option<Vec<u8>> = None;
    let mut in_string = false;
    let mut at = 0;
    while at < text.len() {
        let byte = text[at];
        let mut step = 1;
        if in_string {
            match byte {
                b'\\' => step = 2,
                b'"' => in_string = false,
                _ => {}
            }
        } else if byte == b'"' {
            in_string = true;
        } else if let Some(token) = TOKENS.iter().find(|token| text[at..].starts_with(token)) {
            let out = quoted.get_or_insert_with(|| text[..at].to_vec());
            out.push(b'"');
            out.extend_from_slice(token);
            out.push(b'"');
            at += token.len();
            continue;
        }
        let end = (at + step).min(text.len());
        if let Some(out) = &mut quoted {
            out.extend_from_slice(&text[at..end]);
        }
        at = end;
    }
    quoted.map_or(Cow::Borrowed(text), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bare_tokens_are_quoted() {
        let quote = |text: &str| String::from_utf8(quote_bare_numbers(text.as_bytes()).into_owned()).unwrap();
        assert_eq!(
            quote(r#"{"a": NaN, "b": [-Infinity, Infinity]}"#),
            r#"{"a": "NaN", "b": ["-Infinity", "Infinity"]}"#
        );
        assert_eq!(quote(r#"{"NaN": "a \" NaN"}"#), r#"{"NaN": "a \" NaN"}"#);
        assert_eq!(quote(r#""\"#), r#""\"#);
    }
}
