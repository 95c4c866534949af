//! The outputs that a checkout or an add has put into the work tree: `links/cache.db` in stock's site cache.
//!
//! When an output is no longer in any `.dvc` file (another revision was checked out), `checkout` removes it, but only
//! if it is in this table as the very thing that is there: same inode, same time. The table is stock's, so that either
//! program removes what the other has made, and neither removes what a person has put there.
//!
//! It is a table of the Python package `diskcache`, in SQLite. A row's key is the path from the root of the repository,
//! its value a pickled tuple of the inode and a string: a file's time in nanoseconds, or for a folder the MD5 of the
//! JSON of its files' times. The pickle of such a tuple is read and written here by hand; any other is passed over.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use md5::{Digest, Md5};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension, params};
use trackway_store::{Content, State};

use crate::ignore::{DirFilter, DvcIgnore};
use crate::site_cache::{python_float, python_mtime};

#[derive(Debug, thiserror::Error)]
pub enum LinksError {
    #[error("the table of links '{}' cannot be used: {error}", path.display())]
    Database { path: PathBuf, error: rusqlite::Error },
    #[error("'{}' cannot be {verb}: {error}", path.display())]
    File { path: PathBuf, verb: &'static str, error: io::Error },
}

/// The table of one repository.
#[derive(Debug)]
pub struct Links {
    path: PathBuf,
    root: PathBuf,
    database: Connection,
}

/// An output that is in the table, is there unchanged, and is used by nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unused {
    /// From the root of the repository, as in the table.
    pub key: String,
    pub path: PathBuf,
}

impl Links {
    /// Opens the table in a repository's folder of the site cache, and makes it when it is missing.
    pub fn open(site_cache: &Path, root: &Path) -> Result<Links, LinksError> {
        let dir = site_cache.join("links");
        let path = dir.join("cache.db");
        fs::create_dir_all(&dir).map_err(|error| LinksError::File { path: dir, verb: "created", error })?;
        let open = || -> rusqlite::Result<Connection> {
            let database = Connection::open(&path)?;
            database.busy_timeout(Duration::from_secs(60))?;
            let known: bool = database.query_row(
                "SELECT count(*) = 2 FROM sqlite_master WHERE type = 'table' AND name IN ('Settings', 'Cache')",
                [],
                |row| row.get(0),
            )?;
            if !known {
                create(&database)?;
            }
            database.pragma_update(None, "synchronous", 1)?;
            // What is written lies in the write-ahead log until that is long, or stock closes the table: closing would
            // wait for the disk, for a table that may be lost.
            database.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
            Ok(database)
        };
        let database = open().map_err(|error| LinksError::Database { path: path.clone(), error })?;
        Ok(Links { path, root: root.to_owned(), database })
    }

    /// Remembers outputs, absolute paths below the root, as they are now. What is not there is left out, and so is a
    /// name that is no UTF-8, which stock's table cannot hold.
    pub fn save(&mut self, outputs: &[PathBuf], ignore: &DvcIgnore) -> Result<(), LinksError> {
        let mut found = Vec::with_capacity(outputs.len());
        for output in outputs {
            if let Some(state) = state(output, ignore)? {
                found.push((output.as_path(), state));
            }
        }
        self.save_states(&found)
    }

    /// The same for outputs whose content is known: of those nothing is looked at but the output itself.
    pub fn save_known(
        &mut self,
        outputs: &[(PathBuf, Option<Content>)],
        ignore: &DvcIgnore,
        known: &State,
    ) -> Result<(), LinksError> {
        let mut found = Vec::with_capacity(outputs.len());
        for (output, content) in outputs {
            let state = match content {
                Some(Content::Dir(content)) => dir_state(output, content, known)?,
                _ => state(output, ignore)?,
            };
            found.extend(state.map(|state| (output.as_path(), state)));
        }
        self.save_states(&found)
    }

    /// The same for who knows the states already; see [`DirTimes`]. What the table says already is not written.
    pub fn save_states(&mut self, outputs: &[(&Path, LinkState)]) -> Result<(), LinksError> {
        let root = self.root.clone();
        let mut outputs = outputs.to_vec();
        let told = |path: &Path| -> rusqlite::Result<Option<Vec<u8>>> {
            let Some(key) = path.strip_prefix(&root).ok().and_then(Path::to_str) else { return Ok(None) };
            let mut ask = self.database.prepare_cached(
                "SELECT value FROM Cache WHERE key = ?1 AND raw = 1 AND mode = 4 AND typeof(value) = 'blob'",
            )?;
            ask.query_row([key], |row| row.get(0)).optional()
        };
        outputs.retain(|(path, state)| told(path).ok().flatten().as_deref() != Some(&pickle(state)));
        if outputs.is_empty() {
            return Ok(());
        }
        self.change(|database| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
            let mut put = database.prepare_cached(
                "INSERT INTO Cache(key, raw, store_time, expire_time, access_time, access_count, tag, size, mode,
                   filename, value) VALUES (?1, 1, ?2, NULL, ?2, 0, NULL, 0, 4, NULL, ?3)
                 ON CONFLICT(key, raw) DO UPDATE SET store_time = ?2, expire_time = NULL, access_time = ?2,
                   access_count = 0, tag = NULL, size = 0, mode = 4, filename = NULL, value = ?3",
            )?;
            for (path, state) in &outputs {
                if let Some(key) = path.strip_prefix(&root).ok().and_then(Path::to_str).filter(|key| !key.is_empty()) {
                    put.execute(params![key, now, pickle(state)])?;
                }
            }
            Ok(())
        })
    }

    /// What may be removed: in the table, there and unchanged, and not one of `used`, the absolute paths of all outputs.
    pub fn unused(&self, used: &[PathBuf], ignore: &DvcIgnore) -> Result<Vec<Unused>, LinksError> {
        let used: std::collections::HashSet<&Path> = used.iter().map(PathBuf::as_path).collect();
        let rows = self.rows().map_err(|error| LinksError::Database { path: self.path.clone(), error })?;
        let mut unused = Vec::new();
        for (key, pickled) in rows {
            let path = self.root.join(&key);
            // Stock joins whatever is in the table; nothing outside of the repository is removed by us.
            let inside =
                !key.is_empty() && Path::new(&key).components().all(|part| matches!(part, Component::Normal(_)));
            if !inside || used.contains(path.as_path()) {
                continue;
            }
            let Some(known) = unpickle(&pickled) else { continue };
            // The inode first: the times of a folder cost a walk.
            if fs::symlink_metadata(&path).is_ok_and(|meta| meta.ino() == known.inode)
                && state(&path, ignore)?.as_ref() == Some(&known)
            {
                unused.push(Unused { key, path });
            }
        }
        Ok(unused)
    }

    fn rows(&self) -> rusqlite::Result<Vec<(String, Vec<u8>)>> {
        let mut query = self.database.prepare_cached(
            "SELECT key, value FROM Cache WHERE raw = 1 AND mode = 4 AND typeof(key) = 'text'
               AND typeof(value) = 'blob' ORDER BY rowid",
        )?;
        query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }

    /// Removes unused outputs, files and folders, and their rows.
    pub fn remove(&mut self, unused: &[Unused]) -> Result<(), LinksError> {
        for Unused { path, .. } in unused {
            let removed = match fs::symlink_metadata(path) {
                Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
                Ok(_) => fs::remove_file(path),
                Err(error) => Err(error),
            };
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(LinksError::File { path: path.clone(), verb: "removed", error });
                }
                _ => {}
            }
        }
        self.change(|database| {
            let mut forget = database.prepare_cached("DELETE FROM Cache WHERE key = ?1 AND raw = 1")?;
            unused.iter().try_for_each(|one| forget.execute([&one.key]).map(drop))
        })
    }

    fn change(&mut self, change: impl FnOnce(&Connection) -> rusqlite::Result<()>) -> Result<(), LinksError> {
        let run = || {
            let transaction = self.database.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            change(&transaction)?;
            transaction.commit()
        };
        run().map_err(|error| LinksError::Database { path: self.path.clone(), error })
    }
}

/// What the table says of an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkState {
    pub inode: u64,
    /// A file's time in nanoseconds, as a float has it; a folder's see [`DirTimes`].
    pub mtime: String,
}

/// The state of what is at `path`; `None` when nothing is, or a link to nothing.
pub fn state(path: &Path, ignore: &DvcIgnore) -> Result<Option<LinkState>, LinksError> {
    let failed = |error| LinksError::File { path: path.to_owned(), verb: "read", error };
    let (own, meta) = match (fs::symlink_metadata(path), fs::metadata(path)) {
        (Ok(own), Ok(meta)) => (own, meta),
        (Err(error), _) | (_, Err(error)) if is_gone(&error) => return Ok(None),
        (Err(error), _) | (_, Err(error)) => return Err(failed(error)),
    };
    let mtime = match meta.is_dir() {
        false => file_time(&meta),
        true => {
            let mut times = DirTimes::default();
            if let Some(filter) = ignore.dir(path) {
                collect(path, &filter, ignore, &mut times)?;
            }
            times.token()
        }
    };
    Ok(Some(LinkState { inode: own.ino(), mtime }))
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// A file's time as stock writes it: its seconds are a float before they become nanoseconds.
pub fn file_time(meta: &fs::Metadata) -> String {
    ((python_mtime(meta) * 1e9).round_ties_even() as i128).to_string()
}

/// The times of a folder's files, which together are the folder's time.
#[derive(Clone, Debug, Default)]
pub struct DirTimes(BTreeMap<Vec<u8>, f64>);

impl DirTimes {
    /// Adds a file by its absolute path; a link counts with the time of what it leads to.
    pub fn add(&mut self, path: &Path, meta: &fs::Metadata) {
        self.0.insert(path.as_os_str().as_bytes().to_vec(), python_mtime(meta));
    }

    /// The MD5 of the JSON that Python writes of them, in the order of their paths.
    pub fn token(&self) -> String {
        token(self.0.iter().map(|(path, mtime)| (&path[..], *mtime)))
    }
}

fn token<'a>(times: impl Iterator<Item = (&'a [u8], f64)>) -> String {
    let mut hash = Md5::new();
    hash.update(b"{");
    // UTF-8 sorts as the code points do that it spells, and so do names that are not UTF-8 but for rare cases; such
    // a folder is then not recognized, and stays.
    for (at, (path, mtime)) in times.enumerate() {
        let separator = if at == 0 { "" } else { ", " };
        hash.update(format!("{separator}{}: {}", crate::rwlock::python_json(path), python_float(mtime)));
    }
    hash.update(b"}");
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The state of a directory whose content was just looked at. While nothing in it changes, not even that is hashed again.
fn dir_state(
    path: &Path,
    content: &trackway_store::DirContent,
    known: &State,
) -> Result<Option<LinkState>, LinksError> {
    let inode = match fs::symlink_metadata(path) {
        Ok(meta) => meta.ino(),
        Err(error) if is_gone(&error) => return Ok(None),
        Err(error) => return Err(LinksError::File { path: path.to_owned(), verb: "read", error }),
    };
    let id = content.id().to_le_bytes();
    let noted = known.noted("links", path).filter(|noted| noted.starts_with(&id) && noted.len() == id.len() + 32);
    if let Some(mtime) = noted.and_then(|noted| String::from_utf8(noted[id.len()..].to_vec()).ok()) {
        return Ok(Some(LinkState { inode, mtime }));
    }
    let times = content.times();
    let seconds = |nanoseconds: i64| {
        let (whole, rest) = (nanoseconds.div_euclid(1_000_000_000), nanoseconds.rem_euclid(1_000_000_000));
        whole as f64 + 1e-9 * rest as f64
    };
    let base = path.as_os_str().as_bytes();
    let full: Vec<_> =
        times.iter().map(|(inner, mtime)| ([base, b"/", inner.as_os_str().as_bytes()].concat(), *mtime)).collect();
    let mtime = token(full.iter().map(|(path, mtime)| (&path[..], seconds(*mtime))));
    known.note("links", path, &[&id, mtime.as_bytes()].concat());
    Ok(Some(LinkState { inode, mtime }))
}

fn collect(dir: &Path, filter: &DirFilter, ignore: &DvcIgnore, times: &mut DirTimes) -> Result<(), LinksError> {
    let failed = |path: &Path, error| LinksError::File { path: path.to_owned(), verb: "read", error };
    let mut open = vec![(dir.to_owned(), filter.clone())];
    while let Some((dir, filter)) = open.pop() {
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            // As Python's walk: what cannot be listed is passed over.
            Err(_) => continue,
        };
        for entry in entries {
            let entry = entry.map_err(|error| failed(&dir, error))?;
            let (name, path) = (entry.file_name(), entry.path());
            let kind = entry.file_type().map_err(|error| failed(&path, error))?;
            let meta = match if kind.is_symlink() { fs::metadata(&path) } else { entry.metadata() } {
                Ok(meta) => Some(meta),
                Err(error) if is_gone(&error) => None,
                Err(error) => return Err(failed(&path, error)),
            };
            let is_dir = meta.as_ref().is_some_and(fs::Metadata::is_dir);
            if filter.skip(&name, is_dir) {
                continue;
            }
            match meta {
                // Links to folders are not entered.
                Some(_) if is_dir && kind.is_symlink() => {}
                Some(_) if is_dir => open.push((path, ignore.for_dir(&filter, &name))),
                Some(meta) => times.add(&path, &meta),
                None => {}
            }
        }
    }
    Ok(())
}

/// The pickle (protocol 4) of `(inode, mtime)`, as Python writes it.
fn pickle(state: &LinkState) -> Vec<u8> {
    let mut body = Vec::with_capacity(64);
    match state.inode {
        n @ 0..=0xff => body.extend([b'K', n as u8]),
        n @ 0x100..=0xffff => {
            body.push(b'M');
            body.extend((n as u16).to_le_bytes());
        }
        n @ 0x1_0000..=0x7fff_ffff => {
            body.push(b'J');
            body.extend((n as u32).to_le_bytes());
        }
        n => {
            // As few bytes as hold the number and a sign.
            let bytes = i128::from(n).to_le_bytes();
            let length = (65 - n.leading_zeros()).div_ceil(8) as usize;
            body.extend([0x8a, length as u8]);
            body.extend(&bytes[..length]);
        }
    }
    body.extend([0x8c, state.mtime.len() as u8]);
    body.extend(state.mtime.as_bytes());
    body.extend([0x94, 0x86, 0x94, b'.']);
    let mut out = vec![0x80, 4, 0x95];
    out.extend((body.len() as u64).to_le_bytes());
    out.extend(body);
    out
}

/// Reads such a pickle and nothing else; protocols 4 and 5, with or without the marks for memory.
fn unpickle(bytes: &[u8]) -> Option<LinkState> {
    let mut rest = bytes.strip_prefix(&[0x80])?;
    let (version, tail) = rest.split_first()?;
    if !(4..=5).contains(version) {
        return None;
    }
    rest = tail;
    if let Some(framed) = rest.strip_prefix(&[0x95]) {
        let (length, tail) = framed.split_first_chunk::<8>()?;
        if u64::from_le_bytes(*length) != tail.len() as u64 {
            return None;
        }
        rest = tail;
    }
    let (kind, tail) = rest.split_first()?;
    let (inode, tail) = match kind {
        b'K' => tail.split_first_chunk::<1>().map(|(n, tail)| (u64::from(n[0]), tail))?,
        b'M' => tail.split_first_chunk::<2>().map(|(n, tail)| (u64::from(u16::from_le_bytes(*n)), tail))?,
        b'J' => {
            let (n, tail) = tail.split_first_chunk::<4>()?;
            (u64::try_from(i32::from_le_bytes(*n)).ok()?, tail)
        }
        0x8a => {
            let (length, tail) = tail.split_first()?;
            let (digits, tail) = tail.split_at_checked(usize::from(*length))?;
            // Nine bytes at most, the ninth for the sign; a negative one is no inode.
            if digits.is_empty() || digits.len() > 9 || digits.last().is_some_and(|last| last & 0x80 != 0) {
                return None;
            }
            let mut number = [0; 16];
            number[..digits.len()].copy_from_slice(digits);
            (u64::try_from(u128::from_le_bytes(number)).ok()?, tail)
        }
        _ => return None,
    };
    let (length, tail) = tail.strip_prefix(&[0x8c])?.split_first()?;
    let (text, tail) = tail.split_at_checked(usize::from(*length))?;
    let tail = tail.strip_prefix(&[0x94]).unwrap_or(tail).strip_prefix(&[0x86])?;
    let tail = tail.strip_prefix(&[0x94]).unwrap_or(tail);
    let mtime = std::str::from_utf8(text).ok()?.to_owned();
    (tail == b".").then_some(LinkState { inode, mtime })
}

/// The tables, indexes and triggers that `diskcache` 5.6 makes, with the settings that DVC 3.67 gives it.
fn create(database: &Connection) -> rusqlite::Result<()> {
    let journal: Option<String> = {
        database.pragma_update(None, "auto_vacuum", 1)?;
        database.query_row("PRAGMA journal_mode = wal", [], |row| row.get(0)).optional()?
    };
    // Where there can be no write-ahead log (some network file systems), any other journal will do.
    drop(journal);
    database.execute_batch(
        "BEGIN IMMEDIATE;
         CREATE TABLE IF NOT EXISTS Settings ( key TEXT NOT NULL UNIQUE, value);
         INSERT OR IGNORE INTO Settings VALUES ('statistics', 0), ('tag_index', 0),
           ('eviction_policy', 'least-recently-stored'), ('size_limit', 1073741824), ('cull_limit', 0),
           ('sqlite_auto_vacuum', 1), ('sqlite_cache_size', 8192), ('sqlite_journal_mode', 'wal'),
           ('sqlite_mmap_size', 67108864), ('sqlite_synchronous', 1), ('disk_min_file_size', 32768),
           ('disk_pickle_protocol', 4), ('count', 0), ('size', 0), ('hits', 0), ('misses', 0);
         CREATE TABLE IF NOT EXISTS Cache ( rowid INTEGER PRIMARY KEY, key BLOB, raw INTEGER, store_time REAL,
           expire_time REAL, access_time REAL, access_count INTEGER DEFAULT 0, tag BLOB, size INTEGER DEFAULT 0,
           mode INTEGER DEFAULT 0, filename TEXT, value BLOB);
         CREATE UNIQUE INDEX IF NOT EXISTS Cache_key_raw ON Cache(key, raw);
         CREATE INDEX IF NOT EXISTS Cache_expire_time ON Cache (expire_time);
         CREATE INDEX IF NOT EXISTS Cache_store_time ON Cache (store_time);
         CREATE TRIGGER IF NOT EXISTS Settings_count_insert AFTER INSERT ON Cache FOR EACH ROW BEGIN
           UPDATE Settings SET value = value + 1 WHERE key = 'count'; END;
         CREATE TRIGGER IF NOT EXISTS Settings_count_delete AFTER DELETE ON Cache FOR EACH ROW BEGIN
           UPDATE Settings SET value = value - 1 WHERE key = 'count'; END;
         CREATE TRIGGER IF NOT EXISTS Settings_size_insert AFTER INSERT ON Cache FOR EACH ROW BEGIN
           UPDATE Settings SET value = value + NEW.size WHERE key = 'size'; END;
         CREATE TRIGGER IF NOT EXISTS Settings_size_update AFTER UPDATE ON Cache FOR EACH ROW BEGIN
           UPDATE Settings SET value = value + NEW.size - OLD.size WHERE key = 'size'; END;
         CREATE TRIGGER IF NOT EXISTS Settings_size_delete AFTER DELETE ON Cache FOR EACH ROW BEGIN
           UPDATE Settings SET value = value - OLD.size WHERE key = 'size'; END;
         COMMIT;",
    )
}
