//! `mlflow --env-file FILE …`: variables from a file, in the form that python-dotenv reads, beneath those that are set.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use crate::failure::Failure;

/// Runs this program again, with the same words but for `--env-file`, and with the file's variables. Returns only when
/// that fails, or (where a program cannot be replaced) with the other's failure.
///
/// A process cannot safely change its own variables once it may have threads; another process has them from the start.
pub fn run_again_with(path: &Path, words: &[OsString]) -> Result<(), Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::Usage(format!("The file {} of --env-file cannot be read: {error}.", path.display()))
    })?;
    let environment = |name: &str| std::env::var(name).ok();
    let variables = parse(&text, &environment)
        .map_err(|line| Failure::Usage(format!("Line {line} of {} is not in the form NAME=VALUE.", path.display())))?;
    let program = std::env::current_exe()
        .map_err(|error| Failure::Failed(format!("This program does not find its own file: {error}.")))?;
    let mut command = Command::new(program);
    command.args(words);
    for (name, value) in variables {
        if std::env::var_os(&name).is_none() {
            command.env(name, value);
        }
    }
    run(command)
}

#[cfg(unix)]
fn run(mut command: Command) -> Result<(), Failure> {
    use std::os::unix::process::CommandExt;
    // The name by which it was called decides what it does.
    if let Some(called) = std::env::args_os().next() {
        command.arg0(called);
    }
    let error = command.exec();
    Err(Failure::Failed(format!("This program could not be started again: {error}.")))
}

#[cfg(not(unix))]
fn run(mut command: Command) -> Result<(), Failure> {
    match command.status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => Err(Failure::Failed(format!("This program could not be started again: {error}."))),
    }
}

/// Reads `NAME=value`, `export NAME=value`, `'as it stands'`, `"with \n and ${OTHER}"` and comments. A later line wins. `Err` is
/// the number of the first line that is none of these; values are not told, for they are often secrets.
fn parse(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<BTreeMap<String, String>, usize> {
    let mut variables = BTreeMap::new();
    let mut rest = text;
    let mut line = 1;
    while !rest.is_empty() {
        let (value_line, before) = (line, rest);
        rest = match entry(rest) {
            Entry::Nothing(rest) => rest,
            Entry::Wrong => return Err(line),
            Entry::Variable { name, value, literal, rest } => {
                let lookup = |name: &str| environment(name).or_else(|| variables.get(name).cloned());
                let value = if literal { value } else { expand(&value, &lookup) };
                variables.insert(name.to_owned(), value);
                rest
            }
        };
        line = value_line + before[..before.len() - rest.len()].matches('\n').count();
    }
    Ok(variables)
}

enum Entry<'a> {
    Nothing(&'a str),
    Variable { name: &'a str, value: String, literal: bool, rest: &'a str },
    Wrong,
}

/// One line, or several where quotes go over them.
fn entry(text: &str) -> Entry<'_> {
    let end = text.find('\n').map_or(text.len(), |at| at + 1);
    let (line, below) = text.split_at(end);
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Entry::Nothing(below);
    }
    let line = line.strip_prefix("export ").map_or(line, str::trim_start);
    let Some((name, _)) = line.split_once('=') else {
        // A name alone is no variable for python-dotenv, and no mistake.
        return if is_name(line) { Entry::Nothing(below) } else { Entry::Wrong };
    };
    let name = name.trim_end();
    if !is_name(name) {
        return Entry::Wrong;
    }
    // The value begins on this line, and in quotes may end on another.
    let Some((_, from)) = text.split_once('=') else { return Entry::Wrong };
    let from = from.trim_start_matches([' ', '\t']);
    if let Some(quote) = from.chars().next().filter(|first| matches!(first, '\'' | '"')) {
        let Some((value, after)) = quoted(&from[1..], quote) else { return Entry::Wrong };
        let end = after.find('\n').map_or(after.len(), |at| at + 1);
        let (tail, rest) = after.split_at(end);
        let tail = tail.trim();
        if !tail.is_empty() && !tail.starts_with('#') {
            return Entry::Wrong;
        }
        return Entry::Variable { name, value, literal: quote == '\'', rest };
    }
    let value = from[..from.len() - below.len()].trim_end();
    // A comment begins behind a blank.
    let comment = value.match_indices('#').find(|(at, _)| *at == 0 || value[..*at].ends_with([' ', '\t']));
    let value = comment.map_or(value, |(at, _)| value[..at].trim_end());
    Entry::Variable { name, value: value.to_owned(), literal: false, rest: below }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '_' | '.' | '-'))
}

/// The text up to the closing quote, with its escapes, and what stands behind it.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            char if char == quote => return Some((value, &text[at + 1..])),
            '\\' => match (chars.next()?.1, quote) {
                (escaped @ ('\\' | '\''), '\'') => value.push(escaped),
                ('n', '"') => value.push('\n'),
                ('r', '"') => value.push('\r'),
                ('t', '"') => value.push('\t'),
                (escaped @ ('\\' | '\'' | '"'), '"') => value.push(escaped),
                (other, _) => value.extend(['\\', other]),
            },
            char => value.push(char),
        }
    }
    None
}

/// Puts in `${NAME}` and `${NAME:-default}`. A lone dollar sign is one: passwords have them.
fn expand(value: &str, lookup: &dyn Fn(&str) -> Option<String>) -> String {
    let mut whole = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("${") {
        whole.push_str(before);
        let Some((inner, behind)) = after.split_once('}') else {
            whole.push_str("${");
            rest = after;
            continue;
        };
        let (name, default) = inner.split_once(":-").unwrap_or((inner, ""));
        whole.push_str(&lookup(name).unwrap_or_else(|| default.to_owned()));
        rest = behind;
    }
    whole + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, usize> {
        let environment = |name: &str| (name == "HOME").then(|| "/home/ada".to_owned());
        parse(text, &environment).map(|variables| variables.into_iter().collect())
    }

    fn one(line: &str) -> String {
        read(line).unwrap().remove(0).1
    }

    #[test]
    fn values_are_read_as_python_dotenv_reads_them() {
        for (line, value) in [
            ("A=b", "b"),
            ("A = b c ", "b c"),
            ("export A=b", "b"),
            ("A=", ""),
            ("A=b # comment", "b"),
            ("A=b#c", "b#c"),
            ("A='b # c' # comment", "b # c"),
            (r#"A="b\n\"c\" \d""#, "b\n\"c\" \\d"),
            (r"A='b\n\'c'", r"b\n'c"),
            ("A='two\nlines'", "two\nlines"),
            ("A=pa$$word$", "pa$$word$"),
            ("A=${HOME}/x", "/home/ada/x"),
            ("A=\"${NONE:-y}${NONE}\"", "y"),
            ("A='${HOME}'", "${HOME}"),
            ("A=${open", "${open"),
            ("A=b\r\n", "b"),
        ] {
            assert_eq!(one(line), value, "{line}");
        }
        let pairs = read("A=1\n\n# x\nB=${A}2\nNAME\nA=3").unwrap();
        assert_eq!(pairs, [("A", "3"), ("B", "12")].map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn the_first_wrong_line_is_told() {
        for (text, line) in [("A=1\nB='open\nC=2", 2), ("A='x\ny'\n=z", 3), ("A b=1", 1), ("A='b' c", 1)] {
            assert_eq!(read(text), Err(line), "{text}");
        }
    }
}
