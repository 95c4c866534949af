//! A file as an answer: the conditions and ranges of RFC 9110, and headers that keep a browser from running it.

use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use trackway_artifacts::{ArtifactPath, Error, Location, Stat};

use super::content_type::{content_disposition, content_type};

pub(super) async fn answer(
    location: &Location,
    path: &ArtifactPath,
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Error> {
    if method == Method::HEAD {
        let stat = location.stat(path).await?;
        let state = Validators::of(&stat);
        return Ok(match state.unchanged(headers) {
            true => state.not_modified(),
            false => whole(path, &stat, &state, Body::empty()),
        });
    }
    let object = location.open(path).await?;
    let stat = object.stat().clone();
    let state = Validators::of(&stat);
    if state.unchanged(headers) {
        return Ok(state.not_modified());
    }
    match asked_range(headers, &state, stat.size) {
        Asked::Whole => Ok(whole(path, &stat, &state, Body::from_stream(object.stream_all()))),
        Asked::Unsatisfiable => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            set(&mut response, header::CONTENT_RANGE, &format!("bytes */{}", stat.size));
            set(&mut response, header::CONTENT_LENGTH, "0");
            Ok(response)
        }
        Asked::Part(range) => {
            let shown = format!("bytes {}-{}/{}", range.start, range.end - 1, stat.size);
            let length = (range.end - range.start).to_string();
            let mut response = whole(path, &stat, &state, Body::from_stream(object.stream(range)));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            set(&mut response, header::CONTENT_RANGE, &shown);
            set(&mut response, header::CONTENT_LENGTH, &length);
            Ok(response)
        }
    }
}

/// The length that a request's head announces; a chunked body has none.
pub(super) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn whole(path: &ArtifactPath, stat: &Stat, state: &Validators, body: Body) -> Response {
    let name = path.as_rel_path().file_name();
    let mut response = Response::new(body);
    set(&mut response, header::CONTENT_TYPE, &content_type(name));
    set(&mut response, header::CONTENT_DISPOSITION, &content_disposition(name));
    set(&mut response, header::CONTENT_LENGTH, &stat.size.to_string());
    set(&mut response, header::ACCEPT_RANGES, "bytes");
    // Artifacts come from anyone: a browser shall neither guess that one is a page nor run it as one.
    set(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(&mut response, header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox");
    state.write(&mut response);
    response
}

/// By what a client knows whether its copy is still good.
struct Validators {
    /// With quotes.
    etag: Option<String>,
    /// In whole seconds, as the header has it.
    modified: Option<SystemTime>,
}

impl Validators {
    fn of(stat: &Stat) -> Validators {
        let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs());
        Validators {
            etag: stat.etag.as_ref().map(|etag| format!("\"{etag}\"")),
            modified: stat.modified.and_then(seconds).map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds)),
        }
    }

    fn write(&self, response: &mut Response) {
        if let Some(etag) = &self.etag {
            set(response, header::ETAG, etag);
        }
        if let Some(modified) = self.modified {
            set(response, header::LAST_MODIFIED, &httpdate::fmt_http_date(modified));
        }
        // May be kept, but must be asked about each time.
        set(response, header::CACHE_CONTROL, "no-cache");
    }

    /// Whether the client's own copy will do. The date counts only if no ETag was sent.
    fn unchanged(&self, headers: &HeaderMap) -> bool {
        let mut sent = headers.get_all(header::IF_NONE_MATCH).iter().peekable();
        if sent.peek().is_some() {
            return sent.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|tag| {
                let tag = tag.trim();
                tag == "*" || self.etag.as_deref() == Some(tag.strip_prefix("W/").unwrap_or(tag))
            });
        }
        let since = date(headers, header::IF_MODIFIED_SINCE);
        matches!((self.modified, since), (Some(modified), Some(since)) if modified <= since)
    }

    fn not_modified(&self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        self.write(&mut response);
        response
    }

    /// Whether a range may be cut from this version: nothing was said against it.
    fn range_is_meant(&self, headers: &HeaderMap) -> bool {
        let Some(wanted) = headers.get(header::IF_RANGE) else {
            return true;
        };
        let Ok(wanted) = wanted.to_str() else {
            return false;
        };
        match wanted.starts_with('"') {
            true => self.etag.as_deref() == Some(wanted),
            false => self.modified.is_some() && httpdate::parse_http_date(wanted).ok() == self.modified,
        }
    }
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(name)?.to_str().ok()?).ok()
}

#[derive(Debug, PartialEq)]
enum Asked {
    Whole,
    Part(Range<u64>),
    Unsatisfiable,
}

/// What the `Range` header asks for. Several ranges, other units and what is malformed get the whole file, as RFC 9110
/// allows.
fn asked_range(headers: &HeaderMap, state: &Validators, size: u64) -> Asked {
    match headers.get(header::RANGE).and_then(|value| value.to_str().ok()) {
        Some(range) if state.range_is_meant(headers) => parse_range(range, size).unwrap_or(Asked::Whole),
        _ => Asked::Whole,
    }
}

fn parse_range(range: &str, size: u64) -> Option<Asked> {
    let (unit, spec) = range.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = spec.trim().split_once('-')?;
    // A number beyond 64 bits is beyond every file, too.
    let number = |digits: &str| match !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Some(digits.parse::<u64>().unwrap_or(u64::MAX)),
        false => None,
    };
    let part = if first.is_empty() {
        size.saturating_sub(number(last)?)..size
    } else {
        let start = number(first)?;
        let end = match last.is_empty() {
            true => size,
            false => {
                let last = number(last)?;
                if last < start {
                    return None;
                }
                last.saturating_add(1).min(size)
            }
        };
        start..end
    };
    Some(match part.start < part.end {
        true => Asked::Part(part),
        false => Asked::Unsatisfiable,
    })
}

fn set(response: &mut Response, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        let part = |start, end| Some(Asked::Part(start..end));
        for (range, size, asked) in [
            ("bytes=0-0", 5, part(0, 1)),
            ("bytes=1-2", 5, part(1, 3)),
            ("bytes=1-", 5, part(1, 5)),
            ("bytes=3-99", 5, part(3, 5)),
            ("bytes=-2", 5, part(3, 5)),
            ("bytes=-99", 5, part(0, 5)),
            ("Bytes = 4-4", 5, part(4, 5)),
            ("bytes=0-18446744073709551615", 5, part(0, 5)),
            ("bytes=0-99999999999999999999999", 5, part(0, 5)),
            ("bytes=5-", 5, Some(Asked::Unsatisfiable)),
            ("bytes=99999999999999999999999-", 5, Some(Asked::Unsatisfiable)),
            ("bytes=-0", 5, Some(Asked::Unsatisfiable)),
            ("bytes=0-", 0, Some(Asked::Unsatisfiable)),
            ("bytes=2-1", 5, None),
            ("bytes=0-1,3-4", 5, None),
            ("bytes=", 5, None),
            ("bytes=-", 5, None),
            ("bytes=a-b", 5, None),
            ("bytes=+1-2", 5, None),
            ("lines=1-2", 5, None),
            ("bytes", 5, None),
        ] {
            assert_eq!(parse_range(range, size), asked, "{range} of {size}");
        }
    }
}
