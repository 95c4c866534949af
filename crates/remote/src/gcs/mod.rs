//! `gs://bucket/prefix`: Google Cloud Storage, by its JSON interface.
//!
//! What S3 has an ETag for is a generation here: a number that every new content gets.

mod answers;
mod credentials;
mod sign;
mod upload;

use std::ops::Range;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::Timestamp;

use crate::bucket::{Ask, Bucket, Got, Head, How, Page, Purpose, Service, Stored, random_id};
use crate::environment::Environment;
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::fresh::{Bearer, Fresh};
use crate::http::{Answer, Client, Request, encode, range};
use crate::multipart::SignedUrl;
use crate::options::Options;
use credentials::Source;

pub(crate) struct Gcs {
    client: Client,
    bucket: String,
    /// Without a slash at its end.
    endpoint: String,
    source: Source,
    token: Fresh<Bearer>,
    environment: Environment,
    user_project: Option<String>,
}

/// A request before it is sent.
struct Call {
    method: Method,
    /// Behind the endpoint, encoded.
    path: String,
    query: Vec<(&'static str, String)>,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
}

impl Call {
    fn new(method: Method, path: String) -> Call {
        Call { method, path, query: Vec::new(), headers: Vec::new(), body: Bytes::new() }
    }

    fn query(mut self, name: &'static str, value: impl Into<String>) -> Call {
        self.query.push((name, value.into()));
        self
    }

    fn header(mut self, name: &'static str, value: impl Into<String>) -> Call {
        self.headers.push((name, value.into()));
        self
    }

    fn version(self, version: Option<&str>) -> Call {
        match version {
            Some(generation) => self.query("generation", generation),
            None => self,
        }
    }

    fn body(mut self, body: Bytes) -> Call {
        self.body = body;
        self
    }
}

pub(crate) async fn open(location: &str, bucket: &str, prefix: &str, options: &Options) -> Result<Bucket> {
    let location = location.trim_end_matches('/').to_owned();
    let invalid = |reason| Error::InvalidLocation { location: location.clone(), reason };
    let (gcs, environment) = (&options.gcs, &options.environment);
    let source = Source::find(gcs, environment).await;
    let source = source.map_err(|reason| Error::NoCredentials { location: location.clone(), reason })?;
    let emulator = || environment.get("STORAGE_EMULATOR_HOST");
    let endpoint = gcs.endpoint.clone().or_else(emulator).map(|endpoint| match endpoint.contains("://") {
        true => endpoint,
        false => format!("http://{endpoint}"),
    });
    let endpoint = endpoint.unwrap_or_else(|| "https://storage.googleapis.com".to_owned());
    if endpoint.contains('@') || !endpoint.starts_with("http") {
        return Err(invalid("the endpoint must be a URL like https://storage.googleapis.com".to_owned()));
    }
    let store = Gcs {
        client: Client::new(&options.http, environment).map_err(invalid)?,
        bucket: bucket.to_owned(),
        endpoint: endpoint.trim_end_matches('/').to_owned(),
        source,
        token: Fresh::default(),
        environment: environment.clone(),
        user_project: gcs.user_project.clone(),
    };
    Ok(Bucket::new(Service::Gcs(store), location, prefix))
}

impl Gcs {
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Only who holds a key can sign without asking.
    pub fn can_sign(&self) -> bool {
        matches!(self.source, Source::Account(_))
    }

    pub async fn head(&self, key: &str, version: Option<&str>) -> Result<Head, Fault> {
        let call = Call::new(Method::GET, self.object_path(key)).version(version);
        let answer = self.call(&call.query("fields", "name,size,generation,updated,crc32c,etag")).await?;
        let described = answers::described(answer).await?;
        described.head().ok_or_else(|| Fault::Other("its answer makes no sense".to_owned()))
    }

    pub async fn get(
        &self,
        key: &str,
        version: Option<&str>,
        wanted: Range<u64>,
        etag: Option<&str>,
    ) -> Result<Got, Fault> {
        let mut call = Call::new(Method::GET, self.object_path(key))
            .version(version)
            .query("alt", "media")
            .header("range", format!("bytes={}-{}", wanted.start, wanted.end.saturating_sub(1)))
            // What is stored packed is sent packed.
            .header("accept-encoding", "gzip");
        if let Some(generation) = etag {
            call = call.query("ifGenerationMatch", generation);
        }
        let answer = self.call(&call).await?;
        let (range, size) =
            range(&answer).ok_or_else(|| Fault::Other("it does not say which bytes it sends".to_owned()))?;
        let head = answers::head(&answer, size);
        // Not every version of the interface knows the condition on a read.
        match (etag, head.etag.as_deref()) {
            (Some(wanted), Some(found)) if wanted != found => Err(Fault::Changed),
            _ => Ok(Got { head, range, body: answer }),
        }
    }

    /// What describes the object and its content, in one body: so the checksum is there beforehand.
    pub async fn put(&self, key: &str, content: Bytes, how: How) -> Result<Stored, Fault> {
        let sum = crc32c::crc32c(&content);
        let mut metadata = serde_json::json!({"name": key, "crc32c": encode::base64(sum.to_be_bytes())});
        if let Some(content_type) = how.content_type {
            metadata["contentType"] = content_type.into();
        }
        let boundary = random_id();
        let content_type = how.content_type.unwrap_or("application/octet-stream");
        let head = format!(
            "--{boundary}\r\ncontent-type: application/json; charset=UTF-8\r\n\r\n{metadata}\r\n--{boundary}\r\n\
             content-type: {content_type}\r\n\r\n"
        );
        let tail = format!("\r\n--{boundary}--\r\n");
        let mut body = BytesMut::with_capacity(head.len() + content.len() + tail.len());
        body.put(head.as_bytes());
        body.put(content);
        body.put(tail.as_bytes());
        let mut call = Call::new(Method::POST, self.upload_path())
            .query("uploadType", "multipart")
            .query("name", key)
            .header("content-type", format!("multipart/related; boundary={boundary}"))
            .body(body.freeze());
        if how.if_absent {
            call = call.query("ifGenerationMatch", "0");
        }
        let answer = self.send(&call).await?;
        if !answer.status.is_success() {
            let repeated = answer.repeated;
            return Err(match answers::fault(answer).await {
                Fault::Changed if how.if_absent && repeated => Fault::TakenOnRetry,
                Fault::Changed if how.if_absent => Fault::Taken,
                fault => fault,
            });
        }
        let described = answers::described(answer).await?;
        if described.crc32c().is_some_and(|stored| stored != sum) {
            let _ = self.delete(key).await;
            return Err(Fault::Other("what it stored has another checksum than what was sent".to_owned()));
        }
        let (etag, version) = (described.generation(), described.generation());
        Ok(Stored { etag, version, json_etag: described.json_etag() })
    }

    pub async fn delete(&self, key: &str) -> Result<(), Fault> {
        self.call(&Call::new(Method::DELETE, self.object_path(key))).await.map(|_| ())
    }

    pub async fn list(&self, ask: Ask<'_>) -> Result<Page, Fault> {
        let mut call = Call::new(Method::GET, format!("/storage/v1/b/{}/o", encode::strict(&self.bucket)))
            .query("maxResults", ask.most.to_string())
            .query("fields", "items(name,size,generation,updated,etag),prefixes,nextPageToken");
        if !ask.prefix.is_empty() {
            call = call.query("prefix", ask.prefix);
        }
        if ask.level {
            call = call.query("delimiter", "/");
        }
        if let Some(after) = ask.after {
            call = call.query("pageToken", after);
        }
        match self.client.told(|| self.call(&call)).await {
            Ok(told) => answers::page(&told),
            Err(Fault::Missing) => Err(Fault::NoBucket),
            Err(fault) => Err(fault),
        }
    }

    pub async fn sign(&self, key: &str, purpose: Purpose<'_>, valid_for: Duration) -> Result<SignedUrl, Fault> {
        let Source::Account(account) = &self.source else {
            return Err(Fault::Unsupported("a signed URL without the key of a service account"));
        };
        let (method, query, headers) = match purpose {
            Purpose::Get => {
                let name = key.rsplit('/').next().unwrap_or(key);
                (Method::GET, vec![("response-content-disposition", encode::attachment(name))], Vec::new())
            }
            Purpose::Put { content_type } => {
                (Method::PUT, Vec::new(), vec![("content-type".to_owned(), content_type.to_owned())])
            }
            Purpose::Part { upload_id, number } => {
                let query = vec![("partNumber", number.to_string()), ("uploadId", upload_id.to_owned())];
                (Method::PUT, query, Vec::new())
            }
        };
        let target =
            sign::Target { endpoint: &self.endpoint, path: self.xml_path(Some(key)), query, headers: headers.clone() };
        let url = sign::url(account, &method, &target, valid_for, Timestamp::now()).map_err(Fault::NoCredentials)?;
        Ok(SignedUrl { url, headers: headers.into_iter().collect() })
    }

    fn object_path(&self, key: &str) -> String {
        format!("/storage/v1/b/{}/o/{}", encode::strict(&self.bucket), encode::strict(key))
    }

    fn upload_path(&self) -> String {
        format!("/upload/storage/v1/b/{}/o", encode::strict(&self.bucket))
    }

    /// Of the XML interface, which is also the one of signed URLs.
    fn xml_path(&self, key: Option<&str>) -> String {
        let bucket = encode::strict(&self.bucket);
        match key {
            Some(key) => format!("/{bucket}/{}", encode::key(key)),
            None => format!("/{bucket}"),
        }
    }

    async fn call(&self, call: &Call) -> Result<Answer, Fault> {
        let answer = self.send(call).await?;
        match answer.status.is_success() {
            true => Ok(answer),
            false => Err(answers::fault(answer).await),
        }
    }

    async fn send(&self, call: &Call) -> Result<Answer, Fault> {
        let mut attempts = self.client.attempts();
        let mut renewed = false;
        loop {
            let request = self.request(call).await?;
            match attempts.send(request).await {
                Some(Ok(answer)) if answer.status.as_u16() == 401 && !renewed && self.source.needs_token() => {
                    // A token may end before its time.
                    renewed = true;
                    self.token.forget();
                }
                Some(outcome) => return Ok(outcome?),
                None => {}
            }
        }
    }

    async fn request(&self, call: &Call) -> Result<Request, Fault> {
        let mut headers = HeaderMap::new();
        for (name, value) in &call.headers {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        if let Some(project) = self.user_project.as_deref().and_then(|project| HeaderValue::from_str(project).ok()) {
            headers.insert("x-goog-user-project", project);
        }
        if self.source.needs_token() {
            let bearer = self.token.get(self.source.token(&self.client, &self.environment)).await?;
            if let Ok(mut value) = HeaderValue::from_str(&format!("Bearer {}", bearer.token.expose())) {
                value.set_sensitive(true);
                headers.insert(http::header::AUTHORIZATION, value);
            }
        }
        let between = if call.query.is_empty() { "" } else { "?" };
        let url = format!("{}{}{between}{}", self.endpoint, call.path, encode::query(&call.query));
        Ok(Request { method: call.method.clone(), url, headers, body: call.body.clone() })
    }
}
