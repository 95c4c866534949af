//! The long form of errors: what is wrong with the lines of the file around it, as DVC shows it where colours are off.

use trackway_yaml::{Document, Mark};

use crate::{Error, Problem};

/// Columns that DVC fills where it does not write to a terminal.
pub const USUAL_WIDTH: usize = 80;

/// Stock shows all of them. Nobody reads more, and each is looked for in the text again.
const SHOWN: usize = 50;

impl Error {
    /// What DVC prints in place of an `ERROR: ` line: for files that are no YAML or have a wrong form. `None` for all other errors. `width` is
    /// the terminal's.
    pub fn report(&self, width: usize) -> Option<String> {
        let mut page = Page { out: String::new(), width: width.max(20) };
        match self {
            Error::Syntax { source, text, .. } => {
                page.text(&self.to_string());
                page.syntax(source, text);
            }
            Error::Validation { problems, text, .. } => {
                let document = Document::parse(text).ok();
                let mapping = document.as_ref().filter(|document| document.value().as_map().is_some());
                match mapping {
                    Some(document) => {
                        page.text(&self.to_string());
                        page.text("");
                        page.problems(problems, text, document);
                    }
                    None => {
                        let said = problems.first().map(|problem| problem.message.as_str()).unwrap_or_default();
                        let line = self.to_string();
                        page.text(&format!("{}: {said}.", line.strip_suffix('.').unwrap_or(&line)));
                    }
                }
            }
            _ => return None,
        }
        Some(page.out)
    }
}

struct Page {
    out: String,
    width: usize,
}

impl Page {
    fn text(&mut self, text: &str) {
        for line in wrap(text, self.width) {
            self.out.push_str(&line);
            self.out.push('\n');
        }
    }

    fn syntax(&mut self, error: &trackway_yaml::Error, text: &str) {
        let source: Vec<&str> = text.lines().collect();
        let told = |message: &str, mark: Option<Mark>| {
            let place = mark.map(|mark| format!("in line {}, column {}", mark.line, mark.column)).unwrap_or_default();
            format!("{}, {place}", capitalized(message))
        };
        if error.context_mark.is_none() && error.problem_mark.is_none() {
            return;
        }
        self.text("");
        if let (Some(context), Some(mark)) = (&error.context, error.context_mark) {
            self.text(&told(context, Some(mark)));
            if error.problem_mark != Some(mark) {
                self.snippet(&source, mark.line);
                self.text("");
            }
        }
        self.text(&told(&error.problem, error.problem_mark));
        if let Some(mark) = error.problem_mark {
            self.snippet(&source, mark.line);
        }
    }

    /// One line of the file.
    fn snippet(&mut self, source: &[&str], line: usize) {
        let code = source.get(line.wrapping_sub(1)).copied().unwrap_or_default();
        let column = line.to_string().len() + 2;
        self.numbered(&[code.to_owned()], line, column);
    }

    fn problems(&mut self, problems: &[Problem], text: &str, document: &Document) {
        for (index, problem) in problems.iter().enumerate() {
            if index == SHOWN {
                self.text("");
                self.text(&format!("and {} more", problems.len() - SHOWN));
                break;
            }
            if index > 0 {
                self.text("");
            }
            let (mark, step) = place(problem, document);
            let mut parts = vec![problem.message.clone()];
            if !problem.path.is_empty() {
                parts.push(format!("in {}", problem.path.join(" -> ")));
            }
            if let Some(mark) = mark {
                parts.push(format!("line {}", mark.line));
                parts.push(format!("column {}", mark.column));
            }
            self.text(&parts.join(", "));
            let Some(mark) = mark else { continue };
            // One line above and a few below, the more the less is known where it is.
            let mut lines: Vec<&str> = text.split('\n').collect();
            if lines.last() == Some(&"") && !text.ends_with('\n') {
                lines.pop();
            }
            let from = mark.line.saturating_sub(2);
            let to = (mark.line + step - 1).min(lines.len());
            let shown: Vec<String> = lines[from.min(to)..to].iter().map(|line| (*line).to_owned()).collect();
            let column = (1 + text.matches('\n').count()).to_string().len() + 2;
            self.numbered(&shown, from + 1, column);
        }
    }

    fn numbered(&mut self, lines: &[String], first: usize, column: usize) {
        let width = self.width.saturating_sub(column + 1).max(1);
        let lines: Vec<String> = lines.iter().map(|line| expand_tabs(line)).collect();
        for (index, line) in with_guides(&lines).iter().enumerate() {
            for (part, wrapped) in wrap(line, width).iter().enumerate() {
                if part == 0 {
                    self.out.push_str(&format!("  {:>1$} ", first + index, column - 2));
                } else {
                    self.out.push_str(&" ".repeat(column + 1));
                }
                let length = wrapped.chars().count();
                self.out.push_str(wrapped);
                self.out.push_str(&" ".repeat(width.saturating_sub(length)));
                self.out.push('\n');
            }
        }
    }
}

/// Where the mapping or list begins that the problem is in, and how many steps up that was.
fn place(problem: &Problem, document: &Document) -> (Option<Mark>, usize) {
    let mut path: Vec<&str> = problem.path.iter().map(String::as_str).collect();
    let mut step = 1;
    while !path.is_empty() && step < 5 {
        if let Some(mark) = document.mark(&path) {
            return (Some(mark), step);
        }
        step += 1;
        path.pop();
    }
    (None, step)
}

/// As Python's `capitalize`: the first letter large, all others small.
fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars.flat_map(char::to_lowercase)).collect(),
        None => String::new(),
    }
}

fn expand_tabs(line: &str) -> String {
    let mut out = String::new();
    let mut column = 0;
    for c in line.chars() {
        if c == '\t' {
            let fill = 4 - column % 4;
            out.push_str(&" ".repeat(fill));
            column += fill;
        } else {
            out.push(c);
            column += 1;
        }
    }
    out
}

/// Every fourth blank of an indentation becomes a line; empty lines are indented like the line that follows them.
fn with_guides(lines: &[String]) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut blank = 0;
    for line in lines {
        let text = line.trim_start_matches(' ');
        if text.is_empty() {
            blank += 1;
            continue;
        }
        let indent = line.len() - text.len();
        let guides = format!("{}{}", "│   ".repeat(indent / 4), " ".repeat(indent % 4));
        out.extend(std::iter::repeat_n(guides.clone(), std::mem::take(&mut blank)));
        out.push(guides + text);
    }
    out.extend(std::iter::repeat_n(String::new(), blank));
    out
}

/// Breaks between words; words that are too long are cut.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut breaks = Vec::new();
    let mut used = 0;
    let mut at = 0;
    while at < chars.len() {
        let mut end = at;
        while end < chars.len() && chars[end].is_whitespace() {
            end += 1;
        }
        while end < chars.len() && !chars[end].is_whitespace() {
            end += 1;
        }
        let word = end - at;
        while end < chars.len() && chars[end].is_whitespace() {
            end += 1;
        }
        let whole = end - at;
        if width >= used + word {
            used += whole;
        } else if word > width {
            let mut start = at;
            let mut rest = whole;
            loop {
                if start > 0 {
                    breaks.push(start);
                }
                if rest <= width {
                    used = rest;
                    break;
                }
                start += width;
                rest -= width;
            }
        } else if used > 0 && at > 0 {
            breaks.push(at);
            used = whole;
        }
        at = end;
    }
    let mut lines = Vec::new();
    let mut from = 0;
    for to in breaks.into_iter().chain([chars.len()]) {
        let mut line: String = chars[from..to].iter().collect();
        // Blanks at the end go as far as they stick out.
        while line.chars().count() > width && line.ends_with(char::is_whitespace) {
            line.pop();
        }
        lines.push(line);
        from = to;
    }
    lines
}
