//! By what a file on an HTTP server is known again: as DVC 3.67 its ETag or Content-MD5, and where the server sends neither, what
//! fsspec makes of all that it does send.

use trackway_ini::repr;
use trackway_remote::HttpDescribed;
use trackway_store::{HashName, hash_bytes};

pub(super) fn checksum(described: &HttpDescribed) -> String {
    match described.etag.as_ref().or(described.content_md5.as_ref()) {
        Some(told) => told.clone(),
        None => token(described),
    }
}

/// As fsspec 2026's `checksum`: the MD5 of Python's words for the headers, as a number.
fn token(described: &HttpDescribed) -> String {
    let mut words = vec![format!("'name': {}", repr(&described.url))];
    let mut word = |name: &str, value: Option<String>| words.extend(value.map(|value| format!("'{name}': {value}")));
    let text = |value: &Option<String>| value.as_deref().map(repr);
    word("size", Some(described.size.map_or_else(|| "None".to_owned(), |size| size.to_string())));
    let kind = described.content_type.as_deref().map(|kind| kind.split(';').next().unwrap_or_default());
    word("mimetype", kind.map(repr));
    word("partial", described.no_ranges.then(|| "False".to_owned()));
    word("url", Some(repr(&described.url)));
    word("Digest", text(&described.digest));
    word("Last-Modified", text(&described.last_modified));
    word("type", Some("'file'".to_owned()));
    let told = format!("({{{}}},)", words.join(", "));
    u128::from_be_bytes(*hash_bytes(HashName::Md5, told.as_bytes()).bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_what_fsspec_makes_of_it() {
        let url = "http://127.0.0.1:18999/f.txt";
        let described = HttpDescribed {
            url: url.to_owned(),
            size: Some(5),
            content_type: Some("text/plain".to_owned()),
            last_modified: Some("Mon, 23 Nov 2026 20:07:57 GMT".to_owned()),
            ..HttpDescribed::default()
        };
        assert_eq!(checksum(&described), "149759206419681027348532571274273412463");
        let tagged = HttpDescribed { etag: Some("W/\"5\"".to_owned()), ..described };
        assert_eq!(checksum(&tagged), "W/\"5\"");
    }
}
