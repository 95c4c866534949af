//! `update` of outputs in `worktree` remotes: takes the newest version of each file that lies there.

use std::collections::{HashMap, HashSet};

use trackway_dvcfile::{FileEntry, Info};
use trackway_store::{Hash, HashName, Oid, Progress, Tree};

use crate::checkout::CheckoutOptions;
use crate::dvc_file;
use crate::error::{Error, Result};
use crate::index::Selected;
use crate::output::Output;
use crate::outside::{Seen, SeenFile};
use crate::remotes::anywhere::There;
use crate::remotes::{Remote, without_password};
use crate::repo::Repo;
use crate::stage::Stage;
use crate::update::UpdateOptions;

impl Repo {
    pub(crate) fn update_from_worktree(
        &self,
        selected: &[Selected],
        options: &UpdateOptions,
        progress: &dyn Progress,
    ) -> Result<()> {
        let refused = [
            (options.rev.is_some(), "--rev"),
            (options.no_download, "--no-download"),
            (options.to_remote, "--to-remote"),
        ];
        if let Some((_, option)) = refused.iter().find(|(given, _)| *given) {
            return Err(Error::dvc(format!("{option} can't be used with worktree update")));
        }
        for one in selected {
            let wanted: HashSet<_> = one.stage.outs_at(one.filter.as_deref()).map(|out| out.path.clone()).collect();
            let mut stage = Stage::clone(&one.stage);
            let mut updated = Vec::new();
            for at in 0..stage.outs.len() {
                let out = &stage.outs[at];
                if !(wanted.contains(&out.path) && out.use_cache && out.is_in_repo() && out.can_push) {
                    continue;
                }
                let Some(name) = out.remote.as_deref().or_else(|| pushed_to(out)) else {
                    self.warn(format!("Could not update '{}', it was never pushed to a remote", out.display(self)));
                    continue;
                };
                let remote = self.remote(Some(name), "update")?.with_jobs(options.jobs);
                if !remote.config.worktree() {
                    return Err(Error::dvc(format!(
                        "update is not supported for '{}' that is not an import.",
                        one.stage.address(self)
                    )));
                }
                if let Some(newest) = self.newest_of(out, &remote, progress)? {
                    stage.outs[at] = newest;
                    updated.push(at);
                }
            }
            for at in &updated {
                let force = CheckoutOptions { force: true, ..CheckoutOptions::default() };
                self.check_out_new(&stage.outs[*at], force, progress)?;
            }
            if !updated.is_empty() {
                let _lock = self.lock()?;
                dvc_file::write(self, &stage)?;
            }
        }
        Ok(())
    }

    /// The output as it lies in the remote now, with what is new of it in the cache; `None` if there is nothing to take.
    fn newest_of(&self, out: &Output, remote: &Remote, progress: &dyn Progress) -> Result<Option<Output>> {
        let there = There {
            remote: remote.open()?.clone(),
            path: self.path_in_remote(&out.path)?,
            version: None,
            version_aware: true,
            url: without_password(&remote.config.url),
            config: remote.config.clone(),
        };
        let Some(mut seen) = there.look()? else {
            self.warn(format!("Could not update '{}', it does not exist in the remote", out.display(self)));
            return Ok(None);
        };
        if seen.files.is_empty() {
            self.warn(format!("Could not update '{}', directory is empty in the remote", out.display(self)));
            return Ok(None);
        }
        let known: HashMap<&str, &Info> = match &out.files {
            Some(files) => files.iter().map(|file| (file.relpath.as_str(), &file.info)).collect(),
            None => HashMap::from([("", &out.info)]),
        };
        let cache = self.cache(HashName::Md5)?;
        // Of what has not changed and is in the cache, what is recorded stays.
        let keep = |file: &SeenFile| -> Result<Option<Info>> {
            let same =
                known.get(file.inner.as_str()).filter(|info| info.etag.is_some() && info.etag == file.written_etag);
            let Some(info) = same else { return Ok(None) };
            let oid = info.md5.as_deref().and_then(|md5| Oid::parse(md5).ok());
            Ok(match oid {
                Some(oid) if cache.has(&oid)? => Some(Info::clone(info)),
                _ => None,
            })
        };
        let mut kept = seen.files.iter().map(keep).collect::<Result<Vec<_>>>()?;
        let unchanged = kept.iter().all(Option::is_some) && kept.len() == known.len();
        if unchanged && (seen.is_dir == out.files.is_some()) {
            return Ok(None);
        }
        // Better than DVC 3.67, which takes what it finds in the work tree for what was downloaded.
        if out.path.symlink_metadata().is_ok() && self.work_tree(progress)?.status(out)?.is_some() {
            return Err(Error::dvc(format!(
                "'{0}' has changes that are recorded nowhere, and the update would overwrite them. Record them with `add` or `commit`, \
                 or give them up with `checkout --force {0}`, and run the command again.",
                out.display(self)
            )));
        }
        let at_new: Vec<usize> = (0..kept.len()).filter(|at| kept[*at].is_none()).collect();
        let new = at_new.iter().map(|at| seen.files[*at].clone()).collect();
        let mut new = Seen { is_dir: seen.is_dir, files: new };
        there.pin(&mut new, progress)?;
        let oids =
            there.each(&new, remote.jobs(), "downloading", progress, |file| there.bring(file, cache, progress))?;
        for ((at, file), oid) in at_new.into_iter().zip(new.files).zip(oids) {
            kept[at] = Some(Info {
                md5: Some(oid.to_string()),
                size: Some(file.size),
                etag: file.written_etag.clone(),
                version_id: file.version.clone(),
                // Better than DVC 3.67, which forgets which remote has it: when all files of a folder are new, the next update finds none.
                cloud: Some(remote.config.name.clone()),
                // What bore the name before may be executed as before.
                isexec: known.get(file.inner.as_str()).is_some_and(|info| info.isexec),
                ..Info::default()
            });
            seen.files[at] = file;
        }
        let mut newest = out.clone();
        let files: Vec<FileEntry> = seen
            .files
            .into_iter()
            .zip(kept)
            .filter_map(|(file, info)| Some(FileEntry { relpath: file.inner, info: info? }))
            .collect();
        newest.take_versions(files, seen.is_dir, &mut |tree| Ok(cache.put_tree(tree)?))?;
        cache.flush()?;
        Ok(Some(newest))
    }
}

impl Output {
    /// Records these files, or as the output itself the one without a name.
    fn take_versions(
        &mut self,
        mut files: Vec<FileEntry>,
        is_dir: bool,
        put: &mut dyn FnMut(&Tree) -> Result<Oid>,
    ) -> Result<()> {
        let unreadable = || Error::dvc("a file was brought without its hash");
        if is_dir {
            let tree = crate::used::listed(&files).ok_or_else(unreadable)?;
            let oid = put(&tree)?;
            let size = files.iter().filter_map(|file| file.info.size).sum();
            self.set(Hash { name: HashName::Md5, oid }, Some(size), Some(files.len() as u64), false);
            self.info = Info { hash: self.info.hash.clone(), ..Info::default() };
            self.files = Some(files);
            return Ok(());
        }
        let info = files.pop().ok_or_else(unreadable)?.info;
        let oid = info.md5.as_deref().and_then(|md5| Oid::parse(md5).ok()).ok_or_else(unreadable)?;
        self.set(Hash { name: HashName::Md5, oid }, info.size, None, info.isexec);
        self.info = Info { hash: self.info.hash.clone(), ..info };
        Ok(())
    }
}

/// The remote that has versions of it. As DVC 3.67, a folder's files tell it too.
fn pushed_to(out: &Output) -> Option<&str> {
    let files = out.files.iter().flatten().find_map(|file| file.info.cloud.as_deref());
    out.info.cloud.as_deref().or(files)
}
