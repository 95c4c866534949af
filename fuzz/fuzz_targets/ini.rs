//! Configuration files: any text gets an answer, and what is read is written as it was.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trackway_ini::Ini;

fuzz_target!(|bytes: &[u8]| {
    let Ok(ini) = Ini::parse(bytes) else { return };
    let text = ini.to_string();
    let again = Ini::parse(text.as_bytes()).expect("what was written can be read");
    assert_eq!(again.to_string(), text);
});
