//! Finding values by paths with dots, whose parts may be patterns. As DVC 3.67 (dpath 2.2).

use trackway_yaml::Value;

/// All values whose path matches; more than two are not looked for.
pub(super) fn find<'v>(data: &'v Value, path: &str) -> Vec<&'v Value> {
    if path.is_empty() {
        return vec![data];
    }
    let parts: Vec<&str> = path.trim_start_matches('.').split('.').collect();
    let mut found = Vec::new();
    walk(data, &parts, &mut found);
    found
}

fn walk<'v>(data: &'v Value, parts: &[&str], found: &mut Vec<&'v Value>) {
    if found.len() > 1 {
        return;
    }
    let Some((part, rest)) = parts.split_first() else {
        found.push(data);
        return;
    };
    if *part == "**" {
        walk_anywhere(data, rest, found);
        return;
    }
    for_each_child(data, |key, child| {
        if key_matches(&key, part) {
            walk(child, rest, found);
        }
        found.len() < 2
    });
}

/// `**`: any number of parts.
fn walk_anywhere<'v>(data: &'v Value, rest: &[&str], found: &mut Vec<&'v Value>) {
    if !rest.is_empty() {
        walk(data, rest, found);
    }
    for_each_child(data, |_, child| {
        if rest.is_empty() {
            found.push(child);
        }
        walk_anywhere(child, rest, found);
        found.len() < 2
    });
}

enum Key<'k> {
    Text(&'k str),
    Number(i64, usize),
    Other,
}

fn for_each_child<'v>(data: &'v Value, mut visit: impl FnMut(Key<'v>, &'v Value) -> bool) {
    match data {
        Value::Map(map) => {
            for (key, child) in map.iter() {
                let key = match key {
                    Value::Str(text) => Key::Text(text),
                    Value::Int(number) => Key::Number(*number, 0),
                    _ => Key::Other,
                };
                if !visit(key, child) {
                    return;
                }
            }
        }
        Value::Seq(items) => {
            for (index, child) in items.iter().enumerate() {
                if !visit(Key::Number(index as i64, items.len()), child) {
                    return;
                }
            }
        }
        _ => {}
    }
}

fn key_matches(key: &Key, pattern: &str) -> bool {
    match key {
        Key::Text(text) => matches(text, pattern),
        // Indices count from the end too.
        Key::Number(number, length) => match pattern.trim().replace('_', "").parse::<i64>() {
            Ok(wanted) => wanted == *number || (*length > 0 && wanted < 0 && wanted + *length as i64 == *number),
            Err(_) => matches(&number.to_string(), pattern),
        },
        Key::Other => pattern == "*",
    }
}

/// `fnmatch.fnmatchcase`: `*`, `?`, `[…]`.
fn matches(text: &str, pattern: &str) -> bool {
    if !pattern.contains(['*', '?', '[']) {
        return text == pattern;
    }
    let (text, pattern): (Vec<char>, Vec<char>) = (text.chars().collect(), pattern.chars().collect());
    let (mut t, mut p) = (0, 0);
    // Where to go on if what follows the last `*` does not fit.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        let step = match pattern.get(p) {
            Some('*') => {
                retry = Some((p + 1, t));
                p += 1;
                continue;
            }
            Some('?') => Some(p + 1),
            Some('[') => match class(&pattern, p, text[t]) {
                Some((fits, next)) => fits.then_some(next),
                None => (text[t] == '[').then_some(p + 1),
            },
            Some(c) => (*c == text[t]).then_some(p + 1),
            None => None,
        };
        match (step, retry) {
            (Some(next), _) => (t, p) = (t + 1, next),
            (None, Some((after, from))) => {
                retry = Some((after, from + 1));
                (t, p) = (from + 1, after);
            }
            (None, None) => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Whether `c` is in the class that begins at `at`, and where the class ends; `None` if it has no end.
fn class(pattern: &[char], at: usize, c: char) -> Option<(bool, usize)> {
    let negated = pattern.get(at + 1) == Some(&'!');
    let start = at + 1 + usize::from(negated);
    let end = start + 1 + pattern.get(start + 1..)?.iter().position(|c| *c == ']')?;
    let set = &pattern[start..end];
    let mut fits = false;
    let mut i = 0;
    while i < set.len() {
        if i + 2 < set.len() && set[i + 1] == '-' {
            fits |= (set[i]..=set[i + 2]).contains(&c);
            i += 3;
        } else {
            fits |= set[i] == c;
            i += 1;
        }
    }
    Some((fits != negated, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_in_python() {
        for (text, pattern, fits) in [
            ("abc", "a*c", true),
            ("abc", "a*d", false),
            ("abc", "*", true),
            ("a", "[!a]", false),
            ("b", "[a-c]", true),
            ("[x", "[x", true),
            ("aXbXc", "a*X?", true),
            ("]", "[]]", true),
        ] {
            assert_eq!(matches(text, pattern), fits, "{text} {pattern}");
        }
    }
}
