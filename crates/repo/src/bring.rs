//! What lies in another repository, brought into the cache: from its cache, its remote, its git, or where it imported it from.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use trackway_store::{Cache, Cargo, Hash, HashName, Oid, Progress, Tree, transfer};

use crate::browse::{Browser, Tracked};
use crate::error::{Error, Result};
use crate::files::Files;
use crate::get::{Copying, Source, no_storage};

/// A file or folder that is in the cache now.
#[derive(Clone, Debug)]
pub(crate) struct Brought {
    pub hash: Hash,
    pub size: u64,
    pub nfiles: Option<u64>,
    /// How many objects were not there before; lists of folders do not count.
    pub new: usize,
}

/// A file, and where it stands in the folder that is brought.
type Wanted = (Source, PathBuf);

/// What has an object: the tracked repository, by its address, and the remote that its output names.
type Owner<'a> = (*const Tracked, Option<&'a str>);

impl Browser {
    /// Brings what `typed` names into a cache; files are on the disk when this returns.
    pub(crate) fn bring(
        &self,
        typed: &str,
        cache: &Cache,
        jobs: Option<usize>,
        progress: &dyn Progress,
    ) -> Result<Brought> {
        let path = self.place(typed);
        // As DVC 3.67 says that there is nothing.
        let missing = || Error::unforeseen(format!("[{}]", trackway_ini::repr(typed)));
        let info = self.info(&path)?.ok_or_else(missing)?;
        let wanted = match info.is_dir {
            false => vec![(self.source(&path, &info, Path::new(typed))?, PathBuf::new())],
            true => self.plan(&path, Path::new(typed))?.1,
        };
        let mut new = 0;
        let files = self.bring_files(wanted, cache, jobs, &mut new, progress)?;
        let size = |oid: &Oid| Ok(cache.size(oid)?.unwrap_or_default());
        if let (false, [(_, oid)]) = (info.is_dir, files.as_slice()) {
            let brought = Brought { hash: md5(*oid), size: size(oid)?, nfiles: None, new };
            cache.flush()?;
            return Ok(brought);
        }
        let total = files.par_iter().map(|(_, oid)| size(oid)).sum::<Result<u64>>()?;
        let entries = files.iter().map(|(inner, oid)| (inner.as_os_str().as_encoded_bytes(), *oid));
        let tree = Tree::from_entries(entries)?;
        let oid = cache.put_tree(&tree)?;
        cache.flush()?;
        Ok(Brought { hash: md5(oid), size: total, nfiles: Some(tree.len() as u64), new })
    }

    fn bring_files(
        &self,
        wanted: Vec<Wanted>,
        cache: &Cache,
        jobs: Option<usize>,
        new: &mut usize,
        progress: &dyn Progress,
    ) -> Result<Vec<(PathBuf, Oid)>> {
        let (mut copied, mut objects) = (Vec::new(), Vec::new());
        for (source, inner) in wanted {
            match &source {
                Source::Object { hash: Some(Hash { name: HashName::Md5, oid }), .. } => {
                    objects.push((Some(*oid), source, inner));
                }
                Source::Object { hash: None, .. } => objects.push((None, source, inner)),
                _ => copied.push((source, inner)),
            }
        }
        *new += self.fetch_objects(&objects, cache, jobs, progress)?;
        let mut files = Vec::with_capacity(copied.len() + objects.len());
        let mut upstream: Vec<(&Browser, Vec<Wanted>)> = Vec::new();
        for (oid, source, inner) in &objects {
            let Source::Object { tracked, path, shown, .. } = source else { continue };
            if let Some(oid) = oid
                && cache.has(oid)?
            {
                files.push((inner.clone(), *oid));
                continue;
            }
            let out = tracked.out_at(path).and_then(|out| out.upstream(path));
            let (browser, place) = out.ok_or_else(|| no_storage(shown))?;
            let info = browser.info(&place)?.ok_or_else(|| no_storage(shown))?;
            let further = (browser.source(&place, &info, Path::new(shown))?, inner.clone());
            match upstream.iter_mut().find(|(known, _)| std::ptr::eq(*known, browser)) {
                Some((_, list)) => list.push(further),
                None => upstream.push((browser, vec![further])),
            }
        }
        for (browser, list) in upstream {
            files.extend(browser.bring_files(list, cache, jobs, new, progress)?);
        }
        *new += copied.len();
        let taken = transfer::with_jobs(jobs, || {
            copied
                .into_par_iter()
                .map(|(source, inner)| {
                    if progress.cancelled() {
                        return Err(Error::Interrupted);
                    }
                    Ok((inner, take_in(source, self.files(), cache, progress)?))
                })
                .collect::<Result<Vec<_>>>()
        });
        files.extend(taken?);
        Ok(files)
    }

    /// Fetches what the cache lacks from the other repository's cache, then from its remotes. Tells how many came.
    fn fetch_objects(
        &self,
        objects: &[(Option<Oid>, Source, PathBuf)],
        cache: &Cache,
        jobs: Option<usize>,
        progress: &dyn Progress,
    ) -> Result<usize> {
        let mut missing: HashMap<Owner, (&Arc<Tracked>, Vec<Oid>)> = HashMap::new();
        let mut seen = std::collections::HashSet::new();
        for (oid, source, _) in objects {
            let (Some(oid), Source::Object { tracked, remote, .. }) = (oid, source) else { continue };
            if seen.insert(*oid) && !cache.has(oid)? {
                let group = missing.entry((Arc::as_ptr(tracked), remote.as_deref()));
                group.or_insert_with(|| (tracked, Vec::new())).1.push(*oid);
            }
        }
        let mut came = 0;
        for ((_, remote), (tracked, mut oids)) in missing {
            let mut failed = None;
            for depot in tracked.depots(remote, HashName::Md5)? {
                if oids.is_empty() {
                    break;
                }
                let cargo = Cargo { files: std::mem::take(&mut oids), folders: Vec::new() };
                let done = transfer::with_jobs(jobs, || transfer::fetch(cache, &depot, &cargo, progress))?;
                came += done.objects;
                oids = done.missing;
                for one in done.failed {
                    oids.push(one.oid);
                    failed = one.error.or(failed);
                }
            }
            // What it was imported from may still have it.
            if let (Some(error), false) = (failed, oids.is_empty()) {
                tracked.repo.warn(error.to_string());
            }
        }
        Ok(came)
    }
}

/// The object of a file that is none of DVC 3's yet.
fn take_in(source: Source, files: &Files, cache: &Cache, progress: &dyn Progress) -> Result<Oid> {
    match &source {
        Source::Here(path) => match files {
            Files::WorkTree if path.is_file() => Ok(cache.insert_file(path, progress)?),
            Files::WorkTree => Err(Error::dvc(format!("'{}' is neither a file nor a folder", path.display()))),
            Files::Commit { .. } => Ok(cache.put_bytes(&files.read(path)?.unwrap_or_default())?),
        },
        // An object of DVC 2, named after another hash.
        Source::Object { .. } => {
            let folder = tempfile::tempdir().map_err(|error| Error::io(&std::env::temp_dir(), error))?;
            let copying = Copying { source, to: folder.path().join("object") };
            copying.run(files, progress)?;
            Ok(cache.insert_file(&copying.to, progress)?)
        }
    }
}

fn md5(oid: Oid) -> Hash {
    Hash { name: HashName::Md5, oid }
}
