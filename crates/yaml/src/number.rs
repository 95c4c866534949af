//! Numbers that keep the look they had in the document: leading zeros, underscores, exponents.

/// An integer as ruamel writes it again. Mostly what it was; a `+` goes, and underscores come back evenly.
pub(crate) fn integer(written: &str) -> String {
    let bare: String = written.chars().filter(|ch| *ch != '_').collect();
    let underscore = written.trim_end_matches('_').rfind('_').map(|at| written.trim_end_matches('_').len() - at - 1);
    let (negative, digits) = match bare.as_bytes().first() {
        Some(b'-') => (true, &bare[1..]),
        Some(b'+') => (false, &bare[1..]),
        _ => (false, bare.as_str()),
    };
    let (prefix, digits) = match digits.get(..2) {
        Some("0b") => ("0b", &digits[2..]),
        Some("0x") => ("0x", &digits[2..]),
        Some("0o") => ("0o", &digits[2..]),
        _ => ("", digits),
    };
    let significant = match digits.trim_start_matches('0') {
        "" => "0",
        rest => rest,
    };
    let mut significant = significant.to_owned();
    if prefix == "0x" {
        let first = digits.chars().find(char::is_ascii_alphabetic);
        significant = match first {
            Some(ch) if ch.is_ascii_uppercase() => significant.to_uppercase(),
            _ => significant.to_lowercase(),
        };
    }
    let sign = if negative && significant != "0" { "-" } else { "" };
    // ruamel writes `!!int '0x-1f'` for `-0x1f`, which it cannot read: the sign stays in front here.
    let (outer, sign) = if prefix.is_empty() { ("", sign) } else { (sign, "") };
    let mut text = if digits.starts_with('0') && (digits.len() > 1 || !prefix.is_empty()) {
        // Zeros in front fill up to the width, in which the sign counts.
        format!("{sign}{significant:0>width$}", width = digits.len().saturating_sub(sign.len()))
    } else {
        format!("{sign}{significant}")
    };
    if let Some(every) = underscore {
        if every > 0 {
            let mut at = text.len().saturating_sub(every);
            while at > 0 {
                text.insert(at, '_');
                at = at.saturating_sub(every);
            }
        }
        if !prefix.is_empty() && written.trim_start_matches(['-', '+']).as_bytes().get(2) == Some(&b'_') {
            text.insert(0, '_');
        }
        if written.len() > 1 && written.ends_with('_') {
            text.push('_');
        }
    }
    format!("{outer}{prefix}{text}")
}

/// A float as ruamel writes it again: so many digits before and after the dot as it had.
pub(crate) fn float(written: &str, value: f64) -> String {
    if !value.is_finite() {
        return crate::scalar::float(value);
    }
    let sign = written.chars().next().filter(|ch| matches!(ch, '-' | '+'));
    let (mantissa, exponent) = match written.find(['e', 'E']) {
        Some(at) => (&written[..at], Some((&written[at..at + 1], &written[at + 1..]))),
        None => (written, None),
    };
    let dot = mantissa.find('.');
    match exponent {
        None => plain(mantissa, dot, sign, value),
        Some((letter, exponent)) => scientific(mantissa, dot, sign, letter, exponent, value),
    }
}

fn plain(written: &str, dot: Option<usize>, sign: Option<char>, value: f64) -> String {
    let width = written.len();
    let signs: String = sign.into_iter().collect();
    let size = value.abs();
    let mut text = match dot {
        Some(dot) if dot > 0 && dot + 1 == width => return format!("{signs}{size:.0}."),
        Some(dot) => {
            let text = format!("{signs}{size:0>width$.digits$}", width = width - signs.len(), digits = width - dot - 1);
            if dot == 0 || (dot == 1 && sign.is_some()) { text.replace("0.", ".") } else { text }
        }
        None => format!("{signs}{:0>width$.0}", size.trunc(), width = width - signs.len()),
    };
    while text.len() < width {
        text.push('0');
    }
    text
}

fn scientific(
    mantissa: &str,
    dot: Option<usize>,
    sign: Option<char>,
    letter: &str,
    written: &str,
    value: f64,
) -> String {
    let signed = usize::from(sign.is_some());
    let width = mantissa.len() - signed;
    let zeros = mantissa.chars().take_while(|ch| matches!(ch, '0' | '.')).filter(|ch| *ch == '0').count();
    let text = format!("{value:.digits$e}", digits = width + signed);
    let (whole, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let mut exponent: i64 = exponent.parse().unwrap_or(0);
    let keep = if dot.is_some_and(|dot| dot > 0) { width } else { width + 1 } + usize::from(value < 0.0);
    let whole = &whole[..keep.min(whole.len())];
    let (m1, m2) = whole.split_once('.').unwrap_or((whole, ""));
    let (mut m1, mut m2) = (m1.to_owned(), m2.to_owned());
    while m1.len() + m2.len() < width - usize::from(dot.is_some()) {
        m2.push('0');
    }
    if sign.is_some() && value > 0.0 {
        m1.insert(0, '+');
    }
    let size = |exponent: i64| {
        let mark = if exponent < 0 {
            "-"
        } else if written.starts_with(['+', '-']) {
            "+"
        } else {
            ""
        };
        let digits = written.len().saturating_sub(mark.len());
        format!("{letter}{mark}{:0>digits$}", exponent.unsigned_abs())
    };
    match dot {
        None => {
            if m2 == "0" {
                m2.clear();
            } else {
                exponent -= i64::try_from(m2.len()).unwrap_or(0);
            }
            while m1.len() + m2.len() < width + signed {
                m2.push('0');
                exponent -= 1;
            }
            format!("{m1}{m2}{}", size(exponent))
        }
        Some(0) => {
            exponent -= i64::try_from(m2.len()).unwrap_or(0);
            format!("{m1}{m2}.{}", size(exponent))
        }
        Some(dot) => {
            if zeros > 0 {
                m2 = "0".repeat(zeros - 1) + &m1 + &m2;
                m1 = "0".to_owned();
                m2.truncate(m2.len().saturating_sub(zeros));
                exponent += i64::try_from(zeros).unwrap_or(0);
            }
            while m1.len() < dot && !m2.is_empty() {
                m1.push(m2.remove(0));
                exponent -= 1;
            }
            format!("{m1}.{m2}{}", size(exponent))
        }
    }
}

/// A date or time as Python's `isoformat` has it; None if there is no such day or hour.
pub(crate) fn timestamp(written: &str) -> Option<String> {
    let mut parts = written.splitn(2, ['T', 't', ' ', '\t']);
    let date: Vec<u32> = parts.next()?.split('-').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [year, month, day] = date[..] else { return None };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if year == 0 || !(1..=days).contains(&day) {
        return None;
    }
    let date = format!("{year:04}-{month:02}-{day:02}");
    let Some(clock) = parts.next() else { return Some(date) };
    let clock = clock.trim_start_matches([' ', '\t']);
    let zone_at = clock.find(['Z', '+', '-', ' ', '\t']).unwrap_or(clock.len());
    let (clock, zone) = (&clock[..zone_at], clock[zone_at..].trim_start_matches([' ', '\t']));
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let clock: Vec<u32> = clock.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [hour, minute, second] = clock[..] else { return None };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut micros: u32 = format!("{fraction:0<6}").get(..6)?.parse().ok()?;
    micros += u32::from(fraction.as_bytes().get(6).is_some_and(|digit| *digit > b'4'));
    let between = if written.contains(['T', 't']) { 'T' } else { ' ' };
    let mut text = format!("{date}{between}{hour:02}:{minute:02}:{second:02}");
    if micros > 0 {
        text.push_str(&format!(".{micros:06}"));
    }
    text.push_str(zone);
    Some(text)
}
