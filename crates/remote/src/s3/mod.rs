//! `s3://bucket/prefix`: Amazon S3 and what speaks its language.

mod answers;
mod credentials;
mod metadata;
mod profile;
mod settings;
mod sign;
mod sso;
mod sts;
mod upload;

use std::ops::Range;
use std::sync::RwLock;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};
use jiff::Timestamp;

use crate::bucket::{Ask, Bucket, Got, Head, How, Page, Purpose, Service, Stored};
use crate::error::{Error, Result};
use crate::fault::Fault;
use crate::http::xml::{Element, escape};
use crate::http::{Answer, Client, Request, back_off, encode, range, unquoted};
use crate::multipart::SignedUrl;
use crate::options::{Checksum, Options};
pub(crate) use answers::{parts, uploads};
use credentials::Provider;
use profile::Profiles;
use settings::Settings;
use sign::{Signer, Target, UNSIGNED, set, sha256};
pub(crate) use upload::completion;

pub(crate) struct S3 {
    client: Client,
    bucket: String,
    settings: Settings,
    /// Found out anew when the store says that the bucket is elsewhere.
    region: RwLock<String>,
    provider: Provider,
}

/// A request before it is signed.
struct Call<'a> {
    method: Method,
    key: Option<&'a str>,
    query: Vec<(&'a str, String)>,
    headers: Vec<(String, String)>,
    body: Bytes,
}

impl<'a> Call<'a> {
    fn new(method: Method, key: &'a str) -> Call<'a> {
        Call { method, key: Some(key), query: Vec::new(), headers: Vec::new(), body: Bytes::new() }
    }

    fn on_bucket(method: Method) -> Call<'a> {
        Call { method, key: None, query: Vec::new(), headers: Vec::new(), body: Bytes::new() }
    }

    fn query(mut self, name: &'a str, value: impl Into<String>) -> Call<'a> {
        self.query.push((name, value.into()));
        self
    }

    fn version(self, version: Option<&str>) -> Call<'a> {
        match version {
            Some(version) => self.query("versionId", version),
            None => self,
        }
    }

    fn header(mut self, name: &str, value: impl Into<String>) -> Call<'a> {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    fn body(mut self, body: Bytes) -> Call<'a> {
        self.body = body;
        self
    }
}

pub(crate) async fn open(bucket: &str, prefix: &str, options: &Options) -> Result<Bucket> {
    let location = format!("s3://{bucket}/{prefix}");
    let location = location.trim_end_matches('/').to_owned();
    let invalid = |reason| Error::InvalidLocation { location: location.clone(), reason };
    let no_credentials = |reason| Error::NoCredentials { location: location.clone(), reason };
    let profiles = Profiles::read(&options.s3, &options.environment).await.map_err(no_credentials)?;
    let settings = Settings::find(bucket, options, &profiles).map_err(invalid)?;
    let mut http = options.http.clone();
    http.ignore_tls |= options.mlflow_variables && options.environment.is_true("MLFLOW_S3_IGNORE_TLS");
    let client = Client::new(&http, &options.environment).map_err(invalid)?;
    let store = S3 {
        client,
        bucket: bucket.to_owned(),
        region: RwLock::new(settings.region.clone()),
        provider: Provider::new(&options.s3, &options.environment, profiles, settings.region.clone()),
        settings,
    };
    Ok(Bucket::new(Service::S3(Box::new(store)), location, prefix))
}

impl S3 {
    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn can_sign(&self) -> bool {
        !self.settings.anonymous
    }

    pub async fn head(&self, key: &str, version: Option<&str>) -> Result<Head, Fault> {
        let answer = self.call(&self.reading(Call::new(Method::HEAD, key).version(version))).await?;
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
        let call = self.reading(Call::new(Method::GET, key).version(version));
        let mut call = call.header("range", format!("bytes={}-{}", wanted.start, wanted.end.saturating_sub(1)));
        if let Some(etag) = etag {
            call = call.header("if-match", format!("\"{etag}\""));
        }
        let answer = self.call(&call).await?;
        let (range, size) =
            range(&answer).ok_or_else(|| Fault::Other("it does not say which bytes it sends".to_owned()))?;
        Ok(Got { head: answers::head(&answer, size), range, body: answer })
    }

    pub async fn put(&self, key: &str, content: Bytes, how: How) -> Result<Stored, Fault> {
        let mut call = self.checked(self.creating(Call::new(Method::PUT, key), how), content);
        if let Some(md5) = how.md5.filter(|_| self.settings.checksum != Checksum::Md5) {
            call = call.header("content-md5", encode::base64(md5));
        }
        if how.if_absent {
            call = call.header("if-none-match", "*");
        }
        for attempt in 1.. {
            match self.call_unsorted(&call).await? {
                answer if answer.status.is_success() => {
                    let (etag, version) = (answer.header("etag").map(unquoted), answers::version(&answer));
                    return Ok(Stored { etag, version, json_etag: None });
                }
                answer if answer.status.as_u16() == 412 && how.if_absent => {
                    let repeated = answer.repeated || attempt > 1;
                    return Err(if repeated { Fault::TakenOnRetry } else { Fault::Taken });
                }
                // Two conditional writes at once: neither was judged yet.
                answer if answer.status.as_u16() == 409 && attempt < self.client.options().attempts => {
                    tokio::time::sleep(back_off(attempt)).await;
                }
                answer => return Err(answers::fault(answer).await),
            }
        }
        unreachable!("the loop ends by returning")
    }

    pub async fn delete(&self, key: &str) -> Result<(), Fault> {
        self.call(&Call::new(Method::DELETE, key)).await.map(|_| ())
    }

    /// Up to a thousand keys. A store that has no such request deletes one by one.
    pub async fn delete_many(&self, keys: &[String]) -> Result<(), Fault> {
        if let [key] = keys {
            return self.delete(key).await;
        }
        let mut body = String::from("<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Quiet>true</Quiet>");
        for key in keys {
            body.push_str(&format!("<Object><Key>{}</Key></Object>", escape(key)));
        }
        body.push_str("</Delete>");
        let md5 = encode::base64(fast_md5::digest(body.as_bytes()));
        let call = Call::on_bucket(Method::POST).query("delete", "").header("content-md5", md5);
        let answer = self.call(&call.header("content-type", "application/xml").body(body.into())).await;
        let root = match answer {
            Ok(answer) => Element::parse(&answer.text().await?).unwrap_or_default(),
            Err(Fault::Unsupported(_) | Fault::Other(_)) => {
                for key in keys {
                    self.delete(key).await?;
                }
                return Ok(());
            }
            Err(fault) => return Err(fault),
        };
        match root.all("Error").find(|error| error.text_of("Code") != "NoSuchKey") {
            None => Ok(()),
            Some(error) => Err(answers::meaning(answers::said(200, error))),
        }
    }

    pub async fn list(&self, ask: Ask<'_>) -> Result<Page, Fault> {
        let mut call = Call::on_bucket(Method::GET)
            .query("list-type", "2")
            .query("encoding-type", "url")
            .query("max-keys", ask.most.to_string())
            .query("prefix", ask.prefix);
        if ask.level {
            call = call.query("delimiter", "/");
        }
        if let Some(after) = ask.after {
            call = call.query("continuation-token", after);
        }
        let told = self.client.told(|| self.call(&call)).await?;
        let root = Element::parse(&String::from_utf8_lossy(&told));
        root.as_ref().and_then(answers::page).ok_or_else(|| Fault::Other("its listing makes no sense".to_owned()))
    }

    pub async fn sign(&self, key: &str, purpose: Purpose<'_>, valid_for: Duration) -> Result<SignedUrl, Fault> {
        if self.settings.anonymous {
            return Err(Fault::Unsupported("a signed URL without credentials"));
        }
        let keys = self.provider.keys(&self.client).await?;
        let mut headers = Vec::new();
        let mut query = Vec::new();
        let method = match purpose {
            Purpose::Get => {
                let name = key.rsplit('/').next().unwrap_or(key);
                query.push(("response-content-disposition", encode::attachment(name)));
                Method::GET
            }
            Purpose::Put { content_type } => {
                headers.extend(self.settings.upload_headers.clone());
                headers.retain(|(name, _)| name != "content-type");
                let own = self.settings.upload_headers.get("content-type").map_or(content_type, String::as_str);
                headers.push(("content-type".to_owned(), own.to_owned()));
                Method::PUT
            }
            Purpose::Part { upload_id, number } => {
                query.push(("partNumber", number.to_string()));
                query.push(("uploadId", upload_id.to_owned()));
                Method::PUT
            }
        };
        if let Some(owner) = &self.settings.owner {
            // In the query, since a browser sends no header of ours.
            query.push(("x-amz-expected-bucket-owner", owner.clone()));
        }
        if self.settings.request_payer {
            query.push(("x-amz-request-payer", "requester".to_owned()));
        }
        let region = self.region();
        let signer = Signer { keys: &keys, region: &region, service: "s3", now: Timestamp::now() };
        let url = signer.presign(&method, &self.target(Some(key), String::new()), &query, &headers, valid_for);
        Ok(SignedUrl { url, headers: headers.into_iter().collect() })
    }

    /// Sends a request and sorts what is no success by what it means.
    async fn call(&self, call: &Call<'_>) -> Result<Answer, Fault> {
        let answer = self.call_unsorted(call).await?;
        match answer.status.is_success() {
            true => Ok(answer),
            false => Err(answers::fault(answer).await),
        }
    }

    /// Sends a request; again if the bucket turns out to be in another region, or the keys have expired.
    async fn call_unsorted(&self, call: &Call<'_>) -> Result<Answer, Fault> {
        let answer = self.send(call).await?;
        let elsewhere = answer.header("x-amz-bucket-region").filter(|region| *region != self.region());
        if let (Some(region), 301 | 307 | 400 | 403) = (elsewhere, answer.status.as_u16()) {
            *self.region.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = region.to_owned();
            return self.send(call).await;
        }
        if matches!(answer.status.as_u16(), 400 | 401 | 403) && !self.settings.anonymous {
            // Only keys that say when they end can be had anew.
            let keys = self.provider.keys(&self.client).await?;
            if keys.expires.is_some() {
                let fault = answers::fault(answer).await;
                return match fault {
                    Fault::Expired(_) => {
                        self.provider.forget();
                        self.send(call).await
                    }
                    fault => Err(fault),
                };
            }
        }
        Ok(answer)
    }

    async fn send(&self, call: &Call<'_>) -> Result<Answer, Fault> {
        let mut attempts = self.client.attempts();
        loop {
            let request = self.request(call).await?;
            if let Some(outcome) = attempts.send(request).await {
                return Ok(outcome?);
            }
        }
    }

    async fn request(&self, call: &Call<'_>) -> Result<Request, Fault> {
        let target = self.target(call.key, encode::query(&call.query));
        let mut headers = HeaderMap::new();
        for (name, value) in &call.headers {
            set(&mut headers, name, value);
        }
        if let Some(owner) = &self.settings.owner {
            set(&mut headers, "x-amz-expected-bucket-owner", owner);
        }
        if self.settings.request_payer {
            set(&mut headers, "x-amz-request-payer", "requester");
        }
        if self.settings.anonymous {
            set(&mut headers, "host", &target.host);
        } else {
            let keys = self.provider.keys(&self.client).await?;
            let region = self.region();
            let signer = Signer { keys: &keys, region: &region, service: "s3", now: Timestamp::now() };
            // TLS protects a body; without it the signature has to.
            let payload = match target.scheme.as_str() {
                "https" if !call.body.is_empty() => UNSIGNED.to_owned(),
                _ => sha256(&call.body),
            };
            signer.sign(&call.method, &target, &mut headers, &payload);
        }
        Ok(Request { method: call.method.clone(), url: target.url(), headers, body: call.body.clone() })
    }

    fn target(&self, key: Option<&str>, query: String) -> Target {
        let settings = &self.settings;
        let host = match settings.is_aws {
            true => settings::aws_host(&self.region()),
            false => settings.host.clone(),
        };
        let key = key.map(encode::key).unwrap_or_default();
        let (host, path) = match settings.in_path {
            true => (host, format!("{}/{}/{key}", settings.base_path, encode::key(&self.bucket))),
            false => (format!("{}.{host}", self.bucket), format!("{}/{key}", settings.base_path)),
        };
        Target { scheme: settings.scheme.clone(), host, path, query }
    }

    fn region(&self) -> String {
        self.region.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// What has to go with every request for an object whose key is the customer's.
    fn reading<'a>(&self, call: Call<'a>) -> Call<'a> {
        let customer = self.settings.upload_headers.iter();
        let customer = customer.filter(|(name, _)| name.starts_with("x-amz-server-side-encryption-customer-"));
        customer.fold(call.header("x-amz-checksum-mode", "ENABLED"), |call, (name, value)| call.header(name, value))
    }

    fn creating<'a>(&self, call: Call<'a>, how: How) -> Call<'a> {
        let own = &self.settings.upload_headers;
        let call = own.iter().fold(call, |call, (name, value)| call.header(name, value));
        match how.content_type {
            Some(content_type) if !own.contains_key("content-type") => call.header("content-type", content_type),
            _ => call,
        }
    }

    /// A body, and the checksum that the store is to compare it with.
    fn checked<'a>(&self, call: Call<'a>, body: Bytes) -> Call<'a> {
        let call = match self.settings.checksum {
            Checksum::Crc32 => call.header("x-amz-checksum-crc32", crc32(&body)),
            Checksum::Md5 => call.header("content-md5", encode::base64(fast_md5::digest(&body))),
            Checksum::None => call,
        };
        call.body(body)
    }
}

fn crc32(content: &[u8]) -> String {
    encode::base64(crc32fast::hash(content).to_be_bytes())
}
