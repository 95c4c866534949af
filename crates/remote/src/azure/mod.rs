//! `azure://container/path`, `wasbs://` and `abfss://`: Azure Blob Storage.
//!
//! An upload in parts has no beginning here: parts are blocks, with ids of our choice, that lie beside the
//! blob until a list of them is committed. Ours are made of the upload's id and the part's number, all of
//! one length, which Azure demands within a blob; so uploads are kept apart and can be found again.

mod answers;
mod credentials;
mod settings;
mod sign;

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::bucket::{Ask, Bucket, Got, Head, How, Page, Purpose, Sent, Service, Session, Stored, random_id};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::fresh::{Bearer, Fresh};
use crate::http::xml::Element;
use crate::http::{Answer, Client, Request, encode, range, unquoted};
use crate::location::Account;
use crate::multipart::{Part, SignedUrl, StoredPart, UnfinishedUpload};
use crate::options::{AzureOptions, Options};
use settings::{Access, Settings};
use sign::{DelegationKey, Grant};

pub(crate) struct Azure {
    client: Client,
    container: String,
    settings: Settings,
    options: AzureOptions,
    environment: Environment,
    token: Fresh<Bearer>,
}

/// A request before it is signed.
struct Call<'a> {
    method: Method,
    key: Option<&'a str>,
    query: Vec<(&'a str, String)>,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl<'a> Call<'a> {
    fn new(method: Method, key: Option<&'a str>) -> Call<'a> {
        Call { method, key, query: Vec::new(), headers: Vec::new(), body: Bytes::new() }
    }

    fn query(mut self, name: &'a str, value: impl Into<String>) -> Call<'a> {
        self.query.push((name, value.into()));
        self
    }

    fn version(self, version: Option<&str>) -> Call<'a> {
        match version {
            Some(version) => self.query("versionid", version),
            None => self,
        }
    }

    fn header(mut self, name: &'static str, value: impl Into<String>) -> Call<'a> {
        self.headers.push((name, value.into()));
        self
    }

    /// With its MD5, which Azure compares.
    fn body(mut self, body: Bytes) -> Call<'a> {
        self.headers.push(("content-md5", encode::base64(fast_md5::digest(&body))));
        self.body = body;
        self
    }
}

pub(crate) fn open(
    location: &str,
    container: &str,
    account: Option<&Account>,
    prefix: &str,
    options: &Options,
) -> Result<Bucket> {
    let location = location.trim_end_matches('/').to_owned();
    let invalid = |reason| Error::InvalidLocation { location: location.clone(), reason };
    let settings = Settings::find(account, options).map_err(invalid)?;
    let store = Azure {
        client: Client::new(&options.http, &options.environment).map_err(invalid)?,
        container: container.to_owned(),
        settings,
        options: options.azure.clone(),
        environment: options.environment.clone(),
        token: Fresh::default(),
    };
    Ok(Bucket::new(Service::Azure(store), location, prefix))
}

impl Azure {
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Whoever has only a signature cannot make others.
    pub fn can_sign(&self) -> bool {
        matches!(self.settings.access, Access::Key(_) | Access::Token)
    }

    pub async fn head(&self, key: &str, version: Option<&str>) -> Result<Head, Fault> {
        let answer = self.call(&Call::new(Method::HEAD, Some(key)).version(version)).await?;
        let size = answer.header("content-length").and_then(|size| size.parse().ok()).unwrap_or(0);
        Ok(answers::head(&answer, size))
    }

    pub async fn get(
        &self,
        key: &str,
        version: Option<&str>,
        wanted: Range<u64>,
        etag: Option<&str>,
    ) -> Result<Got, Fault> {
        let span = format!("bytes={}-{}", wanted.start, wanted.end.saturating_sub(1));
        let mut call = Call::new(Method::GET, Some(key)).version(version).header("x-ms-range", span);
        if let Some(etag) = etag {
            call = call.header("if-match", format!("\"{etag}\""));
        }
        let answer = self.call(&call).await?;
        let (range, size) =
            range(&answer).ok_or_else(|| Fault::Other("it does not say which bytes it sends".to_owned()))?;
        Ok(Got { head: answers::head(&answer, size), range, body: answer })
    }

    pub async fn put(&self, key: &str, content: Bytes, how: How) -> Result<Stored, Fault> {
        let call = Call::new(Method::PUT, Some(key)).header("x-ms-blob-type", "BlockBlob");
        let answer = self.create(call.body(content), how).await?;
        Ok(Stored { etag: answer.header("etag").map(unquoted), version: answers::version(&answer), json_etag: None })
    }

    pub async fn delete(&self, key: &str) -> Result<(), Fault> {
        let call = Call::new(Method::DELETE, Some(key)).header("x-ms-delete-snapshots", "include");
        self.call(&call).await.map(|_| ())
    }

    pub async fn list(&self, ask: Ask<'_>) -> Result<Page, Fault> {
        let mut call = Call::new(Method::GET, None)
            .query("restype", "container")
            .query("comp", "list")
            .query("maxresults", ask.most.to_string());
        if !ask.prefix.is_empty() {
            call = call.query("prefix", ask.prefix);
        }
        if ask.level {
            call = call.query("delimiter", "/");
        }
        if let Some(after) = ask.after {
            call = call.query("marker", after);
        }
        let told = self.client.told(|| self.call(&call)).await?;
        let root = Element::parse(&String::from_utf8_lossy(&told));
        root.as_ref().and_then(answers::page).ok_or_else(|| Fault::Other("its listing makes no sense".to_owned()))
    }

    pub async fn start(&self, _key: &str, _how: How) -> Result<Session, Fault> {
        Ok(Session::new(random_id()))
    }

    pub async fn piece(&self, key: &str, session: &Session, number: u32, content: Bytes) -> Result<Sent, Fault> {
        let etag = self.send_part(key, &session.id, number, content).await?;
        Ok(Sent { number, etag, checksum: String::new() })
    }

    pub async fn finish(&self, key: &str, session: &Session, sent: &[Sent], how: How) -> Result<Option<String>, Fault> {
        self.commit(key, &session.id, sent.iter().map(|part| part.number), how).await
    }

    /// Nothing has to be begun: an id is enough.
    pub async fn begin(&self, _key: &str) -> Result<String, Fault> {
        Ok(random_id())
    }

    pub async fn send_part(&self, key: &str, upload_id: &str, number: u32, content: Bytes) -> Result<String, Fault> {
        let call = Call::new(Method::PUT, Some(key)).query("comp", "block");
        let call = call.query("blockid", block_id(upload_id, number)?).body(content);
        self.call(&call).await.map(|_| String::new())
    }

    pub async fn parts(&self, key: &str, upload_id: &str) -> Result<Vec<StoredPart>, Fault> {
        let parts: Vec<_> = self
            .blocks(key)
            .await?
            .into_iter()
            .filter(|(id, _, _)| id == upload_id)
            .map(|(_, number, size)| StoredPart { part: Part { number, etag: String::new() }, size })
            .collect();
        match parts.is_empty() {
            true => Err(Fault::NoUpload),
            false => Ok(parts),
        }
    }

    pub async fn uploads(&self, key: &str) -> Result<Vec<UnfinishedUpload>, Fault> {
        let ids: BTreeMap<_, _> = self.blocks(key).await?.into_iter().map(|(id, _, _)| (id, ())).collect();
        Ok(ids.into_keys().map(|upload_id| UnfinishedUpload { upload_id, started: None }).collect())
    }

    /// The uncommitted blocks that are ours: whose upload, which part, how large.
    async fn blocks(&self, key: &str) -> Result<Vec<(String, u32, u64)>, Fault> {
        let call = Call::new(Method::GET, Some(key)).query("comp", "blocklist");
        let answer = match self.call(&call.query("blocklisttype", "uncommitted")).await {
            Err(Fault::Missing) => return Ok(Vec::new()),
            outcome => outcome?,
        };
        let root = Element::parse(&answer.text().await?).unwrap_or_default();
        let uncommitted = root.child("UncommittedBlocks").map(|blocks| blocks.children.iter());
        let ours = uncommitted.into_iter().flatten().filter_map(|block| {
            let id = String::from_utf8(encode::from_base64(block.text_of("Name"))?).ok()?;
            let (upload_id, number) = id.rsplit_once('-')?;
            Some((upload_id.to_owned(), number.parse().ok()?, block.text_of("Size").parse().ok()?))
        });
        Ok(ours.collect())
    }

    pub async fn complete(&self, key: &str, upload_id: &str, parts: &[Part]) -> Result<(), Fault> {
        self.commit(key, upload_id, parts.iter().map(|part| part.number), How::default()).await.map(drop)
    }

    async fn commit(
        &self,
        key: &str,
        upload_id: &str,
        numbers: impl Iterator<Item = u32>,
        how: How,
    ) -> Result<Option<String>, Fault> {
        let mut list = String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
        for number in numbers {
            list.push_str(&format!("<Latest>{}</Latest>", block_id(upload_id, number)?));
        }
        list.push_str("</BlockList>");
        let call = Call::new(Method::PUT, Some(key)).query("comp", "blocklist");
        let answer = self.create(call.header("content-type", "application/xml").body(list.into()), how).await?;
        Ok(answers::version(&answer))
    }

    /// Nothing can be done: uncommitted blocks go by themselves after a week, and never become visible.
    pub async fn abort(&self, _key: &str, _upload_id: &str) -> Result<(), Fault> {
        Ok(())
    }

    pub async fn sign(&self, key: &str, purpose: Purpose<'_>, valid_for: Duration) -> Result<SignedUrl, Fault> {
        let mut headers = BTreeMap::new();
        let (permissions, disposition, block) = match purpose {
            Purpose::Get => ("r", Some(encode::attachment(key.rsplit('/').next().unwrap_or(key))), String::new()),
            Purpose::Put { content_type } => {
                headers.insert("x-ms-blob-type".to_owned(), "BlockBlob".to_owned());
                headers.insert("content-type".to_owned(), content_type.to_owned());
                ("cw", None, String::new())
            }
            Purpose::Part { upload_id, number } => {
                let id = encode::strict(&block_id(upload_id, number)?);
                // Permission to write covers blocks, and what is not there yet.
                ("cw", None, format!("comp=block&blockid={id}&"))
            }
        };
        let grant = Grant {
            account: &self.settings.account,
            container: &self.container,
            key,
            permissions,
            disposition,
            valid_for,
        };
        let now = SystemTime::now();
        let query = match &self.settings.access {
            Access::Key(account_key) => grant.by_account_key(account_key, now),
            Access::Token => grant.by_delegation(&self.delegation_key(now, valid_for).await?, now),
            Access::Sas(_) | Access::Anonymous => return Err(Fault::Unsupported("a signed URL without a key")),
        };
        Ok(SignedUrl { url: format!("{}?{block}{query}", self.url(Some(key))), headers })
    }

    async fn delegation_key(&self, now: SystemTime, valid_for: Duration) -> Result<DelegationKey, Fault> {
        let (start, expiry) = (sign::time(now - Duration::from_secs(300)), sign::time(now + valid_for));
        let body = format!("<KeyInfo><Start>{start}</Start><Expiry>{expiry}</Expiry></KeyInfo>");
        let call = Call { body: body.into(), ..Call::new(Method::POST, None) };
        let answer = self.call(&call.query("restype", "service").query("comp", "userdelegationkey")).await?;
        let root = Element::parse(&answer.text().await?).unwrap_or_default();
        let text = |name: &str| root.text_of(name).to_owned();
        let value = encode::from_base64(root.text_of("Value")).filter(|value| !value.is_empty());
        Ok(DelegationKey {
            oid: text("SignedOid"),
            tid: text("SignedTid"),
            start: text("SignedStart"),
            expiry: text("SignedExpiry"),
            service: text("SignedService"),
            version: text("SignedVersion"),
            value: value.ok_or_else(|| Fault::Other("it gives no key to sign URLs with".to_owned()))?,
        })
    }

    /// Sends what makes a blob, under the condition that there is none if that is asked for.
    async fn create(&self, mut call: Call<'_>, how: How) -> Result<Answer, Fault> {
        if let Some(content_type) = how.content_type {
            call = call.header("x-ms-blob-content-type", content_type);
        }
        if how.if_absent {
            call = call.header("if-none-match", "*");
        }
        let answer = self.send(&call).await?;
        if answer.status.is_success() {
            return Ok(answer);
        }
        let repeated = answer.repeated;
        Err(match answers::fault(answer).await {
            Fault::Taken | Fault::Changed if how.if_absent && repeated => Fault::TakenOnRetry,
            Fault::Changed if how.if_absent => Fault::Taken,
            fault => fault,
        })
    }

    async fn call(&self, call: &Call<'_>) -> Result<Answer, Fault> {
        let answer = self.send(call).await?;
        match answer.status.is_success() {
            true => Ok(answer),
            false => Err(answers::fault(answer).await),
        }
    }

    async fn send(&self, call: &Call<'_>) -> Result<Answer, Fault> {
        let mut attempts = self.client.attempts();
        let mut renewed = false;
        loop {
            let request = self.request(call).await?;
            match attempts.send(request).await {
                Some(Ok(answer)) if answer.status.as_u16() == 401 && !renewed => {
                    // A token may end before its time.
                    renewed = true;
                    self.token.forget();
                    if !matches!(self.settings.access, Access::Token) {
                        return Ok(answer);
                    }
                }
                Some(outcome) => return Ok(outcome?),
                None => {}
            }
        }
    }

    async fn request(&self, call: &Call<'_>) -> Result<Request, Fault> {
        let mut headers = HeaderMap::new();
        let mut set = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        };
        set("x-ms-version", sign::VERSION);
        set("x-ms-date", &httpdate::fmt_http_date(SystemTime::now()));
        for (name, value) in &call.headers {
            set(name, value);
        }
        let base = match call.query.iter().any(|(name, value)| *name == "restype" && value == "service") {
            true => format!("{}/", self.settings.endpoint),
            false => self.url(call.key),
        };
        let mut query = encode::query(&call.query);
        let authorization = match &self.settings.access {
            Access::Key(account_key) => {
                let path = base.split_once("://").and_then(|(_, rest)| rest.find('/').map(|slash| &rest[slash..]));
                let (account, path) = (&self.settings.account, path.unwrap_or("/"));
                let length = call.body.len();
                Some(sign::shared_key(account, account_key, &call.method, path, &call.query, &headers, length))
            }
            Access::Token => {
                let find = credentials::find(&self.client, &self.options, &self.environment);
                Some(format!("Bearer {}", self.token.get(find).await?.token.expose()))
            }
            Access::Sas(sas) => {
                query = if query.is_empty() { sas.expose().to_owned() } else { format!("{query}&{}", sas.expose()) };
                None
            }
            Access::Anonymous => None,
        };
        if let Some(mut value) = authorization.and_then(|text| HeaderValue::from_str(&text).ok()) {
            value.set_sensitive(true);
            headers.insert(http::header::AUTHORIZATION, value);
        }
        let url = if query.is_empty() { base } else { format!("{base}?{query}") };
        Ok(Request { method: call.method.clone(), url, headers, body: call.body.clone() })
    }

    fn url(&self, key: Option<&str>) -> String {
        let container = format!("{}/{}", self.settings.endpoint, self.container);
        match key {
            Some(key) => format!("{container}/{}", encode::key(key)),
            None => container,
        }
    }
}

/// The id of a block: of one length for every part of every upload.
fn block_id(upload_id: &str, number: u32) -> Result<String, Fault> {
    let is_ours = upload_id.len() == 16 && upload_id.bytes().all(|byte| byte.is_ascii_hexdigit());
    match is_ours {
        true => Ok(encode::base64(format!("{upload_id}-{number:05}"))),
        false => Err(Fault::NoUpload),
    }
}
