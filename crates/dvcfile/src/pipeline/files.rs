//! Reading what `vars` name, and putting paths together as text.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::Files;
use crate::ReadError;

/// The caller's files, each read once.
pub(super) struct Folder<'a> {
    files: &'a dyn Files,
    seen: RefCell<HashMap<String, Option<Rc<[u8]>>>>,
}

impl<'a> Folder<'a> {
    pub fn new(files: &'a dyn Files) -> Folder<'a> {
        Folder { files, seen: RefCell::default() }
    }

    pub fn read(&self, path: &str) -> Result<Option<Rc<[u8]>>, ReadError> {
        if let Some(content) = self.seen.borrow().get(path) {
            return Ok(content.clone());
        }
        let content: Option<Rc<[u8]>> = self.files.read(path)?.map(Rc::from);
        self.seen.borrow_mut().insert(path.to_owned(), content.clone());
        Ok(content)
    }
}

/// `normpath(join(folder, path))`.
pub(super) fn join(folder: &str, path: &str) -> String {
    let joined = if path.starts_with('/') || folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") };
    let rooted = joined.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in joined.split('/') {
        match part {
            "" | "." => {}
            ".." => match parts.last() {
                None if rooted => {}
                None | Some(&"..") => parts.push(".."),
                Some(_) => drop(parts.pop()),
            },
            part => parts.push(part),
        }
    }
    match (rooted, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}
