//! YAML: any text gets an answer; what is read can be written and means the same; a document that was written once is
//! written the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trackway_yaml::{Document, emit, parse};

fuzz_target!(|text: &str| {
    if let Ok(value) = parse(text) {
        let shown = emit(&value);
        // NaN is not equal to itself, and so a value that holds one is not.
        if let Ok(again) = parse(&shown) {
            assert_eq!(emit(&again), shown);
        }
    }
    if let Ok(document) = Document::parse(text) {
        let once = document.to_string();
        if let Ok(again) = Document::parse(&once) {
            let _ = again.to_string();
        }
    }
});
