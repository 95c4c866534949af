//! YAML: any text gets an answer, and so does what was written from it. That it means the same is not asked here: ruamel.yaml,
//! whose bytes are wanted, folds some long keys so that they read otherwise. `compat/dvc/test_yaml.py` compares with it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trackway_yaml::{Document, emit, parse};

fuzz_target!(|text: &str| {
    if let Ok(value) = parse(text)
        && let Ok(again) = parse(&emit(&value))
    {
        let _ = emit(&again);
    }
    if let Ok(document) = Document::parse(text)
        && let Ok(again) = Document::parse(&document.to_string())
    {
        let _ = again.to_string();
    }
});
