//! What Azure answers.

use std::time::SystemTime;

use percent_encoding::percent_decode_str;

use crate::bucket::{Head, Listed, Page, Sum};
use crate::fault::{Fault, Said};
use crate::http::xml::Element;
use crate::http::{Answer, encode, unquoted};

pub(super) async fn fault(answer: Answer) -> Fault {
    let status = answer.status.as_u16();
    // An answer to HEAD has no body.
    let code = answer.header("x-ms-error-code").map(str::to_owned);
    let text = answer.text().await.unwrap_or_default();
    let root = Element::parse(&text).unwrap_or_default();
    let code = code.unwrap_or_else(|| root.text_of("Code").to_owned());
    let said = Said { status, code, message: root.text_of("Message").to_owned() };
    match said.code.as_str() {
        "BlobNotFound" => Fault::Missing,
        "ContainerNotFound" | "ContainerBeingDeleted" => Fault::NoBucket,
        "BlobAlreadyExists" => Fault::Taken,
        "ConditionNotMet" | "TargetConditionNotMet" => Fault::Changed,
        "InvalidRange" => Fault::PastEnd,
        "InvalidBlockList" => Fault::NoUpload,
        "AuthenticationFailed" => {
            Fault::Refused("the account key or the signature is wrong or has expired (AuthenticationFailed)".to_owned())
        }
        "AuthorizationFailure" | "AuthorizationPermissionMismatch" | "InsufficientAccountPermissions" => {
            Fault::Refused(format!("these credentials are not allowed to do this ({})", said.code))
        }
        "NoAuthenticationInformation" | "PublicAccessNotPermitted" => {
            Fault::Refused(format!("it takes no requests without credentials ({})", said.code))
        }
        _ => match status {
            412 => Fault::Changed,
            _ => said.fault(),
        },
    }
}

pub(super) fn head(answer: &Answer, size: u64) -> Head {
    // To a range it says the MD5 of all of it under another name.
    let name = if answer.status.as_u16() == 206 { "x-ms-blob-content-md5" } else { "content-md5" };
    let sum = answer.header(name).and_then(encode::from_base64).and_then(|bytes| bytes.try_into().ok());
    Head {
        size,
        etag: answer.header("etag").map(unquoted),
        modified: answer.header("last-modified").and_then(date),
        version: version(answer),
        sum: sum.map(Sum::Md5),
        json_etag: None,
    }
}

/// Only an account that keeps versions tells them.
pub(super) fn version(answer: &Answer) -> Option<String> {
    answer.header("x-ms-version-id").map(str::to_owned)
}

fn date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).ok()
}

pub(super) fn page(root: &Element) -> Option<Page> {
    let blobs = root.child("Blobs")?;
    let mut page = Page::default();
    for blob in blobs.all("Blob") {
        let properties = blob.child("Properties")?;
        // A storage with a hierarchical name space lists its directories too.
        if properties.text_of("ResourceType") == "directory" {
            continue;
        }
        page.files.push(Listed {
            key: name(blob)?,
            size: properties.text_of("Content-Length").parse().ok()?,
            etag: properties.child("Etag").map(|etag| unquoted(&etag.text)),
            modified: date(properties.text_of("Last-Modified")),
            ..Listed::default()
        });
    }
    for prefix in blobs.all("BlobPrefix") {
        let name = name(prefix)?;
        page.dirs.push(name.strip_suffix('/').unwrap_or(&name).to_owned());
    }
    page.next = Some(root.text_of("NextMarker").to_owned()).filter(|marker| !marker.is_empty());
    Some(page)
}

fn name(element: &Element) -> Option<String> {
    let name = element.child("Name")?;
    match name.is_encoded {
        true => Some(percent_decode_str(&name.text).decode_utf8().ok()?.into_owned()),
        false => Some(name.text.clone()),
    }
}
