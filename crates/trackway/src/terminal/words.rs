//! Sizes and counts in the words of stock DVC.

/// `1023`, `1.00k`, `99.5M`: three digits and a unit of 1024.
pub fn size(bytes: u64) -> String {
    if bytes < 1024 {
        return bytes.to_string();
    }
    let mut number = bytes as f64;
    for unit in ["", "k", "M", "G", "T", "P", "E"] {
        if number < 999.5 {
            return if number < 9.995 {
                format!("{number:.2}{unit}")
            } else if number < 99.95 {
                format!("{number:.1}{unit}")
            } else {
                format!("{number:.0}{unit}")
            };
        }
        number /= 1024.0;
    }
    format!("{number:.2}Z")
}

/// `2 files modified, 1 file added and 3 files deleted`; states without files are left out.
pub fn summary(counts: &[(&str, usize)]) -> String {
    let parts: Vec<String> = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(state, count)| format!("{count} file{} {state}", if *count > 1 { "s" } else { "" }))
        .collect();
    match parts.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_stock() {
        for (bytes, expected) in [
            (0, "0"),
            (1000, "1000"),
            (1023, "1023"),
            (1024, "1.00k"),
            (10_000, "9.77k"),
            (10_240, "10.0k"),
            (102_400, "100k"),
            (1_047_552, "1.00M"),
            (1_048_576, "1.00M"),
            (123_456_789, "118M"),
            (1 << 50, "1.00P"),
            (1_000_000_000_000_000_000, "888P"),
        ] {
            assert_eq!(size(bytes), expected, "{bytes}");
        }
    }

    #[test]
    fn a_summary_is_a_sentence() {
        assert_eq!(
            summary(&[("modified", 2), ("added", 1), ("deleted", 3)]),
            "2 files modified, 1 file added and 3 files deleted"
        );
        assert_eq!(summary(&[("pushed", 1), ("fetched", 0)]), "1 file pushed");
        assert_eq!(summary(&[]), "");
    }
}
