//! What Google answers, in JSON.

use std::time::SystemTime;

use serde::Deserialize;

use crate::bucket::{Head, Listed, Page, Sum};
use crate::fault::{Fault, Said};
use crate::http::xml::Element;
use crate::http::{Answer, encode, time};

/// An object as it is described. Numbers come as text.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Described {
    name: String,
    size: String,
    generation: String,
    updated: String,
    crc32c: String,
    etag: String,
}

impl Described {
    /// What tells one version from another.
    pub fn generation(&self) -> Option<String> {
        Some(self.generation.clone()).filter(|generation| !generation.is_empty())
    }

    /// As fsspec and DVC write it: what its letters stand for, in hexadecimal digits.
    pub fn json_etag(&self) -> Option<String> {
        let bytes = encode::from_base64(&self.etag).filter(|bytes| !bytes.is_empty())?;
        Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    pub fn crc32c(&self) -> Option<u32> {
        crc32c(&self.crc32c)
    }

    pub fn head(&self) -> Option<Head> {
        Some(Head {
            size: self.size.parse().ok()?,
            etag: self.generation(),
            modified: time(&self.updated),
            version: self.generation(),
            json_etag: self.json_etag(),
            sum: self.crc32c().map(Sum::Crc32c),
        })
    }
}

pub(super) fn crc32c(text: &str) -> Option<u32> {
    Some(u32::from_be_bytes(encode::from_base64(text)?.try_into().ok()?))
}

/// Of an answer that is the object itself.
pub(super) fn head(answer: &Answer, size: u64) -> Head {
    let hashes = answer.headers.get_all("x-goog-hash").iter().filter_map(|value| value.to_str().ok());
    let sum = hashes.flat_map(|value| value.split(',')).find_map(|hash| hash.trim().strip_prefix("crc32c="));
    // Sent unpacked, it is not what the checksum is of.
    let is_as_stored = answer.header("x-goog-stored-content-encoding").is_none_or(|encoding| {
        encoding == "identity" || answer.header("content-encoding").is_some_and(|sent| sent == encoding)
    });
    Head {
        size,
        etag: answer.header("x-goog-generation").map(str::to_owned),
        version: answer.header("x-goog-generation").map(str::to_owned),
        json_etag: None,
        modified: answer.header("last-modified").and_then(|text| httpdate::parse_http_date(text).ok()),
        sum: sum.filter(|_| is_as_stored).and_then(crc32c).map(Sum::Crc32c),
    }
}

pub(super) async fn described(answer: Answer) -> Result<Described, Fault> {
    let text = answer.bytes(1 << 20).await?;
    serde_json::from_slice(&text).map_err(|_| Fault::Other("its answer makes no sense".to_owned()))
}

pub(super) fn page(told: &[u8]) -> Result<Page, Fault> {
    #[derive(Deserialize, Default)]
    #[serde(default, rename_all = "camelCase")]
    struct Listing {
        items: Vec<Described>,
        prefixes: Vec<String>,
        next_page_token: Option<String>,
    }
    let nonsense = || Fault::Other("its listing makes no sense".to_owned());
    let listing: Listing = serde_json::from_slice(told).map_err(|_| nonsense())?;
    let files = listing.items.into_iter().map(|item| {
        let (size, modified): (u64, Option<SystemTime>) = (item.size.parse().ok()?, time(&item.updated));
        let (etag, version, json_etag) = (item.generation(), item.generation(), item.json_etag());
        Some(Listed { key: item.name, size, etag, modified, version, json_etag })
    });
    Ok(Page {
        files: files.collect::<Option<_>>().ok_or_else(nonsense)?,
        dirs: listing.prefixes.iter().map(|dir| dir.strip_suffix('/').unwrap_or(dir).to_owned()).collect(),
        next: listing.next_page_token.filter(|token| !token.is_empty()),
    })
}

/// What an answer that is no success means. The XML interface answers in XML.
pub(super) async fn fault(answer: Answer) -> Fault {
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Refusal {
        error: Inner,
    }
    #[derive(Deserialize, Default)]
    #[serde(default)]
    struct Inner {
        message: String,
    }
    let status = answer.status.as_u16();
    let text = answer.text().await.unwrap_or_default();
    let said = match Element::parse(&text) {
        Some(root) => {
            Said { status, code: root.text_of("Code").to_owned(), message: root.text_of("Message").to_owned() }
        }
        None => {
            let refusal: Refusal = serde_json::from_str(&text).unwrap_or_default();
            Said { status, code: String::new(), message: refusal.error.message }
        }
    };
    match said.code.as_str() {
        "NoSuchUpload" => return Fault::NoUpload,
        "InvalidPart" | "InvalidPartOrder" | "EntityTooSmall" => return Fault::WrongParts(said.told()),
        _ => {}
    }
    if status == 404 && (said.code == "NoSuchBucket" || said.message.contains("bucket does not exist")) {
        return Fault::NoBucket;
    }
    match status {
        401 => Fault::Refused(format!("it does not accept these credentials; {}", said.told())),
        412 => Fault::Changed,
        _ => said.fault(),
    }
}
