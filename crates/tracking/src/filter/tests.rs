//! The rules one by one, every kind of message as a person sees it, and properties.

use proptest::prelude::*;

use super::*;

fn metric(key: &str) -> Field {
    Field::Metric(key.to_owned())
}

fn param(key: &str) -> Field {
    Field::Param(key.to_owned())
}

fn tag(key: &str) -> Field {
    Field::Tag(key.to_owned())
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

fn list(values: &[&str]) -> Value {
    Value::List(values.iter().map(|value| (*value).to_owned()).collect())
}

fn number(value: f64) -> Value {
    Value::Number(Number::Fraction(value))
}

fn whole(value: i64) -> Value {
    Value::Number(Number::Whole(value))
}

fn one(entity: Entity, filter: &str) -> (Field, Op, Value) {
    match parse(entity, filter) {
        Ok(Filter::Is(Comparison { field, op, value })) => (field, op, value),
        other => panic!("{filter}\n{other:?}"),
    }
}

/// How a filter is understood, in its one spelling.
fn read(entity: Entity, filter: &str) -> String {
    parse(entity, filter).unwrap_or_else(|error| panic!("{error}")).to_string()
}

fn refused(entity: Entity, filter: &str) -> String {
    match parse(entity, filter) {
        Ok(read) => panic!("{filter} is accepted as {read}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn no_filter() {
    for filter in ["", "AND", "and And"] {
        assert_eq!(parse(Entity::Run, filter), Ok(Filter::default()));
    }
}

#[test]
fn kinds_of_keys_of_runs() {
    for kind in ["metric", "metrics", "`metrics`"] {
        assert_eq!(one(Entity::Run, &format!("{kind}.a > 1")).0, metric("a"));
    }
    for kind in ["param", "params", "parameter", "parameters"] {
        assert_eq!(one(Entity::Run, &format!("{kind}.a = 'x'")).0, param("a"));
    }
    for kind in ["tag", "tags"] {
        assert_eq!(one(Entity::Run, &format!("{kind}.a = 'x'")).0, tag("a"));
    }
    for kind in ["attribute.", "attributes.", "attr.", "run.", ""] {
        let status = Field::Attribute(Attribute::Status);
        assert_eq!(one(Entity::Run, &format!("{kind}status = 'x'")).0, status);
    }
    for kind in ["dataset", "datasets"] {
        for field in DatasetField::ALL {
            let filter = format!("{kind}.{} = 'x'", field.name());
            assert_eq!(one(Entity::Run, &filter).0, Field::Dataset(field));
        }
    }
}

#[test]
fn keys() {
    let keys = [
        ("a.b.c", "a.b.c"),
        ("`val loss`", "val loss"),
        ("\"val loss\"", "val loss"),
        ("'val loss'", "val loss"),
        ("`a-b/c:d`", "a-b/c:d"),
        ("`a.b`", "a.b"),
        ("\"`a`\"", "a"),
        ("`\"a\"`", "\"a\""),
        ("`a``b`", "a``b"),
        ("метрика", "метрика"),
        ("1st", "1st"),
        ("1", "1"),
        ("a.1", "a.1"),
        ("from", "from"),
        ("and", "and"),
        ("order.by", "order.by"),
        ("metrics.a", "metrics.a"),
    ];
    for (written, key) in keys {
        assert_eq!(one(Entity::Run, &format!("metrics.{written} > 1")).0, metric(key));
    }
    let run_name = Field::Attribute(Attribute::RunName);
    for written in ["run_name", "`run_name`", "\"run_name\"", "`Run Name`", "attributes.'Run name'"] {
        assert_eq!(one(Entity::Run, &format!("{written} = 'x'")).0, run_name);
    }
}

#[test]
fn comparators_in_any_case_and_with_any_blanks() {
    let comparators = [
        ("params.a = 'x'", Op::Eq),
        ("params.a!='x'", Op::Ne),
        ("metrics.a<1", Op::Lt),
        ("metrics.a <= 1", Op::Le),
        ("metrics.a\n>\t1", Op::Gt),
        ("metrics.a\u{a0}>= 1", Op::Ge),
        ("params.a like 'x'", Op::Like),
        ("params.a LIKE'x'", Op::Like),
        ("params.a iLike 'x'", Op::ILike),
        ("run_id in ('x')", Op::In),
        ("run_id IN('x')", Op::In),
        ("run_id not  In ('x')", Op::NotIn),
        ("tags.a is null", Op::IsNull),
        ("tags.a IS  not\nNULL", Op::IsNotNull),
    ];
    for (filter, op) in comparators {
        assert_eq!(one(Entity::Run, filter).1, op, "{filter}");
    }
}

#[test]
fn values() {
    let cases = [
        (Entity::Run, "metrics.a = 1", number(1.0)),
        (Entity::Run, "metrics.a = -.5", number(-0.5)),
        (Entity::Run, "metrics.a = 5.", number(5.0)),
        (Entity::Run, "metrics.a = 1e+16", number(1e16)),
        (Entity::Run, "metrics.a = 1e999", number(f64::INFINITY)),
        (Entity::Run, "start_time = 7", whole(7)),
        (Entity::Run, "start_time = 007", whole(7)),
        (Entity::Run, "start_time = -1", whole(-1)),
        (Entity::Run, "start_time = 1.5", number(1.5)),
        (Entity::Run, "start_time = 1e3", number(1000.0)),
        (Entity::Run, "start_time = 9223372036854775807", whole(i64::MAX)),
        (Entity::Run, "params.a = ''", text("")),
        (Entity::Run, "params.a = \"it's\"", text("it's")),
        (Entity::Run, "params.a = 'it''s'", text("it''s")),
        (Entity::Run, r"params.a = 'it\'s'", text(r"it\'s")),
        (Entity::Run, r"params.a = 'C:\dir\'", text(r"C:\dir\")),
        (Entity::Run, "params.a = 'a AND b -- (c); \n'", text("a AND b -- (c); \n")),
        (Entity::Run, "tags.a IS NULL", Value::None),
        (Entity::Run, "run_id IN ('a', \"b\",)", list(&["a", "b"])),
        (
            Entity::Run,
            r#"run_id IN ('it\'s', "it's", '\t\x41\u00e9\101\q\\')"#,
            list(&["it's", "it's", "\tA\u{e9}A\\q\\"]),
        ),
        (Entity::Run, "run_id IN ('a\\\nb')", list(&["ab"])),
        (Entity::Run, r"run_id IN ('a\\', 'b')", list(&[r"a\", "b"])),
        (Entity::Experiment, "experiment_id = ' +01 '", whole(1)),
        (Entity::Experiment, "experiment_id IN (' +01 ', '2')", list(&["1", "2"])),
        (Entity::Experiment, "creation_time = 1", whole(1)),
        (Entity::ModelVersion, "version_number = 1", whole(1)),
        (Entity::ModelVersion, "version_number = '1'", whole(1)),
        (Entity::LoggedModel, "name = m-1/a.b", text("m-1/a.b")),
        (Entity::LoggedModel, "params.a = 1.50", text("1.50")),
        (Entity::LoggedModel, "name = -5", text("-5")),
        (Entity::LoggedModel, "name = \"x\"", text("x")),
        (Entity::LoggedModel, "status IN (1, '2')", list(&["1", "2"])),
        (Entity::LoggedModel, "creation_time = 1", whole(1)),
        (Entity::LoggedModel, "creation_time = 1.5", number(1.5)),
    ];
    for (entity, filter, value) in cases {
        assert_eq!(one(entity, filter).2, value, "{filter}");
    }
}

#[test]
fn what_may_be_asked_of_what() {
    use Entity::*;
    let numbers = [
        (Run, "metrics.a start_time end_time"),
        (Experiment, "creation_time last_update_time"),
        (ModelVersion, "version_number"),
        (LoggedModel, "metrics.a creation_timestamp last_updated_timestamp"),
    ];
    let texts = [
        (
            Run,
            "params.a tags.a dataset.name dataset.digest dataset.context run_id run_name status user_id artifact_uri",
        ),
        (Experiment, "name tags.a"),
        (RegisteredModel, "name tags.a"),
        (ModelVersion, "name run_id source_path tags.a"),
        (LoggedModel, "params.a tags.a name model_id status source_run_id artifact_location status_message"),
    ];
    for (entity, keys) in numbers {
        for key in keys.split(' ') {
            for rest in [
                "= 1",
                "!= 1",
                "> 1",
                ">= 1",
                "< 1",
                "<= 1",
                "IN (1, 2)",
                "NOT IN (1)",
                "BETWEEN 1 AND 2",
                "NOT BETWEEN 1 AND 2",
                "IS NULL",
                "IS NOT NULL",
            ] {
                assert!(parse(entity, &format!("{key} {rest}")).is_ok(), "{entity:?} {key} {rest}");
            }
            for rest in
                ["LIKE '1'", "NOT ILIKE '1'", "RLIKE '1'", "IN ()", "IN ('x')", "BETWEEN 1", "BETWEEN 'x' AND 'y'"]
            {
                assert!(parse(entity, &format!("{key} {rest}")).is_err(), "{entity:?} {key} {rest}");
            }
        }
    }
    for (entity, keys) in texts {
        for key in keys.split(' ') {
            for rest in [
                "= '1'",
                "!= '1'",
                "LIKE '1'",
                "NOT LIKE '1'",
                "ILIKE '1'",
                "NOT ILIKE '1'",
                "RLIKE '1'",
                "NOT RLIKE '1'",
                "IN ('1')",
                "NOT IN ('1', \"2\")",
                "IS NULL",
                "IS NOT NULL",
            ] {
                assert!(parse(entity, &format!("{key} {rest}")).is_ok(), "{entity:?} {key} {rest}");
            }
            for rest in ["> '1'", "<= '1'", "BETWEEN '1' AND '2'", "IN ()", "RLIKE '('"] {
                assert!(parse(entity, &format!("{key} {rest}")).is_err(), "{entity:?} {key} {rest}");
            }
        }
    }
    for rest in ["= '1'", "!= '1'", "IN ('1')", "NOT IN ('1')"] {
        assert!(parse(Experiment, &format!("experiment_id {rest}")).is_ok());
    }
    for rest in ["= 1", "LIKE '1'", "IN (1)", "RLIKE '1'", "IS NULL", "BETWEEN '1' AND '2'"] {
        assert!(parse(Experiment, &format!("experiment_id {rest}")).is_err());
    }
}

#[test]
fn the_tree() {
    let read = |filter: &str| read(Entity::Run, filter);
    let (a, b, c, d) = ("params.a = '1'", "params.b = '2'", "params.c = '3'", "params.d = '4'");
    // AND binds closer than OR, NOT closer than AND.
    assert_eq!(read(&format!("{a} OR {b} AND {c}")), format!("{a} OR {b} AND {c}"));
    assert_eq!(
        parse(Entity::Run, &format!("{a} OR {b} AND {c}")),
        parse(Entity::Run, &format!("({a}) or (({b}) and {c})"))
    );
    assert_eq!(read(&format!("({a} OR {b}) AND {c}")), format!("({a} OR {b}) AND {c}"));
    assert_eq!(read(&format!("NOT {a} AND {b}")), format!("NOT {a} AND {b}"));
    assert_eq!(read(&format!("NOT ({a} AND {b}) OR not({c})")), format!("NOT ({a} AND {b}) OR NOT {c}"));
    // The simplest form.
    assert_eq!(read(&format!("((({a})))")), a);
    assert_eq!(read(&format!("NOT NOT {a}")), a);
    assert_eq!(read(&format!("NOT (NOT ({a} OR {b}))")), format!("{a} OR {b}"));
    assert_eq!(read(&format!("({a} AND ({b} AND {c})) AND {d}")), format!("{a} AND {b} AND {c} AND {d}"));
    assert_eq!(read(&format!("{a} OR ({b} OR {c} AND {d})")), format!("{a} OR {b} OR {c} AND {d}"));
    // A list behind IN, a range and a group look alike only at first sight.
    assert_eq!(
        read("(params.a IN ('(', ')')) OR metrics.m BETWEEN 1 AND 2 AND metrics.n > 3"),
        "params.a IN ('(', ')') OR metrics.m BETWEEN 1.0 AND 2.0 AND metrics.n > 3.0"
    );
    // Keys may have the names of the words.
    assert_eq!(read("NOT tags.not = 'x' OR (tags.or = 'y')"), "NOT tags.not = 'x' OR tags.or = 'y'");
    assert_eq!(parse(Entity::LoggedModel, "(name = a OR name = b)").unwrap().to_string(), "name = 'a' OR name = 'b'");

    let filter = parse(Entity::Run, &format!("({a} OR NOT {b}) AND {c}")).unwrap();
    assert_eq!(filter.conjuncts().len(), 2);
    let keys: Vec<_> = filter.comparisons().into_iter().map(|comparison| comparison.field.clone()).collect();
    assert_eq!(keys, [param("a"), param("b"), param("c")]);
}

#[test]
fn new_values() {
    let fraction = Number::Fraction;
    let cases = [
        (Entity::Run, "metrics.a BETWEEN -1 AND 1e3", Value::Range(fraction(-1.0), fraction(1000.0))),
        (Entity::Run, "end_time NOT BETWEEN 5 AND 7.5", Value::Range(Number::Whole(5), fraction(7.5))),
        (Entity::Run, "metrics.a in (0.1, 2,)", Value::Numbers(vec![fraction(0.1), fraction(2.0)])),
        (Entity::ModelVersion, "version_number IN (1, '2')", Value::Numbers(vec![Number::Whole(1), Number::Whole(2)])),
        (Entity::Run, "params.a RLIKE '^a|b$'", Value::Pattern(Pattern::new("^a|b$").unwrap())),
        (Entity::LoggedModel, "name rlike m-1", Value::Pattern(Pattern::new("m-1").unwrap())),
        (Entity::Run, "status IN ('RUNNING', 'FAILED')", list(&["RUNNING", "FAILED"])),
    ];
    for (entity, filter, value) in cases {
        assert_eq!(one(entity, filter).2, value, "{filter}");
    }
}

#[test]
fn conditions_are_joined() {
    let both = "metrics.a > 1.0 AND params.b = 'x'";
    for filter in [
        "metrics.a > 1 AND params.b = 'x'",
        "metrics.a > 1 and params.b = 'x' And",
        "AND metrics.a > 1 AND AND params.b = 'x'",
        "metrics.a > 1 params.b = 'x'",
    ] {
        assert_eq!(read(Entity::Run, filter), both, "{filter}");
    }
    assert!(parse(Entity::Run, "metrics.a>1AND params.b='x'").is_err());
}

#[test]
fn orders() {
    let cases = [
        (Entity::Run, "metrics.a", metric("a"), false),
        (Entity::Run, "metrics.a ASC", metric("a"), false),
        (Entity::Run, "metrics.a  desc", metric("a"), true),
        (Entity::Run, "metrics.`val loss` DESC", metric("val loss"), true),
        (Entity::Run, "params.'val loss'", param("val loss"), false),
        (Entity::Run, "tags.desc DESC", tag("desc"), true),
        (Entity::Run, "Created", Field::Attribute(Attribute::StartTime), false),
        (Entity::Run, "attributes.end_time DESC", Field::Attribute(Attribute::EndTime), true),
        (Entity::RegisteredModel, "timestamp DESC", Field::Attribute(Attribute::LastUpdatedTimestamp), true),
        (Entity::ModelVersion, "version_number", Field::Attribute(Attribute::VersionNumber), false),
    ];
    for (entity, clause, field, descending) in cases {
        assert_eq!(parse_order_by(entity, &[clause]), Ok(vec![OrderBy { field, descending }]), "{clause}");
    }
}

#[test]
fn orders_of_logged_models_come_as_bare_field_names() {
    let keys = [
        ("metrics.acc", metric("acc")),
        ("metrics.a-b/c d.e", metric("a-b/c d.e")),
        ("metrics.`acc`", metric("acc")),
        ("creation_time", Field::Attribute(Attribute::CreationTimestamp)),
        ("status", Field::Attribute(Attribute::Status)),
    ];
    for (name, field) in keys {
        assert_eq!(parse_order_key(Entity::LoggedModel, name), Ok(field));
    }
    for name in ["", "metrics", "metrics.", "metric.a", "params.a", "tags.a", "name DESC", "unknown"] {
        assert!(parse_order_key(Entity::LoggedModel, name).is_err(), "{name}");
    }
}

#[test]
fn a_field_may_stand_once_in_an_order_where_mlflow_says_so() {
    let twice = |entity, clauses: &[&str]| parse_order_by(entity, clauses).is_err();
    assert!(twice(Entity::Run, &["metrics.a", "metric.`a` DESC"]));
    assert!(twice(Entity::Run, &["start_time", "created"]));
    assert!(twice(Entity::RegisteredModel, &["timestamp", "last_updated_timestamp"]));
    assert!(twice(Entity::ModelVersion, &["name", "name DESC"]));
    assert!(!twice(Entity::Run, &["metrics.a", "params.a", "tags.a"]));
    assert!(!twice(Entity::Experiment, &["name", "name DESC"]));
    assert!(!twice(Entity::LoggedModel, &["name", "name"]));
}

#[test]
fn limits() {
    let at_the_limit = vec!["status = 'x'"; MAX_COMPARISONS].join(" AND ");
    assert!(parse(Entity::Run, &at_the_limit).is_ok());
    let message = refused(Entity::Run, &format!("{at_the_limit} AND status = 'x'"));
    assert!(message.starts_with("The filter has more than 1000 conditions.\n"), "{message}");

    let values = vec!["'x'"; MAX_LIST_VALUES].join(",");
    assert!(parse(Entity::Run, &format!("run_id IN ({values})")).is_ok());
    let message = refused(Entity::Run, &format!("run_id IN ({values},'x')"));
    assert!(message.starts_with("The list for the attribute 'run_id' has more than 10000 values.\n"));

    let message = refused(Entity::Run, &" ".repeat(MAX_BYTES + 1));
    assert_eq!(message, "The text is 1048577 bytes long.\n    …\n    ^\nAt most 1048576 bytes are read.");
    assert!(parse_order_by(Entity::Run, &["x".repeat(MAX_BYTES + 1)]).is_err());
    assert!(parse_order_key(Entity::LoggedModel, &"x".repeat(MAX_BYTES + 1)).is_err());
    assert!(parse_order_by(Entity::Experiment, &vec!["name"; MAX_ORDER_KEYS]).is_ok());
    assert!(parse_order_by(Entity::Experiment, &vec!["name"; MAX_ORDER_KEYS + 1]).is_err());

    let deepest = |depth: usize| format!("{}status = 'x'{}", "(".repeat(depth), ")".repeat(depth));
    assert_eq!(read(Entity::Run, &deepest(MAX_DEPTH)), "status = 'x'");
    let message = refused(Entity::Run, &deepest(MAX_DEPTH + 1));
    assert!(message.starts_with("NOT and parentheses are nested more than 100 deep.\n"), "{message}");
    assert_eq!(read(Entity::Run, &format!("{}status = 'x'", "NOT ".repeat(MAX_DEPTH))), "status = 'x'");
    assert!(parse(Entity::Run, &format!("{}status = 'x'", "NOT ".repeat(100_000))).is_err());
    assert!(parse(Entity::Run, &"(".repeat(MAX_BYTES)).is_err());
    // What stands side by side is not nested.
    let groups = vec!["(status = 'x' OR NOT status = 'y')"; MAX_COMPARISONS / 2].join(" AND ");
    assert!(parse(Entity::Run, &groups).is_ok());
    assert!(parse(Entity::Run, &format!("{groups} OR status = 'x'")).is_err());
    assert!(parse(Entity::Run, &format!("status LIKE '{}'", "%".repeat(MAX_LIKE_BYTES))).is_ok());
    assert!(parse(Entity::Run, &format!("status LIKE '{}'", "%".repeat(MAX_LIKE_BYTES + 1))).is_err());
    assert!(parse(Entity::Run, &format!("run_id IN {}", "(".repeat(100_000))).is_err());
}

#[test]
fn messages_of_filters() {
    let cases = [
        (
            Entity::Run,
            "  ",
            r#"The filter holds only blanks.
      
    ^
Leave it empty to find everything."#,
        ),
        (
            Entity::Run,
            "metrics.acc > '0.5'",
            r#"The metric 'acc' is compared with the text '0.5', which is not a number.
    metrics.acc > '0.5'
                  ^
Write a number without quotation marks, such as 0.5."#,
        ),
        (
            Entity::Run,
            "metrics.acc > +1",
            r#"The metric 'acc' is compared with '+', which is not a number.
    metrics.acc > +1
                  ^
Write a number without quotation marks, such as 0.5."#,
        ),
        (
            Entity::Run,
            "metrics.acc > 1_000",
            r#"The metric 'acc' is compared with '1_000', which is not a number.
    metrics.acc > 1_000
                  ^
Write a number without quotation marks, such as 0.5."#,
        ),
        (
            Entity::Run,
            "metrics.acc >",
            r#"The value that the metric 'acc' is compared with is missing.
    metrics.acc >
                 ^
Write a number without quotation marks, such as 0.5."#,
        ),
        (
            Entity::Run,
            "metrics.acc > (1)",
            r#"A list can only stand behind IN and NOT IN.
    metrics.acc > (1)
                  ^
Write a number without quotation marks, such as 0.5."#,
        ),
        (
            Entity::Run,
            "metrics.acc",
            r#"The metric 'acc' stands alone, a comparator is missing behind it.
    metrics.acc
               ^
Accepted there: =, !=, >, >=, <, <=, BETWEEN, NOT BETWEEN, IN, NOT IN, IS NULL or IS NOT NULL."#,
        ),
        (
            Entity::Run,
            "metrics.acc == 1",
            r#"'==' is not a comparator.
    metrics.acc == 1
                ^
Accepted there: =, !=, >, >=, <, <=, BETWEEN, NOT BETWEEN, IN, NOT IN, IS NULL or IS NOT NULL."#,
        ),
        (
            Entity::Run,
            "metrics.acc LIKE 'x'",
            r#"The comparator LIKE does not fit the metric 'acc'.
    metrics.acc LIKE 'x'
                ^
Accepted there: =, !=, >, >=, <, <=, BETWEEN, NOT BETWEEN, IN, NOT IN, IS NULL or IS NOT NULL."#,
        ),
        (
            Entity::Run,
            "metrics.val-loss > 1",
            r#"'-' stands behind the metric 'val', where a comparator is expected.
    metrics.val-loss > 1
               ^
Accepted there: =, !=, >, >=, <, <=, BETWEEN, NOT BETWEEN, IN, NOT IN, IS NULL or IS NOT NULL. A key with other characters than letters, digits, '_' and '.' needs backticks: metrics.`val loss`."#,
        ),
        (
            Entity::Run,
            "metrics.val loss > 1",
            r#"'loss' stands behind the metric 'val', where a comparator is expected.
    metrics.val loss > 1
                ^
Accepted there: =, !=, >, >=, <, <=, BETWEEN, NOT BETWEEN, IN, NOT IN, IS NULL or IS NOT NULL. A key with other characters than letters, digits, '_' and '.' needs backticks: metrics.`val loss`."#,
        ),
        (
            Entity::Run,
            "metrics. > 1",
            r#"The key behind the dot is empty, or a part of it is.
    metrics. > 1
            ^
No blank stands around the dot. A key with other characters than letters, digits, '_' and '.' needs backticks around it: metrics.`val loss`."#,
        ),
        (
            Entity::Run,
            "metrics.`val loss > 1",
            r#"The quotation that starts with ` has no end.
    metrics.`val loss > 1
            ^
Write ` behind its last character."#,
        ),
        (
            Entity::Run,
            "metrics.`a`.`b` > 1",
            r#"Only a part of the key behind the dot is quoted.
    metrics.`a`.`b` > 1
            ^
Put the marks around the whole key, as in metrics.`a.b`."#,
        ),
        (
            Entity::Run,
            "Metrics.acc > 1",
            r#"'Metrics' is not a kind of key of runs.
    Metrics.acc > 1
    ^
Runs can be searched by metrics.key, params.key, tags.key, dataset.key, run_id, run_name, status, start_time, end_time, user_id or artifact_uri."#,
        ),
        (
            Entity::Run,
            "\"metrics\".acc > 1",
            r#"Quotation marks stand around 'metrics', the kind of a key.
    "metrics".acc > 1
    ^
Leave them out: metrics.accuracy > 0.9 AND params.model = 'tree'"#,
        ),
        (
            Entity::Run,
            "accuracy > 1",
            r#"'accuracy' is not an attribute by which runs can be searched.
    accuracy > 1
    ^
Runs can be searched by metrics.key, params.key, tags.key, dataset.key, run_id, run_name, status, start_time, end_time, user_id or artifact_uri."#,
        ),
        (
            Entity::Run,
            "'status' = 'x'",
            r#"'status' stands where a key is expected.
    'status' = 'x'
    ^
A key comes first, its value behind the comparator: metrics.accuracy > 0.9 AND params.model = 'tree'"#,
        ),
        (
            Entity::Run,
            "> 1",
            r#"'>' stands where a condition is expected.
    > 1
    ^
Conditions look like metrics.accuracy > 0.9 AND params.model = 'tree'"#,
        ),
        (
            Entity::Run,
            "params.a = x",
            r#"The param 'a' is compared with 'x', which is not a quoted text.
    params.a = x
               ^
Put single or double quotation marks around it, such as 'abc'."#,
        ),
        (
            Entity::Run,
            "params.a = `x`",
            r#"`x` is a key, because backticks stand around it, and the param 'a' is compared with a quoted text.
    params.a = `x`
               ^
Put single or double quotation marks around it, such as 'abc'."#,
        ),
        (
            Entity::Run,
            "params.a = 'x",
            r#"The quotation that starts with ' has no end.
    params.a = 'x
               ^
Write ' behind its last character."#,
        ),
        (
            Entity::Run,
            "params.a IS 'x'",
            r#"NULL is missing behind IS for the param 'a'.
    params.a IS 'x'
                ^
Write IS NULL or IS NOT NULL."#,
        ),
        (
            Entity::Run,
            "params.a > 'x'",
            r#"The comparator > does not fit the param 'a'.
    params.a > 'x'
             ^
Accepted there: =, !=, LIKE, NOT LIKE, ILIKE, NOT ILIKE, RLIKE, NOT RLIKE, IN, NOT IN, IS NULL or IS NOT NULL."#,
        ),
        (
            Entity::Run,
            "params.a = 'C:\\dir\\' AND params.b = 'x'",
            r#"'x' stands behind a whole condition.
    params.a = 'C:\dir\' AND params.b = 'x'
                                         ^
Write AND or OR and the next condition there. A text with blanks or quotation marks in it needs quotation marks around it, a key with other characters than letters, digits, '_' and '.' needs backticks."#,
        ),
        (
            Entity::Run,
            "params.a = 'x' 'y'",
            r#"'y' stands behind a whole condition.
    params.a = 'x' 'y'
                   ^
Write AND or OR and the next condition there. A text with blanks or quotation marks in it needs quotation marks around it, a key with other characters than letters, digits, '_' and '.' needs backticks."#,
        ),
        (
            Entity::Run,
            "status = 3",
            r#"The attribute 'status' is compared with '3', which is not a quoted text.
    status = 3
             ^
Put single or double quotation marks around it, such as 'abc'."#,
        ),
        (
            Entity::Run,
            "start_time > '1'",
            r#"The attribute 'start_time' is compared with the text '1', which is not a number.
    start_time > '1'
                 ^
Write a number without quotation marks, such as 1700000000000."#,
        ),
        (
            Entity::Run,
            "start_time > 9223372036854775808",
            r#"The attribute 'start_time' is compared with a number that is too large.
    start_time > 9223372036854775808
                 ^
Whole numbers lie between -9223372036854775808 and 9223372036854775807."#,
        ),
        (
            Entity::Run,
            "run_id IN 'x'",
            r#"A list is missing behind IN for the attribute 'run_id'.
    run_id IN 'x'
              ^
Write a list of quoted texts, such as ('a', 'b')."#,
        ),
        (
            Entity::Run,
            "run_id IN ()",
            r#"The list for the attribute 'run_id' is empty.
    run_id IN ()
               ^
Write a list of quoted texts, such as ('a', 'b')."#,
        ),
        (
            Entity::Run,
            "run_id IN ('x', y)",
            r#"The list for the attribute 'run_id' holds 'y', which is not a quoted text.
    run_id IN ('x', y)
                    ^
Write a list of quoted texts, such as ('a', 'b')."#,
        ),
        (
            Entity::Run,
            "run_id IN ('x'",
            r#"The list for the attribute 'run_id' is not closed.
    run_id IN ('x'
                  ^
Write ) behind its last value."#,
        ),
        (
            Entity::Run,
            "run_id IN ('it''s')",
            r#"A comma is missing in the list for the attribute 'run_id'.
    run_id IN ('it''s')
                   ^
Write a comma between two values. A quotation mark inside a value needs a backslash before it, or the other kind of quotation marks around the value."#,
        ),
        (
            Entity::Run,
            "run_id IN ('\\x4')",
            r#"'\x4' is not a whole escape.
    run_id IN ('\x4')
                ^
Write \n for the end of a line, and \\ for a backslash."#,
        ),
        (
            Entity::Run,
            "run_id IN ('a\nb')",
            r#"A value in a list goes on over the end of a line.
    run_id IN ('a
                 ^
Write \n for the end of a line, and \\ for a backslash."#,
        ),
        (
            Entity::Run,
            "run_id = ('x')",
            r#"A list can only stand behind IN and NOT IN.
    run_id = ('x')
             ^
Put single or double quotation marks around it, such as 'abc'."#,
        ),
        (
            Entity::Run,
            "dataset.source = 'x'",
            r#"'source' is not a field of datasets.
    dataset.source = 'x'
            ^
Runs can be searched by dataset.name, dataset.digest or dataset.context."#,
        ),
        (
            Entity::Run,
            "metrics.a > 1 OR",
            r#"A condition is missing at the end of the filter.
    metrics.a > 1 OR
                    ^
Conditions look like metrics.accuracy > 0.9 AND params.model = 'tree'"#,
        ),
        (
            Entity::Run,
            "OR metrics.a > 1",
            r#"'OR' stands where a condition is expected.
    OR metrics.a > 1
    ^
Conditions look like metrics.accuracy > 0.9 AND params.model = 'tree'"#,
        ),
        (
            Entity::Run,
            "metrics.a > 1 AND ()",
            r#"A condition is missing before the parenthesis.
    metrics.a > 1 AND ()
                       ^
Conditions look like metrics.accuracy > 0.9 AND params.model = 'tree'"#,
        ),
        (
            Entity::Run,
            "NOT",
            r#"A condition is missing behind NOT.
    NOT
       ^
Conditions look like metrics.accuracy > 0.9 AND params.model = 'tree'"#,
        ),
        (
            Entity::Run,
            "(metrics.a > 1 OR metrics.b > 1",
            r#"The parenthesis is not closed.
    (metrics.a > 1 OR metrics.b > 1
    ^
Write ) behind the last condition of its group."#,
        ),
        (
            Entity::Run,
            "metrics.a > 1) OR metrics.b > 1",
            r#"The parenthesis closes none that is open.
    metrics.a > 1) OR metrics.b > 1
                 ^
Leave it out, or write ( where its group begins."#,
        ),
        (
            Entity::Run,
            "metrics.a > 1 metrics.b > 1 OR metrics.c > 1",
            r#"AND or OR is missing before 'metrics'.
    metrics.a > 1 metrics.b > 1 OR metrics.c > 1
                  ^
Say which of them it is."#,
        ),
        (
            Entity::Run,
            "(metrics.a > 1 AND) AND metrics.b > 1",
            r#"'AND' does not stand between two conditions.
    (metrics.a > 1 AND) AND metrics.b > 1
                   ^
Leave it out, or write a condition on both sides of it."#,
        ),
        (
            Entity::Run,
            "metrics.a > 1 OR (params.b RLIKE 'x(y')",
            r#"The param 'b' is compared with a wrong regular expression: unclosed group.
    metrics.a > 1 OR (params.b RLIKE 'x(y')
                                       ^
Write it as Rust's regex crate knows it, such as '^resnet[0-9]+$', or '(?i)adam' to ignore case."#,
        ),
        (
            Entity::Run,
            "params.a RLIKE 1",
            r#"The param 'a' is compared with '1', which is not a quoted text.
    params.a RLIKE 1
                   ^
Put single or double quotation marks around it, such as 'abc'."#,
        ),
        (
            Entity::Run,
            "params.a BETWEEN 'x' AND 'y'",
            r#"The comparator BETWEEN does not fit the param 'a'.
    params.a BETWEEN 'x' AND 'y'
             ^
Accepted there: =, !=, LIKE, NOT LIKE, ILIKE, NOT ILIKE, RLIKE, NOT RLIKE, IN, NOT IN, IS NULL or IS NOT NULL."#,
        ),
        (
            Entity::Run,
            "params.a NOT = 'x'",
            r#"NOT stands behind the param 'a' without a comparator.
    params.a NOT = 'x'
             ^
Accepted there: =, !=, LIKE, NOT LIKE, ILIKE, NOT ILIKE, RLIKE, NOT RLIKE, IN, NOT IN, IS NULL or IS NOT NULL."#,
        ),
        (
            Entity::Run,
            "metrics.a BETWEEN 1, 2",
            r#"AND is missing in the range for the metric 'a'.
    metrics.a BETWEEN 1, 2
                       ^
Write both ends, such as BETWEEN 1 AND 2."#,
        ),
        (
            Entity::Run,
            "metrics.a IN 1",
            r#"A list is missing behind IN for the metric 'a'.
    metrics.a IN 1
                 ^
Write a list of numbers, such as (1, 2)."#,
        ),
        (
            Entity::Run,
            "metrics.a IN ('1')",
            r#"The metric 'a' is compared with the text '1', which is not a number.
    metrics.a IN ('1')
                  ^
Write a number without quotation marks, such as 0.5."#,
        ),
        (
            Entity::Run,
            "metrics.a > 1;",
            r#"A semicolon does not belong into a filter.
    metrics.a > 1;
                 ^
Join conditions with AND or OR."#,
        ),
        (
            Entity::Run,
            "metrics.a > 1 -- x",
            r#"'--' starts a comment, but filters hold none.
    metrics.a > 1 -- x
                  ^
Leave it out, or put quotation marks around it if it belongs to a value."#,
        ),
        (
            Entity::Run,
            "metrics.a > 1 LIMIT 5",
            r#"'LIMIT' stands behind a whole condition.
    metrics.a > 1 LIMIT 5
                  ^
Write AND or OR and the next condition there. A text with blanks or quotation marks in it needs quotation marks around it, a key with other characters than letters, digits, '_' and '.' needs backticks."#,
        ),
        (
            Entity::Run,
            "metrics.a > 1, metrics.b > 1",
            r#"',' stands behind a whole condition.
    metrics.a > 1, metrics.b > 1
                 ^
Write AND or OR and the next condition there. A text with blanks or quotation marks in it needs quotation marks around it, a key with other characters than letters, digits, '_' and '.' needs backticks."#,
        ),
        (
            Entity::Run,
            "metrics.a > 1 AND\nmetrics.b >\n'x'",
            r#"The metric 'b' is compared with the text 'x', which is not a number.
    'x'
    ^
Write a number without quotation marks, such as 0.5."#,
        ),
        (
            Entity::Experiment,
            "attributes.name = 'x'",
            r#"'attributes' is not a kind of key of experiments.
    attributes.name = 'x'
    ^
Experiments can be searched by tags.key, name, experiment_id, creation_time or last_update_time."#,
        ),
        (
            Entity::Experiment,
            "experiment_id = 'x'",
            r#"The attribute 'experiment_id' is compared with the text 'x', which is not a quoted whole number.
    experiment_id = 'x'
                    ^
Write a whole number in quotation marks, such as '1'."#,
        ),
        (
            Entity::Experiment,
            "creation_time > 1.5",
            r#"The attribute 'creation_time' is compared with '1.5', which is not a whole number.
    creation_time > 1.5
                    ^
Write a whole number without quotation marks, such as 1700000000000."#,
        ),
        (
            Entity::Experiment,
            "lifecycle_stage = 'active'",
            r#"'lifecycle_stage' is not an attribute by which experiments can be searched.
    lifecycle_stage = 'active'
    ^
Experiments can be searched by tags.key, name, experiment_id, creation_time or last_update_time."#,
        ),
        (
            Entity::RegisteredModel,
            "timestamp > 1",
            r#"'timestamp' is not an attribute by which registered models can be searched.
    timestamp > 1
    ^
Registered models can be searched by tags.key or name."#,
        ),
        (
            Entity::ModelVersion,
            "version_number = 'x'",
            r#"The attribute 'version_number' is compared with the text 'x', which is not a whole number.
    version_number = 'x'
                     ^
Write a whole number, such as 3."#,
        ),
        (
            Entity::ModelVersion,
            "stage = 'x'",
            r#"'stage' is not an attribute by which model versions can be searched.
    stage = 'x'
    ^
Model versions can be searched by tags.key, name, version_number, run_id or source_path."#,
        ),
        (
            Entity::LoggedModel,
            "metric.acc > 1",
            r#"'metric' is not a kind of key of logged models.
    metric.acc > 1
    ^
Logged models can be searched by metrics.key, params.key, tags.key, name, model_id, model_type, status, source_run_id, creation_timestamp, last_updated_timestamp, experiment_id, artifact_location, lifecycle_stage or status_message."#,
        ),
        (
            Entity::LoggedModel,
            "creation_time > 'x'",
            r#"The attribute 'creation_timestamp' is compared with the text 'x', which is not a number.
    creation_time > 'x'
                    ^
Write a number without quotation marks, such as 1700000000000."#,
        ),
    ];
    for (entity, filter, message) in cases {
        assert_eq!(refused(entity, filter), message);
    }
}

#[test]
fn messages_of_orders() {
    let cases: [(Entity, &[&str], &str); 12] = [
        (
            Entity::Run,
            &[""],
            r#"A key of the order is empty.
    
    ^
Name a key, such as run_id, run_name, status, start_time, end_time, user_id or artifact_uri, and ASC or DESC behind it."#,
        ),
        (
            Entity::Run,
            &["metrics.acc down"],
            r#"'down' stands where the direction of the order is expected.
    metrics.acc down
                ^
Write ASC, DESC or nothing behind the key. A key with other characters than letters, digits, '_' and '.' needs backticks: metrics.`val loss`. Each key is an element of its own in order_by."#,
        ),
        (
            Entity::Run,
            &["metrics.acc DESC NULLS LAST"],
            r#"'NULLS' stands behind the direction of the order.
    metrics.acc DESC NULLS LAST
                     ^
Nothing may follow ASC or DESC. Each key is an element of its own in order_by."#,
        ),
        (
            Entity::Run,
            &["metrics.a-b DESC"],
            r#"'-' stands where the direction of the order is expected.
    metrics.a-b DESC
             ^
Write ASC, DESC or nothing behind the key. A key with other characters than letters, digits, '_' and '.' needs backticks: metrics.`val loss`. Each key is an element of its own in order_by."#,
        ),
        (
            Entity::Run,
            &["metrics.acc, params.a"],
            r#"',' stands where the direction of the order is expected.
    metrics.acc, params.a
               ^
Write ASC, DESC or nothing behind the key. A key with other characters than letters, digits, '_' and '.' needs backticks: metrics.`val loss`. Each key is an element of its own in order_by."#,
        ),
        (
            Entity::Run,
            &["dataset.name"],
            r#"Runs cannot be sorted by 'dataset'.
    dataset.name
    ^
Runs can be sorted by metrics.key, params.key, tags.key, run_id, run_name, status, start_time, end_time, user_id or artifact_uri."#,
        ),
        (
            Entity::Run,
            &["`Run Name`"],
            r#"'Run Name' is not an attribute by which runs can be sorted.
    `Run Name`
    ^
Runs can be sorted by metrics.key, params.key, tags.key, run_id, run_name, status, start_time, end_time, user_id or artifact_uri."#,
        ),
        (
            Entity::Run,
            &["accuracy"],
            r#"'accuracy' is not an attribute by which runs can be sorted.
    accuracy
    ^
Runs can be sorted by metrics.key, params.key, tags.key, run_id, run_name, status, start_time, end_time, user_id or artifact_uri."#,
        ),
        (
            Entity::Run,
            &["start_time", "created"],
            r#"The order names the attribute 'start_time' twice.
    created
    ^
Name each field once."#,
        ),
        (
            Entity::Experiment,
            &["tags.a"],
            r#"Experiments cannot be sorted by 'tags'.
    tags.a
    ^
Experiments can be sorted by name, experiment_id, creation_time or last_update_time."#,
        ),
        (
            Entity::RegisteredModel,
            &["creation_timestamp"],
            r#"'creation_timestamp' is not an attribute by which registered models can be sorted.
    creation_timestamp
    ^
Registered models can be sorted by name or last_updated_timestamp."#,
        ),
        (
            Entity::ModelVersion,
            &["version"],
            r#"'version' is not an attribute by which model versions can be sorted.
    version
    ^
Model versions can be sorted by name, version_number, creation_timestamp or last_updated_timestamp."#,
        ),
    ];
    for (entity, clauses, message) in cases {
        let error = parse_order_by(entity, clauses).expect_err(message);
        assert_eq!(error.to_string(), message);
    }
}

/// A text that some filter can hold: between one kind of marks it is one quotation.
fn writable(text: &str) -> bool {
    let comparison = Comparison { field: param("a"), op: Op::Eq, value: Value::Text(text.to_owned()) };
    let shown = comparison.to_string();
    [r"'", "\""].iter().any(|mark| shown.ends_with(mark)) && parse(Entity::Run, &shown) == Ok(Filter::Is(comparison))
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z_0-9]{1,8}", "[a-z.]{1,8}", "[a-z0-9 ./:-]{1,12}", "[^`'\"\\\\]{1,8}"]
}

fn value_text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z %_]{0,8}", "[a-z'\"\\\\]{0,8}", ".{0,12}"]
        .prop_filter("no filter can hold it", |text| writable(text))
}

/// Comparisons of an entity, of everything that its rules allow.
fn comparisons() -> impl Strategy<Value = (Entity, Comparison)> {
    use super::entity::{KeyKind, Place, ValueKind};
    let entity = proptest::sample::select(&Entity::ALL[..]);
    entity
        .prop_flat_map(|entity| {
            let mut fields: Vec<BoxedStrategy<Field>> = vec![
                proptest::sample::select(entity.attributes(Place::Filter)).prop_map(Field::Attribute).boxed(),
                key().prop_map(Field::Tag).boxed(),
            ];
            if entity.key_kind("params") == Some(KeyKind::Param) {
                fields.push(key().prop_map(Field::Param).boxed());
                fields.push(key().prop_map(Field::Metric).boxed());
            }
            if entity == Entity::Run {
                fields.push(proptest::sample::select(&DatasetField::ALL[..]).prop_map(Field::Dataset).boxed());
            }
            (Just(entity), proptest::strategy::Union::new(fields))
        })
        .prop_flat_map(|(entity, field)| {
            let op = proptest::sample::select(entity.rules(&field).ops);
            (Just(entity), Just(field), op)
        })
        .prop_flat_map(|(entity, field, op)| {
            let fraction =
                any::<f64>().prop_filter("not a number", |number| !number.is_nan()).prop_map(Number::Fraction);
            let whole = any::<i64>().prop_map(Number::Whole);
            let number = match entity.rules(&field).value {
                ValueKind::Metric => fraction.boxed(),
                ValueKind::Number => prop_oneof![fraction, whole].boxed(),
                _ => whole.boxed(),
            };
            let value = match (op, entity.rules(&field).value) {
                (Op::IsNull | Op::IsNotNull, _) => Just(Value::None).boxed(),
                (Op::In | Op::NotIn, ValueKind::QuotedWhole) => {
                    proptest::collection::vec(any::<i64>().prop_map(|id| id.to_string()), 1..4)
                        .prop_map(Value::List)
                        .boxed()
                }
                (Op::In | Op::NotIn, kind) if kind.is_number() => {
                    proptest::collection::vec(number, 1..4).prop_map(Value::Numbers).boxed()
                }
                (Op::In | Op::NotIn, _) => proptest::collection::vec("[^\0]{0,8}", 1..4).prop_map(Value::List).boxed(),
                (Op::Between | Op::NotBetween, _) => {
                    (number.clone(), number).prop_map(|(low, high)| Value::Range(low, high)).boxed()
                }
                (Op::RLike | Op::NotRLike, _) => {
                    proptest::sample::select(&["", "a|b", "^[a-z]+$", r"(?i)\w\d\.", "x{2,5}'"][..])
                        .prop_map(|text| Value::Pattern(Pattern::new(text).unwrap()))
                        .boxed()
                }
                (_, ValueKind::Text | ValueKind::TextOrBare) => value_text().prop_map(Value::Text).boxed(),
                _ => number.prop_map(Value::Number).boxed(),
            };
            (Just(entity), Just(field), Just(op), value)
        })
        .prop_map(|(entity, field, op, value)| (entity, Comparison { field, op, value }))
}

/// A text or a key that ends in a backslash can only be the last of a filter: elsewhere the mark behind it is
/// taken for a part of it.
fn ends_in_backslash(filter: &Filter) -> bool {
    filter.comparisons().into_iter().any(|Comparison { field, value, .. }| {
        let key = match field {
            Field::Metric(key) | Field::Param(key) | Field::Tag(key) => key.as_str(),
            _ => "",
        };
        let text = match value {
            Value::Text(text) => text.as_str(),
            Value::Pattern(pattern) => pattern.text(),
            _ => "",
        };
        key.ends_with('\\') || text.ends_with('\\')
    })
}

/// Trees of comparisons of runs.
fn filters() -> impl Strategy<Value = Filter> {
    let leaf = comparisons()
        .prop_filter("of runs", |(entity, _)| *entity == Entity::Run)
        .prop_map(|(_, comparison)| Filter::Is(comparison))
        .prop_filter("not amidst a filter", |filter| !ends_in_backslash(filter));
    leaf.prop_recursive(5, 24, 4, |part| {
        let parts = proptest::collection::vec(part.clone(), 1..4);
        prop_oneof![parts.clone().prop_map(Filter::all), parts.prop_map(Filter::any), part.prop_map(Filter::not),]
    })
}

/// Pieces of filters, in any order.
fn pieces() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "metrics.", "params.", "tags", "run_id", "status", "`", "'", "\"", "\\", ".", " ", "a", "1", "-", "e", "IN",
        "NOT", "IS", "NULL", "LIKE", "RLIKE", "BETWEEN", "AND", "OR", "(", ")", ",", "=", "!=", ">", ";", "#", "é",
        "🎉", "\n", "\0", "DESC",
    ];
    proptest::collection::vec(proptest::sample::select(PIECES), 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn printed_comparisons_read_back((entity, comparison) in comparisons()) {
        let shown = comparison.to_string();
        prop_assert_eq!(parse(entity, &shown), Ok(Filter::Is(comparison)), "{}", shown);
    }

    #[test]
    fn printed_orders_read_back(key in key(), descending in any::<bool>()) {
        for field in [Field::Metric(key.clone()), Field::Param(key.clone()), Field::Tag(key.clone())] {
            let order = OrderBy { field, descending };
            prop_assert_eq!(parse_order_by(Entity::Run, &[order.to_string()]), Ok(vec![order]));
        }
    }

    #[test]
    fn what_is_read_prints_and_reads_back(filter in pieces()) {
        for entity in Entity::ALL {
            if let Ok(filter) = parse(entity, &filter) && !ends_in_backslash(&filter) {
                let shown = filter.to_string();
                prop_assert_eq!(parse(entity, &shown), Ok(filter), "{}", shown);
            }
        }
    }

    #[test]
    fn any_text_gets_an_answer(text in prop_oneof![any::<String>(), pieces()]) {
        for entity in Entity::ALL {
            if let Err(error) = parse(entity, &text) {
                prop_assert!(text.is_char_boundary(error.position));
                prop_assert_eq!(error.to_string().lines().count(), 4);
            }
            let _ = parse_order_by(entity, &[&text]);
            let _ = parse_order_key(entity, &text);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn printed_filters_read_back(filter in filters()) {
        let shown = filter.to_string();
        prop_assert_eq!(parse(Entity::Run, &shown), Ok(filter), "{}", shown);
    }
}
