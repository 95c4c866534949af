//! What holds for every value and every text.

use proptest::prelude::*;
use trackway_yaml::{Document, Map, Value, emit, parse};

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("a".to_owned()),
        Just(" ".to_owned()),
        Just("\n".to_owned()),
        Just(": ".to_owned()),
        Just(" #".to_owned()),
        Just("- ".to_owned()),
        Just("'".to_owned()),
        Just("\"".to_owned()),
        Just("word and word".to_owned()),
        Just("0x1F".to_owned()),
        Just("é😀".to_owned()),
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_filter("equal to itself", |float| !float.is_nan()).prop_map(Value::Float),
        text().prop_map(Value::Str),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Seq),
            prop::collection::vec((text(), inner), 0..6).prop_map(|entries| {
                let entries = entries.into_iter().map(|(key, value)| (Value::Str(key), value));
                Value::Map(entries.collect::<Map>())
            }),
        ]
    })
}

/// Texts that look like YAML.
fn document() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a",
        "b:",
        " ",
        "  ",
        "\n",
        "\n\n",
        "- ",
        "# note\n",
        " # note",
        ": ",
        "&x ",
        "*x",
        "<<: *x",
        "|",
        ">-",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "'",
        "\"",
        "\\",
        "? ",
        "---\n",
        "...\n",
        "!t ",
        "!!str ",
        "%YAML 1.2\n",
        "1.50",
        "0x1F",
        "1e3",
        "2020-01-01",
        "\t",
        "true",
        "~",
        "\u{feff}",
        "\u{85}",
        "é",
        "stages:\n",
        "  deps:\n",
        "  - x\n",
        "key: value\n",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// What Python reads as one kind of line end, and what YAML's quotes take for a `\n`.
fn without_odd_breaks(value: &Value) -> bool {
    let odd = |text: &str| text.contains(['\r', '\u{85}', '\u{2028}', '\u{2029}']);
    match value {
        Value::Str(text) => !odd(text),
        Value::Seq(items) => items.iter().all(without_odd_breaks),
        Value::Map(map) => map.iter().all(|(key, value)| without_odd_breaks(key) && without_odd_breaks(value)),
        _ => true,
    }
}

/// Without any space. Where ruamel folds a long double quoted scalar beside an escape, it loses one; DVC's bytes are
/// kept, and so is this.
fn squeezed(value: &Value) -> Value {
    match value {
        Value::Str(text) => Value::Str(text.split(' ').collect()),
        Value::Seq(items) => Value::Seq(items.iter().map(squeezed).collect()),
        Value::Map(map) => map.iter().map(|(key, value)| (squeezed(key), squeezed(value))).collect::<Map>().into(),
        other => other.clone(),
    }
}

fn without_exponents(value: &Value) -> bool {
    match value {
        Value::Float(float) => *float == 0.0 || !float.is_finite() || (1e-4..1e16).contains(&float.abs()),
        Value::Seq(items) => items.iter().all(without_exponents),
        Value::Map(map) => map.iter().all(|(key, value)| without_exponents(key) && without_exponents(value)),
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(value in value().prop_filter("plain breaks", without_odd_breaks)) {
        let text = emit(&value);
        let again = parse(&text);
        let folded = text.lines().any(|line| line.chars().count() >= 80) && text.contains('"');
        if folded {
            prop_assert_eq!(again.map(|again| squeezed(&again)), Ok(squeezed(&value)), "{}", text);
        } else {
            prop_assert_eq!(again.as_ref(), Ok(&value), "{}", text);
        }
        prop_assert_eq!(emit(&value), text);
    }

    #[test]
    fn a_document_applied_to_a_value_means_it(text in document(), value in value()) {
        if let (Ok(mut document), Value::Map(_)) = (Document::parse(&text), &value) {
            document.apply(&value);
            if !matches!(document.value(), Value::Map(_)) {
                return Ok(());
            }
            prop_assert_eq!(document.value(), value);
        }
    }

    /// What is written stays as it is when it is written again, for files without a bad fold. (In the round trip ruamel
    /// cuts the last digit off some floats with an exponent, and so do we.)
    #[test]
    fn a_value_written_is_written_again(value in value().prop_filter("plain breaks", without_odd_breaks)) {
        let text = emit(&value);
        if let (Ok(document), Value::Map(_)) = (Document::parse(&text), &value)
            && without_exponents(&value)
            && text.lines().all(|line| line.chars().count() < 80)
        {
            prop_assert_eq!(document.to_string(), text);
        }
    }

    #[test]
    fn nothing_panics(text in document()) {
        let _ = parse(&text);
        if let Ok(document) = Document::parse(&text) {
            let _ = document.to_string();
        }
    }

    #[test]
    fn no_characters_panic(text in any::<String>()) {
        let _ = parse(&text);
        let _ = Document::parse(&text).map(|document| document.to_string());
    }
}

#[test]
fn bombs_are_refused() {
    let mut laughs = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for at in 1..9 {
        let before = format!("*a{}, ", at - 1).repeat(9);
        laughs.push_str(&format!("a{at}: &a{at} [{before}]\n"));
    }
    assert!(parse(&laughs).is_err());
    assert!(Document::parse(&laughs).is_err());

    let mut chain = String::from("a0: &a0 [x]\n");
    for at in 1..50_000 {
        chain.push_str(&format!("a{at}: &a{at} [*a{}]\n", at - 1));
    }
    assert!(parse(&chain).is_err());
    assert!(Document::parse(&chain).is_err());

    for deep in ["[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(1000), "? ".repeat(100_000)] {
        assert!(parse(&deep).is_err());
        assert!(Document::parse(&deep).is_err());
    }
    assert!(parse("&a [*a]").is_err());
    assert!(Document::parse("&a [*a]").is_err());
}
