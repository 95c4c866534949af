//! HDFS over HTTP: WebHDFS, as NameNodes and DataNodes speak it themselves, and HttpFS, a gateway with the same
//! protocol.
//!
//! The NameNode answers by itself (`answers.rs`), or it names in a redirect the DataNode that has the bytes or
//! takes them. What such a redirect needs to be let in stands in its query; nothing else of ours goes there
//! (`address.rs`).

mod address;
mod answers;

use std::ops::Range;

use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderValue};

use crate::error::Error;
use crate::fault::Fault;
use crate::files::{Body, Files, Meta, Service};
use crate::hdfs;
use crate::http::{Answer, Client, NotSent, Request};
use crate::location::Server;
use crate::options::Options;
use address::Address;
use answers::{Checksum, Done, Listing, Status, good, json};

/// The most that an answer may be, and a listing: about two million files.
const LONGEST: usize = 1 << 20;
const LONGEST_LISTING: usize = 512 << 20;

pub(crate) struct WebHdfs {
    client: Client,
    address: Address,
}

pub(crate) fn open(server: &Server, options: &Options) -> crate::Result<Files> {
    let location = server.to_string();
    let invalid = |reason| Error::InvalidLocation { location: location.clone(), reason };
    let webhdfs = WebHdfs::new(server, options).map_err(invalid)?;
    Ok(Files::new(Service::WebHdfs(Box::new(webhdfs)), location, &server.path, options.http.attempts))
}

impl WebHdfs {
    /// A client that has not asked anything yet. The error is a reason.
    pub fn new(server: &Server, options: &Options) -> Result<WebHdfs, String> {
        let address = Address::new(server, &options.webhdfs)?;
        Ok(WebHdfs { client: Client::new(&options.http, &options.environment)?, address })
    }

    pub async fn stat(&self, path: &str) -> Result<Option<Meta>, Fault> {
        match self.ask(Method::GET, path, "GETFILESTATUS", &[]).await {
            Ok(answer) => Ok(Some(json::<Status>(answer, LONGEST).await?.status.meta())),
            Err(Fault::Missing | Fault::NotADirectory) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    pub async fn list(&self, dir: &str) -> Result<Vec<(String, Meta)>, Fault> {
        let answer = self.ask(Method::GET, dir, "LISTSTATUS", &[]).await?;
        let listing: Listing = json(answer, LONGEST_LISTING).await?;
        let named = |status: answers::FileStatus| match status.path_suffix.is_empty() {
            // A file is listed as itself.
            true => Err(Fault::Missing),
            false => Ok((status.path_suffix.clone(), status.meta())),
        };
        listing.statuses.all.into_iter().map(named).collect()
    }

    pub async fn read(&self, path: &str, range: Range<u64>, meta: &Meta) -> Result<Body<'static>, Fault> {
        let (offset, length) = (range.start.to_string(), (range.end - range.start).to_string());
        let opened = self.open(path, &[("offset", &offset), ("length", &length)]).await;
        // Asked after the file was opened, so that what was opened is what we are told of here.
        match self.stat(path).await? {
            None => return Err(Fault::Missing),
            Some(now) if now != *meta => return Err(Fault::Changed),
            Some(_) => {}
        }
        Ok(Box::pin(futures_util::stream::unfold(Some(opened?), |answer| async {
            let mut answer = answer?;
            match answer.next().await {
                Ok(Some(piece)) => Some((Ok(piece), Some(answer))),
                Ok(None) => None,
                Err(failure) => Some((Err(failure.into()), None)),
            }
        })))
    }

    async fn open(&self, path: &str, range: &[(&str, &str)]) -> Result<Answer, Fault> {
        let (url, answer) = self.asked(Method::GET, path, "OPEN", range).await?;
        match self.redirect(&url, &answer)? {
            // HttpFS sends the bytes itself.
            None => Ok(answer),
            Some(to) => good(self.client.send(|| self.request(Method::GET, &to)).await?).await,
        }
    }

    pub async fn write(&self, path: &str, body: Body<'_>, length: Option<u64>) -> Result<(), Fault> {
        // Nothing is made yet: the NameNode only says where to send it.
        let with = [("overwrite", "false"), ("createparent", "false")];
        let (url, answer) = self.asked(Method::PUT, path, "CREATE", &with).await?;
        let Some(to) = self.redirect(&url, &answer)? else {
            return Err(Fault::Other("it does not say where to send a file to".to_owned()));
        };
        let mut request = self.request(Method::PUT, &to);
        // HttpFS takes nothing else.
        request.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        match self.client.send_streamed(request, body, length).await {
            Ok(answer) => good(answer).await.map(|_| ()),
            Err(NotSent::Body(fault)) => Err(fault),
            Err(NotSent::Failure(failure)) => Err(failure.into()),
        }
    }

    /// What DVC records of a file here: its checksum, as the DataNodes compute it.
    pub async fn checksum(&self, path: &str) -> Result<String, Fault> {
        let (url, answer) = self.asked(Method::GET, path, "GETFILECHECKSUM", &[]).await?;
        let answer = match self.redirect(&url, &answer)? {
            None => answer,
            Some(to) => good(self.client.send(|| self.request(Method::GET, &to)).await?).await?,
        };
        Ok(json::<Checksum>(answer, LONGEST).await?.checksum.bytes)
    }

    pub async fn rename(&self, from: &str, to: &str) -> Result<(), Fault> {
        if self.renamed(from, to, "OVERWRITE").await? {
            return Ok(());
        }
        // HttpFS does not know the option, and replaces nothing.
        match (self.stat(from).await?, self.stat(to).await?) {
            (None, _) => Err(Fault::Missing),
            (Some(_), Some(there)) if !there.is_dir => {
                match self.delete(to, false).await {
                    Ok(()) | Err(Fault::Missing) => {}
                    Err(fault) => return Err(fault),
                }
                match self.renamed(from, to, "NONE").await? {
                    true => Ok(()),
                    false => Err(Fault::Unreachable("what lies there cannot be replaced now".to_owned())),
                }
            }
            (Some(_), Some(_)) => Err(Fault::Taken),
            (Some(_), None) => Err(Fault::Missing),
        }
    }

    pub async fn rename_new(&self, from: &str, to: &str) -> Result<(), Fault> {
        if self.renamed(from, to, "NONE").await? {
            return Ok(());
        }
        match (self.stat(from).await?, self.stat(to).await?) {
            (Some(_), Some(_)) => Err(Fault::Taken),
            _ => Err(Fault::Missing),
        }
    }

    /// Once: of a second time nobody could say whether the first had failed.
    async fn renamed(&self, from: &str, to: &str, options: &str) -> Result<bool, Fault> {
        let url = self.address.url(from, "RENAME", &[("destination", to), ("renameoptions", options)]);
        let answer = good(self.client.send_once(self.request(Method::PUT, &url)).await?).await?;
        let said = answer.bytes(LONGEST).await?;
        // With options WebHDFS has nothing to say but that it is done.
        Ok(said.is_empty() || serde_json::from_slice(&said).is_ok_and(|done: Done| done.boolean))
    }

    pub async fn make_dir(&self, path: &str) -> Result<(), Fault> {
        // It makes what is missing above, too.
        let answer = self.ask(Method::PUT, path, "MKDIRS", &[]).await?;
        match json::<Done>(answer, LONGEST).await?.boolean {
            true => Ok(()),
            false => Err(Fault::Other("it did not make the folder".to_owned())),
        }
    }

    pub async fn delete_file(&self, path: &str) -> Result<(), Fault> {
        hdfs::expect(self.stat(path).await?, false)?;
        self.delete(path, false).await
    }

    pub async fn delete_dir(&self, path: &str) -> Result<(), Fault> {
        hdfs::expect(self.stat(path).await?, true)?;
        self.delete(path, false).await
    }

    pub async fn delete_tree(&self, path: &str) -> Result<(), Fault> {
        self.delete(path, true).await
    }

    async fn delete(&self, path: &str, recursive: bool) -> Result<(), Fault> {
        let recursive = if recursive { "true" } else { "false" };
        let answer = self.ask(Method::DELETE, path, "DELETE", &[("recursive", recursive)]).await?;
        // An attempt before that nobody heard of has done it.
        let repeated = answer.repeated;
        match json::<Done>(answer, LONGEST).await?.boolean || repeated {
            true => Ok(()),
            false => Err(Fault::Missing),
        }
    }

    /// The NameNode's answer to what can be asked again without harm.
    async fn ask(&self, method: Method, path: &str, operation: &str, with: &[(&str, &str)]) -> Result<Answer, Fault> {
        self.asked(method, path, operation, with).await.map(|(_, answer)| answer)
    }

    async fn asked(
        &self,
        method: Method,
        path: &str,
        operation: &str,
        with: &[(&str, &str)],
    ) -> Result<(String, Answer), Fault> {
        let url = self.address.url(path, operation, with);
        let answer = self.client.send(|| self.request(method.clone(), &url)).await?;
        Ok((url, good(answer).await?))
    }

    fn request(&self, method: Method, url: &str) -> Request {
        Request { method, url: url.to_owned(), headers: self.address.headers(url), body: Bytes::new() }
    }

    /// Where an answer sends us, if it does.
    fn redirect(&self, from: &str, answer: &Answer) -> Result<Option<String>, Fault> {
        match answer.header("location") {
            Some(location) if answer.status.is_redirection() => {
                self.address.follow(from, location).map(Some).map_err(Fault::Refused)
            }
            _ if answer.status.is_redirection() => Err(Fault::Other("it redirects to nowhere".to_owned())),
            _ => Ok(None),
        }
    }
}
