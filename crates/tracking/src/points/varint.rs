//! Integers of variable length (LEB128: seven bits a byte, lowest first) and a reader that never leaves its slice.

use super::Corrupt;

pub fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Signed numbers are folded to unsigned ones, small magnitudes first: 0, -1, 1, -2, …
pub fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, ((value << 1) ^ (value >> 63)) as u64);
}

pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(rest: &'a [u8]) -> Self {
        Reader { rest }
    }

    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub fn byte(&mut self) -> Result<u8, Corrupt> {
        let (&first, rest) = self.rest.split_first().ok_or(Corrupt::new("the data ends too early"))?;
        self.rest = rest;
        Ok(first)
    }

    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Corrupt> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Corrupt::new("the data ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub fn varint(&mut self) -> Result<u64, Corrupt> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Corrupt::new("a number has more than 64 bits"))
    }

    pub fn signed(&mut self) -> Result<i64, Corrupt> {
        let folded = self.varint()?;
        Ok((folded >> 1) as i64 ^ -((folded & 1) as i64))
    }

    /// A number that says how many of something follow, or how long it is.
    pub fn length(&mut self, most: usize) -> Result<usize, Corrupt> {
        let length = self.varint()?;
        match usize::try_from(length) {
            Ok(length) if length <= most => Ok(length),
            _ => Err(Corrupt::new("a count or length is larger than the data allows")),
        }
    }

    pub fn finish(self) -> Result<(), Corrupt> {
        if self.rest.is_empty() { Ok(()) } else { Err(Corrupt::new("there are bytes behind the end")) }
    }
}
