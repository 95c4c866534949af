//! `du`: how much the files of a repository take, those that are not here too.

use std::path::{Path, PathBuf};

use crate::browse::{Browser, Info, is_of_dvc};
use crate::error::Result;

/// A path as it is shown, and its bytes.
pub type Usage = (String, u64);

impl Browser {
    /// What is in the folder one by one, and all of it; with `total`, and of a file, only itself.
    pub fn usage(&self, typed: &str, total: bool) -> Result<Vec<Usage>> {
        let path = self.place(typed);
        let info = self.info(&path)?.ok_or_else(|| self.missing(&path))?;
        if total || !info.is_dir {
            return Ok(vec![(typed.to_owned(), self.bytes(path, info)?)]);
        }
        let mut found: Vec<Usage> = Vec::new();
        for (name, info) in self.list(&path, false)?.unwrap_or_default() {
            if is_of_dvc(&name) {
                continue;
            }
            let shown = Path::new(typed).join(&name).to_string_lossy().into_owned();
            found.push((shown, self.bytes(path.join(&name), info)?));
        }
        let all = found.iter().map(|(_, bytes)| bytes).sum();
        found.push((typed.to_owned(), all));
        Ok(found)
    }

    fn bytes(&self, path: PathBuf, info: Info) -> Result<u64> {
        let mut sum: u64 = 0;
        let mut waiting = vec![(path, info)];
        while let Some((path, info)) = waiting.pop() {
            // What a `.dvc` records of a folder that is not here.
            let recorded = info.tracked.as_ref().filter(|tracked| tracked.is_out).and_then(|tracked| tracked.size);
            match recorded.filter(|_| !info.is_file_here) {
                Some(size) => sum = sum.saturating_add(size),
                None if !info.is_dir => sum = sum.saturating_add(info.size.unwrap_or(0)),
                None => {
                    let inside = self.list(&path, false)?.unwrap_or_default().into_iter();
                    waiting.extend(
                        inside.filter(|(name, _)| !is_of_dvc(name)).map(|(name, info)| (path.join(name), info)),
                    );
                }
            }
        }
        Ok(sum)
    }
}
