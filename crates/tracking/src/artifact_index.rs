//! What lies in object stores, remembered, so that listing a directory asks no bucket.
//!
//! The bucket is the truth, this is the memory of it (docs/design/0010-artifact-index.md). What goes through us is noted
//! when it is whole ([`Store::note_artifact`], [`Store::forget_artifacts`]). What others put there is found by a *look*:
//! [`Store::begin_look`], one level of the bucket listed, [`Store::end_look`] notes the differences.
//!
//! Uploads go on while somebody looks. Each look has a number, and each row the number of the newest look that had begun
//! when the row was noted: a look never takes away what is not older than itself.

use std::collections::HashMap;

use crate::db::{Conn, Dialect, Weight, params};
use crate::error::Result;
use crate::{Store, now};

/// How many differences are noted in one transaction, so that nobody waits long for it.
const SLICE: usize = 500;

/// A directory as it is remembered.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ArtifactDir {
    /// Names, in no order.
    pub dirs: Vec<String>,
    pub files: Vec<ArtifactFile>,
    /// When it was last compared with the bucket. Without, what is here may not be all.
    pub seen: Option<i64>,
    /// The last look found what was not noted: others write here.
    pub shared: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ArtifactFile {
    pub name: String,
    pub size: u64,
}

/// A comparison with the bucket that has begun.
#[derive(Debug, Clone)]
pub struct Look {
    root: i64,
    uri: String,
    dir: String,
    number: i64,
    deletions: i64,
}

impl Store {
    /// What is remembered of a directory; `None` if nothing is. `root` is the URI of a run's or model's artifacts, `dir`
    /// a path below it, empty for the root.
    pub async fn remembered_artifacts(&self, root: String, dir: String) -> Result<Option<ArtifactDir>> {
        self.db
            .read(Weight::Heavy, move |db| {
                let Some(root) = db.row("SELECT id FROM artifact_root WHERE uri = ?1", params![&root], |r| r.get(0))?
                else {
                    return Ok(None);
                };
                if let Some((seen, shared)) = dir_row(db, root, &dir)? {
                    let (dirs, files) = (dirs(db, root, &dir)?, files(db, root, &dir)?);
                    let dirs = dirs.into_iter().map(|(name, _)| name).collect();
                    let files = files.into_iter().map(|(name, size, _)| ArtifactFile { name, size }).collect();
                    return Ok(Some(ArtifactDir { dirs, files, seen, shared }));
                }
                // What is not in a directory that was seen is not there.
                for above in ancestors(&dir) {
                    if let Some((seen, shared)) = dir_row(db, root, above)? {
                        return Ok(seen.map(|_| ArtifactDir { seen, shared, ..ArtifactDir::default() }));
                    }
                }
                Ok(None)
            })
            .await
    }

    /// Notes a file that lies in the bucket, whole.
    pub async fn note_artifact(&self, root: String, path: String, size: u64, etag: Option<String>) -> Result<()> {
        self.db
            .write(128 + root.len() + path.len(), move |tx| {
                let (id, looks, _) = lock_root(tx.db, &root, Lock::Shared)?;
                let (dir, name) = split(&path);
                note_dir(tx.db, id, looks, dir)?;
                tx.db.execute(
                    "INSERT INTO artifact_file (root, dir, name, looks, size, etag, noted) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                     ON CONFLICT (root, dir, name) DO UPDATE
                     SET looks = excluded.looks, size = excluded.size, etag = excluded.etag, noted = excluded.noted",
                    params![id, dir, name, looks, integer(size), &etag, now()],
                )?;
                Ok(())
            })
            .await
    }

    /// Forgets a file, a directory and all below it, or with an empty path the whole root.
    pub async fn forget_artifacts(&self, root: String, path: String) -> Result<()> {
        self.db
            .write(128 + root.len() + path.len(), move |tx| {
                let db = tx.db;
                let known = "SELECT 1 FROM artifact_root WHERE uri = ?1";
                if db.row(known, params![&root], |row| row.get::<i64>(0))?.is_none() {
                    return Ok(());
                }
                let (id, ..) = lock_root(db, &root, Lock::Alone)?;
                if path.is_empty() {
                    for table in ["artifact_file WHERE root", "artifact_dir WHERE root", "artifact_root WHERE id"] {
                        db.execute(&format!("DELETE FROM {table} = ?1"), params![id])?;
                    }
                    return Ok(());
                }
                db.execute("UPDATE artifact_root SET deletions = deletions + 1 WHERE id = ?1", params![id])?;
                let (dir, name) = split(&path);
                db.execute(
                    "DELETE FROM artifact_file WHERE root = ?1 AND dir = ?2 AND name = ?3",
                    params![id, dir, name],
                )?;
                forget_tree(db, id, &path)?;
                prune(db, id, dir)
            })
            .await
    }

    /// Forgets every root below a URI.
    pub async fn forget_artifact_roots(&self, above: String) -> Result<()> {
        let below = (format!("{above}/"), format!("{above}0"));
        loop {
            let (from, to) = below.clone();
            let roots: Vec<String> = self
                .db
                .read(Weight::Light, move |db| {
                    let sql = "SELECT uri FROM artifact_root WHERE uri >= ?1 AND uri < ?2 LIMIT 100";
                    db.rows(sql, params![&from, &to], |row| row.get(0))
                })
                .await?;
            if roots.is_empty() {
                return Ok(());
            }
            for root in roots {
                self.forget_artifacts(root, String::new()).await?;
            }
        }
    }

    /// To be called before the bucket is listed.
    pub async fn begin_look(&self, root: String, dir: String) -> Result<Look> {
        self.db
            .write(128 + root.len() + dir.len(), move |tx| {
                let (id, ..) = lock_root(tx.db, &root, Lock::Shared)?;
                let sql = "UPDATE artifact_root SET looks = looks + 1 WHERE id = ?1 RETURNING looks, deletions";
                let (number, deletions) = tx.db.one(sql, params![id], |row| Ok((row.get(0)?, row.get(1)?)))?;
                Ok(Look { root: id, uri: root.clone(), dir: dir.clone(), number, deletions })
            })
            .await
    }

    /// Notes what the bucket has in the directory that was looked at. False if something was deleted meanwhile, so that
    /// the listing says nothing sure any more: the next look will.
    pub async fn end_look(&self, look: Look, dirs: Vec<String>, files: Vec<ArtifactFile>) -> Result<bool> {
        let found = look.clone();
        let changes = self.db.read(Weight::Heavy, move |db| Changes::between(db, &found, dirs, files)).await?;
        let any = !(changes.new_files.is_empty() && changes.new_dirs.is_empty());
        let empty = changes.empty;
        for slice in changes.new_files.chunks(SLICE).map(<[_]>::to_vec) {
            if !self.note(&look, Lock::Shared, move |db, look| note_files(db, look, &slice)).await? {
                return Ok(false);
            }
        }
        for slice in changes.gone_files.chunks(SLICE).map(<[_]>::to_vec) {
            let forget = move |db: &Conn, look: &Look| {
                slice.iter().try_for_each(|name| {
                    let sql = "DELETE FROM artifact_file WHERE root = ?1 AND dir = ?2 AND name = ?3 AND looks < ?4";
                    db.execute(sql, params![look.root, &look.dir, name, look.number]).map(|_| ())
                })
            };
            if !self.note(&look, Lock::Shared, forget).await? {
                return Ok(false);
            }
        }
        for slice in changes.new_dirs.chunks(SLICE).map(<[_]>::to_vec) {
            let note = move |db: &Conn, look: &Look| {
                note_dir(db, look.root, look.number, &look.dir)?;
                slice.iter().try_for_each(|name| new_dir(db, look.root, &look.dir, name, look.number, None, false))
            };
            if !self.note(&look, Lock::Shared, note).await? {
                return Ok(false);
            }
        }
        for slice in changes.gone_dirs.chunks(SLICE).map(<[_]>::to_vec) {
            let forget = move |db: &Conn, look: &Look| {
                slice.iter().try_for_each(|name| {
                    let path = join(&look.dir, name);
                    if newest_below(db, look.root, &path)? < look.number {
                        forget_tree(db, look.root, &path)
                    } else {
                        Ok(())
                    }
                })
            };
            if !self.note(&look, Lock::Alone, forget).await? {
                return Ok(false);
            }
        }
        self.note(&look, Lock::Alone, move |db, look| {
            if !empty || look.dir.is_empty() {
                note_dir(db, look.root, look.number, &look.dir)?;
            }
            let (parent, name) = split(&look.dir);
            let sql =
                "UPDATE artifact_dir SET seen = ?4, shared = ?5, looks = CASE WHEN looks > ?6 THEN looks ELSE ?6 END
                       WHERE root = ?1 AND parent = ?2 AND name = ?3";
            db.execute(sql, params![look.root, parent, name, now(), any, look.number])?;
            prune(db, look.root, &look.dir)
        })
        .await
    }

    /// Does part of a look's work, unless something was deleted since it began.
    async fn note(
        &self,
        look: &Look,
        lock: Lock,
        work: impl Fn(&Conn, &Look) -> Result<()> + Send + 'static,
    ) -> Result<bool> {
        let look = look.clone();
        self.db
            .write(64 << 10, move |tx| {
                let (id, _, deletions) = lock_root(tx.db, &look.uri, lock)?;
                if id != look.root || deletions != look.deletions {
                    return Ok(false);
                }
                work(tx.db, &look)?;
                Ok(true)
            })
            .await
    }
}

/// What a look has to note.
struct Changes {
    new_files: Vec<ArtifactFile>,
    gone_files: Vec<String>,
    new_dirs: Vec<String>,
    gone_dirs: Vec<String>,
    /// The bucket has nothing there.
    empty: bool,
}

impl Changes {
    fn between(db: &Conn, look: &Look, found_dirs: Vec<String>, found: Vec<ArtifactFile>) -> Result<Changes> {
        let empty = found.is_empty() && found_dirs.is_empty();
        let mut known: HashMap<String, (u64, i64)> =
            files(db, look.root, &look.dir)?.into_iter().map(|(name, size, looks)| (name, (size, looks))).collect();
        let new_files = found.into_iter().filter(|file| match known.remove(&file.name) {
            None => true,
            Some((size, looks)) => size != file.size && looks < look.number,
        });
        let new_files = new_files.collect();
        let gone_files = known.into_iter().filter(|(_, (_, looks))| *looks < look.number).map(|(name, _)| name);
        let mut known_dirs: HashMap<String, i64> = dirs(db, look.root, &look.dir)?.into_iter().collect();
        let new_dirs = found_dirs.into_iter().filter(|name| known_dirs.remove(name).is_none()).collect();
        let gone_dirs = known_dirs.into_iter().filter(|(_, looks)| *looks < look.number).map(|(name, _)| name);
        Ok(Changes { new_files, gone_files: gone_files.collect(), new_dirs, gone_dirs: gone_dirs.collect(), empty })
    }
}

/// How a root is held while something below it changes. Uploads go on beside each other; what takes directories away is
/// alone, so that none goes in which something was just noted. SQLite has one writer anyway.
#[derive(Clone, Copy, PartialEq)]
enum Lock {
    Shared,
    Alone,
}

/// The root's number, looks and deletions. It is noted if it is new.
fn lock_root(db: &Conn, uri: &str, lock: Lock) -> Result<(i64, i64, i64)> {
    let sql = match (db.dialect(), lock) {
        (Dialect::Sqlite, _) => "SELECT id, looks, deletions FROM artifact_root WHERE uri = ?1",
        (_, Lock::Shared) => "SELECT id, looks, deletions FROM artifact_root WHERE uri = ?1 FOR KEY SHARE",
        (_, Lock::Alone) => "SELECT id, looks, deletions FROM artifact_root WHERE uri = ?1 FOR UPDATE",
    };
    let find = || db.row(sql, params![uri], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    if let Some(found) = find()? {
        return Ok(found);
    }
    db.execute("INSERT INTO artifact_root (uri) VALUES (?1) ON CONFLICT (uri) DO NOTHING", params![uri])?;
    db.one(sql, params![uri], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
}

/// When a directory was seen, and whether it is shared; `None` if it is not noted.
fn dir_row(db: &Conn, root: i64, dir: &str) -> Result<Option<(Option<i64>, bool)>> {
    let (parent, name) = split(dir);
    let sql = "SELECT seen, shared FROM artifact_dir WHERE root = ?1 AND parent = ?2 AND name = ?3";
    db.row(sql, params![root, parent, name], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// The directories directly in `dir`, each with its looks.
fn dirs(db: &Conn, root: i64, dir: &str) -> Result<Vec<(String, i64)>> {
    let sql = "SELECT name, looks FROM artifact_dir WHERE root = ?1 AND parent = ?2 AND name <> ''";
    db.rows(sql, params![root, dir], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// The files directly in `dir`, each with its size and looks.
fn files(db: &Conn, root: i64, dir: &str) -> Result<Vec<(String, u64, i64)>> {
    let sql = "SELECT name, size, looks FROM artifact_file WHERE root = ?1 AND dir = ?2";
    db.rows(sql, params![root, dir], |row| {
        Ok((row.get(0)?, u64::try_from(row.get::<i64>(1)?).unwrap_or(0), row.get(2)?))
    })
}

/// Notes a directory and those above it. A new one in a directory that was seen had nothing in it then.
fn note_dir(db: &Conn, root: i64, looks: i64, dir: &str) -> Result<()> {
    if dir_row(db, root, dir)?.is_some() {
        return Ok(());
    }
    let (mut seen, mut shared) = (None, false);
    let mut chain: Vec<&str> = ancestors(dir).collect();
    chain.reverse();
    if !dir.is_empty() {
        chain.push(dir);
    } else {
        chain = vec![""];
    }
    for above in chain {
        match dir_row(db, root, above)? {
            Some(noted) => (seen, shared) = noted,
            None => {
                let (parent, name) = split(above);
                new_dir(db, root, parent, name, looks, seen, shared)?;
            }
        }
    }
    Ok(())
}

fn new_dir(db: &Conn, root: i64, parent: &str, name: &str, looks: i64, seen: Option<i64>, shared: bool) -> Result<()> {
    db.execute(
        "INSERT INTO artifact_dir (root, parent, name, looks, seen, shared) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (root, parent, name) DO NOTHING",
        params![root, parent, name, looks, seen, shared],
    )?;
    Ok(())
}

fn note_files(db: &Conn, look: &Look, files: &[ArtifactFile]) -> Result<()> {
    note_dir(db, look.root, look.number, &look.dir)?;
    for file in files {
        db.execute(
            "INSERT INTO artifact_file (root, dir, name, looks, size, noted) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (root, dir, name) DO UPDATE
             SET looks = excluded.looks, size = excluded.size, etag = NULL, noted = excluded.noted
             WHERE artifact_file.looks < excluded.looks",
            params![look.root, &look.dir, &file.name, look.number, integer(file.size), now()],
        )?;
    }
    Ok(())
}

/// Forgets a directory and all below it.
fn forget_tree(db: &Conn, root: i64, dir: &str) -> Result<()> {
    let (parent, name) = split(dir);
    let below = (format!("{dir}/"), format!("{dir}0"));
    db.execute(
        "DELETE FROM artifact_file WHERE root = ?1 AND (dir = ?2 OR (dir >= ?3 AND dir < ?4))",
        params![root, dir, &below.0, &below.1],
    )?;
    db.execute(
        "DELETE FROM artifact_dir WHERE root = ?1 AND ((parent = ?2 AND name = ?3) OR parent = ?4 OR (parent >= ?5 AND parent < ?6))",
        params![root, parent, name, dir, &below.0, &below.1],
    )?;
    Ok(())
}

/// The greatest `looks` of what lies in `dir` or below it, and of itself.
fn newest_below(db: &Conn, root: i64, dir: &str) -> Result<i64> {
    let (parent, name) = split(dir);
    let below = (format!("{dir}/"), format!("{dir}0"));
    let sql = "SELECT max(looks) FROM artifact_file WHERE root = ?1 AND (dir = ?2 OR (dir >= ?3 AND dir < ?4))";
    let files: Option<i64> = db.one(sql, params![root, dir, &below.0, &below.1], |row| row.get(0))?;
    let sql = "SELECT max(looks) FROM artifact_dir WHERE root = ?1 AND ((parent = ?2 AND name = ?3) OR parent = ?4 OR (parent >= ?5 AND parent < ?6))";
    let dirs: Option<i64> = db.one(sql, params![root, parent, name, dir, &below.0, &below.1], |row| row.get(0))?;
    Ok(files.max(dirs).unwrap_or(0))
}

/// Forgets directories, upwards from `dir`, in which nothing is left. One that was never seen may hold what is not noted.
fn prune(db: &Conn, root: i64, dir: &str) -> Result<()> {
    let mut dir = dir;
    while !dir.is_empty() {
        let Some((Some(_), _)) = dir_row(db, root, dir)? else { return Ok(()) };
        let sql = "SELECT 1 FROM artifact_file WHERE root = ?1 AND dir = ?2 UNION ALL SELECT 1 FROM artifact_dir WHERE root = ?1 AND parent = ?2 LIMIT 1";
        if db.row(sql, params![root, dir], |row| row.get::<i64>(0))?.is_some() {
            return Ok(());
        }
        let (parent, name) = split(dir);
        let sql = "DELETE FROM artifact_dir WHERE root = ?1 AND parent = ?2 AND name = ?3";
        db.execute(sql, params![root, parent, name])?;
        dir = parent;
    }
    Ok(())
}

/// `("a/b", "c")` of `a/b/c`
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() { name.to_owned() } else { format!("{dir}/{name}") }
}

/// The directories above, from the nearest to the root, which is empty.
fn ancestors(dir: &str) -> impl Iterator<Item = &str> {
    std::iter::successors((!dir.is_empty()).then(|| split(dir).0), |dir| (!dir.is_empty()).then(|| split(dir).0))
}

fn integer(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
