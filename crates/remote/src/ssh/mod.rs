//! SSH servers, by SFTP: `ssh://user@host:port/folder`.
//!
//! ```text
//! connect.rs      the connection that is held, made anew when it broke; channels, jump hosts
//! config.rs       which hosts, users and keys: the remote's options, then ~/.ssh/config
//! ssh_config.rs   that file
//! host_keys.rs    known_hosts
//! login.rs        keys, agents, passwords
//! sftp.rs         SFTP over one channel, any number of requests at once
//! packet.rs       its words
//! read.rs         a file's bytes, many requests ahead
//! write.rs        the same the other way; what was not confirmed is sent again over a new connection
//! ```

mod config;
mod connect;
mod host_keys;
mod login;
mod packet;
mod pattern;
mod read;
mod sftp;
mod ssh_config;
mod write;

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::fault::Fault;
use crate::files::{Body, Files, Meta, Service};
use crate::http::back_off;
use crate::location::Server;
use crate::options::Options;

use connect::Pool;
use packet::{Attributes, answer, ask, put_text};
use sftp::Lease;

/// The largest piece that one request reads or writes.
const LARGEST_PIECE: u32 = 128 * 1024;

/// How much of one file is on its way at once.
const ON_THE_WAY: u64 = 4 << 20;

/// After this time nothing is tried again: where connecting itself takes long, a few attempts are minutes.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many files are being deleted at once.
const DELETED_AT_ONCE: usize = 16;

pub(crate) struct Ssh {
    pool: Arc<Pool>,
    attempts: u32,
    idle: Duration,
    sync: bool,
}

pub(crate) fn open(place: &Server, options: &Options) -> crate::Result<Files> {
    let ssh = Ssh {
        pool: Arc::new(Pool::new(place, options)?),
        attempts: options.http.attempts.max(1),
        idle: options.http.idle_timeout,
        sync: options.sync,
    };
    Ok(Files::new(Service::Ssh(ssh), place.to_string(), &place.path, options.http.attempts))
}

impl Ssh {
    /// Does what can be done again without harm, again if the connection broke.
    async fn again<T, F>(&self, work: impl Fn(Lease, u32) -> F) -> Result<T, Fault>
    where
        F: Future<Output = Result<T, Fault>>,
    {
        let began = Instant::now();
        for attempt in 1.. {
            let outcome = match self.pool.lease().await {
                Ok(lease) => work(lease, attempt).await,
                Err(fault) => Err(fault),
            };
            match outcome {
                Err(Fault::Unreachable(_)) if attempt < self.attempts && began.elapsed() < PATIENCE => {
                    tokio::time::sleep(back_off(attempt)).await;
                }
                outcome => return outcome,
            }
        }
        unreachable!("the loop ends by returning")
    }

    pub async fn stat(&self, path: &str) -> Result<Option<Meta>, Fault> {
        let found = self.again(|sftp, _| async move { sftp.attributes(ask::STAT, path).await }).await;
        match found {
            Ok(attributes) => Ok(Some(attributes.meta())),
            Err(Fault::Missing) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    pub async fn list(&self, dir: &str) -> Result<Vec<(String, Meta)>, Fault> {
        self.again(|sftp, _| async move {
            let (mut listed, mut links) = (Vec::new(), FuturesUnordered::new());
            for (name, attributes) in entries(sftp.clone(), dir).await? {
                if attributes.is_file() || attributes.is_dir() {
                    listed.push((name, attributes.meta()));
                } else {
                    let asked = sftp.ask_path(ask::STAT, &format!("{}/{name}", dir.trim_end_matches('/')));
                    links.push(async move { (name, asked.answer(answer::ATTRS).await) });
                }
            }
            while let Some((name, found)) = links.next().await {
                let attributes = match found {
                    Ok(mut words) => Attributes::read(&mut words)?,
                    // It leads nowhere.
                    Err(Fault::Missing | Fault::Refused(_) | Fault::Other(_)) => continue,
                    Err(fault) => return Err(fault),
                };
                // Whoever opens a pipe waits forever.
                if attributes.is_file() || attributes.is_dir() {
                    listed.push((name, attributes.meta()));
                }
            }
            Ok(listed)
        })
        .await
    }

    pub async fn read(&self, path: &str, range: Range<u64>, meta: &Meta) -> Result<Body<'static>, Fault> {
        self.again(|sftp, _| read::read(sftp, path, range.clone(), meta)).await
    }

    pub async fn write(&self, path: &str, body: Body<'_>, _: Option<u64>) -> Result<(), Fault> {
        write::write(self, path, body).await
    }

    pub async fn rename(&self, from: &str, to: &str) -> Result<(), Fault> {
        let sftp = self.pool.lease().await?;
        if sftp.features.posix_rename {
            return sftp.extended("posix-rename@openssh.com", |letter| two(letter, from, to)).done().await;
        }
        let renamed = sftp.ask(ask::RENAME, |letter| two(letter, from, to)).done().await;
        match renamed {
            Err(Fault::Other(_) | Fault::Taken | Fault::Refused(_)) => {}
            renamed => return renamed,
        }
        // The protocol itself refuses to replace anything.
        match sftp.attributes(ask::STAT, to).await {
            Ok(attributes) if !attributes.is_dir() => sftp.ask_path(ask::REMOVE, to).done().await?,
            _ => return renamed,
        }
        sftp.ask(ask::RENAME, |letter| two(letter, from, to)).done().await
    }

    pub async fn rename_new(&self, from: &str, to: &str) -> Result<(), Fault> {
        let sftp = self.pool.lease().await?;
        if sftp.features.hardlink {
            match sftp.extended("hardlink@openssh.com", |letter| two(letter, from, to)).done().await {
                Ok(()) => {
                    // What is left behind if this fails is swept a day later.
                    let _ = sftp.ask_path(ask::REMOVE, from).done().await;
                    return Ok(());
                }
                Err(Fault::Other(_) | Fault::Unsupported(_) | Fault::Refused(_)) => {}
                Err(fault) => return Err(fault),
            }
        }
        // The protocol's own request must not replace anything either, but on many servers it does, and two creators
        // would believe that they are alone.
        match sftp.attributes(ask::LSTAT, to).await {
            Ok(_) => Err(Fault::Taken),
            Err(Fault::Missing) => Err(Fault::Unsupported("a write that must not replace anything")),
            Err(fault) => Err(fault),
        }
    }

    pub async fn make_dir(&self, path: &str) -> Result<(), Fault> {
        self.again(|sftp, _| async move {
            let made = sftp.ask(ask::MKDIR, |letter| {
                put_text(letter, path.as_bytes());
                bytes::BufMut::put_u32(letter, 0);
            });
            match made.done().await {
                Err(fault @ (Fault::Other(_) | Fault::Refused(_))) => match sftp.attributes(ask::STAT, path).await {
                    Ok(_) => Err(Fault::Taken),
                    Err(_) => Err(fault),
                },
                made => made,
            }
        })
        .await
    }

    pub async fn delete_file(&self, path: &str) -> Result<(), Fault> {
        self.delete(ask::REMOVE, path).await
    }

    pub async fn delete_dir(&self, path: &str) -> Result<(), Fault> {
        match self.delete(ask::RMDIR, path).await {
            Err(fault @ Fault::Other(_)) => match self.list(path).await {
                Ok(listed) if !listed.is_empty() => Err(Fault::Taken),
                _ => Err(fault),
            },
            deleted => deleted,
        }
    }

    async fn delete(&self, kind: u8, path: &str) -> Result<(), Fault> {
        self.again(|sftp, attempt| async move {
            match sftp.ask_path(kind, path).done().await {
                // By the request whose answer was lost.
                Err(Fault::Missing) if attempt > 1 => Ok(()),
                deleted => deleted,
            }
        })
        .await
    }

    /// From the inside out: the files of each folder at once, the folder itself when it is empty.
    pub async fn delete_tree(&self, path: &str) -> Result<(), Fault> {
        let mut waiting = vec![(path.to_owned(), false)];
        while let Some((dir, is_empty)) = waiting.pop() {
            if is_empty {
                match self.delete(ask::RMDIR, &dir).await {
                    Ok(()) | Err(Fault::Missing) => continue,
                    Err(fault) => return Err(fault),
                }
            }
            let found = match self.again(|sftp, _| entries(sftp, &dir)).await {
                Ok(found) => found,
                Err(Fault::Missing) => continue,
                Err(fault) => return Err(fault),
            };
            waiting.push((dir.clone(), true));
            let mut doomed = Vec::new();
            for (name, attributes) in found {
                let place = format!("{}/{name}", dir.trim_end_matches('/'));
                // A link to a folder is no folder: only the link goes.
                match attributes.is_dir() {
                    true => waiting.push((place, false)),
                    false => doomed.push(place),
                }
            }
            let deleting = doomed.into_iter().map(|place| async move { self.delete_file(&place).await });
            let mut deleting = futures_util::stream::iter(deleting).buffer_unordered(DELETED_AT_ONCE);
            while let Some(deleted) = deleting.next().await {
                match deleted {
                    Ok(()) | Err(Fault::Missing) => {}
                    Err(fault) => return Err(fault),
                }
            }
        }
        Ok(())
    }
}

/// What lies in a folder, links as links. Names that are not UTF-8 cannot be asked for and are left out.
async fn entries(sftp: Lease, dir: &str) -> Result<Vec<(String, Attributes)>, Fault> {
    /// How many requests for more are on their way at once.
    const AHEAD: usize = 3;
    let handle = sftp.open_dir(dir).await?;
    let more = || handle.ask(ask::READDIR, |_| {});
    let mut asked: std::collections::VecDeque<_> = (0..AHEAD).map(|_| more()).collect();
    let (mut found, mut at_end) = (Vec::new(), false);
    while let Some(next) = asked.pop_front() {
        let mut words = match next.answer(answer::NAME).await {
            Ok(words) => words,
            Err(Fault::PastEnd) => {
                at_end = true;
                continue;
            }
            Err(fault) => return Err(fault),
        };
        for _ in 0..words.number()? {
            let (name, _long_name, attributes) = (words.text()?, words.text()?, Attributes::read(&mut words)?);
            match std::str::from_utf8(&name) {
                Ok("." | "..") | Err(_) => {}
                Ok(name) if name.contains('/') => return Err(packet::malformed()),
                Ok(name) => found.push((name.to_owned(), attributes)),
            }
        }
        if !at_end {
            asked.push_back(more());
        }
    }
    Ok(found)
}

fn two(letter: &mut bytes::BytesMut, from: &str, to: &str) {
    put_text(letter, from.as_bytes());
    put_text(letter, to.as_bytes());
}
