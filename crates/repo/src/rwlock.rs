//! `.dvc/tmp/rwlock`: which paths a command is reading or writing while the repository itself is not locked.
//!
//! As DVC 3.67: a JSON file, `{"write": {PATH: {"pid", "cmd"}}, "read": {PATH: [{"pid", "cmd"}, …]}}`, changed under
//! the lock `rwlock.lock`. Two paths are in each other's way when they are equal or one lies in the other. An entry
//! whose process has ended is dropped when it stands in the way of somebody, and a warning says so; others stay.
//! Unlike stock's, our file is replaced as a whole, so that who is killed leaves the old one or the new one.

use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

use crate::lock::{Lock, LockError, LockOptions, is_running};

#[derive(Debug, thiserror::Error)]
pub enum RwLockError {
    #[error(
        "'{}' is busy, it is being blocked by:\n{}\n\nIf there are no processes with such PIDs, you can manually \
         remove '{}/rwlock' and try again.", path.display(), list(blockers), tmp_dir.display()
    )]
    Busy { path: PathBuf, blockers: Vec<Blocker>, tmp_dir: PathBuf },
    #[error("Unable to read RWLock-file '{}'. JSON structure is corrupted", path.display())]
    Corrupted { path: PathBuf },
    #[error("RWLock-file '{}' format error.", path.display())]
    Format { path: PathBuf },
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("'{}' cannot be {verb}: {error}", path.display())]
    File { path: PathBuf, verb: &'static str, error: io::Error },
}

/// A process that stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocker {
    pub pid: u32,
    pub command: String,
}

fn list(blockers: &[Blocker]) -> String {
    blockers.iter().map(|b| format!("  (PID {}): {}", b.pid, b.command)).collect::<Vec<_>>().join("\n")
}

/// An entry that was dropped because its process is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dropped {
    pub pid: u32,
    pub command: String,
    pub path: PathBuf,
}

/// The file in one repository's `.dvc/tmp`.
#[derive(Clone, Debug)]
pub struct RwLock {
    tmp_dir: PathBuf,
    hardlink: bool,
    /// The file, as errors name it.
    shown: PathBuf,
}

/// Paths that are held. Dropping it lets go of them.
#[derive(Debug)]
pub struct RwGuard {
    rwlock: RwLock,
    info: Info,
    read: Vec<Text>,
    write: Vec<Text>,
    /// What had to be dropped for it, for a warning each.
    pub dropped: Vec<Dropped>,
}

impl RwLock {
    /// `hardlink` is `core.hardlink_lock`.
    pub fn new(tmp_dir: &Path, hardlink: bool) -> RwLock {
        RwLock { tmp_dir: tmp_dir.to_owned(), hardlink, shown: tmp_dir.join("rwlock") }
    }

    /// The same, with errors that name the file as seen from the folder that the user is in, as stock does.
    pub fn shown_as(self, file: &Path) -> RwLock {
        RwLock { shown: file.to_owned(), ..self }
    }

    /// Holds absolute paths for this process. `command` is what others are told is running.
    pub fn acquire(&self, command: &str, read: &[PathBuf], write: &[PathBuf]) -> Result<RwGuard, RwLockError> {
        let info = Info { pid: i64::from(std::process::id()), cmd: Text(command.as_bytes().to_vec()) };
        let texts = |paths: &[PathBuf]| -> Vec<Text> {
            paths.iter().map(|path| Text(path.as_os_str().as_bytes().to_vec())).collect()
        };
        let (read, write) = (texts(read), texts(write));
        let mut dropped = Vec::new();
        let (read, write) = self.edit(|table| {
            let all: Vec<Text> = read.iter().chain(&write).cloned().collect();
            self.make_way(table, Mode::Write, &all, &info, &mut dropped)?;
            self.make_way(table, Mode::Read, &write, &info, &mut dropped)?;
            let readers = table.read.get_or_insert_default();
            let mut reads = Vec::new();
            for path in read {
                let infos = entry(readers, &path);
                if !infos.contains(&info) {
                    infos.push(info.clone());
                    reads.push(path);
                }
            }
            let writers = table.write.get_or_insert_default();
            let mut writes = Vec::new();
            for path in write {
                let infos = entry(writers, &path);
                if *infos != [info.clone()] {
                    *infos = vec![info.clone()];
                    writes.push(path);
                }
            }
            Ok((reads, writes))
        })?;
        Ok(RwGuard { rwlock: self.clone(), info, read, write, dropped })
    }

    fn file(&self) -> PathBuf {
        self.tmp_dir.join("rwlock")
    }

    fn make_way(
        &self,
        table: &mut Table,
        mode: Mode,
        waiters: &[Text],
        info: &Info,
        dropped: &mut Vec<Dropped>,
    ) -> Result<(), RwLockError> {
        let side = match mode {
            Mode::Read => &mut table.read,
            Mode::Write => &mut table.write,
        };
        let Some(entries) = side else { return Ok(()) };
        let mut blockers = Vec::new();
        let mut busy = None;
        for (path, infos) in entries.iter_mut() {
            let Some(waiter) = waiters.iter().find(|waiter| overlap(&waiter.0, &path.0)) else { continue };
            infos.retain(|other| {
                if other == info {
                    return true;
                }
                let pid = u32::try_from(other.pid).unwrap_or(0);
                let command = String::from_utf8_lossy(&other.cmd.0).into_owned();
                let running = is_running(pid);
                if running {
                    blockers.push(Blocker { pid, command });
                    busy = Some(waiter.path());
                } else {
                    dropped.push(Dropped { pid, command, path: path.path() });
                }
                running
            });
        }
        entries.retain(|(_, infos)| !infos.is_empty());
        match busy {
            Some(path) => Err(RwLockError::Busy { path, blockers, tmp_dir: self.tmp_dir.clone() }),
            None => Ok(()),
        }
    }

    /// Reads the file, has it changed and writes it, all under its lock.
    fn edit<T>(&self, change: impl FnOnce(&mut Table) -> Result<T, RwLockError>) -> Result<T, RwLockError> {
        let options = LockOptions { wait: false, hardlink: self.hardlink };
        let _guard = Lock::acquire(&self.tmp_dir.join("rwlock.lock"), options, |_| {})?;
        let file = self.file();
        let mut table = match fs::read(&file) {
            Ok(text) => match serde_json::from_slice(&text) {
                Ok(table) => table,
                Err(error) if error.is_data() => return Err(RwLockError::Format { path: self.shown.clone() }),
                Err(_) => return Err(RwLockError::Corrupted { path: self.shown.clone() }),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Table::default(),
            Err(error) => return Err(RwLockError::File { path: file, verb: "read", error }),
        };
        let result = change(&mut table)?;
        let failed = |error| RwLockError::File { path: file.clone(), verb: "written", error };
        let mut new = tempfile::NamedTempFile::new_in(&self.tmp_dir).map_err(failed)?;
        new.write_all(table.to_json().as_bytes()).map_err(failed)?;
        // As any file of the repository: others may have to change it.
        let mode = fs::metadata(self.tmp_dir.join("rwlock.lock")).map_err(failed)?.permissions();
        new.as_file().set_permissions(mode).map_err(failed)?;
        new.persist(&file).map_err(|error| failed(error.error))?;
        Ok(result)
    }
}

impl RwGuard {
    /// Lets go, and says when that failed.
    pub fn release(mut self) -> Result<(), RwLockError> {
        self.let_go()
    }

    fn let_go(&mut self) -> Result<(), RwLockError> {
        let (read, write) = (std::mem::take(&mut self.read), std::mem::take(&mut self.write));
        if read.is_empty() && write.is_empty() {
            return Ok(());
        }
        let info = &self.info;
        self.rwlock.edit(|table| {
            // Stock takes a side out with its last entry.
            for (side, paths) in [(&mut table.write, write), (&mut table.read, read)] {
                let Some(entries) = side else { continue };
                if paths.is_empty() {
                    continue;
                }
                for (path, infos) in entries.iter_mut() {
                    if paths.contains(path)
                        && let Some(at) = infos.iter().position(|other| other == info)
                    {
                        infos.remove(at);
                    }
                }
                entries.retain(|(_, infos)| !infos.is_empty());
                if entries.is_empty() {
                    *side = None;
                }
            }
            Ok(())
        })
    }
}

impl Drop for RwGuard {
    fn drop(&mut self) {
        // An entry that stays is dropped by whoever it is in the way of, once this process is gone.
        let _ = self.let_go();
    }
}

#[derive(Clone, Copy)]
enum Mode {
    Read,
    Write,
}

/// Whether the paths are equal or one is in the other.
fn overlap(one: &[u8], other: &[u8]) -> bool {
    let within = |inner: &[u8], outer: &[u8]| {
        let outer = outer.strip_suffix(b"/").unwrap_or(outer);
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    };
    within(one, other) || within(other, one)
}

type Entries = Vec<(Text, Vec<Info>)>;

fn entry<'a>(entries: &'a mut Entries, path: &Text) -> &'a mut Vec<Info> {
    let at = match entries.iter().position(|(known, _)| known == path) {
        Some(at) => at,
        None => {
            entries.push((path.clone(), Vec::new()));
            entries.len() - 1
        }
    };
    &mut entries[at].1
}

/// The file; `None` is a side that it does not have.
#[derive(Debug, Default)]
struct Table {
    write: Option<Entries>,
    read: Option<Entries>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Info {
    pid: i64,
    cmd: Text,
}

/// A Python string: bytes that are no UTF-8 are in the file as lone surrogates, and in here as themselves.
#[derive(Clone, Debug, PartialEq)]
struct Text(Vec<u8>);

impl Text {
    fn path(&self) -> PathBuf {
        PathBuf::from(std::ffi::OsString::from_vec(self.0.clone()))
    }
}

impl Table {
    /// As Python's `json.dump` writes it.
    fn to_json(&self) -> String {
        let mut sides = Vec::new();
        if let Some(write) = &self.write {
            let entries = write.iter().map(|(path, infos)| format!("{}: {}", quoted(path), join(infos, "")));
            sides.push(format!("\"write\": {{{}}}", entries.collect::<Vec<_>>().join(", ")));
        }
        if let Some(read) = &self.read {
            let entries = read.iter().map(|(path, infos)| format!("{}: [{}]", quoted(path), join(infos, ", ")));
            sides.push(format!("\"read\": {{{}}}", entries.collect::<Vec<_>>().join(", ")));
        }
        format!("{{{}}}", sides.join(", "))
    }
}

fn join(infos: &[Info], separator: &str) -> String {
    let infos = infos.iter().map(|info| format!("{{\"pid\": {}, \"cmd\": {}}}", info.pid, quoted(&info.cmd)));
    infos.collect::<Vec<_>>().join(separator)
}

fn quoted(text: &Text) -> String {
    python_json(&text.0)
}

/// A string as Python's `json` writes it: in ASCII, and a byte that is no UTF-8 as a lone surrogate.
pub(crate) fn python_json(bytes: &[u8]) -> String {
    let mut out = String::from("\"");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                ' '..='~' => out.push(c),
                _ => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}"))),
            }
        }
        chunk.invalid().iter().for_each(|byte| out.push_str(&format!("\\udc{byte:02x}")));
    }
    out.push('"');
    out
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Text;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.as_bytes().to_vec()))
            }

            fn visit_bytes<E>(self, text: &[u8]) -> Result<Text, E> {
                // U+DC80 to U+DCFF, each in three bytes.
                let mut bytes = Vec::with_capacity(text.len());
                let mut rest = text;
                while let Some((first, tail)) = rest.split_first() {
                    match rest {
                        [0xed, second @ 0xb2..=0xb3, third @ 0x80..=0xbf, tail @ ..] => {
                            bytes.push(((second & 3) << 6) | (third & 0x3f));
                            rest = tail;
                        }
                        _ => {
                            bytes.push(*first);
                            rest = tail;
                        }
                    }
                }
                Ok(Text(bytes))
            }
        }
        deserializer.deserialize_bytes(Bytes)
    }
}

impl<'de> Deserialize<'de> for Table {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Table, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            #[serde(default)]
            write: Pairs<Object<Info>>,
            #[serde(default)]
            read: Pairs<Vec<Object<Info>>>,
        }
        let Object(file) = Object::<File>::deserialize(deserializer)?;
        // Stock puts in the sides that are missing.
        Ok(Table {
            write: Some(file.write.0.into_iter().map(|(path, info)| (path, vec![info.0])).collect()),
            read: Some(file.read.0.into_iter().map(|(path, infos)| (path, unwrap(infos))).collect()),
        })
    }
}

fn unwrap(infos: Vec<Object<Info>>) -> Vec<Info> {
    infos.into_iter().map(|info| info.0).collect()
}

/// A structure that has to be an object in JSON; serde alone takes a list of its values too.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OnlyMap<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OnlyMap<T> {
            type Value = T;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(serde::de::value::MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(OnlyMap(std::marker::PhantomData)).map(Object)
    }
}

/// A JSON object in its order; of a key that is there twice the last counts.
struct Pairs<V>(Vec<(Text, V)>);

impl<V> Default for Pairs<V> {
    fn default() -> Self {
        Pairs(Vec::new())
    }
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Pairs<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object<V>(std::marker::PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Object<V> {
            type Value = Pairs<V>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Pairs<V>, A::Error> {
                let mut pairs: Vec<(Text, V)> = Vec::new();
                while let Some((key, value)) = map.next_entry::<Text, V>()? {
                    match pairs.iter_mut().find(|(known, _)| *known == key) {
                        Some(pair) => pair.1 = value,
                        None => pairs.push((key, value)),
                    }
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Object(std::marker::PhantomData))
    }
}
