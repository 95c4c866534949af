//! Comparing what arrives with the checksum that the store keeps.

use super::service::Sum;

/// A checksum in the making.
pub(super) enum Summing {
    Crc32(crc32fast::Hasher, u32),
    Crc32c(u32, u32),
    Md5(Box<fast_md5::Md5>, [u8; 16]),
}

impl Summing {
    pub fn towards(sum: Sum) -> Summing {
        match sum {
            Sum::Crc32(expected) => Summing::Crc32(crc32fast::Hasher::new(), expected),
            Sum::Crc32c(expected) => Summing::Crc32c(0, expected),
            Sum::Md5(expected) => Summing::Md5(Box::new(fast_md5::Md5::new()), expected),
        }
    }

    pub fn add(&mut self, piece: &[u8]) {
        match self {
            Summing::Crc32(hasher, _) => hasher.update(piece),
            Summing::Crc32c(sum, _) => *sum = crc32c::crc32c_append(*sum, piece),
            Summing::Md5(hasher, _) => hasher.update(piece),
        }
    }

    pub fn agrees(self) -> bool {
        match self {
            Summing::Crc32(hasher, expected) => hasher.finalize() == expected,
            Summing::Crc32c(sum, expected) => sum == expected,
            Summing::Md5(hasher, expected) => hasher.finalize() == expected,
        }
    }
}

pub(super) fn agrees(sum: Sum, content: &[u8]) -> bool {
    let mut summing = Summing::towards(sum);
    summing.add(content);
    summing.agrees()
}
