//! Editing in place: only the lines that must change do.

use std::fmt;

use crate::parse::Item;
use crate::write::{header, quote, quote_value};
use crate::{Error, Ini, Value};

impl fmt::Display for Ini {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.items.iter().try_for_each(|item| f.write_str(item.raw()))
    }
}

impl Default for Ini {
    fn default() -> Ini {
        Ini::new()
    }
}

impl Ini {
    /// An empty document.
    pub fn new() -> Ini {
        Ini { items: Vec::new(), line_end: "\n" }
    }

    /// The paths of all sections, in order.
    pub fn sections(&self) -> Vec<Vec<&str>> {
        let mut path: Vec<&str> = Vec::new();
        let mut all = Vec::new();
        for item in &self.items {
            if let Item::Header { depth, name, .. } = item {
                path.truncate(depth - 1);
                path.push(name);
                all.push(path.clone());
            }
        }
        all
    }

    /// The keys directly in a section, in order. The empty path means the top of the file.
    pub fn keys(&self, section: &[&str]) -> Vec<&str> {
        let Some((start, end)) = self.own_range(section) else { return Vec::new() };
        self.items[start..end]
            .iter()
            .filter_map(|item| match item {
                Item::Entry { key, .. } => Some(key.as_str()),
                _ => None,
            })
            .collect()
    }

    pub fn get(&self, section: &[&str], key: &str) -> Option<&Value> {
        match &self.items[self.entry_at(section, key)?] {
            Item::Entry { value, .. } => Some(value),
            _ => None,
        }
    }

    pub fn has_section(&self, section: &[&str]) -> bool {
        self.own_range(section).is_some()
    }

    /// Sets a value: an existing line keeps its indent, its key and its comment; a new one follows the section's last,
    /// indented like it. A section that is not there is made at the end of its parent.
    pub fn set(&mut self, section: &[&str], key: &str, value: Value) -> Result<(), Error> {
        let text = quote_value(&value)?;
        if let Some(at) = self.entry_at(section, key) {
            if let Item::Entry { raw, value: old, value_at, rest_at, .. } = &mut self.items[at]
                && *old != value
            {
                *raw = format!("{}{text}{}", &raw[..*value_at], &raw[*rest_at..]);
                *rest_at = *value_at + text.len();
                *old = value;
            }
            return Ok(());
        }
        let key_text = quote(key, false)?;
        if !self.has_section(section) {
            self.add_section(section, None)?;
        }
        let Some((start, end)) = self.own_range(section) else { return Ok(()) };
        let last = (start..end).rev().find(|at| matches!(self.items[*at], Item::Entry { .. }));
        let indent = match last {
            Some(at) => {
                let raw = self.items[at].raw();
                raw[..raw.len() - raw.trim_start_matches([' ', '\t']).len()].to_owned()
            }
            None => "    ".repeat(section.len()),
        };
        let start_text = format!("{indent}{key_text} = ");
        let (value_at, rest_at) = (start_text.len(), start_text.len() + text.len());
        let raw = format!("{start_text}{text}{}", self.line_end);
        let item = Item::Entry { raw, key: key.to_owned(), value, value_at, rest_at };
        // At the top of a file without keys: above everything but the comments that open it.
        self.insert(last.map_or(start, |at| at + 1), item);
        Ok(())
    }

    /// Makes an empty section, behind the section `after` (and all that belongs to it) or at the end of its parent.
    pub fn add_section(&mut self, section: &[&str], after: Option<&[&str]>) -> Result<(), Error> {
        let Some((name, parent)) = section.split_last() else { return Ok(()) };
        if !parent.is_empty() && !self.has_section(parent) {
            self.add_section(parent, None)?;
        }
        let line = header(name, section.len())?;
        let range = after.and_then(|after| self.whole_range(after)).or_else(|| self.whole_range(parent));
        let at = range.map_or(self.items.len(), |(_, end)| end);
        let raw = format!("{}{line}{}", "    ".repeat(parent.len()), self.line_end);
        self.insert(at, Item::Header { raw, depth: section.len(), name: (*name).to_owned() });
        Ok(())
    }

    /// Gives a section another name in place; its line keeps its comment.
    pub fn rename_section(&mut self, section: &[&str], name: &str) -> Result<bool, Error> {
        let line = header(name, section.len())?;
        let Some((at, _)) = self.whole_range(section).filter(|_| !section.is_empty()) else { return Ok(false) };
        let line_end = self.line_end;
        if let Item::Header { raw, name: old, .. } = &mut self.items[at] {
            let body = raw.trim_end_matches(['\r', '\n']);
            let indent = &body[..body.len() - body.trim_start().len()];
            let comment = body.rfind(']').map_or("", |at| &body[at + 1..]);
            let comment = if comment.contains('#') && !old.contains('#') { comment } else { "" };
            *raw = format!("{indent}{line}{comment}{line_end}");
            *old = name.to_owned();
        }
        Ok(true)
    }

    /// Removes a key's line; comments above it stay.
    pub fn remove(&mut self, section: &[&str], key: &str) -> bool {
        match self.entry_at(section, key) {
            Some(at) => {
                self.items.remove(at);
                true
            }
            None => false,
        }
    }

    /// Removes a section with all in it. Comments above the next section belong to that one and stay.
    pub fn remove_section(&mut self, section: &[&str]) -> bool {
        match self.whole_range(section).filter(|_| !section.is_empty()) {
            Some((start, end)) => {
                self.items.drain(start..end);
                true
            }
            None => false,
        }
    }

    /// True where a section has neither a key, nor a subsection, nor a comment.
    pub fn is_bare(&self, section: &[&str]) -> bool {
        self.whole_range(section).is_some_and(|(start, end)| {
            self.items[start + 1..end].iter().all(|item| matches!(item, Item::Trivia(raw) if raw.trim().is_empty()))
        })
    }

    fn insert(&mut self, at: usize, item: Item) {
        if at > 0 {
            let raw = self.items[at - 1].raw_mut();
            if !raw.ends_with(['\n', '\r']) {
                raw.push_str(self.line_end);
            }
        }
        self.items.insert(at, item);
    }

    /// From a section's header to what follows it and its subsections, without comments that belong to the next one.
    fn whole_range(&self, section: &[&str]) -> Option<(usize, usize)> {
        if section.is_empty() {
            return Some((0, self.items.len()));
        }
        let start = self.header_at(section)?;
        let next = self.items[start + 1..]
            .iter()
            .position(|item| matches!(item, Item::Header { depth, .. } if *depth <= section.len()));
        let mut end = next.map_or(self.items.len(), |offset| start + 1 + offset);
        if next.is_some() {
            while end > start + 1 && matches!(self.items[end - 1], Item::Trivia(_)) {
                end -= 1;
            }
        }
        Some((start, end))
    }

    /// The items directly in a section, behind its header.
    fn own_range(&self, section: &[&str]) -> Option<(usize, usize)> {
        let start = if section.is_empty() { 0 } else { self.header_at(section)? + 1 };
        let next = self.items[start..].iter().position(|item| matches!(item, Item::Header { .. }));
        let end = next.map_or(self.items.len(), |offset| start + offset);
        let start = match section.is_empty() {
            true => start + self.items[start..end].iter().take_while(|item| matches!(item, Item::Trivia(_))).count(),
            false => start,
        };
        Some((start, end))
    }

    fn header_at(&self, section: &[&str]) -> Option<usize> {
        let mut path: Vec<&str> = Vec::new();
        self.items.iter().position(|item| {
            let Item::Header { depth, name, .. } = item else { return false };
            path.truncate(depth - 1);
            path.push(name);
            path == section
        })
    }

    fn entry_at(&self, section: &[&str], key: &str) -> Option<usize> {
        let (start, end) = self.own_range(section)?;
        (start..end).find(|at| matches!(&self.items[*at], Item::Entry { key: other, .. } if other == key))
    }
}
