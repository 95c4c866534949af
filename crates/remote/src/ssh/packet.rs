//! The words of SFTP, version 3: numbers in network order, texts with their length before them.

use std::time::{Duration, UNIX_EPOCH};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::fault::Fault;
use crate::files::Meta;

pub(super) mod ask {
    pub const INIT: u8 = 1;
    pub const OPEN: u8 = 3;
    pub const CLOSE: u8 = 4;
    pub const READ: u8 = 5;
    pub const WRITE: u8 = 6;
    pub const LSTAT: u8 = 7;
    pub const FSTAT: u8 = 8;
    pub const OPENDIR: u8 = 11;
    pub const READDIR: u8 = 12;
    pub const REMOVE: u8 = 13;
    pub const MKDIR: u8 = 14;
    pub const RMDIR: u8 = 15;
    pub const STAT: u8 = 17;
    pub const RENAME: u8 = 18;
    pub const EXTENDED: u8 = 200;
}

pub(super) mod answer {
    pub const VERSION: u8 = 2;
    pub const STATUS: u8 = 101;
    pub const HANDLE: u8 = 102;
    pub const DATA: u8 = 103;
    pub const NAME: u8 = 104;
    pub const ATTRS: u8 = 105;
    pub const EXTENDED: u8 = 201;
}

pub(super) mod how {
    pub const READ: u32 = 1;
    pub const WRITE: u32 = 2;
    pub const CREATE: u32 = 8;
    pub const TRUNCATE: u32 = 16;
}

pub(super) fn put_text(into: &mut BytesMut, text: &[u8]) {
    into.put_u32(u32::try_from(text.len()).unwrap_or(u32::MAX));
    into.put_slice(text);
}

/// An answer, or a part of one, that is being read. It is a stranger's.
pub(super) struct Words(pub Bytes);

impl Words {
    pub fn byte(&mut self) -> Result<u8, Fault> {
        self.0.try_get_u8().map_err(|_| malformed())
    }

    pub fn number(&mut self) -> Result<u32, Fault> {
        self.0.try_get_u32().map_err(|_| malformed())
    }

    pub fn long(&mut self) -> Result<u64, Fault> {
        self.0.try_get_u64().map_err(|_| malformed())
    }

    pub fn text(&mut self) -> Result<Bytes, Fault> {
        let length = self.number()? as usize;
        if length > self.0.len() {
            return Err(malformed());
        }
        Ok(self.0.split_to(length))
    }
}

pub(super) fn malformed() -> Fault {
    Fault::Other("its answer is not one that SFTP has".to_owned())
}

/// What a server says of a file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Attributes {
    pub size: Option<u64>,
    pub mode: Option<u32>,
    pub modified: Option<u32>,
}

impl Attributes {
    pub fn read(words: &mut Words) -> Result<Attributes, Fault> {
        let flags = words.number()?;
        let mut found = Attributes::default();
        if flags & 1 != 0 {
            found.size = Some(words.long()?);
        }
        if flags & 2 != 0 {
            // The owner and the group.
            words.long()?;
        }
        if flags & 4 != 0 {
            found.mode = Some(words.number()?);
        }
        if flags & 8 != 0 {
            words.number()?;
            found.modified = Some(words.number()?);
        }
        if flags & 0x8000_0000 != 0 {
            for _ in 0..words.number()? {
                words.text()?;
                words.text()?;
            }
        }
        Ok(found)
    }

    pub fn is_dir(&self) -> bool {
        self.kind() == Some(0o040_000)
    }

    pub fn is_file(&self) -> bool {
        self.kind() == Some(0o100_000)
    }

    fn kind(&self) -> Option<u32> {
        self.mode.map(|mode| mode & 0o170_000)
    }

    pub fn meta(&self) -> Meta {
        Meta {
            size: self.size.unwrap_or(0),
            is_dir: self.is_dir(),
            modified: self.modified.map(|seconds| UNIX_EPOCH + Duration::from_secs(u64::from(seconds))),
            etag: None,
        }
    }
}

/// The fault that a status means; `Ok` for the one that means none.
pub(super) fn status(words: &mut Words) -> Result<(), Fault> {
    let code = words.number()?;
    // Old servers say nothing more.
    let said = words.text().unwrap_or_default();
    let said =
        crate::fault::Said { status: 0, code: String::new(), message: String::from_utf8_lossy(&said).into_owned() };
    let told = match said.message.is_empty() {
        true => format!("it answered with the status {code}"),
        false => format!("it answered '{}'", said.line()),
    };
    Err(match code {
        0 => return Ok(()),
        // The end of a file or of a list.
        1 => Fault::PastEnd,
        2 | 10 => Fault::Missing,
        3 | 12 => Fault::Refused(told),
        6 | 7 => Fault::Unreachable(told),
        8 => Fault::Unsupported("what was asked for"),
        11 => Fault::Taken,
        14 | 15 => Fault::Other("there is no room left".to_owned()),
        _ => Fault::Other(told),
    })
}
