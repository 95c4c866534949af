use super::*;

fn read(text: &str, name: &str) -> Value {
    read_params(text.as_bytes(), name).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn python_files_give_what_stock_reads() {
    let text = include_str!("../../tests/data/params.py");
    let expected = read(include_str!("../../tests/data/params_py.json"), "x.json");
    assert_eq!(read(text, "params.py"), expected);
}

#[test]
fn broken_files_are_named() {
    for (text, name, message) in [
        ("a: [", "params.yaml", "unable to read: 'params.yaml', YAML file structure is corrupted"),
        ("{\"a\":}", "p.json", "unable to read: 'p.json', JSON file structure is corrupted"),
        ("a = ", "p.toml", "unable to read: 'p.toml', TOML file structure is corrupted"),
        ("a = (1", "p.py", "unable to read: 'p.py', Python file structure is corrupted"),
    ] {
        let error = read_params(text.as_bytes(), name).map_err(|error| error.to_string());
        assert_eq!(error, Err(message.to_owned()));
    }
    let error = read_params(b"a: \xff", "p.yaml").map_err(|error| error.to_string());
    assert_eq!(error, Err("unable to read: 'p.yaml', is not valid utf-8".to_owned()));
}

#[test]
fn json_is_python_s() {
    let value = read(
        r#"{"a": NaN, "b": -Infinity, "c": 123456789012345678901234567890, "d": "\ud83d\ude00\u00e9", "e": [1.5e3, -0]}"#,
        "m.json",
    );
    let text = python::repr(&value);
    assert_eq!(text, "{'a': nan, 'b': -inf, 'c': 123456789012345678901234567890, 'd': '😀é', 'e': [1500.0, 0]}");
    for bad in ["01", "1.", "{\"a\" 1}", "[1,]", "\"\\q\"", "\"\n\"", "{} x", "'a'", &"[".repeat(100_000)] {
        assert!(read_params(bad.as_bytes(), "m.json").is_err(), "{bad:.20}");
    }
}

#[test]
fn keys_lead_through_lists_and_patterns() {
    let data = read("a: {b: [1, {c: 2}], 3: x}\n'x.y': 1\n", "params.yaml");
    let found = |key| lookup(&data, key).map(python::repr);
    assert_eq!(found("a.b.1.c").as_deref(), Some("2"));
    assert_eq!(found("a.b.-1.c").as_deref(), Some("2"));
    assert_eq!(found("a.3").as_deref(), Some("'x'"));
    assert_eq!(found("*.b.0").as_deref(), Some("1"));
    assert_eq!(found("a.*"), None);
    assert_eq!(found("x.y"), None);
    assert_eq!(found("**.c").as_deref(), Some("2"));
}

#[test]
fn changes_are_told_per_key() {
    let map = |text: &str| match read(text, "p.yaml") {
        Value::Map(map) => map,
        other => panic!("{other:?}"),
    };
    let dep = |keys: &[&str]| ParamsDep {
        path: "params.yaml".to_owned(),
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
    };
    let told = |dep: &ParamsDep, actual: &str, locked: &str| {
        let changes = changes(dep, &map(actual), &map(locked));
        changes.iter().map(|(key, change)| format!("{key} {}", change.as_str())).collect::<Vec<_>>()
    };
    assert_eq!(
        told(&dep(&["b", "a", "c", "d"]), "{a: 1, b: 2, d: 1.0}", "{a: 2, c: 1, d: 1}"),
        ["b new", "a modified", "c deleted"]
    );
    assert_eq!(told(&dep(&[]), "{z: 1, a: 1}", "{m: 1, a: 2}"), ["z new", "a modified", "m deleted"]);
}
