//! What configobj 5.0.9 reads from a text and writes for it, recorded by running it; then edits, which it cannot do.

use proptest::prelude::*;
use trackway_ini::{Error, Ini, Section, Value, repr, write};

/// A text; what it says in Python's words, or the error; what configobj writes anew.
#[rustfmt::skip]
const RECORDED: &[(&str, &str, &str)] = &[
    ("", "{}", "\n"),
    ("\n", "{}", "\n"),
    ("# only\n", "{}", "\n"),
    ("[core]\n    remote = up\n", "{'core': {'remote': 'up'}}", "[core]\n    remote = up\n"),
    ("[core]\nremote=up # c\n", "{'core': {'remote': 'up'}}", "[core]\n    remote = up\n"),
    ("['remote \"a\"']\nurl = 'a, b'\n", "{'remote \"a\"': {'url': 'a, b'}}", "['remote \"a\"']\n    url = \"a, b\"\n"),
    ("k = a, b,\n", "{'k': ['a', 'b']}", "k = a, b\n"),
    ("k = ,\n", "{'k': []}", "k = ,\n"),
    ("k = a,\n", "{'k': ['a']}", "k = a,\n"),
    ("k = \"x # y\" # c\n", "{'k': 'x # y'}", "k = \"x # y\"\n"),
    ("k = '''a\nb''' # c\n", "{'k': 'a\\nb'}", "k = '''a\nb'''\n"),
    ("k = \"\"\"a'b\"c\"\"\"\n", "{'k': 'a\\'b\"c'}", "k = '''a'b\"c'''\n"),
    ("k = \"\n", "Parse error in value at line 1.", ""),
    ("k = 'a\n", "Parse error in value at line 1.", ""),
    ("k = a,,b\n", "Parse error in value at line 1.", ""),
    ("[a\n", "Invalid line ('[a') (matched as neither section nor keyword) at line 1.", ""),
    ("[a]]\n", "Cannot compute the section depth at line 1.", ""),
    ("[[a]]\n", "Section too nested at line 1.", ""),
    ("[a]\n[[b]]\nx=1\n[c]\n", "{'a': {'b': {'x': '1'}}, 'c': {}}", "[a]\n    [[b]]\n        x = 1\n[c]\n"),
    ("[a]\n[a]\n", "Duplicate section name at line 2.", ""),
    ("a = 1\na = 2\n", "Duplicate keyword name at line 2.", ""),
    ("nonsense\nmore\n", "Parsing failed with several errors.\nFirst error at line 1.", ""),
    ("= 1\n", "Invalid line ('= 1') (matched as neither section nor keyword) at line 1.", ""),
    (" = 1\n", "{' ': '1'}", "\" \" = 1\n"),
    ("\"a b\" = 1\n", "{'a b': '1'}", "a b = 1\n"),
    ("k =\n", "{'k': ''}", "k = \"\"\n"),
    ("k = #c\n", "{'k': ''}", "k = \"\"\n"),
    ("k = a#b\n", "{'k': 'a'}", "k = a\n"),
    ("k = a #b\n", "{'k': 'a'}", "k = a\n"),
    ("[ a ] # c\n", "{'a': {}}", "[a]\n"),
    ("[']']\nx = 1\n", "{']': {'x': '1'}}", "[]]\n    x = 1\n"),
    ("x = 1\r\ny = 2\r\n", "{'x': '1', 'y': '2'}", "x = 1\ny = 2\n"),
    ("x = %(y)s\ny = %(z)s!\nz = 3\n", "{'x': '3!', 'y': '3!', 'z': '3'}", "x = %(y)s\ny = %(z)s!\nz = 3\n"),
    ("x = %(nope)s\n", "missing option \"nope\" in interpolation.", "x = %(nope)s\n"),
    ("x = %(x)s\n", "interpolation loop detected in value \"x\".", "x = %(x)s\n"),
    ("[DEFAULT]\nv = 1\n[s]\nw = %(v)s\n", "{'DEFAULT': {'v': '1'}, 's': {'w': '1'}}", "[DEFAULT]\n    v = 1\n[s]\n    w = %(v)s\n"),
    ("k = '''a\n", "Parse error in multiline value at line 1.", ""),
    ("k = é\n", "{'k': 'é'}", "k = é\n"),
    ("[a]\n[[[b]]]\n", "Section too nested at line 2.", ""),
    ("k = a b , c\n", "{'k': ['a b', 'c']}", "k = a b, c\n"),
    ("\u{feff}[a]\n", "Invalid line ('\\ufeff[a]') (matched as neither section nor keyword) at line 1.", ""),
    ("k = \"a\" \"b\"\n", "{'k': 'a\" \"b'}", "k = a\" \"b\n"),
    ("k = 'a','b' ,c # d\n", "{'k': ['a', 'b', 'c']}", "k = a, b, c\n"),
    ("a b = c = d\n", "{'a b': 'c = d'}", "a b = c = d\n"),
    ("[\"x\"]\n", "{'x': {}}", "[x]\n"),
    ("[a] x\n", "Invalid line ('[a] x') (matched as neither section nor keyword) at line 1.", ""),
];

fn shown(section: &Section) -> String {
    let value = |value: &Value| match value {
        Value::Text(text) => repr(text),
        Value::List(items) => format!("[{}]", items.iter().map(|item| repr(item)).collect::<Vec<_>>().join(", ")),
        Value::Section(inner) => shown(inner),
    };
    let entries: Vec<String> = section.iter().map(|(key, v)| format!("{}: {}", repr(key), value(v))).collect();
    format!("{{{}}}", entries.join(", "))
}

#[test]
fn reads_and_writes_as_configobj() {
    for (text, meaning, fresh) in RECORDED {
        match Ini::parse(text) {
            Err(error) => assert_eq!(error.to_string(), *meaning, "{text:?}"),
            Ok(ini) => {
                assert_eq!(ini.to_string(), *text);
                let read = ini.tree().map_or_else(|error| error.to_string(), |tree| shown(&tree));
                assert_eq!(read, *meaning, "{text:?}");
                assert_eq!(write(&ini.raw_tree()).unwrap(), *fresh, "{text:?}");
            }
        }
    }
}

#[test]
fn bytes_that_are_no_text() {
    let message = |bytes: &[u8]| Ini::parse(bytes).unwrap_err().to_string();
    assert_eq!(message(b"[core]\n\xff"), "'utf-8' codec can't decode byte 0xff in position 7: invalid start byte");
    assert_eq!(message(b"\xe2\x82"), "'utf-8' codec can't decode bytes in position 0-1: unexpected end of data");
    assert_eq!(message(b"a\xe2\x28"), "'utf-8' codec can't decode byte 0xe2 in position 1: invalid continuation byte");
}

#[test]
fn limits() {
    assert_eq!(Ini::parse(vec![b'\n'; trackway_ini::MAX_SIZE + 1]), Err(Error::TooLarge(trackway_ini::MAX_SIZE + 1)));
    let deep: String = (1..100).map(|depth| format!("{}a{}\n", "[".repeat(depth), "]".repeat(depth))).collect();
    assert!(Ini::parse(deep).is_err());
    let bomb: String = (0..60).map(|n| format!("a{n} = %(a{m})s%(a{m})s\n", m = n + 1)).collect();
    assert!(Ini::parse(bomb + "a60 = x\n").unwrap().tree().is_err());
    let wide: String = (0..100_000).map(|n| format!("k{n} = v\n")).collect();
    assert_eq!(Ini::parse(wide).unwrap().raw_tree().len(), 100_000);
}

#[test]
fn edits_touch_one_line() {
    let mut ini = Ini::parse("# top\n[a]\n\tx = 'one' # keep\n\n# of b\n[b]\ny = 2\n").unwrap();
    ini.set(&["a"], "x", "two, three".into()).unwrap();
    ini.set(&["a"], "z", Value::List(vec!["p".to_owned(), "q,r".to_owned()])).unwrap();
    assert_eq!(ini.to_string(), "# top\n[a]\n\tx = \"two, three\" # keep\n\tz = p, \"q,r\"\n\n# of b\n[b]\ny = 2\n");
    assert!(ini.remove_section(&["a"]) && !ini.remove_section(&["a"]));
    assert_eq!(ini.to_string(), "# top\n\n# of b\n[b]\ny = 2\n");
    ini.set(&["c", "d"], "k", "v".into()).unwrap();
    assert_eq!(ini.to_string(), "# top\n\n# of b\n[b]\ny = 2\n[c]\n    [[d]]\n        k = v\n");
    assert_eq!(ini.set(&["c"], "k", "\"\"\"'''".into()), Err(Error::Unquotable("\"\"\"'''".to_owned())));
}

#[test]
fn line_ends_stay_as_they_are() {
    let mut ini = Ini::parse("[a]\r\nx = 1").unwrap();
    ini.set(&["a"], "y", "2".into()).unwrap();
    assert_eq!(ini.to_string(), "[a]\r\nx = 1\r\ny = 2\r\n");
}

proptest! {
    #[test]
    fn any_text_comes_back(text in "([\\[\\]=,\"'#%()a-b \t\r\n\u{b}\u{2028}é]|'''|\"\"\"|%\\(a\\)s){0,60}") {
        if let Ok(ini) = Ini::parse(&text) {
            prop_assert_eq!(ini.to_string(), text);
            let _ = ini.tree();
        }
    }

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Ini::parse(bytes);
    }

    /// A value that was set is the value that is read, on the same line ends.
    #[test]
    fn what_is_set_is_read(value in "[ -~\n]{0,20}") {
        let mut ini = Ini::parse("# c\n[s]\nk = v # c\n").unwrap();
        if ini.set(&["s"], "k", value.as_str().into()).is_ok() {
            let again = Ini::parse(ini.to_string());
            // As configobj: no quotes are put around a value of one line that only looks like a quoted one inside.
            if let Ok(again) = again && again.get(&["s"], "k") == Some(&Value::Text(value.clone())) {
                prop_assert_eq!(again.raw_tree(), ini.raw_tree());
            } else {
                let fresh = write(&ini.raw_tree()).unwrap();
                prop_assert!(Ini::parse(fresh).map(|fresh| fresh.raw_tree()) != Ok(ini.raw_tree()));
            }
        }
    }
}
