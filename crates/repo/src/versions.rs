//! Remotes that keep versions (`version_aware`, `worktree`): files lie there under their own names, and the `.dvc` file says which
//! version of each is meant (`cloud:`; of a folder, `files:`).
//!
//! Better than DVC 3.67: a file that is not in the cache stays listed (there it vanishes from the `.dvc` file), what is recorded of
//! another remote is not taken for this one's, and an older version is not deleted before a newer one is written.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use trackway_dvcfile::{FileEntry, Info};
use trackway_remote::{RelPath, Stat};
use trackway_store::{Cache, Distant, HashName, Named, Oid, Progress, Tree};

use crate::dvc_file;
use crate::error::{Error, Result};
use crate::fetch::{Moved, TransferFailure};
use crate::index::Selected;
use crate::output::{Output, Recorded};
use crate::paths;
use crate::remotes::{Remote, runtime, without_password, written_etag};
use crate::repo::Repo;
use crate::stage::Stage;
use crate::used::{self, Need, Trees};

/// What is recorded of an output that a remote has versions of, before it is recorded anew.
#[derive(Clone, Debug)]
pub(crate) struct Before {
    recorded: Recorded,
    info: Info,
    files: Option<Vec<FileEntry>>,
}

/// An output that goes to such a remote, and what of it the target names.
pub(crate) struct Outgoing {
    pub stage: Arc<Stage>,
    pub out: usize,
    pub part: Option<Vec<u8>>,
    pub remote: Remote,
}

/// A file of an output; one without a name is the output itself.
struct Item {
    inner: String,
    oid: Oid,
    info: Info,
    path: RelPath,
}

impl Output {
    /// The list of a folder that its `.dvc` file holds.
    pub(crate) fn listed(&self) -> Option<Tree> {
        self.files.as_deref().filter(|files| !files.is_empty()).and_then(used::listed)
    }

    pub(crate) fn before(&self) -> Option<Before> {
        self.is_versioned().then(|| Before {
            recorded: self.recorded.clone(),
            info: self.info.clone(),
            files: self.files.clone(),
        })
    }

    /// As DVC 3.67: what has not changed keeps the versions that are recorded of it. `tree` and `size` are of what is recorded now.
    pub(crate) fn keep_versions(
        &mut self,
        before: Option<Before>,
        tree: Option<&Tree>,
        size: &dyn Fn(&[u8], &Oid) -> Option<u64>,
    ) {
        let Some(before) = before else { return };
        match (tree, before.files) {
            (None, None) if self.recorded == before.recorded => self.info = before.info,
            (Some(tree), Some(old)) => {
                let old: HashMap<&str, &Info> = old.iter().map(|file| (file.relpath.as_str(), &file.info)).collect();
                let mut files = Vec::with_capacity(tree.len());
                for entry in tree.iter() {
                    // A name that a `.dvc` file cannot hold: then the list stays an object.
                    let Ok(relpath) = std::str::from_utf8(entry.path) else { return };
                    let md5 = Some(entry.oid.to_string());
                    let info = match old.get(relpath).filter(|info| info.md5 == md5) {
                        Some(info) => (*info).clone(),
                        None => Info { md5, size: size(entry.path, &entry.oid), ..Info::default() },
                    };
                    files.push(FileEntry { relpath: relpath.to_owned(), info });
                }
                self.files = Some(files);
                self.info = Info { hash: self.info.hash.clone(), ..Info::default() };
            }
            _ => {}
        }
    }
}

impl Remote {
    /// Refuses what cannot keep versions, before anything is transferred. Stock finds that out when it has written the files and
    /// emptied the `.dvc`.
    pub(crate) fn versions(&self, hash_name: HashName) -> Result<Distant> {
        let refused = |why: String| {
            Err(Error::from(crate::config::ConfigError::Unexpected(format!(
                "the remote '{}' is configured to keep versions of files (`worktree` or `version_aware`), but {why}. Nothing was \
                 transferred.",
                self.config.name
            ))))
        };
        if self.folder().is_some() {
            return refused(format!("support for versioning could not be detected: '{}' is a folder", self.config.url));
        }
        if !matches!(self.config.scheme.as_str(), "s3" | "azure" | "gs") {
            let scheme = &self.config.scheme;
            return refused(format!("support for versioning could not be detected: {scheme} keeps no versions"));
        }
        let url = without_password(&self.config.url);
        Ok(Distant::named(self.open()?.clone(), runtime()?.handle().clone(), &url, hash_name, self.jobs()))
    }

    /// What is recorded of a version that this remote has. DVC's `update` names no remote.
    fn recorded<'i>(&self, info: &'i Info) -> Option<&'i str> {
        let own = info.cloud.as_deref().is_none_or(|name| name == self.config.name);
        info.version_id.as_deref().filter(|_| own)
    }

    fn written(&self, item: &Item, stat: &Stat) -> Info {
        Info {
            hash: item.info.hash.clone(),
            md5: Some(item.oid.to_string()),
            size: Some(stat.size),
            isexec: item.info.isexec,
            etag: written_etag(&self.config.scheme, stat.etag.as_deref(), stat.json_etag.as_deref()),
            version_id: stat.version.clone(),
            cloud: Some(self.config.name.clone()),
            ..Info::default()
        }
    }
}

impl Repo {
    /// What of these outputs goes to remotes that keep versions.
    pub(crate) fn outgoing(&self, one: &Selected, out: &Output, remote: Remote) -> Outgoing {
        use std::os::unix::ffi::OsStrExt;
        let inner = one.filter.as_deref().and_then(|path| path.strip_prefix(&out.path).ok());
        let part = inner.map(|inner| inner.as_os_str().as_bytes().to_vec()).filter(|inner| !inner.is_empty());
        let at = one.stage.outs.iter().position(|other| other.path == out.path).unwrap_or(0);
        Outgoing { stage: one.stage.clone(), out: at, part, remote }
    }

    /// Writes what is not there yet, and records the versions.
    pub(crate) fn push_versions(&self, outgoing: &[Outgoing], done: &mut Moved, progress: &dyn Progress) -> Result<()> {
        let mut changed: Vec<Stage> = Vec::new();
        let mut outcome = Ok(());
        for one in outgoing {
            let known = changed.iter().position(|stage| stage.is_same(&one.stage));
            let mut stage = known.map_or_else(|| Stage::clone(&one.stage), |at| changed[at].clone());
            match self.push_out(&mut stage.outs[one.out], one, done, progress) {
                Ok(false) => {}
                Ok(true) => match known {
                    Some(at) => changed[at] = stage,
                    None => changed.push(stage),
                },
                // What was stored until then is recorded.
                Err(error) => {
                    outcome = Err(error);
                    break;
                }
            }
        }
        if !changed.is_empty() {
            let _lock = self.lock()?;
            dvc_file::write_all(self, &changed)?;
        }
        outcome
    }

    /// Tells whether something new is to be recorded.
    fn push_out(&self, out: &mut Output, one: &Outgoing, done: &mut Moved, progress: &dyn Progress) -> Result<bool> {
        let distant = one.remote.versions(out.hash_name)?;
        let cache = self.cache(out.hash_name)?;
        let Some(mut items) = self.pushed_items(out)? else {
            if let Some(hash) = out.hash() {
                self.warn_missing(hash.name, &[hash.oid]);
            }
            return Ok(false);
        };
        let wanted: Vec<usize> = (0..items.len()).filter(|at| is_in(&items[*at].inner, one.part.as_deref())).collect();
        let there = self.already_there(&items, &wanted, one, &distant, progress)?;
        let (mut sending, mut missing) = (Vec::new(), Vec::new());
        for at in wanted.into_iter().filter(|at| !there.contains(at)) {
            match cache.has(&items[at].oid)? {
                true => sending.push(at),
                false => missing.push(items[at].oid),
            }
        }
        self.warn_missing(out.hash_name, &missing);
        if sending.is_empty() {
            return Ok(false);
        }
        // Whether versions are kept is told by the first.
        let mut stored = Vec::with_capacity(sending.len());
        for range in [0..1, 1..sending.len()] {
            if range.is_empty() {
                continue;
            }
            let files: Vec<Named> = sending[range].iter().map(|at| named(&items[*at], None)).collect();
            let (stats, failed) = distant.store_named(&files, cache, progress)?;
            if let Some(stat) = stats.iter().flatten().find(|stat| stat.version.is_none()) {
                let path = distant.place().join(files[0].path.as_str());
                return Err(Error::dvc(format!(
                    "while uploading '{}' ({} bytes), support for versioning could not be detected: switch it on for the bucket or \
                     the account, or take `version_aware` and `worktree` from the remote '{}'",
                    path.display(),
                    stat.size,
                    one.remote.config.name
                )));
            }
            done.bytes += stats.iter().flatten().map(|stat| stat.size).sum::<u64>();
            stored.extend(stats);
            done.failures.extend(
                failed
                    .into_iter()
                    .filter_map(|failed| failed.error.map(|error| TransferFailure::of(failed.oid, &error))),
            );
        }
        let mut any = false;
        for (at, stat) in sending.into_iter().zip(stored) {
            if let Some(stat) = stat {
                items[at].info = one.remote.written(&items[at], &stat);
                done.objects += 1;
                any = true;
            }
        }
        if any {
            match out.oid().is_some_and(|oid| oid.is_dir()) {
                true => out.files = Some(entries(items)),
                false => out.info = items.swap_remove(0).info,
            }
            if out.files.is_some() {
                out.info = Info { hash: out.info.hash.clone(), ..Info::default() };
            }
        }
        Ok(any)
    }

    /// The files of an output, with what is recorded of each; `None` if the list of a folder is not to be had.
    fn pushed_items(&self, out: &Output) -> Result<Option<Vec<Item>>> {
        let Some(hash) = out.hash() else { return Ok(Some(Vec::new())) };
        let root = self.path_in_remote(&out.path)?;
        if !hash.oid.is_dir() {
            let item = Item { inner: String::new(), oid: hash.oid, info: out.info.clone(), path: root };
            return Ok(Some(vec![item]));
        }
        let cache = self.cache(hash.name)?;
        let tree = match out.listed() {
            Some(tree) => Arc::new(tree),
            None => match Trees::default().in_cache(self, hash)? {
                Some(tree) => tree,
                None => return Ok(None),
            },
        };
        let recorded: HashMap<&str, &Info> =
            out.files.iter().flatten().map(|file| (file.relpath.as_str(), &file.info)).collect();
        let mut items = Vec::with_capacity(tree.len());
        for entry in tree.iter() {
            let inner = std::str::from_utf8(entry.path).map_err(|_| {
                Error::dvc(format!(
                    "'{}' in '{}' cannot go to a remote that keeps versions: its name is not UTF-8, and a '.dvc' file cannot hold it",
                    entry.os_path().display(),
                    out.display(self)
                ))
            })?;
            let info = match recorded.get(inner) {
                Some(info) => (*info).clone(),
                None => Info { md5: Some(entry.oid.to_string()), size: cache.size(&entry.oid)?, ..Info::default() },
            };
            let below = RelPath::new(inner).map_err(trackway_store::Error::from)?;
            let path = root.join(&below).map_err(trackway_store::Error::from)?;
            items.push(Item { inner: inner.to_owned(), oid: entry.oid, info, path });
        }
        Ok(Some(items))
    }

    pub(crate) fn path_in_remote(&self, path: &Path) -> Result<RelPath> {
        let inner = paths::show(path.strip_prefix(self.root()).unwrap_or(path));
        Ok(RelPath::new(inner).map_err(trackway_store::Error::from)?)
    }

    /// As DVC 3.67: what is recorded need not be the newest, as long as it is there. What has the newest's etag is not asked for.
    fn already_there(
        &self,
        items: &[Item],
        wanted: &[usize],
        one: &Outgoing,
        distant: &Distant,
        progress: &dyn Progress,
    ) -> Result<HashSet<usize>> {
        const LIST_FROM: usize = 32;
        let mut there = HashSet::new();
        let mut asked: Vec<usize> =
            wanted.iter().copied().filter(|at| one.remote.recorded(&items[*at].info).is_some()).collect();
        if asked.len() >= LIST_FROM {
            let folder = self.path_in_remote(&one.stage.outs[one.out].path)?;
            let newest = distant.newest(&folder, progress)?;
            asked.retain(|at| {
                let (found, scheme) = (newest.get(&items[*at].inner), &one.remote.config.scheme);
                let etag =
                    found.and_then(|found| written_etag(scheme, found.etag.as_deref(), found.json_etag.as_deref()));
                let is_newest = etag.is_some() && items[*at].info.etag == etag;
                if is_newest {
                    there.insert(*at);
                }
                !is_newest
            });
        }
        let files: Vec<Named> =
            asked.iter().map(|at| named(&items[*at], one.remote.recorded(&items[*at].info))).collect();
        let found = distant.stat_versions(&files, progress)?;
        there.extend(asked.into_iter().zip(found).filter_map(|(at, found)| found.map(|_| at)));
        Ok(there)
    }

    /// Brings the recorded versions into the cache.
    pub(crate) fn fetch_versions(
        &self,
        needs: &BTreeMap<String, (Remote, Vec<&Need>)>,
        trees: &mut Trees,
        done: &mut Moved,
        progress: &dyn Progress,
    ) -> Result<()> {
        for (remote, needs) in needs.values() {
            let mut unversioned = Vec::new();
            for hash_name in [HashName::Md5, HashName::Md5Dos2Unix] {
                let cache = self.cache(hash_name)?;
                let (mut files, mut seen) = (Vec::new(), HashSet::new());
                for need in needs.iter().filter(|need| need.hash.name == hash_name) {
                    self.wanted_versions(need, remote, cache, trees, &mut seen, &mut files, &mut unversioned)?;
                }
                if !files.is_empty() {
                    let distant = remote.versions(hash_name)?;
                    progress.start("fetching", Some(files.len() as u64), None);
                    let failed = distant.load_versions(&files, cache, progress)?;
                    progress.finish();
                    done.objects += files.len() - failed.len();
                    done.failures.extend(
                        failed
                            .into_iter()
                            .filter_map(|failed| failed.error.map(|error| TransferFailure::of(failed.oid, &error))),
                    );
                }
                for need in needs.iter().filter(|need| need.hash.name == hash_name) {
                    self.keep_list(need)?;
                }
            }
            if !unversioned.is_empty() {
                done.failed_folders += unversioned.len();
                let list = unversioned.join("\n");
                self.warn(format!(
                    "Some files are missing cloud version information and will not be fetched from the remote:\n{list}"
                ));
            }
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "what is gathered over all needs")]
    fn wanted_versions(
        &self,
        need: &Need,
        remote: &Remote,
        cache: &Cache,
        trees: &mut Trees,
        seen: &mut HashSet<Oid>,
        files: &mut Vec<Named>,
        unversioned: &mut Vec<String>,
    ) -> Result<()> {
        let root = self.path_in_remote(&need.path)?;
        let shown = |path: &RelPath| format!("{}/{path}", remote.config.url.trim_end_matches('/'));
        let recorded: HashMap<&[u8], &Info> =
            need.recorded.iter().map(|file| (file.relpath.as_bytes(), &file.info)).collect();
        let wanted: Vec<(Vec<u8>, Oid)> = match need.hash.oid.is_dir() {
            false => vec![(Vec::new(), need.hash.oid)],
            true => match need.tree(self, trees)? {
                Some(tree) => tree.iter().map(|entry| (entry.path.to_vec(), entry.oid)).collect(),
                None => {
                    unversioned.push(shown(&root));
                    return Ok(());
                }
            },
        };
        for (inner, oid) in wanted {
            if cache.has(&oid)? || !seen.insert(oid) {
                continue;
            }
            let path = match std::str::from_utf8(&inner).ok().map(RelPath::new) {
                Some(Ok(below)) => root.join(&below).map_err(trackway_store::Error::from)?,
                _ => root.clone(),
            };
            match recorded.get(inner.as_slice()).and_then(|info| remote.recorded(info)) {
                Some(version) => files.push(Named { path, oid, version: Some(version.to_owned()) }),
                None => unversioned.push(shown(&path)),
            }
        }
        Ok(())
    }

    /// As DVC 3.67: the list that a `.dvc` file holds becomes an object of the cache.
    fn keep_list(&self, need: &Need) -> Result<()> {
        if let Some(tree) = need.own_list() {
            let cache = self.cache(need.hash.name)?;
            if !cache.has(&need.hash.oid)? {
                cache.put_tree(tree)?;
                cache.flush()?;
            }
        }
        Ok(())
    }
}

fn named(item: &Item, version: Option<&str>) -> Named {
    Named { path: item.path.clone(), oid: item.oid, version: version.map(str::to_owned) }
}

fn entries(items: Vec<Item>) -> Vec<FileEntry> {
    items.into_iter().map(|item| FileEntry { relpath: item.inner, info: item.info }).collect()
}

/// Whether a file of a folder is what the target names, or lies in it.
fn is_in(inner: &str, part: Option<&[u8]>) -> bool {
    let Some(part) = part else { return true };
    inner.as_bytes().strip_prefix(part).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
}
