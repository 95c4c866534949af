//! HDFS's own checksum of a file, which DVC records of a dependency there: the MD5 of the MD5s of its blocks' CRCs.
//!
//! DataNodes compute it, and the crate does not ask them; so the file is read. What Hadoop calls
//! `MD5-of-{blocks}MD5-of-512CRC32C` needs nothing but the content and the size of a block, unless somebody has changed
//! `dfs.bytes-per-checksum` or `dfs.checksum.type`, which nobody should.

use fast_md5::Md5;

const CHUNK: u64 = 512;

pub(super) struct Checksum {
    block_size: u64,
    /// What was taken of the chunk, and of the block.
    chunk: u64,
    block: u64,
    crc: u32,
    crcs: Md5,
    blocks: Vec<u8>,
}

impl Checksum {
    pub fn new(block_size: u64) -> Checksum {
        Checksum { block_size: block_size.max(CHUNK), chunk: 0, block: 0, crc: 0, crcs: Md5::new(), blocks: Vec::new() }
    }

    pub fn update(&mut self, mut piece: &[u8]) {
        while !piece.is_empty() {
            let left = (CHUNK - self.chunk).min(self.block_size - self.block);
            let (now, later) = piece.split_at(piece.len().min(usize::try_from(left).unwrap_or(usize::MAX)));
            self.crc = crc32c::crc32c_append(self.crc, now);
            self.chunk += now.len() as u64;
            self.block += now.len() as u64;
            piece = later;
            if self.chunk == CHUNK {
                self.end_chunk();
            }
            if self.block == self.block_size {
                self.end_block();
            }
        }
    }

    fn end_chunk(&mut self) {
        if self.chunk > 0 {
            self.crcs.update(&self.crc.to_be_bytes());
        }
        (self.chunk, self.crc) = (0, 0);
    }

    fn end_block(&mut self) {
        self.end_chunk();
        if self.block > 0 {
            self.blocks.extend(std::mem::replace(&mut self.crcs, Md5::new()).finalize());
        }
        self.block = 0;
    }

    /// As `hadoop fs -checksum` prints it.
    pub fn finish(mut self) -> String {
        self.end_block();
        let blocks = self.blocks.len() / 16;
        // Hadoop takes the MD5 of the buffer it has collected them in, with the zeros at its end.
        let buffer = self.blocks.len().next_power_of_two().max(32);
        self.blocks.resize(buffer, 0);
        let (chunk, chunks) = match blocks {
            0 => (0, 0),
            1 => (CHUNK, 0),
            _ => (CHUNK, self.block_size.div_ceil(CHUNK)),
        };
        format!("{chunk:08x}{chunks:016x}{}", crate::http::encode::hex(&fast_md5::digest(&self.blocks)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_namenode_says() {
        let mut checksum = Checksum::new(128 << 20);
        checksum.update(b"hel");
        checksum.update(b"lo\n");
        assert_eq!(checksum.finish(), "0000020000000000000000002b559725e23eb93541b0675b41e25ab3");
        // Of every empty file.
        assert_eq!(Checksum::new(512).finish(), format!("{:024x}70bc8f4b72a86921468bf8e8441dce51", 0));
    }
}
