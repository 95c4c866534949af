//! `.dir` objects: whatever is accepted stays beneath its folder, and is written as it was read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trackway_store::Tree;

fuzz_target!(|bytes: &[u8]| {
    let Ok(tree) = Tree::parse("fuzzed", bytes) else { return };
    for entry in tree.iter() {
        let path = entry.path;
        assert!(!path.is_empty() && !path.starts_with(b"/") && !path.contains(&0));
        for name in path.split(|byte| *byte == b'/') {
            assert!(!name.is_empty() && name != b"." && name != b"..");
        }
        assert_eq!(tree.get(path), Some(entry.oid));
    }
    let written = tree.to_bytes();
    let again = Tree::parse("written", &written).expect("what was written can be read");
    assert_eq!(again.to_bytes(), written);
});
