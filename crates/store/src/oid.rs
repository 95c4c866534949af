//! Names of objects: the MD5 of their content, and whether the content is a directory's list.

use std::fmt;
use std::str::FromStr;

use crate::{Error, Result};

/// 16 bytes of MD5 and the mark `.dir`. Ordered as its text is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid {
    bytes: [u8; 16],
    dir: bool,
}

impl Oid {
    pub fn file(bytes: [u8; 16]) -> Oid {
        Oid { bytes, dir: false }
    }

    pub fn dir(bytes: [u8; 16]) -> Oid {
        Oid { bytes, dir: true }
    }

    /// `<32 hexadecimal digits>[.dir]`. Digits in capitals are refused, as no object has such a name on disk.
    pub fn parse(text: &str) -> Result<Oid> {
        let (hex, dir) = match text.strip_suffix(".dir") {
            Some(hex) => (hex, true),
            None => (text, false),
        };
        match parse_hex(hex.as_bytes()) {
            Some(bytes) => Ok(Oid { bytes, dir }),
            None => Err(Error::InvalidOid { text: text.chars().take(64).collect() }),
        }
    }

    pub fn is_dir(&self) -> bool {
        self.dir
    }

    pub fn bytes(&self) -> &[u8; 16] {
        &self.bytes
    }

    /// The 32 digits without the mark.
    pub fn hex(&self) -> Hex {
        let mut text = [0; 32];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.bytes) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        Hex(text)
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// 32 hexadecimal digits without an allocation.
#[derive(Clone, Copy)]
pub struct Hex([u8; 32]);

impl Hex {
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

pub(crate) fn parse_hex(text: &[u8]) -> Option<[u8; 16]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if text.len() != 32 {
        return None;
    }
    let mut bytes = [0; 16];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

impl FromStr for Oid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Oid> {
        Oid::parse(text)
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.hex().as_str())?;
        if self.dir { out.write_str(".dir") } else { Ok(()) }
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// How the bytes of a file become its hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum HashName {
    /// DVC 3: MD5 of the bytes.
    #[default]
    Md5,
    /// DVC 2 and older: MD5 after `\r\n` became `\n` in what looks like text.
    Md5Dos2Unix,
}

impl HashName {
    pub fn as_str(&self) -> &'static str {
        match self {
            HashName::Md5 => "md5",
            HashName::Md5Dos2Unix => "md5-dos2unix",
        }
    }
}

impl fmt::Display for HashName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash {
    pub name: HashName,
    pub oid: Oid,
}
