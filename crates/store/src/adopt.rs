//! A file that lies elsewhere becomes an object, by a hard link where the file system can.

use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode};

use crate::cache::{Check, Place};
use crate::verified::Stamp;
use crate::{Cache, Error, Oid, Progress, Result};

impl Cache {
    /// Makes the file at `path`, which was just hashed, the object `oid`. `false`: the cache has it already.
    pub fn adopt(&self, path: &Path, oid: &Oid, progress: &dyn Progress) -> Result<bool> {
        match self.check(oid, false, progress)? {
            Check::Right(_) => return Ok(false),
            Check::Wrong(_) => {
                self.remove(oid)?;
            }
            Check::Missing => {}
        }
        let failed = |errno| Error::io("looking at", path, errno);
        let before = Stamp::of(&rustix::fs::statat(CWD, path, AtFlags::empty()).map_err(failed)?);
        self.make_shard(oid)?;
        let place = Place::of(oid);
        let linked = before.size > 0
            && self.objects_fd().is_some_and(|objects| {
                rustix::fs::linkat(CWD, path, objects, place.as_str(), AtFlags::SYMLINK_FOLLOW).is_ok()
            });
        if !linked {
            self.insert_as(path, oid, progress)?;
            return Ok(true);
        }
        // As DVC 3.67, a mode that cannot be set is no failure.
        let _ = rustix::fs::chmodat(CWD, path, Mode::from_raw_mode(0o444), AtFlags::empty());
        // Hashed again, from the place that it has now: what was linked is what is kept.
        match self.check(oid, true, progress)? {
            Check::Right(stamp) => {
                self.note_new(oid, stamp);
                Ok(true)
            }
            _ => {
                self.remove(oid)?;
                Err(Error::Changed { path: path.to_owned() })
            }
        }
    }
}
