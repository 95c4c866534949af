//! Keys: `status`, `metrics.acc`, ``params.`learning rate` ``.

use super::entity::{KeyKind, Place};
use super::error::{FilterError, either, named};
use super::lexer::{Kind, Lexer};
use super::parser::unclosed;
use super::{DatasetField, Entity, Field};

/// Reads `key`, `kind.key` or ``kind.`any key` ``, of a filter or an order.
pub(super) fn read_key(entity: Entity, place: Place, lexer: &mut Lexer<'_>) -> Result<Field, FilterError> {
    let first = lexer.next();
    let text = lexer.text;
    let no_key = || {
        let message = format!("{} stands where a key is expected.", named(&text[first.start..first.end]));
        let help = format!("A key comes first, its value behind the comparator: {}", entity.example());
        FilterError::new(text, first.start, message, help)
    };
    if lexer.adjacent() != Some('.') {
        let key = match first.kind {
            Kind::Word => lexer.slice(first),
            Kind::Backticked => lexer.inner(first),
            Kind::Quoted if lexer.slice(first).starts_with('"') => lexer.inner(first),
            Kind::Unclosed => return Err(unclosed(lexer, first)),
            _ => return Err(no_key()),
        };
        return checked_field(entity, place, text, None, key, first.start);
    }
    let kind = match first.kind {
        Kind::Word => lexer.slice(first),
        // As MLflow for runs; double quotes are refused there.
        Kind::Backticked => lexer.inner(first),
        Kind::Unclosed => return Err(unclosed(lexer, first)),
        Kind::Quoted => {
            let message = format!("Quotation marks stand around {}, the kind of a key.", named(lexer.inner(first)));
            let help = format!("Leave them out: {}", entity.example());
            return Err(FilterError::new(text, first.start, message, help));
        }
        _ => return Err(no_key()),
    };
    let (mut key, mut key_start, mut parts) = (String::new(), first.end, 0);
    while lexer.adjacent() == Some('.') {
        let part = lexer.key_part();
        let quoted = matches!(part.kind, Kind::Quoted | Kind::Backticked);
        let piece = match part.kind {
            Kind::Unclosed => return Err(unclosed(lexer, part)),
            // As MLflow: backticks inside of quotation marks are taken off too.
            Kind::Quoted => strip_backticks(lexer.inner(part)),
            Kind::Backticked => lexer.inner(part),
            _ => lexer.slice(part),
        };
        if piece.is_empty() {
            let message = "The key behind the dot is empty, or a part of it is.";
            let help = "No blank stands around the dot. A key with other characters than letters, digits, \
                        '_' and '.' needs backticks around it: metrics.`val loss`.";
            return Err(FilterError::new(text, part.start, message, help));
        }
        if quoted && (parts > 0 || lexer.adjacent() == Some('.')) {
            let message = "Only a part of the key behind the dot is quoted.";
            let help = "Put the marks around the whole key, as in metrics.`a.b`.";
            return Err(FilterError::new(text, part.start, message, help));
        }
        if parts == 0 {
            key_start = part.start;
        } else {
            key.push('.');
        }
        key.push_str(piece);
        parts += 1;
    }
    checked_field(entity, place, text, Some((kind, first.start)), &key, key_start)
}

fn strip_backticks(text: &str) -> &str {
    text.strip_prefix('`').and_then(|text| text.strip_suffix('`')).unwrap_or(text)
}

/// The field that a key names, if the entity has it.
pub(super) fn checked_field(
    entity: Entity,
    place: Place,
    text: &str,
    kind: Option<(&str, usize)>,
    key: &str,
    key_start: usize,
) -> Result<Field, FilterError> {
    let searched = || match place {
        Place::Filter => format!("{} can be searched", entity.plural()),
        Place::Order => format!("{} can be sorted", entity.plural()),
    };
    let words = || {
        let words = entity.key_words(place).iter().map(|word| format!("{word}.key"));
        let attributes = entity.attributes(place).iter().map(|attribute| attribute.name().to_owned());
        let all: Vec<String> = words.filter(|word| !word.starts_with("attribute")).chain(attributes).collect();
        capitalized(&format!("{} by {}.", searched(), either(all)))
    };
    let key_kind = match kind {
        None => KeyKind::Attribute,
        Some((word, at)) => match entity.key_kind(word) {
            Some(kind) if place == Place::Filter || entity.sorts_by(kind) => kind,
            found => {
                let message = match found {
                    Some(_) => format!("{} cannot be sorted by {}.", capitalized(entity.plural()), named(word)),
                    None => format!("{} is not a kind of key of {}.", named(word), entity.plural()),
                };
                return Err(FilterError::new(text, at, message, words()));
            }
        },
    };
    let owned = key.to_owned();
    match key_kind {
        KeyKind::Metric if !key.is_empty() => Ok(Field::Metric(owned)),
        KeyKind::Param if !key.is_empty() => Ok(Field::Param(owned)),
        KeyKind::Tag if !key.is_empty() => Ok(Field::Tag(owned)),
        KeyKind::Metric | KeyKind::Param | KeyKind::Tag => {
            let message = "The key behind the dot is empty.";
            Err(FilterError::new(text, key_start, message, "Write the name of the key there."))
        }
        KeyKind::Attribute => entity.attribute(place, key).map(Field::Attribute).ok_or_else(|| {
            let message = format!("{} is not an attribute by which {}.", named(key), searched());
            FilterError::new(text, key_start, message, words())
        }),
        KeyKind::Dataset => {
            let found = DatasetField::ALL.into_iter().find(|field| field.name() == key);
            found.map(Field::Dataset).ok_or_else(|| {
                let message = format!("{} is not a field of datasets.", named(key));
                let fields = either(DatasetField::ALL.map(|field| format!("dataset.{}", field.name())));
                FilterError::new(text, key_start, message, format!("Runs can be searched by {fields}."))
            })
        }
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

pub(super) fn described(field: &Field) -> String {
    match field {
        Field::Attribute(attribute) => format!("attribute {}", named(attribute.name())),
        Field::Metric(key) => format!("metric {}", named(key)),
        Field::Param(key) => format!("param {}", named(key)),
        Field::Tag(key) => format!("tag {}", named(key)),
        Field::Dataset(field) => format!("dataset's {}", named(field.name())),
    }
}
