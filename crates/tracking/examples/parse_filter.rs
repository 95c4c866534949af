//! Parses filters and orders that come as JSON lines, one answer a line: for the comparison with
//! MLflow's own parser, and to try a filter by hand.
//!
//! ```text
//! $ echo '{"entity": "run", "filter": "metrics.acc > 0.9"}' | parse_filter
//! {"comparisons":[["metric","acc",">",0.9]],"filter":"metrics.acc > 0.9","ok":true}
//! ```
//!
//! `filter` is how it was read, in one spelling; `comparisons` are missing where it is more than a list of them.
//!
//! A question is `{entity, filter}` or `{entity, order_by: [..]}`. For logged models the elements of
//! `order_by` are bare field names.

use std::io::{self, BufRead, Write};

use serde::Deserialize;
use serde_json::{Value as Json, json};
use trackway_tracking::filter::{self, Comparison, Entity, Field, Filter, FilterError, Number, OrderBy, Value};

#[derive(Deserialize)]
struct Question {
    entity: Name,
    filter: Option<String>,
    #[serde(default)]
    order_by: Vec<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Name {
    Run,
    Experiment,
    RegisteredModel,
    ModelVersion,
    LoggedModel,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let question: Question = serde_json::from_str(&line?)?;
        let entity = match question.entity {
            Name::Run => Entity::Run,
            Name::Experiment => Entity::Experiment,
            Name::RegisteredModel => Entity::RegisteredModel,
            Name::ModelVersion => Entity::ModelVersion,
            Name::LoggedModel => Entity::LoggedModel,
        };
        let answer = match question.filter {
            Some(text) => answer_filter(entity, &text),
            None => answer_order(entity, &question.order_by),
        };
        let answer = answer.unwrap_or_else(|error| json!({"ok": false, "message": error.to_string()}));
        writeln!(out, "{answer}")?;
    }
    Ok(out.flush()?)
}

fn answer_filter(entity: Entity, text: &str) -> Result<Json, FilterError> {
    let filter = filter::parse(entity, text)?;
    let mut answer = json!({"ok": true, "filter": filter.to_string()});
    let comparisons = filter.conjuncts().iter().map(|part| match part {
        Filter::Is(part) => Some(comparison(part)),
        _ => None,
    });
    if let Some(comparisons) = comparisons.collect::<Option<Vec<Json>>>() {
        answer["comparisons"] = Json::from(comparisons);
    }
    Ok(answer)
}

fn comparison(comparison: &Comparison) -> Json {
    let (kind, key) = field(&comparison.field);
    let value = match &comparison.value {
        Value::Number(value) => number(value),
        Value::Range(low, high) => json!([number(low), number(high)]),
        Value::Numbers(numbers) => numbers.iter().map(number).collect(),
        Value::Text(text) => json!(text),
        Value::Pattern(pattern) => json!(pattern.text()),
        Value::List(values) => json!(values),
        Value::None => Json::Null,
    };
    json!([kind, key, comparison.op.to_string(), value])
}

fn number(number: &Number) -> Json {
    match number {
        // JSON has no infinity.
        Number::Fraction(number) if number.is_infinite() => json!(number.to_string()),
        Number::Fraction(number) => json!(number),
        Number::Whole(number) => json!(number),
    }
}

fn answer_order(entity: Entity, clauses: &[String]) -> Result<Json, FilterError> {
    let order = if entity == Entity::LoggedModel {
        let fields = clauses.iter().map(|name| filter::parse_order_key(entity, name));
        let ascending = |field| OrderBy { field, descending: false };
        fields.map(|field| field.map(ascending)).collect::<Result<Vec<_>, _>>()?
    } else {
        filter::parse_order_by(entity, clauses)?
    };
    let keys = order.iter().map(|key| {
        let (kind, name) = field(&key.field);
        json!([kind, name, !key.descending])
    });
    Ok(json!({"ok": true, "order_by": keys.collect::<Vec<_>>()}))
}

fn field(field: &Field) -> (&'static str, &str) {
    match field {
        Field::Attribute(attribute) => ("attribute", attribute.name()),
        Field::Metric(key) => ("metric", key),
        Field::Param(key) => ("parameter", key),
        Field::Tag(key) => ("tag", key),
        Field::Dataset(field) => ("dataset", field.name()),
    }
}
