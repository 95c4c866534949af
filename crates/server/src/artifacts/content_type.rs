//! What a file is called in headers.

use std::borrow::Cow;
use std::fmt::Write;

/// What MLflow 3.17 shows as text, by extension or, without one, by name.
const TEXT: [&str; 26] = [
    "txt",
    "log",
    "err",
    "cfg",
    "conf",
    "cnf",
    "cf",
    "ini",
    "properties",
    "prop",
    "hocon",
    "toml",
    "yaml",
    "yml",
    "xml",
    "json",
    "js",
    "py",
    "py3",
    "csv",
    "tsv",
    "md",
    "rst",
    "ipynb",
    "MLmodel",
    "mlproject",
];

/// The type by name alone, nothing is guessed from the content. A compressed file is of the type of what it holds.
pub(super) fn content_type(name: &str) -> Cow<'static, str> {
    let extension = extension(name);
    if TEXT.contains(&extension.unwrap_or(name)) {
        return "text/plain".into();
    }
    let inner = match extension {
        Some("gz" | "bz2" | "xz" | "Z" | "br") => name.rsplit_once('.').map_or(name, |(inner, _)| inner),
        Some("tgz") => "x.tar",
        _ => name,
    };
    if self::extension(inner).is_none() {
        return "application/octet-stream".into();
    }
    match mime_guess::from_path(inner).first_raw() {
        Some(known) => known.into(),
        None => "application/octet-stream".into(),
    }
}

/// What follows the last dot, unless the name only begins with dots.
fn extension(name: &str) -> Option<&str> {
    let (stem, extension) = name.rsplit_once('.')?;
    (!stem.trim_start_matches('.').is_empty() && !extension.is_empty()).then_some(extension)
}

/// Always an attachment: a page among the artifacts is not to be opened in this server's name.
pub(super) fn content_disposition(name: &str) -> String {
    if name.is_ascii() {
        return format!("attachment; filename={}", token_or_quoted(name));
    }
    let ascii: String = name.chars().filter(char::is_ascii).collect();
    let ascii = if ascii.is_empty() { "download" } else { &ascii };
    let mut header = format!("attachment; filename={}; filename*=UTF-8''", token_or_quoted(ascii));
    for byte in name.bytes() {
        match byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            true => header.push(char::from(byte)),
            // Writing to a string does not fail.
            false => _ = write!(header, "%{byte:02X}"),
        }
    }
    header
}

fn token_or_quoted(name: &str) -> Cow<'_, str> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !name.is_empty() && name.bytes().all(token) {
        return name.into();
    }
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_those_of_mlflow() {
        for (name, expected) in [
            ("MLmodel", "text/plain"),
            ("conda.yaml", "text/plain"),
            ("a.py", "text/plain"),
            ("a.json", "text/plain"),
            ("a.xml", "text/plain"),
            ("a.js", "text/plain"),
            ("a.ipynb", "text/plain"),
            ("txt", "text/plain"),
            ("a.MLmodel", "text/plain"),
            ("a.JSON", "application/json"),
            ("a.html", "text/html"),
            ("a.htm", "text/html"),
            ("a.svg", "image/svg+xml"),
            ("a.png", "image/png"),
            ("a.css", "text/css"),
            ("a.pdf", "application/pdf"),
            ("a.webp", "image/webp"),
            ("a.wasm", "application/wasm"),
            ("a.zip", "application/zip"),
            ("a.ttf", "font/ttf"),
            ("a.mp4", "video/mp4"),
            ("a.tar.gz", "application/x-tar"),
            ("a.tgz", "application/x-tar"),
            ("a.txt.gz", "text/plain"),
            ("a.gz", "application/octet-stream"),
            ("a.pkl", "application/octet-stream"),
            ("a.bin", "application/octet-stream"),
            ("noext", "application/octet-stream"),
            (".hidden", "application/octet-stream"),
            ("a.onnx", "application/octet-stream"),
            ("a.npy", "application/octet-stream"),
            ("a.", "application/octet-stream"),
            ("", "application/octet-stream"),
        ] {
            assert_eq!(content_type(name), expected, "{name}");
        }
    }

    #[test]
    fn odd_names_stay_one_header() {
        for (name, expected) in [
            ("a.txt", "attachment; filename=a.txt"),
            ("a b.txt", "attachment; filename=\"a b.txt\""),
            ("a\"b\\c", "attachment; filename=\"a\\\"b\\\\c\""),
            ("é 1.txt", "attachment; filename=\" 1.txt\"; filename*=UTF-8''%C3%A9%201.txt"),
            ("日本", "attachment; filename=download; filename*=UTF-8''%E6%97%A5%E6%9C%AC"),
            ("", "attachment; filename=\"\""),
        ] {
            assert_eq!(content_disposition(name), expected);
        }
    }
}
