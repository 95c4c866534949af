//! Putting the work tree into the cache, reading every byte at most once.
//!
//! With copies or reflinks the work tree's file is left alone. With hard links it becomes the object itself: hashed, linked
//! into the cache, protected. Only where the configured link type asks for it is a file replaced, by a rename.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::cache::{Check, Place, umask};
use crate::hash::hash_stream;
use crate::link::{Linker, is_right, needs_relink};
use crate::scan::{FileContent, Found, Hints, WAIT_SIZE, Walked, record_of, walk};
use crate::state::{EXEC, FileRecord, LINKED, RACY, REPLACED, SYMLINK, UNHASHED, is_racy, now, wait_for_tick};
use crate::verified::Stamp;
use crate::{Cache, Content, Error, LinkType, Oid, Progress, Result, ScanOptions, State};

#[derive(Clone, Copy)]
pub struct SaveOptions<'a> {
    /// End with the work tree's files linked to the cache as configured (DVC: not `--no-relink`).
    pub relink: bool,
    pub state: &'a State,
    pub progress: &'a dyn Progress,
}

/// Scans the absolute `path` and puts it into the cache in one pass, its `.dir` object last; `None` if nothing is there.
/// The cache says which hash is taken.
pub fn scan_into(
    path: &Path,
    options: &ScanOptions<'_>,
    cache: &Cache,
    save: &SaveOptions<'_>,
) -> Result<Option<Content>> {
    scan_and_save(path, options, cache, save, true)
}

/// The same for a part of a directory, which is no directory of its own to DVC: only its files become objects.
pub fn scan_part_into(
    path: &Path,
    options: &ScanOptions<'_>,
    cache: &Cache,
    save: &SaveOptions<'_>,
) -> Result<Option<Content>> {
    scan_and_save(path, options, cache, save, false)
}

fn scan_and_save(
    path: &Path,
    options: &ScanOptions<'_>,
    cache: &Cache,
    save: &SaveOptions<'_>,
    with_list: bool,
) -> Result<Option<Content>> {
    let options = ScanOptions { hash_name: cache.hash_name(), cache: Some(cache), ..*options };
    match walk(path, &options, &Hints::new())? {
        None => Ok(None),
        Some(found) => save_found(found, &options, cache, save, with_list).map(Some),
    }
}

/// Puts what was scanned into the cache, its `.dir` object last. `Error::Changed` if a file that is needed is no longer
/// what it was. Tells what lies there now, with the links that were made.
pub fn save(path: &Path, content: &Content, cache: &Cache, save: &SaveOptions<'_>) -> Result<Content> {
    let mut options = ScanOptions::new(save.state);
    options.hash_name = cache.hash_name();
    let found = match content {
        Content::File(FileContent { record }) => Found::File { path: path.to_owned(), record: *record },
        Content::Dir(dir) => Found::Dir(Walked::again(path, &dir.listing)?),
    };
    save_found(found, &options, cache, save, true)
}

fn save_found(
    mut found: Found,
    options: &ScanOptions<'_>,
    cache: &Cache,
    save: &SaveOptions<'_>,
    with_list: bool,
) -> Result<Content> {
    let saver = Saver {
        cache,
        save,
        linker: Linker::new(cache, save.progress),
        hardlink: AtomicBool::new(save.relink && cache.link_types().first() == Some(&LinkType::Hardlink)),
        single: matches!(found, Found::File { .. }),
    };
    match &mut found {
        Found::File { path, record } => {
            let path: &Path = path;
            save.progress.start("adding", Some(1), Some(record.stamp.size));
            let saved = saver.save(CWD, path.as_os_str().as_bytes(), path, record);
            save.progress.add(1, 0);
            save.progress.finish();
            saved?;
            record.flags &= !REPLACED;
        }
        Found::Dir(walked) => {
            walked.open_where(|root, relative, record| saver.asks(root, relative, record))?;
            walked.for_each("adding", save.progress, 0, |root, relative, path, record| {
                saver.save(root, relative, path, record)
            })?;
            walked.settle_replaced();
        }
    }
    saver.linker.finish();
    let content = found.finish(options)?;
    if let Content::Dir(dir) = &content
        && with_list
        && !is_right(&cache.check(&content.oid(), false, save.progress)?)
    {
        cache.put_tree(&dir.tree())?;
    }
    Ok(content)
}

struct Saver<'a> {
    cache: &'a Cache,
    save: &'a SaveOptions<'a>,
    linker: Linker<'a>,
    /// The work tree's file itself becomes the object.
    hardlink: AtomicBool,
    single: bool,
}

impl Saver<'_> {
    /// Whether there is anything to do for a file whose hash is known.
    fn asks(&self, root: BorrowedFd<'_>, relative: &[u8], record: &FileRecord) -> Result<bool> {
        let oid = Oid::file(record.md5);
        let Some(stat) = self.cache.stat(&oid)? else { return Ok(true) };
        let object = Stamp::of(&stat);
        if self.cache.verified.get(&oid) != Some(object) {
            return Ok(true);
        }
        Ok(self.save.relink && self.needs_relink(root, relative, record, &object, &oid))
    }

    fn needs_relink(
        &self,
        root: BorrowedFd<'_>,
        relative: &[u8],
        record: &FileRecord,
        object: &Stamp,
        oid: &Oid,
    ) -> bool {
        let (symlink, linked) = (record.flags & SYMLINK != 0, record.flags & LINKED != 0);
        let same_inode = object.ino == record.stamp.ino;
        let right_target = symlink && {
            let target = rustix::fs::readlinkat(root, relative, Vec::new());
            target.is_ok_and(|target| target.as_bytes() == self.cache.path(oid).as_os_str().as_bytes())
        };
        let types = self.cache.link_types();
        // As DVC 3.67: a file of a directory may stay what any of the types would make of it, a single file is always what
        // the first one makes of it.
        let types = if self.single { &types[..1] } else { types };
        // Where clones do not work, that is what the next type makes.
        let next_is_link =
            matches!(self.cache.link_types(), [LinkType::Reflink, LinkType::Hardlink | LinkType::Symlink, ..]);
        if self.single && next_is_link && !symlink && !linked {
            return true;
        }
        let empty_copy = record.stamp.size == 0 && !symlink && types.first() == Some(&LinkType::Hardlink);
        !empty_copy && needs_relink(types, symlink, linked, same_inode, right_target)
    }

    /// Makes sure that the object is in the cache, and that the file is linked to it as it should be.
    fn save(&self, root: BorrowedFd<'_>, relative: &[u8], path: &Path, record: &mut FileRecord) -> Result<()> {
        if self.save.progress.cancelled() {
            return Err(Error::Cancelled);
        }
        let known = (record.flags & UNHASHED == 0).then(|| Oid::file(record.md5));
        let present = match &known {
            Some(oid) => self.cache.check(oid, false, self.save.progress)?,
            None => Check::Missing,
        };
        let object = match present {
            Check::Right(stamp) => stamp,
            _ => self.bring(root, relative, path, record, known.as_ref())?,
        };
        if !self.save.relink {
            return Ok(());
        }
        let oid = Oid::file(record.md5);
        if self.needs_relink(root, relative, record, &object, &oid) {
            let exec = self.single && record.flags & EXEC != 0;
            self.replace(root, relative, path, record, &oid, exec)?;
        } else if self.single {
            self.set_mode(root, relative, path, record)?;
        }
        Ok(())
    }

    /// Reads the file, hashing it if its hash is not known, and makes it an object.
    fn bring(
        &self,
        root: BorrowedFd<'_>,
        relative: &[u8],
        path: &Path,
        record: &mut FileRecord,
        known: Option<&Oid>,
    ) -> Result<Stamp> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let opened = rustix::fs::openat(root, relative, flags, Mode::empty());
        let mut file = File::from(opened.map_err(|errno| Error::io("opening", path, errno))?);
        let look = |file: &File| rustix::fs::fstat(file).map_err(|errno| Error::io("looking at", path, errno));
        let changed = || Error::Changed { path: path.to_owned() };
        let mut stat = look(&file)?;
        if known.is_none() && Stamp::of(&stat).size >= WAIT_SIZE {
            wait_for_tick(&Stamp::of(&stat));
            stat = look(&file)?;
        }
        let before = Stamp::of(&stat);
        if known.is_some() && !before.same_but_ctime(&record.stamp) {
            return Err(changed());
        }
        let moment = now();
        let linkable = self.hardlink.load(Ordering::Relaxed) && record.flags & SYMLINK == 0 && before.size > 0;
        let mut object = None;
        let mut oid = known.copied();
        if linkable {
            if oid.is_none() {
                let name = self.cache.hash_name();
                oid = Some(hash_stream(name, &mut file, before.size, path, None, self.save.progress)?.0);
                if Stamp::of(&look(&file)?) != before {
                    return Err(changed());
                }
            }
            if let Some(oid) = &oid {
                object = self.link_into(root, relative, path, &file, oid, &before)?;
            }
        }
        let (oid, object) = match (oid, object) {
            (Some(oid), Some(object)) => (oid, object),
            (expected, _) => {
                rustix::fs::seek(&file, rustix::fs::SeekFrom::Start(0))
                    .map_err(|errno| Error::io("reading", path, errno))?;
                let progress = self.save.progress;
                let (oid, stamp) = self.cache.insert_open(&mut file, before.size, path, expected.as_ref(), progress)?;
                if expected.is_some_and(|expected| expected != oid) || !Stamp::of(&look(&file)?).same_but_ctime(&before)
                {
                    return Err(changed());
                }
                (oid, stamp)
            }
        };
        let after = look(&file)?;
        let kept = record.flags & SYMLINK;
        let (start, len) = (record.name_start, record.name_len);
        // A single file's executable bit is that of before it was protected.
        let exec = record.flags & EXEC;
        *record = FileRecord { md5: *oid.bytes(), name_start: start, name_len: len, ..record_of(&after, kept != 0) };
        record.flags = record.flags & !(UNHASHED | EXEC) | exec;
        if is_racy(before.mtime, before.ctime, moment) && object.ino != after.st_ino as u64 {
            record.flags |= RACY;
        }
        Ok(object)
    }

    /// Links the work tree's file into the cache and protects it. `None` if that is not possible here.
    fn link_into(
        &self,
        root: BorrowedFd<'_>,
        relative: &[u8],
        path: &Path,
        file: &File,
        oid: &Oid,
        before: &Stamp,
    ) -> Result<Option<Stamp>> {
        match self.cache.check(oid, false, self.save.progress)? {
            Check::Right(stamp) => return Ok(Some(stamp)),
            Check::Wrong(_) => {
                self.cache.remove(oid)?;
            }
            Check::Missing => {}
        }
        self.cache.make_shard(oid)?;
        let Some(objects) = self.cache.objects_fd() else { return Ok(None) };
        let place = Place::of(oid);
        match rustix::fs::linkat(root, relative, objects, place.as_str(), AtFlags::empty()) {
            Ok(()) => {}
            // Another thread has the same content.
            Err(Errno::EXIST) => {
                return match self.cache.check(oid, false, self.save.progress)? {
                    Check::Right(stamp) => Ok(Some(stamp)),
                    _ => Ok(None),
                };
            }
            Err(_) => {
                self.hardlink.store(false, Ordering::Relaxed);
                return Ok(None);
            }
        }
        // As DVC 3.67, a mode that cannot be set is no failure.
        let _ = rustix::fs::fchmod(file, Mode::from_raw_mode(0o444));
        let stat = self.cache.stat(oid)?;
        match stat.map(|stat| Stamp::of(&stat)) {
            Some(stamp) if stamp.same_but_ctime(before) => {
                self.cache.note_new(oid, stamp);
                Ok(Some(stamp))
            }
            // Another file took its place, or it was written to: what was linked was not what was hashed.
            _ => {
                self.cache.remove(oid)?;
                Err(Error::Changed { path: path.to_owned() })
            }
        }
    }

    /// Puts a link to the object in the file's place.
    fn replace(
        &self,
        root: BorrowedFd<'_>,
        relative: &[u8],
        path: &Path,
        record: &mut FileRecord,
        oid: &Oid,
        exec: bool,
    ) -> Result<()> {
        let failed = |errno: Errno| Error::io("replacing", path, errno);
        // Made where no scan sees it, if that is the same file system.
        let made = self.save.state.temp_path().and_then(|temp| {
            let name = temp.as_os_str().as_bytes().to_vec();
            match self.linker.make(oid, CWD, &name, &temp).map(|_| ()) {
                Ok(_) => match rustix::fs::renameat(CWD, &name, root, relative) {
                    Ok(()) => Some(Ok(())),
                    Err(_) => {
                        let _ = std::fs::remove_file(&temp);
                        None
                    }
                },
                Err(Error::Unlinkable { .. } | Error::Io { .. }) => None,
                Err(error) => Some(Err(error)),
            }
        });
        match made {
            Some(made) => made?,
            None => {
                let cut = relative.iter().rposition(|byte| *byte == b'/').map_or(0, |cut| cut + 1);
                let unique = self.save.state.temp_beside(path);
                let name = [&relative[..cut], unique.as_bytes()].concat();
                let _ = rustix::fs::unlinkat(root, &name, AtFlags::empty());
                self.linker.make(oid, root, &name, path)?;
                rustix::fs::renameat(root, &name, root, relative).map_err(failed)?;
            }
        }
        if exec {
            add_exec(root, relative).map_err(failed)?;
            self.refresh(oid);
        }
        let (stat, is_link) = look_again(root, relative).map_err(failed)?;
        let (start, len, md5) = (record.name_start, record.name_len, record.md5);
        let was_exec = record.flags & EXEC;
        *record = FileRecord { md5, name_start: start, name_len: len, ..record_of(&stat, is_link) };
        record.flags = record.flags & !(UNHASHED | EXEC) | was_exec | REPLACED;
        if is_racy(record.stamp.mtime, record.stamp.ctime, now()) && record.stamp.size >= WAIT_SIZE {
            wait_for_tick(&record.stamp);
        } else if is_racy(record.stamp.mtime, record.stamp.ctime, now()) && record.flags & (LINKED | SYMLINK) == 0 {
            record.flags |= RACY;
        }
        Ok(())
    }

    /// What DVC leaves of a single file that stays: a copy has a new file's mode, and the owner's executable bit if it had
    /// any; a hard link is protected.
    fn set_mode(&self, root: BorrowedFd<'_>, relative: &[u8], path: &Path, record: &mut FileRecord) -> Result<()> {
        let failed = |errno: Errno| Error::io("setting the mode of", path, errno);
        let (stat, is_link) = look_again(root, relative).map_err(failed)?;
        let linked = is_link || record.flags & LINKED != 0 && stat.st_nlink > 1;
        let base = if linked { 0o444 } else { 0o666 & !umask() };
        let mode = if record.flags & EXEC != 0 { base | 0o100 } else { base };
        if stat.st_mode & 0o7777 == mode {
            return Ok(());
        }
        rustix::fs::chmodat(root, relative, Mode::from_raw_mode(mode), AtFlags::empty()).map_err(failed)?;
        let (stat, _) = look_again(root, relative).map_err(failed)?;
        if Stamp::of(&stat).same_but_ctime(&record.stamp) {
            record.stamp = Stamp::of(&stat);
            // Hashed before a change of ours: nothing is racy about that.
            self.refresh(&Oid::file(record.md5));
        }
        Ok(())
    }

    /// The object's change time was moved by us.
    fn refresh(&self, oid: &Oid) {
        if let (Ok(Some(stat)), Some(known)) = (self.cache.stat(oid), self.cache.verified.get(oid)) {
            let stamp = Stamp::of(&stat);
            if known.same_but_ctime(&stamp) {
                self.cache.note(oid, stamp);
            }
        }
    }
}

/// As DVC 3.67 restores the executable bit: only the owner's, through links too.
pub(crate) fn add_exec(root: BorrowedFd<'_>, relative: &[u8]) -> std::result::Result<(), Errno> {
    let stat = rustix::fs::statat(root, relative, AtFlags::empty())?;
    let mode = stat.st_mode & 0o7777 | 0o100;
    if stat.st_mode & 0o7777 == mode {
        return Ok(());
    }
    rustix::fs::chmodat(root, relative, Mode::from_raw_mode(mode), AtFlags::empty())
}

pub(crate) fn look_again(root: BorrowedFd<'_>, relative: &[u8]) -> std::result::Result<(Stat, bool), Errno> {
    let own = rustix::fs::statat(root.as_fd(), relative, AtFlags::SYMLINK_NOFOLLOW)?;
    if FileType::from_raw_mode(own.st_mode) != FileType::Symlink {
        return Ok((own, false));
    }
    Ok((rustix::fs::statat(root, relative, AtFlags::empty())?, true))
}
