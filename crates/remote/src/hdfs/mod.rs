//! HDFS by its own protocol, as Hadoop's Java client speaks it: the NameNode is asked where things are, the
//! DataNodes have them.
//!
//! The protocol itself is the crate `hdfs-native`'s. What is ours: the settings that it leaves to its user
//! (`settings.rs`), the identity of a Kerberos ticket (`ticket.rs`), and what errors mean (`said.rs`).

mod checksum;
pub(crate) mod said;
mod settings;
mod ticket;

use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::StreamExt;
use hdfs_native::client::FileStatus;
use hdfs_native::file::FileWriter;
use hdfs_native::{Client, ClientBuilder, HdfsError, WriteOptions};

use crate::error::Error;
use crate::fault::Fault;
use crate::files::{Body, Files, Meta, Service};
use crate::http::back_off;
use crate::location::Server;
use crate::options::Options;
use checksum::Checksum;
use settings::Settings;

/// How often a file is begun anew when the DataNode that is to take its first block is not there: the NameNode
/// learns of that late, and may name another one then.
const MOST_STARTS: u32 = 4;

/// How soon after a file was sent we look whether it is whole, and how long apart that is done in the end.
const FIRST_LOOK: Duration = Duration::from_millis(4);
const LAST_LOOK: Duration = Duration::from_millis(128);

pub(crate) struct Hdfs {
    client: Client,
    file: WriteOptions,
    dir_permission: u32,
    /// How long the NameNode may take for an answer, failing over to another one included.
    patience: Duration,
}

pub(crate) fn open(server: &Server, options: &Options) -> crate::Result<Files> {
    let location = server.to_string();
    let invalid = |reason| Error::InvalidLocation { location: location.clone(), reason };
    let of_mlflow;
    let options = match options.mlflow_variables {
        true => {
            of_mlflow = mlflow_variables(options).map_err(invalid)?;
            &of_mlflow
        }
        false => options,
    };
    let hdfs = Hdfs::new(server, options).map_err(invalid)?;
    Ok(Files::new(Service::Hdfs(hdfs), location, &server.path, options.http.attempts))
}

/// What MLflow's variables say of HDFS: the ticket, and who we are.
fn mlflow_variables(options: &Options) -> Result<Options, String> {
    let variable = |name: &str| options.environment.get(name);
    if variable("MLFLOW_PYARROW_EXTRA_CONF").is_some() {
        return Err(
            "MLFLOW_PYARROW_EXTRA_CONF is for MLflow's own client of HDFS: unset it, and write its settings into \
                    core-site.xml or hdfs-site.xml, in the folder that HADOOP_CONF_DIR names"
                .to_owned(),
        );
    }
    let mut options = options.clone();
    let hdfs = &mut options.hdfs;
    hdfs.kerb_ticket = hdfs.kerb_ticket.take().or_else(|| variable("MLFLOW_KERBEROS_TICKET_CACHE"));
    hdfs.user = hdfs.user.take().or_else(|| variable("MLFLOW_KERBEROS_USER"));
    Ok(options)
}

impl Hdfs {
    /// A client that has not asked anything yet. The error is a reason.
    pub fn new(server: &Server, options: &Options) -> Result<Hdfs, String> {
        let environment = &options.environment;
        let settings = Settings::read(environment)?;
        let authority = settings.authority(server)?;
        let mut config = Vec::new();
        let mut patience = options.http.idle_timeout;
        match settings.is_nameservice(&authority) {
            true => patience *= 3,
            // There is no other one to ask: not fifteen attempts with pauses of up to fifteen seconds.
            false => config.extend([
                ("dfs.client.failover.max.attempts", options.http.attempts.saturating_sub(2).to_string()),
                ("dfs.client.failover.sleep.base.millis", "100".to_owned()),
            ]),
        }
        let user =
            options.hdfs.user.clone().or_else(|| server.user.clone()).or_else(|| environment.get("HADOOP_USER_NAME"));
        let mut builder = ClientBuilder::new()
            .with_url(format!("hdfs://{authority}"))
            // A folder in any case, so that nothing else is looked up behind our back.
            .with_config_dir(settings.folder().to_string_lossy())
            .with_config(config);
        match (&options.hdfs.kerb_ticket, settings.uses_kerberos()) {
            // As Hadoop's: without Kerberos, who we are is what we say.
            (Some(ticket), true) => {
                let principal = ticket::principal(&environment.expand(ticket))?;
                builder = builder.with_kerberos_principal(principal).with_kerberos_cache(format!("FILE:{ticket}"));
            }
            (_, true) => {}
            (_, false) => {
                if let Some(user) = &user {
                    builder = builder.with_user(user);
                }
            }
        }
        let client = builder.build().map_err(|error| said::line(&error.to_string()))?;
        let umask = settings.umask();
        let mut file = WriteOptions::default().create_parent(false).overwrite(true).permission(0o666 & !umask);
        file.replication = options.hdfs.replication.or_else(|| settings.replication());
        file.block_size = settings.block_size();
        Ok(Hdfs { client, file, dir_permission: 0o777 & !umask, patience })
    }

    /// Asks the NameNode, but does not wait for ever.
    async fn ask<T>(&self, asked: impl Future<Output = Result<T, HdfsError>>) -> Result<T, Fault> {
        // The crate's futures are as large as a thread's stack can bear of them.
        match tokio::time::timeout(self.patience, Box::pin(asked)).await {
            Ok(outcome) => outcome.map_err(said::fault),
            Err(_) => {
                Err(Fault::Unreachable(format!("the NameNode gave no answer for {} seconds", self.patience.as_secs())))
            }
        }
    }

    pub async fn stat(&self, path: &str) -> Result<Option<Meta>, Fault> {
        match self.ask(self.client.get_file_info(path)).await {
            Ok(status) => Ok(Some(meta(&status))),
            Err(Fault::Missing | Fault::NotADirectory) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    pub async fn list(&self, dir: &str) -> Result<Vec<(String, Meta)>, Fault> {
        let mut listed = self.client.list_status_iter(dir, false).into_stream();
        let mut entries = Vec::new();
        while let Some(status) = self.ask(async { listed.next().await.transpose() }).await? {
            match status.path.strip_prefix(dir).map(|name| name.trim_start_matches('/')) {
                Some(name) if !name.is_empty() => entries.push((name.to_owned(), meta(&status))),
                // A file is listed as itself.
                _ => return Err(Fault::Missing),
            }
        }
        Ok(entries)
    }

    pub async fn read(&self, path: &str, range: Range<u64>, meta: &Meta) -> Result<Body<'static>, Fault> {
        let file = self.ask(self.client.read(path)).await?;
        // Asked after the file was opened, so that what was opened is what we are told of here.
        match self.stat(path).await? {
            None => return Err(Fault::Missing),
            Some(now) if now != *meta || range.end > file.file_length() as u64 => return Err(Fault::Changed),
            Some(_) => {}
        }
        let size = |bytes: u64| usize::try_from(bytes).map_err(|_| Fault::PastEnd);
        let stream = file.read_range_stream(size(range.start)?, size(range.end - range.start)?);
        Ok(Box::pin(stream.map(|piece| piece.map_err(said::of_data))))
    }

    pub async fn write(&self, path: &str, mut body: Body<'_>, _length: Option<u64>) -> Result<(), Fault> {
        let first = body.next().await.transpose()?.unwrap_or_default();
        let mut size = first.len() as u64;
        let mut file = Box::pin(self.begin(path, first)).await?;
        while let Some(piece) = body.next().await {
            let piece = piece?;
            size += piece.len() as u64;
            Box::pin(file.write_bytes(piece)).await.map_err(said::of_data)?;
        }
        self.close(path, &mut file, size).await
    }

    /// Closes a file of which all was sent.
    ///
    /// The NameNode closes it only when a DataNode has told it of the last block, which happens a moment after we were
    /// told; the crate then asks again half a second later. So we look: the NameNode counts the last block in when it
    /// was told by both, the DataNode and us, and from then on closing succeeds at once.
    async fn close(&self, path: &str, file: &mut FileWriter, size: u64) -> Result<(), Fault> {
        let is_whole = async {
            let mut wait = FIRST_LOOK;
            loop {
                tokio::time::sleep(wait).await;
                match self.stat(path).await {
                    Ok(Some(meta)) if size > 0 && meta.size == size => break,
                    Ok(Some(_)) => wait = (wait * 2).min(LAST_LOOK),
                    _ => std::future::pending().await,
                }
            }
            // An answer that is on its way comes first.
            tokio::time::sleep(FIRST_LOOK).await;
        };
        let closed = tokio::select! {
            biased;
            outcome = Box::pin(file.close()) => Some(outcome),
            () = Box::pin(is_whole) => None,
        };
        if let Some(outcome) = closed {
            return outcome.map_err(said::of_data);
        }
        match Box::pin(file.close()).await.map_err(said::of_data) {
            // It was closed the first time, and the answer came late.
            Err(Fault::Missing) if self.stat(path).await?.is_some_and(|meta| meta.size == size) => Ok(()),
            outcome => outcome,
        }
    }

    /// A new file with the first of its bytes on their way.
    async fn begin(&self, path: &str, first: Bytes) -> Result<FileWriter, Fault> {
        let mut starts = 0;
        loop {
            starts += 1;
            let mut file = self.ask(self.client.create(path, &self.file)).await?;
            match Box::pin(file.write_bytes(first.clone())).await.map_err(said::of_data) {
                Ok(_) => return Ok(file),
                Err(Fault::Unreachable(_)) if starts < MOST_STARTS => tokio::time::sleep(back_off(starts)).await,
                Err(fault) => return Err(fault),
            }
        }
    }

    /// What DVC records of a file here: its checksum, for which all of it is read.
    pub async fn checksum(&self, path: &str) -> Result<String, Fault> {
        let status = self.ask(self.client.get_file_info(path)).await?;
        let mut checksum = Checksum::new(status.blocksize.unwrap_or_default());
        let mut body = self.read(path, 0..status.length as u64, &meta(&status)).await?;
        while let Some(piece) = body.next().await {
            checksum.update(&piece?);
        }
        Ok(checksum.finish())
    }

    pub async fn rename(&self, from: &str, to: &str) -> Result<(), Fault> {
        self.ask(self.client.rename(from, to, true)).await
    }

    pub async fn rename_new(&self, from: &str, to: &str) -> Result<(), Fault> {
        self.ask(self.client.rename(from, to, false)).await
    }

    pub async fn make_dir(&self, path: &str) -> Result<(), Fault> {
        self.ask(self.client.mkdirs(path, self.dir_permission, false)).await
    }

    pub async fn delete_file(&self, path: &str) -> Result<(), Fault> {
        expect(self.stat(path).await?, false)?;
        self.delete(path, false).await
    }

    pub async fn delete_dir(&self, path: &str) -> Result<(), Fault> {
        expect(self.stat(path).await?, true)?;
        self.delete(path, false).await
    }

    pub async fn delete_tree(&self, path: &str) -> Result<(), Fault> {
        self.delete(path, true).await
    }

    async fn delete(&self, path: &str, recursive: bool) -> Result<(), Fault> {
        match self.ask(self.client.delete(path, recursive)).await? {
            true => Ok(()),
            false => Err(Fault::Missing),
        }
    }
}

fn meta(status: &FileStatus) -> Meta {
    Meta {
        size: if status.isdir { 0 } else { status.length as u64 },
        is_dir: status.isdir,
        modified: Some(time(status.modification_time)),
        etag: None,
    }
}

/// HDFS deletes files and empty folders by one call, so that what it would delete is looked at before.
pub(crate) fn expect(found: Option<Meta>, is_dir: bool) -> Result<(), Fault> {
    match found {
        Some(meta) if meta.is_dir == is_dir => Ok(()),
        Some(meta) => Err(Fault::Other(format!("it is a {}", if meta.is_dir { "folder" } else { "file" }))),
        None => Err(Fault::Missing),
    }
}

/// A time as Hadoop has it.
pub(crate) fn time(milliseconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(milliseconds)
}
