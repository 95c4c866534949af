//! Lines as stock's rich console wraps them.
//!
//! Only what stock prints through that console is wrapped: the changes of `checkout` and `pull`, `remote list`, a hint. Piped
//! output wraps too, at `COLUMNS` or at 80.

use unicode_width::UnicodeWidthChar;

use super::{Colour, RESET};

/// The terminal that any of the three streams is, `COLUMNS` before it, 80 without either.
pub fn width() -> usize {
    let set = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|columns| *columns > 0);
    set.or_else(|| {
        let sizes = [
            rustix::termios::tcgetwinsize(std::io::stdin()),
            rustix::termios::tcgetwinsize(std::io::stdout()),
            rustix::termios::tcgetwinsize(std::io::stderr()),
        ];
        sizes.into_iter().flatten().map(|size| usize::from(size.ws_col)).find(|columns| *columns > 0)
    })
    .unwrap_or(80)
}

pub fn lines(text: &str, width: usize, colour: Option<(Colour, usize)>) -> Vec<String> {
    let mut left = colour.map_or(0, |(_, count)| count);
    let mut out = Vec::new();
    for line in text.split('\n') {
        let line: Vec<char> = expand_tabs(line);
        for piece in divide(&line, width) {
            let mut shown = String::new();
            let coloured = left.min(piece.len());
            left -= coloured;
            if let (Some((colour, _)), true) = (colour, coloured > 0) {
                shown.push_str(colour.code());
                shown.extend(&piece[..coloured]);
                shown.push_str(RESET);
            }
            shown.extend(&piece[coloured..]);
            out.push(shown);
        }
    }
    out
}

fn cells(characters: &[char]) -> usize {
    characters.iter().map(|character| character.width().unwrap_or(0)).sum()
}

fn expand_tabs(line: &str) -> Vec<char> {
    let mut out: Vec<char> = Vec::with_capacity(line.len());
    let mut column = 0;
    for character in line.chars() {
        if character == '\t' {
            let spaces = 8 - column % 8;
            out.extend(std::iter::repeat_n(' ', spaces));
            column += spaces;
        } else {
            out.push(character);
            column += character.width().unwrap_or(0);
        }
    }
    out
}

/// Breaks between words; a word that is longer than a line is cut. Blanks that stand over at a line's end go.
fn divide(line: &[char], width: usize) -> Vec<Vec<char>> {
    let mut breaks = Vec::new();
    let mut used = 0;
    for (start, word) in words(line) {
        let bare = word.iter().rposition(|character| !character.is_whitespace()).map_or(0, |last| last + 1);
        let length = cells(&word[..bare]);
        if width.saturating_sub(used) >= length {
            used += cells(word);
        } else if length > width {
            let mut at = start;
            let pieces = chop(word, width);
            for (index, piece) in pieces.iter().enumerate() {
                if at > 0 {
                    breaks.push(at);
                }
                if index + 1 == pieces.len() {
                    used = cells(piece);
                } else {
                    at += piece.len();
                }
            }
        } else if used > 0 && start > 0 {
            breaks.push(start);
            used = cells(word);
        }
    }
    let mut pieces = Vec::new();
    let mut from = 0;
    for at in breaks.into_iter().chain([line.len()]) {
        let mut piece = line[from..at].to_vec();
        let mut over = piece.len().saturating_sub(width);
        while over > 0 && piece.last().is_some_and(|character| character.is_whitespace()) {
            piece.pop();
            over -= 1;
        }
        pieces.push(piece);
        from = at;
    }
    pieces
}

/// Words, each with the blanks before it (the first) and behind it.
fn words(line: &[char]) -> Vec<(usize, &[char])> {
    let mut out = Vec::new();
    let mut start = 0;
    while line[start..].iter().any(|character| !character.is_whitespace()) {
        let mut end = start;
        for blank in [true, false, true] {
            while end < line.len() && line[end].is_whitespace() == blank {
                end += 1;
            }
        }
        out.push((start, &line[start..end]));
        start = end;
    }
    out
}

fn chop(word: &[char], width: usize) -> Vec<Vec<char>> {
    let mut pieces = vec![Vec::new()];
    let mut used = 0;
    for &character in word {
        let cell = character.width().unwrap_or(0);
        if used + cell > width && used > 0 {
            pieces.push(Vec::new());
            used = 0;
        }
        if let Some(piece) = pieces.last_mut() {
            piece.push(character);
        }
        used += cell;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_words_are_cut_and_tabs_are_spaces() {
        // Recorded from stock's console.
        let long = "x".repeat(100);
        assert_eq!(lines(&format!("M\t{long}"), 80, None), ["M       ".to_owned(), "x".repeat(80), "x".repeat(20)]);
        assert_eq!(lines(&format!("M\t{}", &long[..72]), 80, None), [format!("M       {}", &long[..72])]);
        assert_eq!(lines("A\tdata", 80, None), ["A       data"]);
        let text = "up\t/tmp/long name with spaces that is very long indeed so that it would wrap at eighty \
                    columns/abc/def\t(default)";
        assert_eq!(
            lines(text, 80, None),
            [
                "up      /tmp/long name with spaces that is very long indeed so that it would ",
                "wrap at eighty columns/abc/def     (default)"
            ]
        );
        assert_eq!(lines("ab cd", 3, None), ["ab ", "cd"]);
        assert_eq!(lines("ab  cd efghij", 4, None), ["ab  ", "cd ", "efgh", "ij"]);
        assert_eq!(lines("é漢字漢字 ab", 5, None), ["é漢字", "漢字 ", "ab"]);
        assert_eq!(lines("", 80, None), [""]);
    }

    #[test]
    fn the_colour_covers_the_first_characters() {
        assert_eq!(lines("M\tdata", 80, Some((Colour::Yellow, 1))), ["\x1b[33mM\x1b[0m       data"]);
    }
}
