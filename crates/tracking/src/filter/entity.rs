//! What each entity allows: kinds of keys, attributes, comparators and values, in filters and in
//! orders, as MLflow 3.17 does.

use super::{Attribute, DatasetField, Entity, Field, Op};

/// Where a key stands. Some attributes can only be searched for, others only be sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Filter,
    Order,
}

/// What stands before the dot of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyKind {
    Attribute,
    Metric,
    Param,
    Tag,
    Dataset,
}

/// What may stand to the right of a comparator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueKind {
    /// A number without quotation marks; always a fraction in the result.
    Metric,
    /// A number without quotation marks.
    Number,
    /// A whole number without quotation marks.
    Whole,
    /// A whole number, with or without quotation marks.
    WholeOrQuoted,
    /// A whole number in quotation marks.
    QuotedWhole,
    /// A text in quotation marks.
    Text,
    /// A text, the quotation marks may be missing.
    TextOrBare,
}

impl ValueKind {
    /// Whether lists and ranges hold numbers.
    pub(super) fn is_number(self) -> bool {
        matches!(self, ValueKind::Metric | ValueKind::Number | ValueKind::Whole | ValueKind::WholeOrQuoted)
    }
}

pub(super) struct Rules {
    pub ops: &'static [Op],
    pub value: ValueKind,
}

const NUMBER_OPS: &[Op] = &[
    Op::Eq,
    Op::Ne,
    Op::Gt,
    Op::Ge,
    Op::Lt,
    Op::Le,
    Op::Between,
    Op::NotBetween,
    Op::In,
    Op::NotIn,
    Op::IsNull,
    Op::IsNotNull,
];
const TEXT_OPS: &[Op] = &[
    Op::Eq,
    Op::Ne,
    Op::Like,
    Op::NotLike,
    Op::ILike,
    Op::NotILike,
    Op::RLike,
    Op::NotRLike,
    Op::In,
    Op::NotIn,
    Op::IsNull,
    Op::IsNotNull,
];
const ID_OPS: &[Op] = &[Op::Eq, Op::Ne, Op::In, Op::NotIn];

impl Entity {
    /// For sentences.
    pub(super) fn plural(self) -> &'static str {
        match self {
            Entity::Run => "runs",
            Entity::Experiment => "experiments",
            Entity::RegisteredModel => "registered models",
            Entity::ModelVersion => "model versions",
            Entity::LoggedModel => "logged models",
        }
    }

    /// A condition to show as an example.
    pub(super) fn example(self) -> &'static str {
        match self {
            Entity::Run => "metrics.accuracy > 0.9 AND params.model = 'tree'",
            Entity::Experiment => "name LIKE 'vision%' AND tags.team = 'core'",
            Entity::RegisteredModel => "name LIKE 'churn%' AND tags.team = 'core'",
            Entity::ModelVersion => "name = 'churn' AND version_number > 3",
            Entity::LoggedModel => "name = 'churn' AND metrics.accuracy > 0.9",
        }
    }

    pub(super) fn key_kind(self, word: &str) -> Option<KeyKind> {
        let kind = match (self, word) {
            (Entity::Run, "metric" | "metrics") => KeyKind::Metric,
            (Entity::Run, "param" | "params" | "parameter" | "parameters") => KeyKind::Param,
            (Entity::Run, "tag" | "tags") => KeyKind::Tag,
            (Entity::Run, "attribute" | "attributes" | "attr" | "run") => KeyKind::Attribute,
            (Entity::Run, "dataset" | "datasets") => KeyKind::Dataset,
            (Entity::LoggedModel, "metrics") => KeyKind::Metric,
            (Entity::LoggedModel, "params") => KeyKind::Param,
            (Entity::LoggedModel, "tags") => KeyKind::Tag,
            (Entity::LoggedModel, "attributes") => KeyKind::Attribute,
            (Entity::Run | Entity::LoggedModel, _) => return None,
            (_, "tag" | "tags") => KeyKind::Tag,
            (_, "attribute") => KeyKind::Attribute,
            _ => return None,
        };
        Some(kind)
    }

    /// The words to name in a message: what can be searched or sorted by key.
    pub(super) fn key_words(self, place: Place) -> &'static [&'static str] {
        match (self, place) {
            (Entity::Run, Place::Filter) => &["metrics", "params", "tags", "attributes", "dataset"],
            (Entity::Run, Place::Order) => &["metrics", "params", "tags", "attributes"],
            (Entity::LoggedModel, Place::Filter) => &["metrics", "params", "tags", "attributes"],
            (Entity::LoggedModel, Place::Order) => &["metrics"],
            (_, Place::Filter) => &["tags", "attribute"],
            (_, Place::Order) => &["attribute"],
        }
    }

    /// Whether an order may hold keys of this kind.
    pub(super) fn sorts_by(self, kind: KeyKind) -> bool {
        match self {
            Entity::Run => kind != KeyKind::Dataset,
            Entity::LoggedModel => matches!(kind, KeyKind::Metric | KeyKind::Attribute),
            _ => kind == KeyKind::Attribute,
        }
    }

    /// Whether an order that names one field twice is refused.
    pub(super) fn refuses_repeated_order(self) -> bool {
        matches!(self, Entity::Run | Entity::RegisteredModel | Entity::ModelVersion)
    }

    /// The attributes under their own names.
    pub(super) fn attributes(self, place: Place) -> &'static [Attribute] {
        use Attribute::*;
        match (self, place) {
            (Entity::Run, _) => &[RunId, RunName, Status, StartTime, EndTime, UserId, ArtifactUri],
            (Entity::Experiment, _) => &[Name, ExperimentId, CreationTime, LastUpdateTime],
            (Entity::RegisteredModel, Place::Filter) => &[Name],
            (Entity::RegisteredModel, Place::Order) => &[Name, LastUpdatedTimestamp],
            (Entity::ModelVersion, Place::Filter) => &[Name, VersionNumber, RunId, SourcePath],
            (Entity::ModelVersion, Place::Order) => &[Name, VersionNumber, CreationTimestamp, LastUpdatedTimestamp],
            (Entity::LoggedModel, _) => &[
                Name,
                ModelId,
                ModelType,
                Status,
                SourceRunId,
                CreationTimestamp,
                LastUpdatedTimestamp,
                ExperimentId,
                ArtifactLocation,
                LifecycleStage,
                StatusMessage,
            ],
        }
    }

    /// The attribute of this name or alias. Case matters.
    pub(super) fn attribute(self, place: Place, name: &str) -> Option<Attribute> {
        let alias = match (self, place, name) {
            (Entity::Run, _, "created" | "Created") => Some(Attribute::StartTime),
            // What the stock UI calls the column; not in an order.
            (Entity::Run, Place::Filter, "run name" | "Run name" | "Run Name") => Some(Attribute::RunName),
            (Entity::RegisteredModel, Place::Order, "timestamp") => Some(Attribute::LastUpdatedTimestamp),
            (Entity::LoggedModel, _, "creation_time" | "creation_timestamp_ms") => Some(Attribute::CreationTimestamp),
            (Entity::LoggedModel, _, "last_updated_timestamp_ms") => Some(Attribute::LastUpdatedTimestamp),
            _ => None,
        };
        alias.or_else(|| self.attributes(place).iter().copied().find(|attribute| attribute.name() == name))
    }

    /// What may be asked of a field in a filter. MLflow knows lists, NULL, ranges and regular
    /// expressions for some of them only; here they fit wherever they make sense.
    pub(super) fn rules(self, field: &Field) -> Rules {
        use Attribute::*;
        let (ops, value) = match (self, field) {
            (_, Field::Metric(_)) => (NUMBER_OPS, ValueKind::Metric),
            (Entity::LoggedModel, Field::Param(_) | Field::Tag(_)) => (TEXT_OPS, ValueKind::TextOrBare),
            (_, Field::Param(_) | Field::Tag(_) | Field::Dataset(_)) => (TEXT_OPS, ValueKind::Text),
            (Entity::LoggedModel, Field::Attribute(CreationTimestamp | LastUpdatedTimestamp)) => {
                (NUMBER_OPS, ValueKind::Number)
            }
            (Entity::LoggedModel, Field::Attribute(_)) => (TEXT_OPS, ValueKind::TextOrBare),
            (_, Field::Attribute(attribute)) => match attribute {
                StartTime | EndTime => (NUMBER_OPS, ValueKind::Number),
                CreationTime | LastUpdateTime => (NUMBER_OPS, ValueKind::Whole),
                VersionNumber => (NUMBER_OPS, ValueKind::WholeOrQuoted),
                ExperimentId => (ID_OPS, ValueKind::QuotedWhole),
                _ => (TEXT_OPS, ValueKind::Text),
            },
        };
        Rules { ops, value }
    }
}

impl DatasetField {
    pub(super) const ALL: [DatasetField; 3] = [DatasetField::Name, DatasetField::Digest, DatasetField::Context];
}

impl Op {
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Op::Eq => "=",
            Op::Ne => "!=",
            Op::Lt => "<",
            Op::Le => "<=",
            Op::Gt => ">",
            Op::Ge => ">=",
            Op::Like => "LIKE",
            Op::NotLike => "NOT LIKE",
            Op::ILike => "ILIKE",
            Op::NotILike => "NOT ILIKE",
            Op::RLike => "RLIKE",
            Op::NotRLike => "NOT RLIKE",
            Op::In => "IN",
            Op::NotIn => "NOT IN",
            Op::Between => "BETWEEN",
            Op::NotBetween => "NOT BETWEEN",
            Op::IsNull => "IS NULL",
            Op::IsNotNull => "IS NOT NULL",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_an_attribute_finds_it() {
        for entity in Entity::ALL {
            for place in [Place::Filter, Place::Order] {
                for attribute in entity.attributes(place) {
                    assert_eq!(entity.attribute(place, attribute.name()), Some(*attribute));
                }
            }
        }
    }

    #[test]
    fn aliases() {
        use Attribute::*;
        let found = [
            (Entity::Run, Place::Filter, "created", Some(StartTime)),
            (Entity::Run, Place::Filter, "Created", Some(StartTime)),
            (Entity::Run, Place::Order, "Created", Some(StartTime)),
            (Entity::Run, Place::Filter, "CREATED", None),
            (Entity::Run, Place::Filter, "Run Name", Some(RunName)),
            (Entity::Run, Place::Filter, "Run name", Some(RunName)),
            (Entity::Run, Place::Filter, "run name", Some(RunName)),
            (Entity::Run, Place::Filter, "RUN NAME", None),
            (Entity::Run, Place::Order, "Run Name", None),
            (Entity::Run, Place::Filter, "experiment_id", None),
            (Entity::Experiment, Place::Filter, "created", None),
            (Entity::RegisteredModel, Place::Order, "timestamp", Some(LastUpdatedTimestamp)),
            (Entity::RegisteredModel, Place::Order, "creation_timestamp", None),
            (Entity::RegisteredModel, Place::Filter, "timestamp", None),
            (Entity::ModelVersion, Place::Filter, "creation_timestamp", None),
            (Entity::ModelVersion, Place::Order, "run_id", None),
            (Entity::LoggedModel, Place::Filter, "creation_time", Some(CreationTimestamp)),
            (Entity::LoggedModel, Place::Order, "creation_timestamp_ms", Some(CreationTimestamp)),
            (Entity::LoggedModel, Place::Filter, "last_updated_time", None),
        ];
        for (entity, place, name, attribute) in found {
            assert_eq!(entity.attribute(place, name), attribute, "{entity:?} {place:?} {name}");
        }
    }
}
