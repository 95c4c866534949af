//! Patterns of host names: `*` and `?`, and `!` before what is not meant.

/// Whether `name` is meant by a list of patterns.
pub(super) fn any(patterns: &str, between: char, name: &str) -> bool {
    let mut meant = false;
    for pattern in patterns.split(between).map(str::trim).filter(|pattern| !pattern.is_empty()) {
        match pattern.strip_prefix('!') {
            Some(not) if is_like(not, name) => return false,
            Some(_) => {}
            None => meant |= is_like(pattern, name),
        }
    }
    meant
}

fn is_like(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(wanted) if *wanted == '?' || *wanted == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (patterns, name, meant) in [
            ("*", "a", true),
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("h?st", "host", true),
            ("h?st", "hst", false),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("* !secret", "secret", false),
            ("!secret *", "other", true),
            ("!secret", "other", false),
        ] {
            assert_eq!(any(patterns, ' ', name), meant, "{patterns} {name}");
        }
    }
}
