//! Lines of a `.dvcignore` on paths. The answers were taken from DVC 3.67.1 with pathspec 1.1.1.

use proptest::prelude::*;
use trackway_git::{Pattern, Patterns};

const PATHS: &[&str] = &[
    "foo", "foo/x", "x/foo", "foobar", "a", "a/b", "a/x/b", "x/a/b", "b", "x.txt", "d/x.txt", "ab", "a-", "x/y", "[a",
    "a]", "*", "#x", "!x", "a b", "é", "éa", "ax", "bx",
];

/// Lines, whether the paths are folders, and those that a line decides about: with `!` in front when it does not hide
/// them, and the number of the line when there are several.
const ANSWERS: &[(&[&str], bool, &[&str])] = &[
    (&["foo"], false, &["foo", "foo/x", "x/foo"]),
    (&["foo"], true, &["foo", "foo/x", "x/foo"]),
    (&["foo/"], false, &[]),
    (&["foo/"], true, &["foo", "foo/x", "x/foo"]),
    (&["/foo"], false, &["foo", "foo/x"]),
    (&["/foo"], true, &["foo", "foo/x"]),
    (&["*.txt"], false, &["x.txt", "d/x.txt"]),
    (&["*.txt"], true, &["x.txt", "d/x.txt"]),
    (&["*.txt/"], false, &[]),
    (&["*.txt/"], true, &["x.txt", "d/x.txt"]),
    (&["a/b"], false, &["a/b"]),
    (&["a/b"], true, &["a/b"]),
    (&["a/**"], false, &["a/b", "a/x/b"]),
    (&["a/**"], true, &["a", "a/b", "a/x/b"]),
    (&["**/b"], false, &["a/b", "a/x/b", "x/a/b", "b"]),
    (&["**/b"], true, &["a/b", "a/x/b", "x/a/b", "b"]),
    (&["a/**/b"], false, &["a/b", "a/x/b"]),
    (&["a/**/b"], true, &["a/b", "a/x/b"]),
    (
        &["*"],
        false,
        &[
            "foo", "foo/x", "x/foo", "foobar", "a", "a/b", "a/x/b", "x/a/b", "b", "x.txt", "d/x.txt", "ab", "a-",
            "x/y", "[a", "a]", "*", "#x", "!x", "a b", "é", "éa", "ax", "bx",
        ],
    ),
    (
        &["*"],
        true,
        &[
            "foo", "foo/x", "x/foo", "foobar", "a", "a/b", "a/x/b", "x/a/b", "b", "x.txt", "d/x.txt", "ab", "a-",
            "x/y", "[a", "a]", "*", "#x", "!x", "a b", "é", "éa", "ax", "bx",
        ],
    ),
    (&["*/"], false, &[]),
    (&["*/"], true, &[]),
    (
        &["**"],
        false,
        &[
            "foo", "foo/x", "x/foo", "foobar", "a", "a/b", "a/x/b", "x/a/b", "b", "x.txt", "d/x.txt", "ab", "a-",
            "x/y", "[a", "a]", "*", "#x", "!x", "a b", "é", "éa", "ax", "bx",
        ],
    ),
    (
        &["**"],
        true,
        &[
            "foo", "foo/x", "x/foo", "foobar", "a", "a/b", "a/x/b", "x/a/b", "b", "x.txt", "d/x.txt", "ab", "a-",
            "x/y", "[a", "a]", "*", "#x", "!x", "a b", "é", "éa", "ax", "bx",
        ],
    ),
    (&["**/"], false, &[]),
    (&["**/"], true, &[]),
    (
        &["/*"],
        false,
        &[
            "foo", "foo/x", "x/foo", "foobar", "a", "a/b", "a/x/b", "x/a/b", "b", "x.txt", "d/x.txt", "ab", "a-",
            "x/y", "[a", "a]", "*", "#x", "!x", "a b", "é", "éa", "ax", "bx",
        ],
    ),
    (
        &["/*"],
        true,
        &[
            "foo", "foo/x", "x/foo", "foobar", "a", "a/b", "a/x/b", "x/a/b", "b", "x.txt", "d/x.txt", "ab", "a-",
            "x/y", "[a", "a]", "*", "#x", "!x", "a b", "é", "éa", "ax", "bx",
        ],
    ),
    (&["[ab]"], false, &["a", "a/b", "a/x/b", "x/a/b", "b"]),
    (&["[ab]"], true, &["a", "a/b", "a/x/b", "x/a/b", "b"]),
    (&["[!a]"], false, &["foo/x", "x/foo", "a/b", "a/x/b", "x/a/b", "b", "d/x.txt", "x/y", "*", "é"]),
    (&["[!a]"], true, &["foo/x", "x/foo", "a/b", "a/x/b", "x/a/b", "b", "d/x.txt", "x/y", "*", "é"]),
    (&["[^a]x"], false, &["#x", "!x", "bx"]),
    (&["[^a]x"], true, &["#x", "!x", "bx"]),
    (&["[]a]"], false, &["a", "a/b", "a/x/b", "x/a/b"]),
    (&["[]a]"], true, &["a", "a/b", "a/x/b", "x/a/b"]),
    (&["[a"], false, &[]),
    (&["[a"], true, &[]),
    (&["[[:alpha:]]"], false, &["a]"]),
    (&["[[:alpha:]]"], true, &["a]"]),
    (&["[a-]"], false, &["a", "a/b", "a/x/b", "x/a/b"]),
    (&["[a-]"], true, &["a", "a/b", "a/x/b", "x/a/b"]),
    (&["\\*"], false, &["*"]),
    (&["\\*"], true, &["*"]),
    (&["\\#x"], false, &["#x"]),
    (&["\\#x"], true, &["#x"]),
    (&["\\!x"], false, &["!x"]),
    (&["\\!x"], true, &["!x"]),
    (&["#x"], false, &[]),
    (&["#x"], true, &[]),
    (&["a b"], false, &["a b"]),
    (&["a b"], true, &["a b"]),
    (&["?"], false, &["foo/x", "x/foo", "a", "a/b", "a/x/b", "x/a/b", "b", "d/x.txt", "x/y", "*", "é"]),
    (&["?"], true, &["foo/x", "x/foo", "a", "a/b", "a/x/b", "x/a/b", "b", "d/x.txt", "x/y", "*", "é"]),
    (&["é?"], false, &["éa"]),
    (&["é?"], true, &["éa"]),
    (
        &["*", "!a"],
        false,
        &[
            "foo=0",
            "foo/x=0",
            "x/foo=0",
            "foobar=0",
            "!a=1",
            "!a/b=1",
            "!a/x/b=1",
            "!x/a/b=1",
            "b=0",
            "x.txt=0",
            "d/x.txt=0",
            "ab=0",
            "a-=0",
            "x/y=0",
            "[a=0",
            "a]=0",
            "*=0",
            "#x=0",
            "!x=0",
            "a b=0",
            "é=0",
            "éa=0",
            "ax=0",
            "bx=0",
        ],
    ),
    (
        &["*", "!a"],
        true,
        &[
            "foo=0",
            "foo/x=0",
            "x/foo=0",
            "foobar=0",
            "!a=1",
            "!a/b=1",
            "!a/x/b=1",
            "!x/a/b=1",
            "b=0",
            "x.txt=0",
            "d/x.txt=0",
            "ab=0",
            "a-=0",
            "x/y=0",
            "[a=0",
            "a]=0",
            "*=0",
            "#x=0",
            "!x=0",
            "a b=0",
            "é=0",
            "éa=0",
            "ax=0",
            "bx=0",
        ],
    ),
    (&["a", "b", "!a/b", "*.txt"], false, &["a=0", "!a/b=2", "a/x/b=0", "x/a/b=0", "b=1", "x.txt=3", "d/x.txt=3"]),
    (&["a", "b", "!a/b", "*.txt"], true, &["a=0", "!a/b=2", "a/x/b=0", "x/a/b=0", "b=1", "x.txt=3", "d/x.txt=3"]),
    (&["!a", "a"], false, &["a=1", "a/b=1", "a/x/b=1", "x/a/b=1"]),
    (&["!a", "a"], true, &["a=1", "a/b=1", "a/x/b=1", "x/a/b=1"]),
    (&["a*/b*"], false, &["a/b"]),
    (&["a*/b*"], true, &["a/b"]),
    (&["foo/*"], false, &["foo/x"]),
    (&["foo/*"], true, &["foo/x"]),
    (&["/"], false, &[]),
    (&["/"], true, &[]),
    (&["a//b"], false, &[]),
    (&["a//b"], true, &[]),
    (
        &["***"],
        false,
        &[
            "foo", "foo/x", "x/foo", "foobar", "a", "a/b", "a/x/b", "x/a/b", "b", "x.txt", "d/x.txt", "ab", "a-",
            "x/y", "[a", "a]", "*", "#x", "!x", "a b", "é", "éa", "ax", "bx",
        ],
    ),
    (
        &["***"],
        true,
        &[
            "foo", "foo/x", "x/foo", "foobar", "a", "a/b", "a/x/b", "x/a/b", "b", "x.txt", "d/x.txt", "ab", "a-",
            "x/y", "[a", "a]", "*", "#x", "!x", "a b", "é", "éa", "ax", "bx",
        ],
    ),
];

fn patterns(lines: &[&str]) -> Patterns {
    Patterns::new(lines.iter().filter_map(|line| Pattern::parse(line.as_bytes()).expect("a valid line")).collect())
}

#[test]
fn answers_are_stocks() {
    for (lines, is_dir, expected) in ANSWERS {
        let patterns = patterns(lines);
        let mut found = Vec::new();
        for path in PATHS {
            if let Some((at, ignored)) = patterns.decide(path.as_bytes(), *is_dir) {
                let number = if lines.len() > 1 { format!("={at}") } else { String::new() };
                found.push(format!("{}{path}{number}", if ignored { "" } else { "!" }));
            }
        }
        assert_eq!(found, *expected, "{lines:?} {is_dir}");
    }
}

#[test]
fn lines_that_say_nothing_or_make_no_sense() {
    for void in ["", "   ", "# comment", "/", "[a", "x/[!]"] {
        assert!(Pattern::parse(void.as_bytes()).expect(void).is_none(), "{void}");
    }
    for (line, reason) in [
        ("!", "nothing is left of it"),
        ("a\\", "a backslash at its end escapes nothing"),
        ("[b-a]", "a range in brackets is backwards"),
    ] {
        let error = Pattern::parse(line.as_bytes()).expect_err(line);
        assert_eq!(error.to_string(), format!("Invalid git pattern: '{line}': {reason}"));
    }
}

#[test]
fn names_that_are_not_utf_8() {
    let decide = |line: &[u8], path: &[u8]| {
        let pattern = Pattern::parse(line).expect("valid").expect("not void");
        Patterns::new(vec![pattern]).decide(path, false).is_some()
    };
    assert!(decide(b"caf\xe9", b"dir/caf\xe9") && decide(b"*\xe9", b"caf\xe9") && decide(b"caf?", b"caf\xe9"));
    assert!(!decide(b"caf\xe9", "café".as_bytes()) && !decide("café".as_bytes(), b"caf\xe9"));
    assert!(decide("caf?".as_bytes(), "café".as_bytes()));
}

#[test]
fn a_bad_pattern_takes_no_time() {
    let line = format!("{}b", "*a".repeat(2000));
    let path = "a".repeat(4000);
    let start = std::time::Instant::now();
    assert!(patterns(&[&line]).decide(path.as_bytes(), false).is_none());
    assert!(start.elapsed() < std::time::Duration::from_secs(20));
}

proptest! {
    #[test]
    fn anything_can_be_asked(line in ".{0,40}", path in prop::collection::vec(any::<u8>(), 0..60), is_dir: bool) {
        if let Ok(Some(pattern)) = Pattern::parse(line.as_bytes()) {
            Patterns::new(vec![pattern]).decide(&path, is_dir);
        }
    }

    /// The short cuts for plain names say what the machine says: a class of one character has no short cut.
    #[test]
    fn short_cuts_are_no_different(name in "[ab]{1,3}", star: bool, dir: bool, path in "[ab][ab/\n]{0,8}", is_dir: bool) {
        let (start, end) = (if star { "*" } else { "" }, if dir { "/" } else { "" });
        let (first, rest) = name.split_at(1);
        let (plain, class) = (format!("{start}{name}{end}"), format!("{start}[{first}]{rest}{end}"));
        let decide = |line: &str| patterns(&[line]).decide(path.as_bytes(), is_dir);
        prop_assert_eq!(decide(&plain), decide(&class));
    }
}
