//! `git-hook merge-driver`: merges two versions of a `.dvc` file that tracks a folder, file by file.

use std::path::Path;

use trackway_dvcfile::{DvcFile, Out};
use trackway_store::{Hash, Tree};

use crate::dvc_file;
use crate::error::{Error, Result};
use crate::files::{EntryKind, Files};
use crate::output::Output;
use crate::paths;
use crate::repo::Repo;
use crate::stage::Stage;

impl Repo {
    /// Writes to `our` what comes of both sides' changes since `ancestor`. Whatever cannot be merged is an error, and `our`
    /// stays as it was. Git gives the files other names than `.dvc`.
    pub fn merge_dvc_files(&self, ancestor: &str, our: &str, their: &str) -> Result<()> {
        if [ancestor, our, their].iter().any(|file| file.ends_with(".yaml") || file.ends_with(".yml")) {
            return Err(Error::dvc("unable to auto-merge pipeline stages"));
        }
        let mut ours = self.load_version(our)?;
        let ancestor = self.load_version(ancestor)?;
        let theirs = self.load_version(their)?;
        match (ours.outs.is_empty(), theirs.outs.is_empty()) {
            (_, true) => {}
            (true, false) => ours.outs = theirs.outs,
            (false, false) => self.merge_outputs(&ancestor, &mut ours, &theirs)?,
        }
        dvc_file::write(self, &ours)
    }

    fn load_version(&self, file: &str) -> Result<Stage> {
        let path = self.absolute(Path::new(file));
        let missing = |why| Error::NoDvcFile { file: file.to_owned(), why };
        let ignored = self.dvcignore()?.is_ignored(&path, false);
        match Files::WorkTree.kind(&path)? {
            _ if ignored => return Err(missing("is dvc-ignored")),
            None => return Err(missing("does not exist")),
            Some(EntryKind::File) => {}
            Some(_) => return Err(Error::dvc(format!("'{file}' is not a .dvc file"))),
        }
        if let Some(git) = self.git()?
            && paths::is_in(&path, git.root())
            && git.is_ignored(&path, false)?
        {
            return Err(Error::dvc(format!("'{file}' is git-ignored.")));
        }
        let name = self.show_in_messages(&path);
        let bytes = Files::WorkTree.read(&path)?.unwrap_or_default();
        let text = String::from_utf8(bytes).map_err(|_| Error::Invalid(format!("'{name}' is invalid.")))?;
        let parsed = DvcFile::parse(&text, &name)?;
        Ok(Stage::of_dvc_file(self, &path, parsed, Some(text)))
    }

    fn merge_outputs(&self, ancestor: &Stage, ours: &mut Stage, theirs: &Stage) -> Result<()> {
        for stage in [ancestor, &*ours, theirs] {
            refuse_all_but_added(stage)?;
        }
        let our = &ours.outs[0];
        let base = ancestor.outs.first();
        for (other, stage) in
            base.map(|out| (out, ancestor)).into_iter().chain([(our, &*ours), (&theirs.outs[0], theirs)])
        {
            refuse_unlike(our, ours, other, stage)?;
        }
        let tree = |out: &Output| -> Result<Tree> {
            match out.hash() {
                Some(hash) => Ok(self.cache(hash.name)?.read_tree(&hash.oid)?),
                None => Err(Error::dvc("unable to auto-merge outputs that are not directories")),
            }
        };
        let base = match base {
            Some(out) => tree(out)?,
            None => Tree::default(),
        };
        let merged = Tree::merge(&base, &tree(our)?, &tree(&theirs.outs[0])?)
            // As DVC 3.67, which says it twice.
            .map_err(|error| Error::caused(error.to_string(), Error::dvc(error.to_string())))?;
        let name = our.hash_name;
        let cache = self.cache(name)?;
        cache.put_tree(&merged)?;
        cache.flush()?;
        // What a side added need not have been pulled yet; without all sizes there is no sum.
        let mut size = Some(0);
        for entry in merged.iter() {
            size = match (size, cache.size(&entry.oid)?) {
                (Some(sum), Some(size)) => Some(sum + size),
                _ => None,
            };
        }
        ours.outs[0].set(Hash { name, oid: merged.oid() }, size, Some(merged.len() as u64), false);
        Ok(())
    }
}

fn refuse_all_but_added(stage: &Stage) -> Result<()> {
    if !stage.deps.is_empty() || stage.outs.len() > 1 {
        return Err(Error::dvc("unable to auto-merge DVC files that weren't created by `dvc add`"));
    }
    Ok(())
}

/// All that is said about both outputs must be the same but for the content.
fn refuse_unlike(our: &Output, our_stage: &Stage, other: &Output, stage: &Stage) -> Result<()> {
    let options = |out: &Output, stage: &Stage| {
        let mut written: Out = out.to_dvc_file(&stage.wdir);
        // As DVC 3.67, where the hash of a folder of DVC 2 counts among the options.
        written.info.md5 = written.info.md5.filter(|_| out.hash_name == trackway_store::HashName::Md5Dos2Unix);
        (written.info.size, written.info.nfiles) = (None, None);
        written
    };
    if our.place != other.place {
        return Err(Error::dvc("unable to auto-merge outputs of different types"));
    }
    if our.hash_name != other.hash_name || options(our, our_stage) != options(other, stage) {
        return Err(Error::dvc("unable to auto-merge outputs with different options"));
    }
    if !other.info.md5.as_deref().is_some_and(|md5| md5.ends_with(".dir")) {
        return Err(Error::dvc("unable to auto-merge outputs that are not directories"));
    }
    Ok(())
}
