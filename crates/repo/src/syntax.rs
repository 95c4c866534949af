//! Errors of YAML as Python's ruamel writes them out, for the few places where DVC shows them so.

use trackway_yaml::{Error, Mark};

const LONGEST: usize = 75;
const LINE_ENDS: [char; 5] = ['\0', '\r', '\n', '\u{2028}', '\u{2029}'];

/// What was read, what went wrong, and the place, with the line of `text` that it is in.
pub fn in_ruamels_words(error: &Error, text: &str) -> String {
    let mut lines = Vec::new();
    if let Some(context) = &error.context {
        lines.push(context.clone());
    }
    if let Some(mark) = error.context_mark.filter(|mark| Some(*mark) != error.problem_mark) {
        lines.push(place(mark, text));
    }
    lines.push(error.problem.clone());
    if let Some(mark) = error.problem_mark {
        lines.push(place(mark, text));
    }
    lines.join("\n")
}

fn place(mark: Mark, text: &str) -> String {
    let line: Vec<char> = text.split('\n').nth(mark.line.saturating_sub(1)).unwrap_or_default().chars().collect();
    let at = mark.column.saturating_sub(1).min(line.len());
    let is_end = |c: &char| LINE_ENDS.contains(c);
    let mut start = line[..at].iter().rposition(is_end).map_or(0, |end| end + 1);
    let mut head = "";
    if at - start > LONGEST / 2 {
        // Python stops at the first character too many, and takes five off for the dots.
        (head, start) = (" ... ", at - (LONGEST / 2 + 1) + 5);
    }
    let mut end = line[at..].iter().position(is_end).map_or(line.len(), |end| at + end);
    let mut tail = "";
    if end - at > LONGEST / 2 {
        (tail, end) = (" ... ", at + (LONGEST / 2 + 1) - 5);
    }
    let shown: String = line[start..end].iter().collect();
    let blanks = " ".repeat(4 + at - start + head.len());
    format!(
        "  in \"<unicode string>\", line {}, column {}:\n    {head}{shown}{tail}\n{blanks}^ (line: {})",
        mark.line, mark.column, mark.line
    )
}
