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

fn one(entity: Entity, filter: &str) -> (Field, Op, Value) {
    let mut comparisons = parse(entity, filter).unwrap_or_else(|error| panic!("{filter}\n{error}"));
    assert_eq!(comparisons.len(), 1, "{filter}");
    let Comparison { field, op, value } = comparisons.remove(0);
    (field, op, value)
}

fn refused(entity: Entity, filter: &str) -> String {
    match parse(entity, filter) {
        Ok(comparisons) => panic!("{filter} is accepted as {comparisons:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn no_filter() {
    for filter in ["", "AND", "and And"] {
        assert_eq!(parse(Entity::Run, filter), Ok(vec![]));
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
        (Entity::Run, "metrics.a = 1", Value::Number(1.0)),
        (Entity::Run, "metrics.a = -.5", Value::Number(-0.5)),
        (Entity::Run, "metrics.a = 5.", Value::Number(5.0)),
        (Entity::Run, "metrics.a = 1e+16", Value::Number(1e16)),
        (Entity::Run, "metrics.a = 1e999", Value::Number(f64::INFINITY)),
        (Entity::Run, "start_time = 7", Value::Integer(7)),
        (Entity::Run, "start_time = 007", Value::Integer(7)),
        (Entity::Run, "start_time = -1", Value::Integer(-1)),
        (Entity::Run, "start_time = 1.5", Value::Number(1.5)),
        (Entity::Run, "start_time = 1e3", Value::Number(1000.0)),
        (Entity::Run, "start_time = 9223372036854775807", Value::Integer(i64::MAX)),
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
        (Entity::Experiment, "experiment_id = ' +01 '", Value::Integer(1)),
        (Entity::Experiment, "experiment_id IN (' +01 ', '2')", list(&["1", "2"])),
        (Entity::Experiment, "creation_time = 1", Value::Integer(1)),
        (Entity::ModelVersion, "version_number = 1", Value::Integer(1)),
        (Entity::ModelVersion, "version_number = '1'", Value::Integer(1)),
        (Entity::LoggedModel, "name = m-1/a.b", text("m-1/a.b")),
        (Entity::LoggedModel, "params.a = 1.50", text("1.50")),
        (Entity::LoggedModel, "name = -5", text("-5")),
        (Entity::LoggedModel, "name = \"x\"", text("x")),
        (Entity::LoggedModel, "status IN (1, '2')", list(&["1", "2"])),
        (Entity::LoggedModel, "creation_time = 1", Value::Integer(1)),
        (Entity::LoggedModel, "creation_time = 1.5", Value::Number(1.5)),
    ];
    for (entity, filter, value) in cases {
        assert_eq!(one(entity, filter).2, value, "{filter}");
    }
}

#[test]
fn what_may_be_asked_of_what() {
    use Entity::*;
    let accepted = [
        (Run, "metrics.a", "= != > >= < <="),
        (Run, "params.a", "= != LIKE ILIKE NULL"),
        (Run, "tags.a", "= != LIKE ILIKE NULL"),
        (Run, "dataset.name", "= != LIKE ILIKE IN"),
        (Run, "dataset.digest", "= != LIKE ILIKE IN"),
        (Run, "dataset.context", "= != LIKE ILIKE IN"),
        (Run, "run_id", "= != LIKE ILIKE IN"),
        (Run, "run_name", "= != LIKE ILIKE"),
        (Run, "status", "= != LIKE ILIKE"),
        (Run, "user_id", "= != LIKE ILIKE"),
        (Run, "artifact_uri", "= != LIKE ILIKE"),
        (Run, "start_time", "= != > >= < <="),
        (Run, "end_time", "= != > >= < <="),
        (Experiment, "name", "= != LIKE ILIKE"),
        (Experiment, "experiment_id", "= != IN"),
        (Experiment, "creation_time", "= != > >= < <="),
        (Experiment, "last_update_time", "= != > >= < <="),
        (Experiment, "tags.a", "= != LIKE ILIKE NULL"),
        (RegisteredModel, "name", "= != LIKE ILIKE IN"),
        (RegisteredModel, "tags.a", "= != LIKE ILIKE"),
        (ModelVersion, "name", "= != LIKE ILIKE IN"),
        (ModelVersion, "run_id", "= != LIKE ILIKE IN"),
        (ModelVersion, "source_path", "= != LIKE ILIKE"),
        (ModelVersion, "version_number", "= != > >= < <="),
        (ModelVersion, "tags.a", "= != LIKE ILIKE"),
        (LoggedModel, "metrics.a", "= != > >= < <="),
        (LoggedModel, "params.a", "= != LIKE ILIKE IN"),
        (LoggedModel, "tags.a", "= != LIKE ILIKE IN"),
        (LoggedModel, "name", "= != LIKE ILIKE IN"),
        (LoggedModel, "model_id", "= != LIKE ILIKE IN"),
        (LoggedModel, "status", "= != LIKE ILIKE IN"),
        (LoggedModel, "creation_timestamp", "= != > >= < <="),
        (LoggedModel, "last_updated_timestamp", "= != > >= < <="),
    ];
    for (entity, key, ops) in accepted {
        let ops: Vec<&str> = ops.split(' ').collect();
        let number = ops.contains(&">");
        for op in ["=", "!=", ">", ">=", "<", "<=", "LIKE", "ILIKE"] {
            let filter = format!("{key} {op} {}", if number { "1" } else { "'1'" });
            assert_eq!(parse(entity, &filter).is_ok(), ops.contains(&op), "{entity:?} {filter}");
        }
        for op in ["IN", "NOT IN"] {
            let filter = format!("{key} {op} ('1')");
            assert_eq!(parse(entity, &filter).is_ok(), ops.contains(&"IN"), "{entity:?} {filter}");
        }
        for op in ["IS NULL", "IS NOT NULL"] {
            let filter = format!("{key} {op}");
            assert_eq!(parse(entity, &filter).is_ok(), ops.contains(&"NULL"), "{entity:?} {filter}");
        }
    }
}

#[test]
fn conditions_are_joined() {
    let both = vec![
        Comparison { field: metric("a"), op: Op::Gt, value: Value::Number(1.0) },
        Comparison { field: param("b"), op: Op::Eq, value: text("x") },
    ];
    for filter in [
        "metrics.a > 1 AND params.b = 'x'",
        "metrics.a > 1 and params.b = 'x' And",
        "AND metrics.a > 1 AND AND params.b = 'x'",
        "metrics.a > 1 params.b = 'x'",
        " metrics.a>1AND params.b='x' ",
    ] {
        let expected = if filter.contains("1AND") { None } else { Some(&both) };
        assert_eq!(parse(Entity::Run, filter).ok().as_ref(), expected, "{filter}");
    }
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

    assert!(parse(Entity::Run, &"(".repeat(MAX_BYTES)).is_err());
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
Accepted there: =, !=, >, >=, < or <=."#,
        ),
        (
            Entity::Run,
            "metrics.acc == 1",
            r#"'==' is not a comparator.
    metrics.acc == 1
                ^
Accepted there: =, !=, >, >=, < or <=."#,
        ),
        (
            Entity::Run,
            "metrics.acc LIKE 'x'",
            r#"The comparator LIKE does not fit the metric 'acc'.
    metrics.acc LIKE 'x'
                ^
Accepted there: =, !=, >, >=, < or <=."#,
        ),
        (
            Entity::Run,
            "metrics.acc IS NULL",
            r#"The comparator IS NULL does not fit the metric 'acc'.
    metrics.acc IS NULL
                ^
Accepted there: =, !=, >, >=, < or <=."#,
        ),
        (
            Entity::Run,
            "metrics.val-loss > 1",
            r#"'-' stands behind the metric 'val', where a comparator is expected.
    metrics.val-loss > 1
               ^
Accepted there: =, !=, >, >=, < or <=. A key with other characters than letters, digits, '_' and '.' needs backticks: metrics.`val loss`."#,
        ),
        (
            Entity::Run,
            "metrics.val loss > 1",
            r#"'loss' stands behind the metric 'val', where a comparator is expected.
    metrics.val loss > 1
                ^
Accepted there: =, !=, >, >=, < or <=. A key with other characters than letters, digits, '_' and '.' needs backticks: metrics.`val loss`."#,
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
            "params.a NOT LIKE 'x'",
            r#"NOT is only known in NOT IN and IS NOT NULL.
    params.a NOT LIKE 'x'
             ^
Accepted there: =, !=, LIKE, ILIKE, IS NULL or IS NOT NULL."#,
        ),
        (
            Entity::Run,
            "params.a RLIKE 'x'",
            r#"'RLIKE' is not a comparator.
    params.a RLIKE 'x'
             ^
Accepted there: =, !=, LIKE, ILIKE, IS NULL or IS NOT NULL."#,
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
Accepted there: =, !=, LIKE, ILIKE, IS NULL or IS NOT NULL."#,
        ),
        (
            Entity::Run,
            "params.a = 'C:\\dir\\' AND params.b = 'x'",
            r#"'x' stands behind a whole condition.
    params.a = 'C:\dir\' AND params.b = 'x'
                                         ^
Write AND and the next condition there. A text with blanks or quotation marks in it needs quotation marks around it, a key with other characters than letters, digits, '_' and '.' needs backticks."#,
        ),
        (
            Entity::Run,
            "params.a = 'x' 'y'",
            r#"'y' stands behind a whole condition.
    params.a = 'x' 'y'
                   ^
Write AND and the next condition there. A text with blanks or quotation marks in it needs quotation marks around it, a key with other characters than letters, digits, '_' and '.' needs backticks."#,
        ),
        (
            Entity::Run,
            "status IN ('x')",
            r#"The comparator IN does not fit the attribute 'status'.
    status IN ('x')
           ^
Accepted there: =, !=, LIKE or ILIKE."#,
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
            "metrics.a > 1 OR metrics.b > 1",
            r#"OR is not known in filters.
    metrics.a > 1 OR metrics.b > 1
                  ^
Conditions can only be joined with AND."#,
        ),
        (
            Entity::Run,
            "metrics.a > 1 AND NOT metrics.b > 1",
            r#"NOT is not known in filters.
    metrics.a > 1 AND NOT metrics.b > 1
                      ^
Conditions can only be joined with AND."#,
        ),
        (
            Entity::Run,
            "(metrics.a > 1)",
            r#"A parenthesis stands where a condition is expected.
    (metrics.a > 1)
    ^
Parentheses are only for the list behind IN and NOT IN; conditions are joined with AND."#,
        ),
        (
            Entity::Run,
            "metrics.a > 1;",
            r#"A semicolon does not belong into a filter.
    metrics.a > 1;
                 ^
Join conditions with AND."#,
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
Write AND and the next condition there. A text with blanks or quotation marks in it needs quotation marks around it, a key with other characters than letters, digits, '_' and '.' needs backticks."#,
        ),
        (
            Entity::Run,
            "metrics.a > 1, metrics.b > 1",
            r#"',' stands behind a whole condition.
    metrics.a > 1, metrics.b > 1
                 ^
Write AND and the next condition there. A text with blanks or quotation marks in it needs quotation marks around it, a key with other characters than letters, digits, '_' and '.' needs backticks."#,
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
            "tags.a IS NULL",
            r#"The comparator IS NULL does not fit the tag 'a'.
    tags.a IS NULL
           ^
Accepted there: =, !=, LIKE or ILIKE."#,
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
    [r"'", "\""].iter().any(|mark| shown.ends_with(mark)) && parse(Entity::Run, &shown) == Ok(vec![comparison])
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
            let number = any::<f64>().prop_filter("not a number", |number| !number.is_nan()).prop_map(Value::Number);
            let whole = any::<i64>().prop_map(Value::Integer);
            let value = match (op, entity.rules(&field).value) {
                (Op::IsNull | Op::IsNotNull, _) => Just(Value::None).boxed(),
                (Op::In | Op::NotIn, ValueKind::QuotedWhole) => {
                    proptest::collection::vec(any::<i64>().prop_map(|id| id.to_string()), 1..4)
                        .prop_map(Value::List)
                        .boxed()
                }
                (Op::In | Op::NotIn, _) => proptest::collection::vec("[^\0]{0,8}", 1..4).prop_map(Value::List).boxed(),
                (_, ValueKind::Metric) => number.boxed(),
                (_, ValueKind::Number) => prop_oneof![number, whole].boxed(),
                (_, ValueKind::Whole | ValueKind::WholeOrQuoted | ValueKind::QuotedWhole) => whole.boxed(),
                (_, ValueKind::Text | ValueKind::TextOrBare) => value_text().prop_map(Value::Text).boxed(),
            };
            (Just(entity), Just(field), Just(op), value)
        })
        .prop_map(|(entity, field, op, value)| (entity, Comparison { field, op, value }))
}

/// Pieces of filters, in any order.
fn pieces() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "metrics.", "params.", "tags", "run_id", "status", "`", "'", "\"", "\\", ".", " ", "a", "1", "-", "e", "IN",
        "NOT", "IS", "NULL", "LIKE", "AND", "OR", "(", ")", ",", "=", "!=", ">", ";", "#", "é", "🎉", "\n", "\0",
        "DESC",
    ];
    proptest::collection::vec(proptest::sample::select(PIECES), 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn printed_comparisons_read_back((entity, comparison) in comparisons()) {
        let shown = comparison.to_string();
        prop_assert_eq!(parse(entity, &shown), Ok(vec![comparison]), "{}", shown);
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
            for comparison in parse(entity, &filter).into_iter().flatten() {
                let shown = comparison.to_string();
                prop_assert_eq!(parse(entity, &shown), Ok(vec![comparison]), "{}", shown);
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
