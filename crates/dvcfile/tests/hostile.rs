//! Files from strangers: whatever they hold, there is an answer, in bounded time and memory.

use proptest::prelude::*;
use trackway_dvcfile::{DvcFile, DvcYaml, Error, Files, LockFile, Place, ReadError, USUAL_WIDTH, params};

struct One(&'static str, Vec<u8>);

impl Files for One {
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>, ReadError> {
        Ok((path == self.0).then(|| self.1.clone()))
    }
}

fn resolve(text: &str, files: &dyn Files) -> Result<usize, Error> {
    let place = Place { wdir: "", files, bool_optional: false, list_append: false };
    let yaml = DvcYaml::parse(text, "dvc.yaml", &place)?;
    let names = yaml.names()?;
    for name in names.iter().take(100) {
        yaml.stage(name)?;
    }
    Ok(names.len())
}

fn message(text: &str) -> String {
    resolve(text, &One("", Vec::new())).map_or_else(|error| error.to_string(), |count| format!("{count} stages"))
}

#[test]
fn products_of_lists_are_bounded() {
    let axis = format!("[{}]", vec!["1"; 1000].join(","));
    let text = format!("stages: {{m: {{matrix: {{a: {axis}, b: {axis}, c: {axis}, d: {axis}}}, cmd: x}}}}");
    assert_eq!(
        message(&text),
        "'m' makes 1000000000000 stages, more than the 100000 that are allowed; split it or shorten its lists"
    );
}

#[test]
fn what_templates_produce_is_bounded() {
    let value = "x".repeat(1 << 20);
    let text = format!("vars: [{{v: {value}}}]\nstages: {{s: {{cmd: \"{}\"}}}}", "${v} ".repeat(1 << 14));
    assert_eq!(message(&text), "the templates of this file produce too much text; make what they insert smaller");
}

#[test]
fn depth_is_bounded() {
    // As much stack as a program's main thread has: without optimisation a level of YAML takes 20 KiB of it.
    let deep = std::thread::Builder::new().stack_size(8 << 20).spawn(check_depth).expect("a thread");
    deep.join().expect("no panic");
}

fn check_depth() {
    for deep in ["[".repeat(200_000), "{a: ".repeat(100_000), "- ".repeat(100_000)] {
        assert!(DvcFile::parse(&deep, "x.dvc").is_err());
        assert!(LockFile::parse(&deep, "dvc.lock").is_err());
        for name in ["p.yaml", "p.json", "p.toml", "p.py"] {
            let _ = params::read_params(format!("a = {deep}").as_bytes(), name);
            let _ = params::read_params(deep.as_bytes(), name);
        }
    }
    let classes: String = (0..20_000).map(|depth| format!("{}class A:\n", " ".repeat(depth.min(300)))).collect();
    assert!(params::read_params(classes.as_bytes(), "p.py").is_err());
    let signs = format!("a = {}1", "-".repeat(100_000));
    assert!(params::read_params(signs.as_bytes(), "p.py").is_ok());
    let key = vec!["**"; 50].join(".");
    let data = params::read_params(b"a: {b: {c: {d: {e: {f: {g: {h: {}}}}}}}}", "p.yaml").expect("a mapping");
    assert!(params::lookup(&data, &key).is_none());
}

/// Pieces that DVC's files are made of, and odd ones.
fn yaml_like() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "stages",
        "x",
        "cmd",
        "foreach",
        "do",
        "matrix",
        "vars",
        "outs",
        "deps",
        "params",
        "wdir",
        "md5",
        "path",
        "files",
        "repo",
        "cloud",
        ": ",
        ":\n  ",
        "\n",
        "\n- ",
        "\n  ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "${",
        "${item}",
        "${a.b[0]}",
        "\\${x}",
        "'",
        "\"",
        "5",
        "null",
        "true",
        "&a ",
        "*a",
        "<<: ",
        "é",
        "\t",
        "#",
        "|\n",
        "plots",
        "schema: '2.0'\n",
        "@",
        "?",
        "~",
        "-",
    ]);
    prop::collection::vec(pieces, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_has_an_answer(text in prop_oneof![yaml_like(), ".{0,200}"]) {
        if let Err(error) = DvcFile::parse(&text, "./x.dvc") {
            let _ = error.report(USUAL_WIDTH);
        }
        if let Ok(file) = DvcFile::parse(&text, "./x.dvc") {
            let fresh = file.dump(None).expect("what was read can be written");
            let again = DvcFile::parse(&fresh, "./x.dvc").expect("and read again");
            prop_assert_eq!(again.dump(None).expect("once more"), fresh);
            file.dump(Some(&text)).expect("and put into the old text");
        }
        if let Err(error) = LockFile::parse(&text, "./dvc.lock") {
            let _ = error.report(30);
        }
        let _ = resolve(&text, &One("params.yaml", b"a: {b: [1]}".to_vec()));
        let _ = resolve(&format!("stages:\n  s:\n    foreach: [1]\n    do:\n      cmd: {text:?}"), &One("params.yaml", text.clone().into_bytes()));
        for name in ["p.yaml", "p.json", "p.toml", "p.py"] {
            if let Ok(value) = params::read_params(text.as_bytes(), name) {
                let _ = params::lookup(&value, &text);
            }
        }
    }
}
