//! How a scalar may be written, and how Python writes a float.

/// Line breaks as YAML 1.1 counts them; ruamel still does, `\r` apart.
pub(crate) fn is_break(ch: char) -> bool {
    matches!(ch, '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_blank_or_break(ch: char) -> bool {
    matches!(ch, '\0' | ' ' | '\t' | '\r') || is_break(ch)
}

/// Characters that stand as they are outside double quotes.
fn is_printable(ch: char) -> bool {
    matches!(ch, '\n' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
        && ch != '\u{feff}'
}

/// What the characters of a scalar allow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Analysis {
    pub empty: bool,
    pub multiline: bool,
    pub flow_plain: bool,
    pub block_plain: bool,
    pub single_quoted: bool,
}

pub(crate) fn analyze(text: &str) -> Analysis {
    if text.is_empty() {
        return Analysis { empty: true, multiline: false, flow_plain: false, block_plain: true, single_quoted: true };
    }
    let document_marker = text.starts_with("---") || text.starts_with("...");
    let (mut block_indicators, mut flow_indicators) = (document_marker, document_marker);
    let (mut breaks, mut special, mut break_space, mut space_break) = (false, false, false, false);
    let (mut after_space, mut after_break, mut after_blank) = (false, false, true);
    let mut chars = text.chars().peekable();
    let mut first = true;
    while let Some(ch) = chars.next() {
        let next = chars.peek();
        let before_blank = next.is_none_or(|next| is_blank_or_break(*next));
        if first {
            match ch {
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`' => {
                    flow_indicators = true;
                    block_indicators = true;
                }
                '?' | ':' => {
                    flow_indicators |= next.is_none();
                    block_indicators |= before_blank;
                }
                '-' if before_blank => {
                    flow_indicators = true;
                    block_indicators = true;
                }
                _ => {}
            }
            first = false;
        } else {
            match ch {
                ',' | '[' | ']' | '{' | '}' => flow_indicators = true,
                ':' if before_blank => {
                    flow_indicators = true;
                    block_indicators = true;
                }
                '#' if after_blank => {
                    flow_indicators = true;
                    block_indicators = true;
                }
                _ => {}
            }
        }
        special |= !is_printable(ch);
        if ch == ' ' {
            break_space |= after_break;
            (after_space, after_break) = (true, false);
        } else if is_break(ch) {
            breaks = true;
            space_break |= after_space;
            (after_space, after_break) = (false, true);
        } else {
            (after_space, after_break) = (false, false);
        }
        after_blank = is_blank_or_break(ch);
    }
    let edge = |ch: char| ch == ' ' || is_break(ch);
    let edges = text.starts_with(edge) || text.ends_with(edge);
    let quoted_only = special || space_break || break_space;
    Analysis {
        empty: false,
        multiline: breaks,
        flow_plain: !(edges || quoted_only || breaks || flow_indicators),
        block_plain: !(edges || quoted_only || breaks || block_indicators),
        single_quoted: !quoted_only,
    }
}

/// A float as Python's `repr` writes it, with YAML's names for what is no number.
pub(crate) fn float(value: f64) -> String {
    if value.is_nan() {
        return ".nan".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    if value == 0.0 {
        return if value.is_sign_negative() { "-0.0" } else { "0.0" }.to_owned();
    }
    let shortest = format!("{value:e}");
    let (mantissa, exponent) = shortest.split_once('e').unwrap_or((&shortest, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        let plain = format!("{value}");
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}
