//! `webdav://host/folder`, `webdavs://host/folder`: a file system over HTTP (RFC 4918).
//!
//! A file is written under a temporary name and moved. A PUT to the name itself would be one request less,
//! but only some servers keep what a cut PUT has brought out of sight: Apache's mod_dav and nginx write
//! aside and rename, while Go's x/net/webdav (rclone, many appliances) and wsgidav write in place, so that
//! readers meet a half object, and it stays when the line is cut. Nothing in the protocol tells which kind
//! answers, and a trial with a cut PUT proves nothing behind a proxy that buffers. So the second request
//! is paid; the others that a careful file system makes are not (`Service::is_told_by_renaming`).
//!
//! What WebDAV cannot do in one step: replacing a file by MOVE deletes it first, so for a moment there is
//! none; deleting "only an empty folder" is a look and a DELETE. A MOVE or DELETE that meets a folder
//! takes all that is in it, therefore neither is sent before we know that it is a file.

mod multistatus;

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::stream;
use http::Method;

use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::files::{Body, Files, Meta, Service};
use crate::http::url::Origin;
use crate::http::{Answer, Client, Failure, back_off, encode, range, unquoted};
use crate::location::HttpPlace;
use crate::options::Options;
use crate::site::{Call, Login, Site, password};

/// A body up to this size is sent at once, and again if that fails.
const SMALL: usize = 1 << 20;

/// More than a folder of half a million files is listed in.
const LONGEST_LISTING: usize = 256 << 20;

/// How often something is tried that somebody else has locked.
const LOCKED_TRIES: u32 = 7;

const PROPERTIES: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?><propfind xmlns=\"DAV:\"><prop><resourcetype/>\
                          <getcontentlength/><getlastmodified/><getetag/></prop></propfind>";

pub(crate) struct WebDav {
    site: Site,
    /// `https://host:port`
    base: String,
    /// Whether the server wants to read whole URLs in `Destination`, which the standard has made needless.
    whole_destinations: AtomicBool,
}

pub(crate) async fn open(place: &HttpPlace, options: &Options) -> Result<Files> {
    let location = place.shown();
    let invalid = |reason: String| Error::InvalidLocation { location: location.clone(), reason };
    let base = place.base();
    let origin = Origin::of(&base).ok_or_else(|| invalid("its host makes no valid URL".to_owned()))?;
    let client = Client::new(&options.http, &options.environment).map_err(invalid)?;
    let login = login(place, options).await;
    let login = login.map_err(|reason| Error::NoCredentials { location: location.clone(), reason })?;
    let service = WebDav { site: Site::new(client, origin, login), base, whole_destinations: AtomicBool::new(false) };
    Ok(Files::new(Service::WebDav(Box::new(service)), location.clone(), &place.decoded_path(), options.http.attempts))
}

/// In the order in which stock DVC heeds them.
async fn login(place: &HttpPlace, options: &Options) -> std::result::Result<Login, String> {
    let webdav = &options.webdav;
    if !webdav.bearer_token_command.is_empty() {
        return Ok(Login::command(webdav.bearer_token_command.clone(), options.http.idle_timeout));
    }
    if let Some(token) = &webdav.token {
        return Login::bearer(token);
    }
    let given = || webdav.password.clone().or_else(|| place.password.clone());
    if let Some(user) = webdav.user.as_ref().or(place.user.as_ref()) {
        let password = password(given(), webdav.ask_password, place, user, options).await?;
        return Ok(Login::password(user, &password));
    }
    match &webdav.custom_auth_header {
        Some(name) => Login::custom(name, &password(given(), webdav.ask_password, place, name, options).await?),
        None => Ok(Login::Nobody),
    }
}

impl WebDav {
    fn url(&self, path: &str) -> String {
        format!("{}{}", self.base, encode::key(path))
    }

    /// Of a folder, which servers know by a slash at its end.
    fn dir_url(&self, path: &str) -> String {
        format!("{}/", self.url(path.trim_end_matches('/')))
    }

    /// Go's server locks what it works on: who comes meanwhile is to come again.
    async fn send(&self, call: Call) -> Result<Answer, Fault> {
        for attempt in 1.. {
            let answer = self.site.call(&call).await?;
            if answer.status.as_u16() != 423 || attempt >= LOCKED_TRIES {
                return Ok(answer);
            }
            let _ = answer.bytes(1 << 20).await;
            tokio::time::sleep(back_off(attempt)).await;
        }
        unreachable!("the loop ends by returning")
    }

    /// What is told of a path, and with `depth` 1 of what lies in it. An answer that breaks off is asked for
    /// again.
    async fn describe(&self, url: String, depth: &str) -> Result<Vec<multistatus::Described>, Fault> {
        for attempt in 1.. {
            let broken = match self.described(&url, depth).await? {
                Ok(text) => {
                    return multistatus::parse(&text)
                        .ok_or_else(|| Fault::Other("its answer to PROPFIND is no sound multi-status".to_owned()));
                }
                Err(broken) => broken,
            };
            if attempt >= self.site.client().options().attempts {
                return Err(broken.into());
            }
            tokio::time::sleep(back_off(attempt)).await;
        }
        unreachable!("the loop ends by returning")
    }

    /// The answer to one PROPFIND, unless it breaks off.
    async fn described(&self, url: &str, depth: &str) -> Result<Result<Bytes, Failure>, Fault> {
        let call = Call::new(method("PROPFIND")?, url.to_owned())
            .header("depth", depth)
            .header("content-type", "application/xml; charset=utf-8")
            .body(Bytes::from_static(PROPERTIES.as_bytes()));
        let mut answer = self.send(call.clone()).await?;
        // A folder that was asked for without its slash.
        if matches!(answer.status.as_u16(), 301 | 302 | 307 | 308) && !url.ends_with('/') {
            let target = answer.header("location").and_then(|to| crate::http::url::join(url, to));
            let slashed = format!("{url}/");
            if target.is_some_and(|to| Origin::of(&to).as_ref() == Some(self.site.origin()) && to.ends_with('/')) {
                let _ = answer.bytes(1 << 20).await;
                answer = self.send(Call { url: slashed, ..call }).await?;
            }
        }
        match answer.status.as_u16() {
            207 => Ok(answer.bytes(LONGEST_LISTING).await),
            405 | 501 => Err(Fault::Other(
                "it does not know PROPFIND, so it is no WebDAV server, or WebDAV is not switched on for this path"
                    .to_owned(),
            )),
            200..=299 => Err(Fault::Other("it does not answer PROPFIND as a WebDAV server does".to_owned())),
            _ => Err(self.site.fault(answer).await),
        }
    }

    pub async fn stat(&self, path: &str) -> Result<Option<Meta>, Fault> {
        match self.describe(self.url(path), "0").await {
            Ok(found) => Ok(found.into_iter().next().map(|described| described.meta)),
            Err(Fault::Missing) => Ok(None),
            // Apache calls a path below a file a bad request, others say other things.
            Err(fault @ Fault::Other(_)) => match self.is_below_a_file(path).await? {
                true => Ok(None),
                false => Err(fault),
            },
            Err(fault) => Err(fault),
        }
    }

    async fn is_below_a_file(&self, path: &str) -> Result<bool, Fault> {
        let mut above = path;
        while let Some((parent, _)) = above.rsplit_once('/').filter(|(parent, _)| !parent.is_empty()) {
            match self.describe(self.url(parent), "0").await {
                Ok(found) => return Ok(found.first().is_some_and(|described| !described.meta.is_dir)),
                Err(Fault::Other(_)) => above = parent,
                Err(Fault::Missing) => return Ok(false),
                Err(fault) => return Err(fault),
            }
        }
        Ok(false)
    }

    pub async fn list(&self, dir: &str) -> Result<Vec<(String, Meta)>, Fault> {
        let url = self.dir_url(dir);
        let found = match self.describe(url, "1").await {
            Err(Fault::Other(_)) if self.is_below_a_file(dir).await? => return Err(Fault::Missing),
            found => found?,
        };
        let dir = dir.trim_matches('/');
        let mut listed = Vec::with_capacity(found.len());
        for described in found {
            let place = self.place(&described.href)?;
            // Bytes that are no UTF-8 cannot be asked for.
            let Some(place) = place else { continue };
            if place == dir {
                if !described.meta.is_dir {
                    return Err(Fault::Missing);
                }
                continue;
            }
            let name = match dir.is_empty() {
                true => Some(place.as_str()),
                false => place.strip_prefix(dir).and_then(|rest| rest.strip_prefix('/')),
            };
            match name {
                Some(name) if !name.contains('/') => listed.push((name.to_owned(), described.meta)),
                _ => return Err(Fault::Other("its listing of a folder names things outside of it".to_owned())),
            }
        }
        Ok(listed)
    }

    /// The path that an href means, without slashes around it. An href is never asked for, so that a proxy
    /// may hide scheme and port; but one that names another host means something else than we asked.
    fn place(&self, href: &str) -> Result<Option<String>, Fault> {
        let joined = crate::http::url::join(&format!("{}/", self.base), href)
            .and_then(|url| Some((Origin::of(&url)?.host, url)));
        let Some((host, url)) = joined else {
            return Err(Fault::Other("its listing has something that is no path".to_owned()));
        };
        if host != self.site.origin().host {
            return Err(Fault::Other(format!("its listing names files of another host, '{}'", host.escape_debug())));
        }
        let path = url.split_once("://").and_then(|(_, rest)| Some(rest.split_once('/')?.1)).unwrap_or_default();
        let path = path.split('?').next().unwrap_or_default();
        // A slash that is encoded is a slash in a name.
        if path.to_ascii_lowercase().contains("%2f") {
            return Ok(None);
        }
        let decoded = percent_encoding::percent_decode_str(path).decode_utf8();
        Ok(decoded.ok().map(|path| path.trim_matches('/').to_owned()))
    }

    pub async fn read(&self, path: &str, wanted: Range<u64>, meta: &Meta) -> Result<Body<'static>, Fault> {
        if wanted.is_empty() {
            return Ok(Box::pin(stream::empty()));
        }
        let mut call = Call::new(Method::GET, self.url(path)).header("accept-encoding", "identity");
        if wanted != (0..meta.size) {
            call = call.header("range", &format!("bytes={}-{}", wanted.start, wanted.end - 1));
        }
        // Not `if-match`: Apache calls the tag of a young file weak, and a weak one never matches.
        let answer = self.send(call).await?;
        if !matches!(answer.status.as_u16(), 200 | 206) {
            return Err(self.site.fault(answer).await);
        }
        if answer.header("content-encoding").is_some_and(|encoding| encoding != "identity") {
            return Err(Fault::Other("it sends the file packed, though that was not asked for".to_owned()));
        }
        let etag = answer.header("etag").map(unquoted);
        if let (Some(wanted), Some(found)) = (&meta.etag, &etag)
            && wanted != found
        {
            return Err(Fault::Changed);
        }
        let skip = match (answer.status.as_u16(), range(&answer)) {
            (206, Some((sent, size))) if sent.start == wanted.start && size == meta.size => 0,
            (206, _) | (_, None) if wanted != (0..meta.size) => {
                return Err(Fault::Other("it does not say which bytes it sends".to_owned()));
            }
            // All of it: it does not know ranges.
            (_, Some((sent, _))) if sent != (0..meta.size) => return Err(Fault::Changed),
            _ => wanted.start,
        };
        Ok(Box::pin(pieces(answer, skip, wanted.end - wanted.start)))
    }

    pub async fn write(&self, path: &str, mut body: Body<'_>, length: Option<u64>) -> Result<(), Fault> {
        let call = Call::new(Method::PUT, self.url(path)).header("content-type", "application/octet-stream");
        let (mut first, mut ended) = (BytesMut::new(), false);
        while !ended && first.len() <= SMALL && length.is_none_or(|length| length <= SMALL as u64) {
            match body.next().await {
                Some(piece) => first.extend_from_slice(&piece?),
                None => ended = true,
            }
        }
        let answer = match ended {
            true => self.send(call.body(first.freeze())).await?,
            false => {
                let first = stream::once(std::future::ready(Ok(first.freeze())));
                self.site.upload(&call, first.chain(body), length).await?
            }
        };
        match answer.status.as_u16() {
            200 | 201 | 204 => drain(answer).await,
            404 | 409 => Err(Fault::Missing),
            _ => Err(self.site.fault(answer).await),
        }
    }

    /// Asked first to replace nothing: where a folder lies, a MOVE that may would delete all that is in it.
    pub async fn rename(&self, from: &str, to: &str) -> Result<(), Fault> {
        match self.move_to(from, to, false).await {
            Err(Fault::Taken) => {}
            outcome => return outcome,
        }
        match self.stat(to).await? {
            Some(meta) if meta.is_dir => Err(Fault::Other("a folder lies there".to_owned())),
            _ => self.move_to(from, to, true).await,
        }
    }

    /// A folder is made by one alone, while "replace nothing" is looked up and then done by many servers. So
    /// one whose name stands for the file guards it meanwhile.
    pub async fn rename_new(&self, from: &str, to: &str) -> Result<(), Fault> {
        const TRIES: u32 = 60;
        const DEAD: Duration = Duration::from_secs(120);
        let (dir, _) = to.rsplit_once('/').unwrap_or_default();
        let guard = format!("{dir}/.trackway-{}.tmp", encode::hex(&fast_md5::digest(to.as_bytes())));
        for attempt in 1..=TRIES {
            if self.stat(to).await?.is_some() {
                return Err(Fault::Taken);
            }
            match self.stat(&guard).await? {
                None => match self.make_guard(&guard).await {
                    Ok(()) => {
                        let outcome = self.move_to(from, to, false).await;
                        // Left behind it would stop others until it counts as dead.
                        for attempt in 1..=5 {
                            match self.delete(self.dir_url(&guard)).await {
                                Ok(()) | Err(Fault::Missing) => break,
                                Err(_) => tokio::time::sleep(back_off(attempt)).await,
                            }
                        }
                        return outcome;
                    }
                    Err(Fault::Taken) => {}
                    // So says Apache, too, when two make the same at the same time.
                    Err(Fault::Refused(_)) if attempt < 8 => {}
                    Err(fault) => return Err(fault),
                },
                Some(meta) => {
                    let is_dead = |since| SystemTime::now().duration_since(since).is_ok_and(|age| age > DEAD);
                    if meta.modified.is_some_and(is_dead) {
                        let _ = self.delete(self.dir_url(&guard)).await;
                    }
                }
            }
            tokio::time::sleep(back_off(attempt.min(4))).await;
        }
        Err(Fault::Unreachable("somebody else has been creating the same file for long".to_owned()))
    }

    async fn move_to(&self, from: &str, to: &str, replace: bool) -> Result<(), Fault> {
        let whole = self.whole_destinations.load(Ordering::Relaxed);
        let fault = match self.move_once(from, to, replace, whole).await {
            Err(Fault::Other(reason)) if !whole => {
                // Old servers want to read whole URLs.
                let again = self.move_once(from, to, replace, true).await;
                if matches!(again, Ok(()) | Err(Fault::Taken)) {
                    self.whole_destinations.store(true, Ordering::Relaxed);
                    return again;
                }
                Fault::Other(reason)
            }
            outcome => return outcome,
        };
        Err(fault)
    }

    async fn move_once(&self, from: &str, to: &str, replace: bool, whole: bool) -> Result<(), Fault> {
        let destination = if whole { self.url(to) } else { encode::key(to) };
        let call = Call::new(method("MOVE")?, self.url(from))
            .header("destination", &destination)
            .header("overwrite", if replace { "T" } else { "F" });
        let answer = self.send(call).await?;
        match answer.status.as_u16() {
            200 | 201 | 204 => drain(answer).await,
            // It was done before, unheard.
            404 | 412 if answer.repeated && self.stat(from).await?.is_none() => match self.stat(to).await? {
                Some(_) => Ok(()),
                None => Err(Fault::Missing),
            },
            404 | 409 => Err(Fault::Missing),
            // So says Go's server of a file, or a folder, that is not there.
            403 if self.is_missing(from, to).await? => Err(Fault::Missing),
            412 => Err(Fault::Taken),
            _ => Err(self.site.fault(answer).await),
        }
    }

    async fn is_missing(&self, from: &str, to: &str) -> Result<bool, Fault> {
        let (folder, _) = to.rsplit_once('/').unwrap_or_default();
        Ok(self.stat(from).await?.is_none() || self.stat(folder).await?.is_none())
    }

    /// Who is just making or deleting it has it.
    async fn make_guard(&self, path: &str) -> Result<(), Fault> {
        let answer = self.site.call(&Call::new(method("MKCOL")?, self.dir_url(path))).await?;
        match answer.status.as_u16() {
            423 => Err(Fault::Taken),
            _ => self.made(path, answer).await,
        }
    }

    pub async fn make_dir(&self, path: &str) -> Result<(), Fault> {
        for attempt in 1..=LOCKED_TRIES {
            // Locked is also what somebody else is just making.
            match self.make_guard(path).await {
                Err(Fault::Taken) if self.stat(path).await?.is_none() => {}
                outcome => return outcome,
            }
            tokio::time::sleep(back_off(attempt)).await;
        }
        Err(Fault::Unreachable("somebody holds a lock on this folder (status 423)".to_owned()))
    }

    async fn made(&self, path: &str, answer: Answer) -> Result<(), Fault> {
        match answer.status.as_u16() {
            200 | 201 => drain(answer).await,
            405 if answer.repeated => Ok(()),
            405 => Err(Fault::Taken),
            // So says Apache when two make the same at the same time.
            403 if self.stat(path).await?.is_some() => Err(Fault::Taken),
            404 | 409 => Err(Fault::Missing),
            _ => Err(self.site.fault(answer).await),
        }
    }

    /// A DELETE takes a folder with all that is in it, so it is asked beforehand what it would take.
    pub async fn delete_file(&self, path: &str) -> Result<(), Fault> {
        match self.stat(path).await? {
            None => Err(Fault::Missing),
            Some(meta) if meta.is_dir => Err(Fault::Other("a folder lies there".to_owned())),
            Some(_) => self.delete(self.url(path)).await,
        }
    }

    pub async fn delete_dir(&self, path: &str) -> Result<(), Fault> {
        match self.list(path).await?.is_empty() {
            true => self.delete(self.dir_url(path)).await,
            false => Err(Fault::Taken),
        }
    }

    pub async fn delete_tree(&self, path: &str) -> Result<(), Fault> {
        self.delete(self.dir_url(path)).await
    }

    async fn delete(&self, url: String) -> Result<(), Fault> {
        let answer = self.send(Call::new(Method::DELETE, url)).await?;
        match answer.status.as_u16() {
            207 => Err(Fault::Other("it could not delete all of it".to_owned())),
            200..=299 => drain(answer).await,
            404 | 410 if answer.repeated => Ok(()),
            _ => Err(self.site.fault(answer).await),
        }
    }
}

/// So much of a body, behind what is to be skipped, and a fault if that is not all there.
pub(crate) fn pieces(
    answer: Answer,
    skip: u64,
    length: u64,
) -> impl futures_util::Stream<Item = Result<Bytes, Fault>> + Send + 'static {
    stream::unfold(Some((answer, skip, length)), |state| async {
        let (mut answer, mut skip, mut left) = state?;
        loop {
            if left == 0 {
                // The end of the answer, so that its connection can be used again.
                let _ = answer.next().await;
                return None;
            }
            match answer.next().await {
                Ok(Some(mut piece)) => {
                    let over = skip.min(piece.len() as u64);
                    skip -= over;
                    let _ = piece.split_to(over as usize);
                    piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                    left -= piece.len() as u64;
                    if !piece.is_empty() {
                        return Some((Ok(piece), Some((answer, skip, left))));
                    }
                }
                Ok(None) => return Some((Err(Fault::Unreachable("the answer ended too early".to_owned())), None)),
                Err(failure) => return Some((Err(failure.into()), None)),
            }
        }
    })
}

async fn drain(answer: Answer) -> Result<(), Fault> {
    // What the answer says was done, however its end arrives.
    let _ = answer.bytes(1 << 20).await;
    Ok(())
}

fn method(name: &'static str) -> Result<Method, Fault> {
    Method::from_bytes(name.as_bytes()).map_err(|_| Fault::Unsupported(name))
}
