//! Lines of ignore files: any line and any path get an answer, in bounded time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trackway_git::{Pattern, Patterns};

fuzz_target!(|input: (Vec<u8>, Vec<u8>, bool)| {
    let (lines, path, is_dir) = input;
    let parsed = lines.split(|byte| *byte == b'\n').filter_map(|line| Pattern::parse(line).ok().flatten()).collect();
    let patterns = Patterns::new(parsed);
    if let Some((at, _)) = patterns.decide(&path, is_dir) {
        assert!(at < patterns.list().len());
    }
});
