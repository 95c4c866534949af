//! `add --out` and `add --to-remote`: data from elsewhere, brought into the work tree or sent to a remote.

use std::path::Path;

use trackway_store::{Content, Hash, HashName, Progress, SaveOptions, ScanOptions, State, scan, scan_into, transfer};

use crate::add::{Added, missing_file, no_such_file};
use crate::checkout::CheckoutOptions;
use crate::dvc_file;
use crate::error::{Error, Result};
use crate::remotes::Remote;
use crate::repo::Repo;
use crate::scm::ScmChanges;

#[derive(Clone, Debug, Default)]
pub struct ElsewhereOptions {
    /// Where the data is to be in the work tree; without it, under its own name in the current folder.
    pub out: Option<String>,
    /// Send it to a remote and leave the work tree as it is.
    pub to_remote: bool,
    /// The remote; without it, the default one.
    pub remote: Option<String>,
    /// How many transfers at once.
    pub jobs: Option<usize>,
    /// Overwrite what is in the way.
    pub force: bool,
}

impl Repo {
    pub fn add_from_elsewhere(
        &self,
        source: &str,
        options: &ElsewhereOptions,
        progress: &dyn Progress,
    ) -> Result<Added> {
        let _working = self.working_lock()?;
        let target = match &options.out {
            Some(out) => self.place_for(source, out, options.force)?,
            None => source.to_owned(),
        };
        let here = options.to_remote && options.out.is_none();
        let Some(mut adding) = self.plan_add(std::slice::from_ref(&target), here)?.pop() else {
            return Err(Error::dvc("There is nothing to add."));
        };
        if crate::output::is_url(source) {
            return Err(Error::Unexpected(format!(
                "'{source}' is not on this machine, and this build of Trackway does not reach it yet. Nothing was added; DVC's own `dvc` can."
            )));
        }
        let from = self.absolute(Path::new(source));
        let remote = match options.to_remote {
            true => Some(self.object_remote(options.remote.as_deref(), "add")?),
            false => None,
        };
        if !from.exists() {
            // As DVC 3.67 names it: as the person did, from where the person stands.
            return Err(no_such_file(&self.cwd().join(source)));
        }
        let content = match &remote {
            Some(remote) => self.send(&from, remote, options.jobs, progress).map_err(missing_file)?,
            None => self.bring(&from, progress).map_err(missing_file)?,
        };
        let out = &mut adding.stage.outs[adding.out];
        let hash = Hash { name: HashName::Md5, oid: content.oid() };
        out.set(hash, Some(content.size()), content.nfiles(), content.is_exec());
        let out = out.clone();

        let mut scm = ScmChanges::new(self);
        if !options.to_remote {
            let checking_out = CheckoutOptions { force: options.force, ..CheckoutOptions::default() };
            self.check_out_new(&out, checking_out, progress)?;
            scm.ignore(&out.path)?;
        }
        let _lock = self.lock()?;
        dvc_file::write(self, &adding.stage)?;
        scm.track(&adding.stage.path);
        Ok(Added {
            files: vec![self.show_from_cwd(&adding.stage.path)],
            link_failures: Vec::new(),
            to_commit: scm.finish()?,
        })
    }

    /// Where `--out` puts the source: in the folder that it names, or at it.
    fn place_for(&self, source: &str, out: &str, force: bool) -> Result<String> {
        let name = Path::new(source).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let place = match self.absolute(Path::new(out)).is_dir() {
            true => Path::new(out).join(name).to_string_lossy().into_owned(),
            false => out.to_owned(),
        };
        if self.absolute(Path::new(&place)).exists() && !force {
            return Err(Error::dvc(format!(
                "The file '{place}' already exists locally. \nTo override it, re-run with '--force'."
            )));
        }
        Ok(place)
    }

    /// Into a remote, nothing of it into the cache. As DVC 3.67 what the remote has already is written again only if its
    /// size is another.
    fn send(&self, from: &Path, remote: &Remote, jobs: Option<usize>, progress: &dyn Progress) -> Result<Content> {
        let state = State::disabled();
        let content =
            scan(from, &ScanOptions { progress, ..ScanOptions::new(&state) })?.ok_or_else(|| no_such_file(from))?;
        let depot = remote.clone().with_jobs(jobs).depot(HashName::Md5)?;
        let files: Vec<_> = match &content {
            Content::File(_) => vec![(from.to_owned(), content.oid(), content.size())],
            Content::Dir(dir) => dir.files().map(|(path, oid, size)| (from.join(path), oid, size)).collect(),
        };
        progress.start("sending", Some(files.len() as u64), Some(content.size()));
        // A folder's list last: who finds it finds what it names.
        let sent = transfer::with_jobs(jobs, || depot.send(&files, content.tree().as_deref(), progress));
        progress.finish();
        sent?;
        Ok(content)
    }

    /// Into the cache. Neither ignore rules nor what we remember of the work tree have a say about other places.
    fn bring(&self, from: &Path, progress: &dyn Progress) -> Result<Content> {
        let state = State::disabled();
        let cache = self.cache(HashName::Md5)?;
        let scanning = ScanOptions { progress, ..ScanOptions::new(&state) };
        let saving = SaveOptions { relink: false, state: &state, progress };
        let content = scan_into(from, &scanning, cache, &saving)?.ok_or_else(|| no_such_file(from))?;
        cache.flush()?;
        Ok(content)
    }
}
