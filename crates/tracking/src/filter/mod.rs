//! The search language: MLflow's `metrics.acc > 0.9 AND params.model = 'tree'`, and what its users
//! miss there: OR, NOT, parentheses, lists and NULL for every key, ranges, regular expressions.
//!
//! [`parse`] turns a filter into a [`Filter`], a tree with typed comparisons as its leaves;
//! [`parse_order_by`] turns `key [ASC|DESC]` into typed keys. What comes out fits its entity (the
//! attribute exists, the comparator fits the key, the value has the right type), so that writing SQL
//! from it cannot fail. No SQL is written here.
//!
//! - `lexer.rs`: text into words, numbers, quotations and marks. Quotations end where MLflow's end.
//! - `parser.rs`: OR, AND, NOT and parentheses around conditions. A condition is `key comparator
//!   value`, read by `comparison.rs` with `key.rs` and `value.rs`.
//! - `tree.rs`: the tree, always in its simplest form.
//! - `pattern.rs`: regular expressions, of a size that every engine can search with.
//! - `order_by.rs`: the order of a search.
//! - `entity.rs`: what each entity allows: kinds of keys, attributes and their aliases, comparators.
//! - `error.rs`: what a person reads who made a mistake: the place, and what is accepted there.
//!
//! What MLflow 3.17 accepts is accepted and means the same, including AND in front, at the end,
//! doubled or left out between two conditions; `compat/differential/test_filter.py` compares both
//! and lists every difference with its reason. For users: `docs/reference/search.md`.

mod comparison;
mod entity;
mod error;
mod key;
mod lexer;
mod order_by;
mod parser;
mod pattern;
mod print;
#[cfg(test)]
mod tests;
mod tree;
mod value;

pub use error::FilterError;
pub use order_by::{OrderBy, parse_order_by, parse_order_key};
pub use parser::parse;
pub use pattern::{Pattern, PatternError};
pub use tree::Filter;

/// The longest filter or order key that is read, in bytes. A list of some thousand run ids fits.
pub const MAX_BYTES: usize = 1 << 20;
/// The most comparisons in one filter.
pub const MAX_COMPARISONS: usize = 1_000;
/// How deep NOT and parentheses may be nested.
pub const MAX_DEPTH: usize = 100;
/// The longest text behind LIKE, in bytes, which is SQLite's limit too.
pub const MAX_LIKE_BYTES: usize = 50_000;
/// The most values in one list. SQLite takes 32,766 parameters in a statement.
pub const MAX_LIST_VALUES: usize = 10_000;
/// The most keys in one order.
pub const MAX_ORDER_KEYS: usize = 100;

/// What is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Entity {
    Run,
    Experiment,
    RegisteredModel,
    ModelVersion,
    LoggedModel,
}

impl Entity {
    pub const ALL: [Entity; 5] =
        [Entity::Run, Entity::Experiment, Entity::RegisteredModel, Entity::ModelVersion, Entity::LoggedModel];
}

/// What a condition compares, or what an order sorts by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    Attribute(Attribute),
    Metric(String),
    Param(String),
    Tag(String),
    /// Only in filters of runs.
    Dataset(DatasetField),
}

/// An attribute under its one name; `created` has become [`Attribute::StartTime`] here.
///
/// Which of them can occur depends on the entity and on filter or order: see `entity.rs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attribute {
    ArtifactLocation,
    ArtifactUri,
    /// Of an experiment.
    CreationTime,
    /// Of a model version (order only) and a logged model.
    CreationTimestamp,
    EndTime,
    ExperimentId,
    /// Of an experiment.
    LastUpdateTime,
    /// Of a registered model and a model version (order only), and a logged model.
    LastUpdatedTimestamp,
    LifecycleStage,
    ModelId,
    ModelType,
    Name,
    RunId,
    RunName,
    SourcePath,
    SourceRunId,
    StartTime,
    /// Of a run the name (`FINISHED`), of a logged model the number as text (`2`), as MLflow does.
    Status,
    StatusMessage,
    UserId,
    VersionNumber,
}

impl Attribute {
    /// Whether it holds a time or a number, not a text. An experiment's id is searched like a text.
    pub fn is_numeric(self) -> bool {
        use Attribute::*;
        matches!(
            self,
            CreationTime
                | CreationTimestamp
                | EndTime
                | LastUpdateTime
                | LastUpdatedTimestamp
                | StartTime
                | VersionNumber
        )
    }

    /// The name that filters and orders use.
    pub fn name(self) -> &'static str {
        match self {
            Attribute::ArtifactLocation => "artifact_location",
            Attribute::ArtifactUri => "artifact_uri",
            Attribute::CreationTime => "creation_time",
            Attribute::CreationTimestamp => "creation_timestamp",
            Attribute::EndTime => "end_time",
            Attribute::ExperimentId => "experiment_id",
            Attribute::LastUpdateTime => "last_update_time",
            Attribute::LastUpdatedTimestamp => "last_updated_timestamp",
            Attribute::LifecycleStage => "lifecycle_stage",
            Attribute::ModelId => "model_id",
            Attribute::ModelType => "model_type",
            Attribute::Name => "name",
            Attribute::RunId => "run_id",
            Attribute::RunName => "run_name",
            Attribute::SourcePath => "source_path",
            Attribute::SourceRunId => "source_run_id",
            Attribute::StartTime => "start_time",
            Attribute::Status => "status",
            Attribute::StatusMessage => "status_message",
            Attribute::UserId => "user_id",
            Attribute::VersionNumber => "version_number",
        }
    }
}

/// What can be asked of the datasets that a run used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DatasetField {
    Name,
    Digest,
    /// The input's tag `mlflow.data.context`.
    Context,
}

impl DatasetField {
    pub fn name(self) -> &'static str {
        match self {
            DatasetField::Name => "name",
            DatasetField::Digest => "digest",
            DatasetField::Context => "context",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    /// `%` and `_` stand for any text and any character; nothing escapes them. Case matters.
    Like,
    NotLike,
    /// As LIKE, but `A` to `Z` count as `a` to `z`.
    ILike,
    NotILike,
    /// A regular expression that matches anywhere in the text.
    RLike,
    NotRLike,
    In,
    NotIn,
    /// Both ends belong to the range.
    Between,
    NotBetween,
    IsNull,
    IsNotNull,
}

/// The right side of a comparison, of the type that its field and comparator ask for.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Number(Number),
    /// What stood between the quotation marks, unchanged: nothing is unescaped, as in MLflow.
    Text(String),
    /// After IN and NOT IN, never empty. Escapes are read as MLflow reads them: as Python's.
    /// The ids of experiments are whole numbers, written plainly.
    List(Vec<String>),
    /// After IN and NOT IN of a field that holds numbers, never empty.
    Numbers(Vec<Number>),
    /// After BETWEEN and NOT BETWEEN. Nothing lies between 2 and 1.
    Range(Number, Number),
    /// After RLIKE and NOT RLIKE.
    Pattern(Pattern),
    /// After IS NULL and IS NOT NULL.
    None,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Every metric, and a time written with a fraction or an exponent. Never NaN; `1e999` is
    /// infinity.
    Fraction(f64),
    /// A time, `version_number`, and `experiment_id` of an experiment.
    Whole(i64),
}

/// One condition. It does not hold where its field is missing, unless it asks for just that by IS
/// NULL: also `!=`, NOT IN, NOT LIKE and the like want a value to be there, as MLflow's `!=` does.
/// [`Filter::Not`] is the one that turns "missing" into "found".
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    pub field: Field,
    pub op: Op,
    pub value: Value,
}
