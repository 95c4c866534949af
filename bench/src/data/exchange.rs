//! A repository that pushes to a remote and pulls from it, and knows in which state both are.
//!
//! Each push goes to a place that is new, so that neither tool remembers anything of it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::data::material;
use crate::data::rows::{Contender, Facts};
use crate::data::stores::Store;
use crate::data::tool::{Side, remove};

/// What goes to the remote and comes from it.
#[derive(Clone, Copy)]
pub enum Load {
    /// So many small ones, in a folder.
    Files(usize),
    /// One of so many bytes. Cache and work tree share it by a hard link, or it would lie on the disk twice.
    File(u64),
}

impl Load {
    /// What is tracked.
    pub fn name(self) -> &'static str {
        match self {
            Load::Files(_) => "data",
            Load::File(_) => "large.bin",
        }
    }

    /// Writes it.
    pub fn fill(self, path: &Path) -> Result<()> {
        match self {
            Load::Files(files) => material::fill_folders(path, files),
            Load::File(bytes) => material::big_file(path, bytes),
        }
    }
}

pub struct Exchange<'a> {
    side: Side,
    store: &'a Store,
    load: Load,
    /// Number of the remote.
    remote: usize,
    /// The cache and the work tree hold the data.
    added: bool,
    pushed: bool,
}

impl Contender for Exchange<'_> {
    fn side(&self) -> &Side {
        &self.side
    }

    fn lost(&mut self) {
        (self.added, self.pushed) = (false, false);
    }
}

impl<'a> Exchange<'a> {
    pub fn new(side: Side, store: &'a Store, load: Load) -> Exchange<'a> {
        Exchange { side, store, load, remote: 0, added: false, pushed: false }
    }

    fn target(&self) -> PathBuf {
        self.side.path(self.load.name())
    }

    /// The remote's name, which no other of this store has.
    fn place(&self) -> String {
        format!("{}-{}-{}", self.load.name(), self.side.who.name().to_lowercase(), self.remote)
    }

    /// Of this machine, if the store's remotes are.
    fn folder(&self) -> Option<PathBuf> {
        self.store.folder(&self.side, &self.place())
    }

    fn take_away(&self, path: &Path) -> Result<()> {
        match self.load {
            Load::Files(_) => self.side.disk.put_aside(path),
            // It takes no time, and the place is needed.
            Load::File(_) => remove(path),
        }
    }

    pub fn added(&mut self) -> Result<()> {
        if !self.added {
            self.without_data()?;
            self.load.fill(&self.target())?;
            self.side.must(&["add", self.load.name()])?;
            self.added = true;
        }
        Ok(())
    }

    fn without_data(&mut self) -> Result<()> {
        self.added = false;
        self.take_away(&self.side.path(".dvc/cache"))?;
        self.side.forget()?;
        self.take_away(&self.target())
    }

    /// All is in the cache, and nothing in a remote of which nobody knows anything.
    pub fn new_remote(&mut self) -> Result<()> {
        let before = self.folder();
        self.remote += 1;
        self.pushed = false;
        let place = self.store.make_ready(&self.side, &self.place())?;
        let links = if let Load::File(_) = self.load { "[cache]\n    type = hardlink\n" } else { "" };
        self.side.configure(&format!("[core]\n    remote = store\n{links}['remote \"store\"']\n{place}"))?;
        if let Some(before) = before {
            self.take_away(&before)?;
        }
        self.added()
    }

    pub fn pushed(&mut self) -> Result<()> {
        if !self.pushed {
            self.new_remote()?;
            self.side.must(&["push"])?;
            self.pushed = true;
        }
        Ok(())
    }

    /// As a fresh clone: nothing but the `.dvc` file, and no memory.
    pub fn clone_of_it(&mut self) -> Result<()> {
        self.pushed()?;
        self.without_data()
    }

    pub fn pulled(&mut self) -> Result<()> {
        self.pushed()?;
        self.added()
    }

    pub fn has_pushed(&mut self) -> Result<Facts> {
        self.pushed = true;
        match self.folder() {
            Some(folder) => self.side.object_facts("the remote", &folder),
            None => Ok(Facts::new()),
        }
    }

    pub fn has_pulled(&mut self) -> Result<Facts> {
        self.added = true;
        self.side.facts(self.load.name())
    }

    /// Whether anything was left over is what the tools say.
    pub fn has_looked(&mut self) -> Result<Facts> {
        fs::metadata(self.target())?;
        Ok(Facts::new())
    }
}
