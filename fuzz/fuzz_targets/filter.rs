//! Search filters and orders: any text gets an answer, and what is read prints and reads back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use trackway_tracking::filter::{Entity, MAX_BYTES, parse, parse_order_by, parse_order_key};

fuzz_target!(|text: &str| {
    for entity in Entity::ALL {
        match parse(entity, text) {
            Ok(filter) => {
                let shown = filter.to_string();
                // A filter as long as allowed may print longer; and a text that ends in a backslash can only be the
                // last of a filter.
                if shown.len() <= MAX_BYTES && !text.contains('\\') {
                    assert_eq!(parse(entity, &shown), Ok(filter), "{shown}");
                }
            }
            Err(error) => {
                assert!(text.is_char_boundary(error.position));
                assert!(!error.to_string().is_empty());
            }
        }
        if let Ok(order) = parse_order_by(entity, &[text]) {
            for key in order {
                let shown = key.to_string();
                assert_eq!(parse_order_by(entity, &[&shown]), Ok(vec![key]), "{shown}");
            }
        }
        let _ = parse_order_key(entity, text);
    }
});
