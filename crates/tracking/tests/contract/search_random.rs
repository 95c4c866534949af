//! Random filters over random runs, against what the filter's tree says of each run: so both engines answer alike.

use std::collections::HashSet;

use trackway_tracking::filter::{
    self, Attribute, Comparison, DatasetField, Entity, Field, Filter, Number, Op, Pattern, Value,
};
use trackway_tracking::{Run, RunSearch, RunStatus, RunUpdate};

use crate::{Fresh, fresh, param, point, run, tag};

/// The same numbers on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound
    }

    fn one<'a, T: ?Sized>(&mut self, of: &[&'a T]) -> &'a T {
        of[self.below(of.len())]
    }
}

/// Values that engines might see differently: case, blanks, other alphabets, control characters, NUL.
const TEXTS: &[&str] = &[
    "",
    "a",
    "A",
    "ab",
    "aB",
    "abc",
    "b",
    "ba",
    "a b",
    "a\nb",
    "\n",
    "a\r\nb",
    "é",
    "É",
    "éa",
    "ß",
    "日本",
    "🎉",
    "a🎉b",
    "1",
    "10",
    "x1",
    "_",
    "%",
    "a_b",
    "a%b",
    "-",
    "a-b",
    "a.b",
    "\0",
    "a\0b",
    "\u{1}",
    "a\u{1}",
    "\u{2}",
    "\u{1}\u{2}",
    "\u{1}\u{1}",
    "\0\0",
    "\0\u{1}b",
    "\\",
    "a\\",
    "[a]",
    "(a|b)",
    "^a$",
    "***:a",
    "İ",
    "ı",
    "K",
    "ſ",
    "\u{10ffff}",
];
const NUMBERS: &[f64] = &[0.0, -0.0, 0.5, 1.0, -1.0, 1e300, -1e300, 5e-324, f64::INFINITY, f64::NEG_INFINITY, f64::NAN];
const LIKES: &[&str] =
    &["%", "_", "a%", "%b", "a_b", "%_%", "__", "A%", "%é%", "_%_", "%\u{2}%", "%\u{1}%", "a", "", "%a%b%"];
const PATTERNS: &[&str] = &[
    "",
    "a",
    "^a",
    "a$",
    "^a$",
    "a|b",
    "(?i)a",
    "(?i)É",
    "(?i)k",
    "(?i)s",
    "(?i)ß",
    ".",
    "^.$",
    "(?s)^.$",
    "a.b",
    "(?s)a.b",
    r"\w",
    r"^\w+$",
    r"\W",
    r"\d",
    r"\s",
    r"\b",
    r"\ba",
    r"a\b",
    r"\Ba",
    r"(?-u:\b)a",
    r"(?m)^b",
    r"(?m)a$",
    r"(?mR)^b",
    r"(?mR)a$",
    "[^a]",
    "^[^a]$",
    "[[:alpha:]]",
    r"[\x00-\x02]",
    r"^[\x00-\x01]{2}$",
    r"\x00",
    r"\x01",
    r"\x02",
    r"^\x02",
    "a*",
    "^a{2}",
    "^.{0,2}$",
    "^.{3,}$",
    "(a|)b",
    "(?:)*",
    "^*",
    "(^|b)a",
    "[a&&b]",
    r"\\",
    r"\[a\]",
    r"\*\*\*",
    "日|🎉",
    r"\u{10FFFF}",
    r"\b{start}a",
    r"b\b{end}",
    r"\b{start-half}a",
    r"(?i)^i$",
    "(ab|a)(c|bcd)?$",
    "^(a|ab)(bc|c)?$",
    "((a*)*)*b",
    r"^(?:\w\W?){1,3}$",
];

fn filter_text(random: &mut Random, depth: usize) -> String {
    if depth > 0 && random.below(3) > 0 {
        let (left, right) = (filter_text(random, depth - 1), filter_text(random, depth - 1));
        return match random.below(4) {
            0 => format!("({left}) AND ({right})"),
            1 => format!("({left}) OR ({right})"),
            2 => format!("NOT ({left})"),
            _ => format!("NOT ({left} AND NOT ({right}))"),
        };
    }
    // Texts with both kinds of marks, or a backslash at their end, cannot be written; lists can hold all.
    let quoted = |text: &str| format!("'{text}'");
    let listed = |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r"));
    let plain: Vec<&str> = TEXTS.iter().copied().filter(|text| !text.ends_with('\\')).collect();
    match random.below(5) {
        0 | 1 => {
            let key = random.one(&[
                "params.p",
                "tags.t",
                "tags.`u v`",
                "run_name",
                "params.none",
                "dataset.name",
                "dataset.context",
            ]);
            match random.below(8) {
                0 => format!("{key} {} {}", random.one(&["=", "!="]), quoted(random.one(&plain))),
                1 | 2 => format!(
                    "{key} {} {}",
                    random.one(&["LIKE", "ILIKE", "NOT LIKE", "NOT ILIKE"]),
                    quoted(random.one(LIKES))
                ),
                3..=5 => format!("{key} {} {}", random.one(&["RLIKE", "NOT RLIKE"]), quoted(random.one(PATTERNS))),
                6 => {
                    let list: Vec<_> = (0..=random.below(4)).map(|_| listed(random.one(TEXTS))).collect();
                    format!("{key} {} ({})", random.one(&["IN", "NOT IN"]), list.join(", "))
                }
                _ => format!("{key} {}", random.one(&["IS NULL", "IS NOT NULL"])),
            }
        }
        _ => {
            let key = random.one(&["metrics.m", "metrics.n", "start_time", "end_time", "metrics.none"]);
            let mut number = || {
                random
                    .one(&["0", "1", "-1", "0.5", "100", "101.5", "103", "1e300", "1e999", "-1e999", "104.0"])
                    .to_owned()
            };
            let (one, two) = (number(), number());
            match random.below(9) {
                0..=5 => format!("{key} {} {one}", random.one(&["=", "!=", "<", "<=", ">", ">="])),
                6 => format!("{key} {} {one} AND {two}", random.one(&["BETWEEN", "NOT BETWEEN"])),
                7 => format!("{key} {} ({one}, {two})", random.one(&["IN", "NOT IN"])),
                _ => format!("{key} {}", random.one(&["IS NULL", "IS NOT NULL"])),
            }
        }
    }
}

/// What the tree says of a run.
fn holds(filter: &Filter, run: &Run) -> bool {
    match filter {
        Filter::All(parts) => parts.iter().all(|part| holds(part, run)),
        Filter::Any(parts) => parts.iter().any(|part| holds(part, run)),
        Filter::Not(part) => !holds(part, run),
        Filter::Is(Comparison { field, op, value }) => {
            let found = found(field, run);
            match op {
                Op::IsNull => found.is_empty(),
                Op::IsNotNull => !found.is_empty(),
                _ => found.iter().any(|found| match found {
                    Found::Text(text) => text_holds(text, *op, value),
                    Found::Number(number) => number_holds(*number, *op, value),
                }),
            }
        }
    }
}

enum Found {
    Text(String),
    Number(f64),
}

fn found(field: &Field, run: &Run) -> Vec<Found> {
    let value = |found: Option<&String>| found.into_iter().cloned().map(Found::Text).collect();
    match field {
        Field::Param(key) => value(run.params.iter().find(|param| param.key == *key).map(|param| &param.value)),
        Field::Tag(key) => value(run.tags.iter().find(|tag| tag.key == *key).map(|tag| &tag.value)),
        Field::Metric(key) => {
            run.metrics.iter().filter(|metric| metric.key == *key).map(|metric| Found::Number(metric.value)).collect()
        }
        Field::Attribute(Attribute::RunName) => vec![Found::Text(run.info.name.clone())],
        Field::Attribute(Attribute::StartTime) => vec![Found::Number(run.info.start_time as f64)],
        Field::Attribute(Attribute::EndTime) => {
            run.info.end_time.into_iter().map(|time| Found::Number(time as f64)).collect()
        }
        Field::Dataset(field) => {
            assert!(matches!(field, DatasetField::Name | DatasetField::Context));
            vec![]
        }
        other => panic!("{other:?} is not asked for"),
    }
}

fn text_holds(text: &str, op: Op, value: &Value) -> bool {
    match (op, value) {
        (Op::Eq, Value::Text(other)) => text == other,
        (Op::Ne, Value::Text(other)) => text != other,
        (Op::In, Value::List(list)) => list.iter().any(|other| text == other),
        (Op::NotIn, Value::List(list)) => !list.iter().any(|other| text == other),
        (Op::RLike, Value::Pattern(pattern)) => pattern.is_match(text),
        (Op::NotRLike, Value::Pattern(pattern)) => !pattern.is_match(text),
        (Op::Like, Value::Text(like)) => is_like(text, like),
        (Op::NotLike, Value::Text(like)) => !is_like(text, like),
        (Op::ILike, Value::Text(like)) => is_like(&text.to_ascii_lowercase(), &like.to_ascii_lowercase()),
        (Op::NotILike, Value::Text(like)) => !is_like(&text.to_ascii_lowercase(), &like.to_ascii_lowercase()),
        other => panic!("{other:?} is no comparison of a text"),
    }
}

fn is_like(text: &str, like: &str) -> bool {
    let pattern: String = like
        .chars()
        .map(|character| match character {
            '%' => "(?s:.*)".to_owned(),
            '_' => "(?s:.)".to_owned(),
            other => format!("\\x{{{:x}}}", u32::from(other)),
        })
        .collect();
    Pattern::new(&format!("^{pattern}$")).unwrap().is_match(text)
}

fn number_holds(number: f64, op: Op, value: &Value) -> bool {
    let real = |number: &Number| match number {
        Number::Whole(number) => *number as f64,
        Number::Fraction(number) => *number,
    };
    match (op, value) {
        (Op::Eq, Value::Number(other)) => number == real(other),
        (Op::Ne, Value::Number(other)) => number != real(other),
        (Op::Lt, Value::Number(other)) => number < real(other),
        (Op::Le, Value::Number(other)) => number <= real(other),
        (Op::Gt, Value::Number(other)) => number > real(other),
        (Op::Ge, Value::Number(other)) => number >= real(other),
        (Op::In, Value::Numbers(list)) => list.iter().any(|other| number == real(other)),
        (Op::NotIn, Value::Numbers(list)) => !list.iter().any(|other| number == real(other)),
        (Op::Between, Value::Range(low, high)) => number >= real(low) && number <= real(high),
        (Op::NotBetween, Value::Range(low, high)) => !(number >= real(low) && number <= real(high)),
        other => panic!("{other:?} is no comparison of a number"),
    }
}

fn search(filter: &str) -> RunSearch {
    RunSearch { experiment_ids: vec![0], filter: filter.to_owned(), max_results: 1000, ..RunSearch::default() }
}

async fn filled(random: &mut Random) -> Fresh {
    let fresh = fresh().await;
    let store = &fresh.store;
    for (number, text) in TEXTS.iter().enumerate() {
        let name = if text.is_empty() { "a" } else { text };
        let id = run(store, name, 100 + number as i64 / 8).await.info.run_id;
        let mut metrics = vec![];
        for key in ["m", "n"] {
            if random.below(4) > 0 {
                metrics.push(point(key, 0, 0, NUMBERS[random.below(NUMBERS.len())]));
            }
        }
        let params = vec![param("p", text)];
        let mut tags = vec![];
        for key in ["t", "u v"] {
            if random.below(4) > 0 {
                tags.push(tag(key, random.one(TEXTS)));
            }
        }
        store.log_batch(id.clone(), metrics, params, tags).await.unwrap();
        if random.below(2) == 0 {
            let end = RunUpdate {
                status: Some(RunStatus::Finished),
                end_time: Some(100 + random.below(5) as i64),
                name: None,
            };
            store.update_run(id.clone(), end).await.unwrap();
        }
        // Runs that go on after their end.
        if random.below(5) == 0 {
            let value = NUMBERS[random.below(NUMBERS.len())];
            store.log_metric(id, point("m", 1, 1, value)).await.unwrap();
        }
    }
    fresh
}

#[tokio::test]
async fn random_filters_find_what_their_tree_says() {
    let mut random = Random(7);
    let fresh = filled(&mut random).await;
    let store = &fresh.store;
    let all = store.search_runs(search("")).await.unwrap().items;
    assert_eq!(all.len(), TEXTS.len());
    let mut filters: Vec<String> = PATTERNS.iter().map(|pattern| format!("params.p RLIKE '{pattern}'")).collect();
    filters
        .extend(LIKES.iter().flat_map(|like| [format!("params.p LIKE '{like}'"), format!("params.p ILIKE '{like}'")]));
    filters.extend((0..200).map(|number| filter_text(&mut random, number % 4)));
    for text in filters {
        let filter = filter::parse(Entity::Run, &text).unwrap_or_else(|error| panic!("{error}"));
        let expected: HashSet<&str> =
            all.iter().filter(|run| holds(&filter, run)).map(|run| run.info.run_id.as_str()).collect();
        let found = store.search_runs(search(&text)).await.unwrap_or_else(|error| panic!("{text:?}: {error}")).items;
        let found: HashSet<&str> = found.iter().map(|run| run.info.run_id.as_str()).collect();
        let wrong: Vec<&Run> = all
            .iter()
            .filter(|run| expected.contains(&*run.info.run_id) != found.contains(&*run.info.run_id))
            .collect();
        assert!(wrong.is_empty(), "{text:?} is answered wrongly for {:?}", wrong[0]);
    }
}

/// What comes first in an order: of values, NaN, missing ones.
fn in_order(all: &mut [&Run], key: &str, descending: bool) {
    let value = |run: &Run| run.metrics.iter().find(|metric| metric.key == key).map(|metric| metric.value);
    all.sort_by(|left, right| {
        let kind = |value: Option<f64>| value.map_or(2, |value| i32::from(value.is_nan()));
        let (a, b) = (value(left), value(right));
        let values = match (a, b) {
            (Some(a), Some(b)) if !a.is_nan() && !b.is_nan() => a.partial_cmp(&b).unwrap(),
            _ => std::cmp::Ordering::Equal,
        };
        let values = if descending { values.reverse() } else { values };
        let newest_first = right.info.start_time.cmp(&left.info.start_time);
        kind(a).cmp(&kind(b)).then(values).then(newest_first).then(left.info.run_id.cmp(&right.info.run_id))
    });
}

#[tokio::test]
async fn pages_have_every_run_once_whatever_way_a_search_goes() {
    let mut random = Random(11);
    let fresh = filled(&mut random).await;
    let all = fresh.store.search_runs(search("")).await.unwrap().items;
    for (number, order) in
        ["", "metrics.m", "metrics.m DESC", "metrics.n DESC", "metrics.none"].iter().cycle().take(30).enumerate()
    {
        let text = match number % 4 {
            0 => String::new(),
            1 => format!("params.p = '{}' OR metrics.m > 0", TEXTS[1 + random.below(5)]),
            2 => random
                .one(&[
                    "metrics.m >= 0",
                    "metrics.n <= 1",
                    "tags.t IN ('a', 'b', 'é', '')",
                    "params.p = 'ab'",
                    "metrics.m = 1",
                ])
                .to_owned(),
            _ => filter_text(&mut random, 2),
        };
        let filter = filter::parse(Entity::Run, &text).unwrap();
        let mut expected: Vec<&Run> = all.iter().filter(|run| holds(&filter, run)).collect();
        let (key, descending) = order.strip_suffix(" DESC").map_or((*order, false), |key| (key, true));
        in_order(&mut expected, key.trim_start_matches("metrics."), descending);
        let expected: Vec<&str> = expected.iter().map(|run| run.info.run_id.as_str()).collect();
        let limit = [3, 11, 1000][random.below(3)];
        let order_by: Vec<String> = if order.is_empty() { vec![] } else { vec![(*order).to_owned()] };
        let (mut found, mut token) = (vec![], None);
        loop {
            let part = RunSearch {
                max_results: limit,
                count: token.is_none(),
                page_token: token,
                order_by: order_by.clone(),
                ..search(&text)
            };
            let part = fresh.store.search_and_count_runs(part).await.unwrap();
            assert!(part.total.is_none_or(|total| total == expected.len() as u64), "{text:?}: {:?}", part.total);
            found.extend(part.page.items.into_iter().map(|run| run.info.run_id));
            token = part.page.next_page_token;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "{text:?} by {order:?}, pages of {limit}");
    }
}
