//! Tables as stock lays them out: plain columns two blanks apart, and GitHub's Markdown.

use unicode_width::UnicodeWidthStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    Left,
    Right,
}

/// Columns two blanks apart; no blanks at a line's end. `aligned` names the first columns; the others are to the left.
pub fn plain(rows: &[Vec<String>], aligned: &[Align]) -> String {
    let widths = widths(rows, &[]);
    let lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let cells: Vec<String> =
                row.iter().enumerate().map(|(at, cell)| pad(cell, widths[at], align(aligned, at))).collect();
            cells.join("  ").trim_end().to_owned()
        })
        .collect();
    lines.join("\n")
}

/// A table in Markdown with an empty line behind it.
pub fn markdown(headers: &[&str], rows: &[Vec<String>]) -> String {
    // As DVC 3.67: a column is at least two wider than its header.
    let widths = widths(rows, headers);
    let line = |cells: Vec<&str>| {
        let cells: Vec<String> =
            cells.iter().enumerate().map(|(at, cell)| pad(cell, widths[at], Align::Left)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut out = line(headers.to_vec());
    let rules: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
    out.push_str(&format!("|{}|\n", rules.join("|")));
    for row in rows {
        out.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    out
}

fn align(aligned: &[Align], column: usize) -> Align {
    aligned.get(column).copied().unwrap_or(Align::Left)
}

fn widths(rows: &[Vec<String>], headers: &[&str]) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).chain([headers.len()]).max().unwrap_or(0);
    (0..columns)
        .map(|at| {
            let header = headers.get(at).map_or(0, |header| header.width() + 2);
            rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.width()).chain([header]).max().unwrap_or(0)
        })
        .collect()
}

fn pad(cell: &str, width: usize, align: Align) -> String {
    let blanks = " ".repeat(width.saturating_sub(cell.width()));
    match align {
        Align::Left => format!("{cell}{blanks}"),
        Align::Right => format!("{blanks}{cell}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect()
    }

    #[test]
    fn tables_are_those_of_stock() {
        let sizes = rows(&[&["1.2k", "x"], &["3", "yy"], &["", "z"]]);
        assert_eq!(plain(&sizes, &[]), "1.2k  x\n3     yy\n      z");
        assert_eq!(plain(&sizes, &[Align::Right]), "1.2k  x\n   3  yy\n      z");
        assert_eq!(
            markdown(&["Status", "Path"], &rows(&[&["added", "a"], &["modified", "loooong ü"]])),
            "| Status   | Path      |\n|----------|-----------|\n| added    | a         |\n| modified | loooong ü |\n"
        );
        assert_eq!(markdown(&["Status", "Path"], &[]), "| Status   | Path   |\n|----------|--------|\n");
    }
}
