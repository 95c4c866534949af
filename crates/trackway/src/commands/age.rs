//! How long ago: `30d`, `2d8h5m20s`, `1.5h`, as `mlflow gc` takes it.

use std::time::Duration;

/// The message is MLflow's.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!(
            "Could not parse any time information from '{text}'. Examples of valid strings: '8h', '2d8h5m20s', '2m4s'"
        )
    };
    let mut rest = text;
    let mut seconds = 0.0;
    // Each unit once at most, the larger first.
    for (unit, length) in [('d', 86_400.0), ('h', 3_600.0), ('m', 60.0), ('s', 1.0)] {
        let digits = rest.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(rest.len());
        if digits == 0 || !rest[digits..].starts_with(unit) {
            continue;
        }
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        seconds += number * length;
        rest = &rest[digits + 1..];
    }
    if !rest.is_empty() {
        return Err(wrong());
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read_as_stock_reads_them() {
        for (text, milliseconds) in [
            ("30d", 30 * 86_400_000),
            ("1d2h3m4s", 93_784_000),
            ("1.2d3h4m5s", 114_725_000),
            ("2m4s", 124_000),
            ("0s", 0),
            ("", 0),
            (".5s", 500),
            ("100000d", 8_640_000_000_000),
        ] {
            assert_eq!(parse(text).map(|age| age.as_millis()), Ok(milliseconds), "{text}");
        }
        for text in ["1", "x", "1h1d", "1d1d", "-1d", "1.2.3d", "1w", "d", "1 d", ".d", "9999999999999999999999d"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
