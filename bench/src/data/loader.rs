//! The bare loader: the requests that a push or a pull cannot do without, and nothing else. No hash, no cache, no list.
//!
//! It is a program of its own (`trackway-bench load`), so that it is measured as the tools are. Object stores get their requests by
//! plain HTTP, HDFS through its client library.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures_util::StreamExt;
use hdfs_native::{Client, ClientBuilder, WriteOptions};
use serde::{Deserialize, Serialize};
use ureq::http::Request;
use ureq::{Agent, SendBody};

use crate::data::material;
use crate::data::tool::{Measured, measure};

/// Of the bound.
pub const NAME: &str = "bare loader";

/// Of a large object, as much as goes with one request.
const PART: u64 = 8 << 20;

#[derive(Serialize, Deserialize)]
pub struct Bare {
    pub service: Service,
    /// To the store, or from it.
    pub up: bool,
    /// A file, or a folder of as many as `files` says.
    pub local: PathBuf,
    pub files: Option<usize>,
    pub at_once: usize,
}

#[derive(Serialize, Deserialize)]
pub enum Service {
    /// An object's name follows the URL; the signature is a query.
    Azure {
        url: String,
        signature: String,
    },
    Gcs {
        url: String,
        bucket: String,
        prefix: String,
    },
    Hdfs {
        url: String,
        user: String,
        folder: String,
    },
}

impl Bare {
    /// Measures it.
    pub fn run(&self) -> Result<Measured> {
        measure(Command::new(std::env::current_exe()?).arg("load").arg(serde_json::to_string(self)?))
    }

    /// The file of this number.
    fn file(&self, number: usize) -> PathBuf {
        match self.files {
            Some(_) => self.local.join(material::place(number)),
            None => self.local.clone(),
        }
    }

    /// Where files are written that come down.
    fn make_folders(&self) -> Result<()> {
        for number in 0..self.files.unwrap_or(0) {
            if let Some(folder) = self.file(number).parent().filter(|folder| !folder.exists()) {
                fs::create_dir_all(folder)?;
            }
        }
        Ok(())
    }
}

/// `trackway-bench load JSON`
pub fn main(mut words: impl Iterator<Item = String>) -> Result<()> {
    let bare: Bare = serde_json::from_str(&words.next().context("the loader is told what to do in JSON")?)?;
    if !bare.up {
        bare.make_folders()?;
    }
    match (&bare.service, bare.files) {
        (Service::Hdfs { url, user, folder }, _) => {
            let client = ClientBuilder::new().with_url(url).with_user(user).build()?;
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(hdfs(&bare, &client, folder))
        }
        (service, Some(files)) => in_parallel(bare.at_once, files as u64, &|agent, number| {
            let path = bare.file(number as usize);
            let name = number.to_string();
            match bare.up {
                true => send(agent, service.put(&name)?, &fs::read(path)?),
                false => Ok(fs::write(path, receive(agent, service.get(&name)?)?)?),
            }
        }),
        (service, None) if bare.up => large_up(&bare, service),
        (service, None) => large_down(&bare, service),
    }
}

/// Does it with all numbers, by so many threads with a connection each.
fn in_parallel(threads: usize, count: u64, work: &(dyn Fn(&Agent, u64) -> Result<()> + Sync)) -> Result<()> {
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let crew: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let agent: Agent = Agent::config_builder().proxy(None).build().into();
                    loop {
                        match next.fetch_add(1, Ordering::Relaxed) {
                            number if number < count => work(&agent, number)?,
                            _ => return Ok(()),
                        }
                    }
                })
            })
            .collect();
        crew.into_iter().try_for_each(|one| match one.join() {
            Ok(outcome) => outcome,
            Err(_) => bail!("a thread of the loader panicked"),
        })
    })
}

impl Service {
    /// A request that stores an object, but for its body.
    fn put(&self, name: &str) -> Result<ureq::http::request::Builder> {
        Ok(match self {
            Service::Azure { url, signature } => {
                Request::put(format!("{url}{name}?{signature}")).header("x-ms-blob-type", "BlockBlob")
            }
            Service::Gcs { url, bucket, prefix } => {
                Request::post(format!("{url}/upload/storage/v1/b/{bucket}/o?uploadType=media&name={prefix}{name}"))
            }
            Service::Hdfs { .. } => bail!("HDFS has no such request"),
        })
    }

    fn get(&self, name: &str) -> Result<ureq::http::request::Builder> {
        Ok(match self {
            Service::Azure { url, signature } => Request::get(format!("{url}{name}?{signature}")),
            Service::Gcs { url, bucket, prefix } => {
                Request::get(format!("{url}/storage/v1/b/{bucket}/o/{prefix}{name}?alt=media"))
            }
            Service::Hdfs { .. } => bail!("HDFS has no such request"),
        })
    }
}

fn send(agent: &Agent, request: ureq::http::request::Builder, body: &[u8]) -> Result<()> {
    agent.run(request.body(body)?)?.body_mut().read_to_vec()?;
    Ok(())
}

fn receive(agent: &Agent, request: ureq::http::request::Builder) -> Result<Vec<u8>> {
    Ok(agent.run(request.body(())?)?.body_mut().with_config().limit(2 * PART).read_to_vec()?)
}

/// The object that a large file becomes.
const LARGE: &str = "large";

fn large_up(bare: &Bare, service: &Service) -> Result<()> {
    let file = File::open(&bare.local)?;
    let size = file.metadata()?.len();
    let Service::Azure { url, signature } = service else {
        // One request for all of it.
        let agent: Agent = Agent::config_builder().proxy(None).build().into();
        let request = service.put(LARGE)?.header("content-length", size.to_string());
        agent.run(request.body(SendBody::from_owned_reader(file.take(size)))?)?.body_mut().read_to_vec()?;
        return Ok(());
    };
    let (object, parts) = (format!("{url}{LARGE}?{signature}&comp="), size.div_ceil(PART));
    let id = |number: u64| BASE64_STANDARD.encode(format!("{number:06}"));
    in_parallel(bare.at_once, parts, &|agent, number| {
        let mut part = vec![0; PART.min(size - number * PART) as usize];
        file.read_exact_at(&mut part, number * PART)?;
        send(agent, Request::put(format!("{object}block&blockid={}", id(number))), &part)
    })?;
    let list: String = (0..parts).map(|number| format!("<Latest>{}</Latest>", id(number))).collect();
    let list = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{list}</BlockList>");
    let agent: Agent = Agent::config_builder().proxy(None).build().into();
    send(&agent, Request::put(format!("{object}blocklist")), list.as_bytes())
}

fn large_down(bare: &Bare, service: &Service) -> Result<()> {
    let agent: Agent = Agent::config_builder().proxy(None).build().into();
    let first = agent.run(service.get(LARGE)?.header("range", "bytes=0-0").body(())?)?;
    let size =
        first.headers().get("content-range").and_then(|range| range.to_str().ok()?.rsplit('/').next()?.parse().ok());
    let size: u64 = size.context("the store does not say how large the object is")?;
    let file = File::create(&bare.local)?;
    in_parallel(bare.at_once, size.div_ceil(PART), &|agent, number| {
        let (from, to) = (number * PART, (number * PART + PART).min(size));
        let part = receive(agent, service.get(LARGE)?.header("range", format!("bytes={from}-{}", to - 1)))?;
        ensure!(part.len() as u64 == to - from, "the store sent {} bytes of {}", part.len(), to - from);
        Ok(file.write_all_at(&part, from)?)
    })
}

/// As the tools do it, a file is written under another name first.
async fn hdfs(bare: &Bare, client: &Client, folder: &str) -> Result<()> {
    let work = futures_util::stream::iter(0..bare.files.unwrap_or(1)).map(|number| async move {
        // By folders, as objects lie.
        let place = format!("{folder}/{:02x}/{number}", number % 256);
        match bare.up {
            true => {
                let mut local = File::open(bare.file(number))?;
                let under_way = format!("{place}.tmp");
                let mut file = Box::pin(client.create(&under_way, WriteOptions::default())).await?;
                loop {
                    let mut piece = Vec::new();
                    if io::Read::by_ref(&mut local).take(1 << 20).read_to_end(&mut piece)? == 0 {
                        break;
                    }
                    Box::pin(file.write_bytes(piece.into())).await?;
                }
                Box::pin(file.close()).await?;
                client.rename(&under_way, &place, true).await?;
            }
            false => {
                let file = Box::pin(client.read(&place)).await?;
                let mut pieces = Box::pin(file.read_range_stream(0, file.file_length()));
                let local = File::create(bare.file(number))?;
                let mut at = 0;
                while let Some(piece) = pieces.next().await {
                    let piece = piece?;
                    local.write_all_at(&piece, at)?;
                    at += piece.len() as u64;
                }
            }
        }
        anyhow::Ok(())
    });
    let mut work = work.buffer_unordered(bare.at_once);
    while let Some(outcome) = work.next().await {
        outcome?;
    }
    Ok(())
}
