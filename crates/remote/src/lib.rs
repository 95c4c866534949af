//! Object storage behind one narrow interface.
//!
//! A [`Remote`] is opened at a location (a folder, a place in a bucket) and then speaks of keys only:
//! [`RelPath`], valid by type, so that no caller can name a thing outside of it.
//! [`Options`] says how; what it leaves open is looked up where the clouds' own tools do.
//!
//! - reading: [`Remote::get`] gives an [`Object`] with its [`Stat`], from which any range is streamed;
//!   [`Remote::stat`], [`Remote::list`] (one level, sorted), [`Remote::list_all`];
//! - writing: [`Remote::put`] streams a body and stores all of it or nothing; [`Remote::create_if_absent`];
//! - versions, where a bucket keeps them: [`Stat::version`], [`Remote::get_version`], [`Remote::stat_version`];
//! - deleting: [`Remote::delete_file`], [`Remote::delete_many`], [`Remote::delete_tree`];
//! - what only object stores have: multipart uploads with part ids, signed URLs. A folder answers
//!   [`Error::Unsupported`], and [`Remote::capabilities`] says so beforehand.
//!
//! The local kind (`local/`) does all of it beneath one open directory handle (`local/beneath.rs`): a
//! symbolic link that leads out of the folder is refused by the kernel, also when it is swapped in while
//! the request runs. Bodies are written to a staging folder under the root and renamed when complete.
//! Blocking calls run on tokio's blocking pool, one trip for a small file.
//!
//! Buckets (`bucket/`) do it over what every store can: reading with resume, storing in parts, listing,
//! deleting. Each store has a folder with its requests, answers, signatures and credentials: `s3/`,
//! `azure/`, `gcs/`. Below them is one client (`http/`) with deadlines, retries, proxies and TLS. Reasons
//! are in `docs/design/0009-object-stores.md`, variables in `docs/reference/artifact-stores.md`.

mod azure;
mod bucket;
mod environment;
mod error;
mod fault;
mod files;
mod fresh;
mod gcs;
mod hdfs;
mod http;
mod local;
mod location;
mod multipart;
mod options;
mod path;
mod s3;
mod site;
mod ssh;
mod task;
mod through_server;
mod walk;
mod web;
mod webdav;
mod webhdfs;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::Stream;

use bucket::Bucket;
use files::Files;
use location::Location;

pub use http::with_own_connections;
pub use location::without_password;

pub use environment::Environment;
pub use error::{Error, Result};
pub use multipart::{
    Capabilities, Listing, MOST_PARTS, Multipart, PARTS_VALID_FOR, Part, PartTarget, SignedUrl, StoredPart,
    UnfinishedUpload,
};
pub use options::{
    Addressing, Ask, AzureOptions, Checksum, GcsOptions, HdfsOptions, HttpOptions, Options, Resolve, S3Options, Secret,
    SshOptions, Upload, WebAuth, WebDavOptions, WebHdfsOptions, WebOptions,
};
pub use path::RelPath;
pub use through_server::ThroughServer;
pub use web::Described as HttpDescribed;

/// What is known of a stored thing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    pub size: u64,
    pub is_dir: bool,
    pub modified: Option<SystemTime>,
    /// Changes whenever the content does; without quotes. Directories have none.
    pub etag: Option<String>,
    /// What a store that keeps the versions of a file calls this one.
    pub version: Option<String>,
    /// On Google's, whose `etag` here is the generation: the etag that its JSON tells. Not known of what is being read.
    pub json_etag: Option<String>,
}

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub is_dir: bool,
    /// Zero for directories.
    pub size: u64,
}

/// One file of a listing of everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// From the remote's root.
    pub path: RelPath,
    pub size: u64,
    pub etag: Option<String>,
    pub modified: Option<SystemTime>,
    /// The newest version, where listings tell it (Google's).
    pub version: Option<String>,
    /// As in [`Stat`].
    pub json_etag: Option<String>,
}

/// How a body is stored.
#[derive(Clone, Copy, Debug, Default)]
pub struct PutOptions {
    /// The length that was announced; a body of another length is refused as incomplete.
    pub length: Option<u64>,
    /// Refuse to replace what is there ([`Error::AlreadyExists`]).
    pub if_absent: bool,
    /// What a store that keeps such a thing says to those who fetch it.
    pub content_type: Option<&'static str>,
    /// The MD5 of the body, where it is known beforehand: a bucket compares it with what arrives.
    pub md5: Option<[u8; 16]>,
}

/// One page of a listing of everything, as a bucket gives it.
#[derive(Clone, Debug, Default)]
pub struct FoundPage {
    pub files: Vec<Found>,
    /// What the next page is asked for with; nothing behind the last.
    pub next: Option<String>,
}

#[derive(Clone)]
pub struct Remote {
    kind: Arc<Kind>,
}

enum Kind {
    Local(local::Folder),
    Bucket(Bucket),
    Files(Files),
    Web(web::Web),
}

impl Remote {
    /// Opens what lies at `location`: a folder (a path or a `file:` URL), which is made if it is not there, or
    /// a place in a bucket (`s3://`, `gs://`, `azure://`, `wasbs://`, `abfss://`) or on a server (`ssh://`), which
    /// is asked nothing yet.
    pub async fn open(location: &str, options: Options) -> Result<Remote> {
        let kind = match Location::parse(location)? {
            Location::Local(path) => Kind::Local(local::Folder::open(path, options).await?),
            Location::Azure { container, account, prefix } => {
                Kind::Bucket(azure::open(location, &container, account.as_ref(), &prefix, &options)?)
            }
            Location::Gcs { bucket, prefix } => Kind::Bucket(gcs::open(location, &bucket, &prefix, &options).await?),
            Location::Hdfs(server) => Kind::Files(hdfs::open(&server, &options)?),
            Location::WebHdfs(server) => Kind::Files(webhdfs::open(&server, &options)?),
            Location::WebDav(place) => Kind::Files(webdav::open(&place, &options).await?),
            Location::Web(place) => Kind::Web(web::open(&place, &options).await?),
            Location::S3 { bucket, prefix } => Kind::Bucket(s3::open(&bucket, &prefix, &options).await?),
            Location::Ssh(place) => Kind::Files(ssh::open(&place, &options)?),
        };
        Ok(Remote { kind: Arc::new(kind) })
    }

    /// Makes sure that what has real folders can be used: it is reached, lets us in, and its folder is there or can
    /// be made. A bucket is not asked.
    pub async fn prepare(&self) -> Result<()> {
        match &*self.kind {
            Kind::Files(files) => files.prepare().await,
            Kind::Local(_) | Kind::Bucket(_) | Kind::Web(_) => Ok(()),
        }
    }

    /// The folder this remote lies in, if it is one: absolute, as it was when opened.
    pub fn local_root(&self) -> Option<&std::path::Path> {
        match &*self.kind {
            Kind::Local(folder) => Some(folder.path()),
            Kind::Bucket(_) | Kind::Files(_) | Kind::Web(_) => None,
        }
    }

    pub fn capabilities(&self) -> Capabilities {
        match &*self.kind {
            Kind::Local(_) => Capabilities { multipart: false, signed_urls: false, listing: Listing::Folders },
            Kind::Bucket(bucket) => bucket.capabilities(),
            Kind::Files(files) => files.capabilities(),
            Kind::Web(_) => Capabilities { multipart: false, signed_urls: false, listing: Listing::Never },
        }
    }

    /// A stored file, ready to be streamed.
    pub async fn get(&self, path: &RelPath) -> Result<Object> {
        match &*self.kind {
            Kind::Local(folder) => folder.get(path).await,
            Kind::Bucket(bucket) => bucket.get(path).await,
            Kind::Files(files) => files.get(path).await,
            Kind::Web(web) => web.get(path).await,
        }
    }

    /// The file as it was found before, of which nothing is asked: what is streamed is of that version, or an error. Only
    /// buckets have it.
    pub fn known(&self, path: &RelPath, stat: &Stat) -> Result<Option<Object>> {
        match &*self.kind {
            Kind::Bucket(bucket) => bucket.known(path, stat).map(Some),
            _ => Ok(None),
        }
    }

    pub async fn stat(&self, path: &RelPath) -> Result<Stat> {
        match &*self.kind {
            Kind::Local(folder) => folder.stat(path).await,
            Kind::Bucket(bucket) => bucket.stat(path).await,
            Kind::Files(files) => files.stat(path).await,
            Kind::Web(web) => web.stat(path).await,
        }
    }

    /// What is known of a file; `None` if there is none. A bucket is asked one thing only.
    pub async fn stat_file(&self, path: &RelPath) -> Result<Option<Stat>> {
        let stat = match &*self.kind {
            Kind::Bucket(bucket) => return bucket.stat_file(path).await,
            _ => self.stat(path).await,
        };
        match stat {
            Ok(stat) => Ok(Some(stat).filter(|stat| !stat.is_dir)),
            Err(Error::NotFound { .. } | Error::NotADirectory { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether files may have versions here. Whether a bucket really keeps them is told by the [`Stat`] of what was put.
    pub fn may_keep_versions(&self) -> bool {
        matches!(&*self.kind, Kind::Bucket(_))
    }

    /// What is known of one version of a file, which may not be the newest; `None` if it is not there (any more).
    pub async fn stat_version(&self, path: &RelPath, version: &str) -> Result<Option<Stat>> {
        match &*self.kind {
            Kind::Bucket(bucket) => bucket.stat_version(path, version).await,
            _ => Err(Error::Unsupported { what: "versions of files", kind: "what is no bucket" }),
        }
    }

    /// One version of a file, ready to be streamed.
    pub async fn get_version(&self, path: &RelPath, version: &str) -> Result<Object> {
        match &*self.kind {
            Kind::Bucket(bucket) => bucket.get_version(path, version).await,
            _ => Err(Error::Unsupported { what: "versions of files", kind: "what is no bucket" }),
        }
    }

    /// What an HTTP server says of a file. Other stores say nothing more than [`Remote::stat`] tells.
    pub async fn describe(&self, path: &RelPath) -> Result<Option<HttpDescribed>> {
        match &*self.kind {
            Kind::Web(web) => web.describe(path).await.map(Some),
            _ => Ok(None),
        }
    }

    /// HDFS's own checksum of a file, which is what DVC records of a dependency there (`checksum`). Over WebHDFS the
    /// store computes it, over HDFS all of the file is read. Other stores have none.
    pub async fn checksum(&self, path: &RelPath) -> Result<Option<String>> {
        match &*self.kind {
            Kind::Files(files) => files.checksum(path).await,
            _ => Ok(None),
        }
    }

    /// What lies directly in `path`, sorted by name. A missing directory is [`Error::NotFound`].
    pub async fn list(&self, path: &RelPath) -> Result<Vec<Entry>> {
        match &*self.kind {
            Kind::Local(folder) => folder.list(path).await,
            Kind::Bucket(bucket) => bucket.list(path).await,
            Kind::Files(files) => files.list(path).await,
            Kind::Web(web) => web.unsupported("a listing"),
        }
    }

    /// Every file below `path`, at any depth. In a bucket they come page by page in the order of their keys.
    pub fn list_all(&self, path: &RelPath) -> Pin<Box<dyn Stream<Item = Result<Found>> + Send>> {
        match &*self.kind {
            Kind::Local(_) => Box::pin(walk::files(self.clone(), path.clone())),
            Kind::Bucket(bucket) => Box::pin(bucket.list_all(path)),
            Kind::Files(files) => Box::pin(files.list_all(path)),
            Kind::Web(web) => Box::pin(futures_util::stream::once(std::future::ready(web.unsupported("a listing")))),
        }
    }

    /// One page of what lies in the directory `path` and begins with `begins` from there on, a name or a part of one. Only
    /// what [`Listing::Pages`] can has it.
    pub async fn list_page(&self, path: &RelPath, begins: &str, after: Option<String>) -> Result<FoundPage> {
        match &*self.kind {
            Kind::Local(_) | Kind::Files(_) => {
                Err(Error::Unsupported { what: "a listing by pages", kind: "what has real folders" })
            }
            Kind::Bucket(bucket) => bucket.list_page(path, begins, after).await,
            Kind::Web(web) => web.unsupported("a listing"),
        }
    }

    /// How often the store has asked us to slow down, or not answered in time, since this was opened.
    pub fn pushed_back(&self) -> u64 {
        match &*self.kind {
            Kind::Bucket(bucket) => bucket.pushed_back(),
            _ => 0,
        }
    }

    /// Waits until nothing is left of bodies whose `put` was dropped. A process that ends sooner leaves temporary files.
    pub async fn settle(&self) {
        if let Kind::Files(files) = &*self.kind {
            files.settle().await;
        }
    }

    /// Stores a body at `path`, replacing what is there in one step once all of it has arrived. If the
    /// body fails, or if this future is dropped, nothing is left behind.
    pub async fn put<S, E>(&self, path: &RelPath, body: S, options: PutOptions) -> Result<Stat>
    where
        S: Stream<Item = std::result::Result<Bytes, E>> + Send,
        E: std::fmt::Display,
    {
        match &*self.kind {
            Kind::Local(folder) => folder.put(path, body, options).await,
            Kind::Bucket(bucket) => bucket.put(path, body, options).await,
            Kind::Files(files) => files.put(path, body, options).await,
            Kind::Web(web) => web.put(path, body, options).await,
        }
    }

    /// Stores `content` unless something is there already: of many callers, one succeeds.
    pub async fn create_if_absent(&self, path: &RelPath, content: Bytes) -> Result<Stat> {
        let body = futures_util::stream::iter([Ok::<_, std::convert::Infallible>(content)]);
        let options = PutOptions { if_absent: true, ..PutOptions::default() };
        self.put(path, body, options).await
    }

    pub async fn delete_file(&self, path: &RelPath) -> Result<()> {
        match &*self.kind {
            Kind::Local(folder) => folder.delete_file(path).await,
            Kind::Bucket(bucket) => bucket.delete_file(path).await,
            Kind::Files(files) => files.delete_file(path).await,
            Kind::Web(web) => web.unsupported("deleting"),
        }
    }

    /// Deletes files, whether they are there or not: in a bucket up to a thousand with a request.
    pub async fn delete_many(&self, paths: &[RelPath]) -> Result<()> {
        match &*self.kind {
            Kind::Local(folder) => {
                for path in paths {
                    match folder.delete_file(path).await {
                        Err(Error::NotFound { .. } | Error::NotADirectory { .. }) => {}
                        outcome => outcome?,
                    }
                }
                Ok(())
            }
            Kind::Bucket(bucket) => bucket.delete_many(paths).await,
            Kind::Files(files) => files.delete_many(paths).await,
            Kind::Web(web) => web.unsupported("deleting"),
        }
    }

    /// Deletes a directory and all below it. A folder's is out of sight at once, then taken apart.
    pub async fn delete_tree(&self, path: &RelPath) -> Result<()> {
        match &*self.kind {
            Kind::Local(folder) => folder.delete_tree(path).await,
            Kind::Bucket(bucket) => bucket.delete_tree(path).await,
            Kind::Files(files) => files.delete_tree(path).await,
            Kind::Web(web) => web.unsupported("deleting"),
        }
    }

    /// Deletes a directory of a folder if nothing is left in it. A bucket has no such thing.
    pub async fn remove_empty_dir(&self, path: &RelPath) -> Result<()> {
        match &*self.kind {
            Kind::Local(folder) => folder.remove_empty_dir(path).await,
            Kind::Bucket(_) | Kind::Web(_) => Ok(()),
            Kind::Files(files) => files.remove_empty_dir(path).await,
        }
    }
}

/// A stored file that was opened: what is streamed is what was there then, also when it is replaced or
/// deleted meanwhile. A large object of a bucket ends with
/// [`Error::Changed`] then: never with a mixture.
pub struct Object {
    stat: Stat,
    source: Source,
}

enum Source {
    Local(local::Source),
    Bucket(bucket::BucketObject),
    Files(files::FilesObject),
    Web(web::WebObject),
}

impl Object {
    pub fn stat(&self) -> &Stat {
        &self.stat
    }

    /// The bytes of `range`, which is cut to the file's size.
    pub fn stream(self, range: std::ops::Range<u64>) -> ByteStream {
        let end = range.end.min(self.stat.size);
        let range = range.start.min(end)..end;
        ByteStream(match self.source {
            Source::Local(source) => Streaming::Local(source.stream(range)),
            Source::Bucket(object) => Streaming::Bucket(object.stream(range)),
            Source::Files(object) => Streaming::Files(object.stream(range)),
            Source::Web(object) => Streaming::Web(object.stream(range)),
        })
    }

    pub fn stream_all(self) -> ByteStream {
        let all = 0..self.stat.size;
        self.stream(all)
    }
}

/// The bytes of an [`Object`], in pieces. It ends with an error if it cannot give all of them.
pub struct ByteStream(Streaming);

enum Streaming {
    Local(local::FileStream),
    Bucket(bucket::BucketStream),
    Files(files::FilesStream),
    Web(web::WebStream),
}

impl Stream for ByteStream {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        match &mut self.0 {
            Streaming::Local(stream) => Pin::new(stream).poll_next(cx),
            Streaming::Bucket(stream) => stream.as_mut().poll_next(cx),
            Streaming::Files(stream) => stream.as_mut().poll_next(cx),
            Streaming::Web(stream) => stream.as_mut().poll_next(cx),
        }
    }
}
