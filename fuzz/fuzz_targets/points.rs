//! Stored metric points: foreign bytes are refused or read, and what was read survives another round.
#![no_main]
use libfuzzer_sys::fuzz_target;
use trackway_tracking::points::{
    MAX_CHUNK_POINTS, Point, decode_block, decode_block_key, decode_chunk, encode_block, encode_chunk,
    merge_sorted_dedup, seal_chunk,
};

fn all_same(left: &[Point], right: &[Point]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| left.same(right))
}

fuzz_target!(|data: &[u8]| {
    if let Ok(points) = decode_block(data) {
        let mut again = Vec::new();
        encode_block(&points, &mut again);
        let read = decode_block(&again).expect("it was just written");
        assert!(points.iter().zip(&read).all(|(left, right)| left.0 == right.0 && left.1.same(&right.1)));
        assert_eq!(points.len(), read.len());
        if let Some((key, _)) = points.first() {
            let mut of_key = Vec::new();
            decode_block_key(data, *key, &mut of_key).expect("the whole block can be read");
            let expected: Vec<Point> = points.iter().filter(|(id, _)| id == key).map(|(_, point)| *point).collect();
            assert!(all_same(&of_key, &expected));
        }
    }
    let _ = decode_chunk(data, &mut Vec::new());
    // A checksum that fits lets the bytes through to what lies behind it.
    let mut sealed = vec![1];
    sealed.extend_from_slice(data);
    let mut points = Vec::new();
    if decode_chunk(&seal_chunk(sealed), &mut points).is_ok() {
        merge_sorted_dedup(&mut points);
        points.truncate(MAX_CHUNK_POINTS);
        let mut read = Vec::new();
        decode_chunk(&encode_chunk(&points).1, &mut read).expect("it was just written");
        assert!(all_same(&points, &read));
    }
});
