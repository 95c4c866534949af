//! What S3 answers: headers of objects, listings, errors.

use percent_encoding::percent_decode_str;

use crate::bucket::{Head, Listed, Page, Sum};
use crate::fault::{Fault, Said};
use crate::http::xml::Element;
use crate::http::{Answer, encode, time, unquoted};
use crate::multipart::{Part, StoredPart, UnfinishedUpload};

pub(super) async fn fault(answer: Answer) -> Fault {
    let status = answer.status.as_u16();
    let text = answer.text().await.unwrap_or_default();
    let root = Element::parse(&text).unwrap_or_default();
    meaning(said(status, &root))
}

pub(super) fn said(status: u16, root: &Element) -> Said {
    // Some have the error inside of another element.
    let error = root.child("Error").unwrap_or(root);
    Said { status, code: error.text_of("Code").to_owned(), message: error.text_of("Message").to_owned() }
}

pub(super) fn meaning(said: Said) -> Fault {
    match said.code.as_str() {
        "NoSuchBucket" => Fault::NoBucket,
        "NoSuchKey" | "NoSuchVersion" => Fault::Missing,
        "NoSuchUpload" => Fault::NoUpload,
        "InvalidPart" | "InvalidPartOrder" | "EntityTooSmall" => Fault::WrongParts(said.told()),
        "InvalidRange" => Fault::PastEnd,
        "PreconditionFailed" => Fault::Changed,
        "NotImplemented" => Fault::Unsupported("this request"),
        "InvalidAccessKeyId" => Fault::Refused("it does not know the access key id (InvalidAccessKeyId)".to_owned()),
        "SignatureDoesNotMatch" => Fault::Refused(
            "the secret access key is not the one of this access key id (SignatureDoesNotMatch)".to_owned(),
        ),
        "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired" => {
            Fault::Expired("the session token has expired: get a new one".to_owned())
        }
        "InvalidToken" => Fault::Refused("the session token is not valid (InvalidToken)".to_owned()),
        "RequestTimeTooSkewed" => {
            Fault::Refused("this machine's clock is wrong: correct it (RequestTimeTooSkewed)".to_owned())
        }
        "AccessDenied" => Fault::Refused("these credentials are not allowed to do this (AccessDenied)".to_owned()),
        "SlowDown"
        | "InternalError"
        | "ServiceUnavailable"
        | "RequestTimeout"
        | "OperationAborted"
        | "ConditionalRequestConflict" => Fault::Unreachable(said.told()),
        _ => match said.status {
            412 => Fault::Changed,
            501 => Fault::Unsupported("this request"),
            _ => said.fault(),
        },
    }
}

pub(super) fn head(answer: &Answer, size: u64) -> Head {
    let modified = answer.header("last-modified").and_then(|time| httpdate::parse_http_date(time).ok());
    // Of an object of parts it is a checksum of checksums, marked by a dash.
    let sum = answer.header("x-amz-checksum-crc32").filter(|sum| !sum.contains('-')).and_then(sum);
    Head { size, etag: answer.header("etag").map(unquoted), modified, version: version(answer), sum, json_etag: None }
}

/// What was stored before versions were kept, or while they are not, is called "null".
pub(super) fn version(answer: &Answer) -> Option<String> {
    answer.header("x-amz-version-id").filter(|version| *version != "null").map(str::to_owned)
}

fn sum(text: &str) -> Option<Sum> {
    let bytes: [u8; 4] = encode::from_base64(text)?.try_into().ok()?;
    Some(Sum::Crc32(u32::from_be_bytes(bytes)))
}

pub(super) fn page(root: &Element) -> Option<Page> {
    // Names may hold what XML cannot.
    let encoded = root.text_of("EncodingType") == "url";
    let name = |text: &str| match encoded {
        true => percent_decode_str(&text.replace('+', " ")).decode_utf8().ok().map(|name| name.into_owned()),
        false => Some(text.to_owned()),
    };
    let mut page = Page::default();
    for file in root.all("Contents") {
        page.files.push(Listed {
            key: name(file.text_of("Key"))?,
            size: file.text_of("Size").parse().ok()?,
            etag: file.child("ETag").map(|etag| unquoted(&etag.text)),
            modified: time(file.text_of("LastModified")),
            ..Listed::default()
        });
    }
    for dir in root.all("CommonPrefixes") {
        let dir = name(dir.text_of("Prefix"))?;
        page.dirs.push(dir.strip_suffix('/').unwrap_or(&dir).to_owned());
    }
    if root.text_of("IsTruncated") == "true" {
        page.next = Some(root.text_of("NextContinuationToken").to_owned()).filter(|token| !token.is_empty());
        page.next.as_ref()?;
    }
    Some(page)
}

pub(crate) fn parts(root: &Element) -> Option<(Vec<StoredPart>, Option<String>)> {
    let parts = root.all("Part").map(|part| {
        Some(StoredPart {
            part: Part { number: part.text_of("PartNumber").parse().ok()?, etag: unquoted(part.text_of("ETag")) },
            size: part.text_of("Size").parse().ok()?,
        })
    });
    let more = root.text_of("IsTruncated") == "true";
    let next = more.then(|| root.text_of("NextPartNumberMarker").to_owned()).filter(|marker| !marker.is_empty());
    Some((parts.collect::<Option<_>>()?, next))
}

pub(crate) fn uploads(root: &Element, key: &str) -> Vec<UnfinishedUpload> {
    let encoded = root.text_of("EncodingType") == "url";
    let is_key = |text: &str| match encoded {
        true => percent_decode_str(&text.replace('+', " ")).decode_utf8().is_ok_and(|name| name == key),
        false => text == key,
    };
    root.all("Upload")
        .filter(|upload| is_key(upload.text_of("Key")))
        .map(|upload| UnfinishedUpload {
            upload_id: upload.text_of("UploadId").to_owned(),
            started: time(upload.text_of("Initiated")),
        })
        .collect()
}
