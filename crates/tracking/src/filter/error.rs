//! What a person reads who made a mistake in a filter or an order.

use std::fmt;

/// How much of the line that holds the mistake is shown, in characters to either side.
const SHOWN: usize = 60;

/// A mistake in a filter or an order.
///
/// Shown as a sentence, the text with a caret under the place, and what is accepted there:
///
/// ```text
/// The metric 'acc' is compared with a text, but metrics are numbers.
///     metrics.acc > '0.5'
///                   ^
/// Write a number without quotation marks, such as 0.5.
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    /// What is wrong, one sentence.
    pub message: String,
    /// Where, in bytes from the start of the filter or of the order's clause.
    pub position: usize,
    /// What is accepted there.
    pub help: String,
    excerpt: String,
    caret: usize,
}

impl FilterError {
    pub(super) fn new(text: &str, position: usize, message: impl Into<String>, help: impl Into<String>) -> Self {
        let (excerpt, caret) = excerpt(text, position);
        FilterError { message: message.into(), position, help: help.into(), excerpt, caret }
    }
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.message)?;
        writeln!(f, "    {}", self.excerpt)?;
        writeln!(f, "    {:width$}^", "", width = self.caret)?;
        write!(f, "{}", self.help)
    }
}

impl std::error::Error for FilterError {}

/// The line around the position, and how many characters stand before it there.
fn excerpt(text: &str, position: usize) -> (String, usize) {
    let line_start = text[..position].rfind(['\n', '\r']).map_or(0, |at| at + 1);
    let before = &text[line_start..position];
    let after = text[position..].split(['\n', '\r']).next().unwrap_or_default();
    let (mut shown, mut caret) = (String::new(), before.chars().count());
    let mut cut = before;
    if caret > SHOWN {
        let (at, _) = before.char_indices().rev().nth(SHOWN - 1).unwrap_or((0, ' '));
        cut = &before[at..];
        caret = SHOWN + 1;
        shown.push('…');
    }
    shown.push_str(cut);
    match after.char_indices().nth(SHOWN) {
        Some((at, _)) => {
            shown.push_str(&after[..at]);
            shown.push('…');
        }
        None => shown.push_str(after),
    }
    // A tab or another control character would move the text away from its caret.
    (shown.chars().map(|c| if c.is_control() { ' ' } else { c }).collect(), caret)
}

/// A piece of the user's text for the middle of a sentence, cut if it is long.
pub(super) fn named(text: &str) -> String {
    let clean: String = text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    let cut = if text.chars().nth(SHOWN).is_some() { "…" } else { "" };
    // Quotation marks around quotation marks would only confuse.
    let mark = if clean.starts_with(['\'', '"', '`']) { "" } else { "'" };
    format!("{mark}{clean}{cut}{mark}")
}

/// `a, b or c`
pub(super) fn either<T: AsRef<str>>(choices: impl IntoIterator<Item = T>) -> String {
    let choices: Vec<T> = choices.into_iter().collect();
    let mut text = String::new();
    for (index, choice) in choices.iter().enumerate() {
        match index {
            0 => {}
            _ if index + 1 == choices.len() => text.push_str(" or "),
            _ => text.push_str(", "),
        }
        text.push_str(choice.as_ref());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_on_both_sides() {
        let text = format!("{}X{}", "a".repeat(100), "b".repeat(100));
        let shown = FilterError::new(&text, 100, "Wrong.", "Right.").to_string();
        let a = "a".repeat(60);
        let b = "b".repeat(59);
        let caret = " ".repeat(61);
        assert_eq!(shown, format!("Wrong.\n    …{a}X{b}…\n    {caret}^\nRight."));
    }

    #[test]
    fn only_the_line_of_the_mistake_is_shown_and_tabs_do_not_move_the_caret() {
        let shown = FilterError::new("one\ntwo\tthree\nfour", 8, "Wrong.", "Right.").to_string();
        assert_eq!(shown, "Wrong.\n    two three\n        ^\nRight.");
    }

    #[test]
    fn characters_are_counted_not_bytes() {
        let shown = FilterError::new("äöü x", "äöü ".len(), "Wrong.", "Right.").to_string();
        assert_eq!(shown, "Wrong.\n    äöü x\n        ^\nRight.");
    }

    #[test]
    fn the_end_of_the_text_is_a_place() {
        let shown = FilterError::new("ab", 2, "Wrong.", "Right.").to_string();
        assert_eq!(shown, "Wrong.\n    ab\n      ^\nRight.");
    }
}
