//! The order of a search: `metrics.accuracy DESC`.

use super::entity::Place;
use super::error::{FilterError, either, named};
use super::key::{checked_field, described, read_key};
use super::lexer::{Kind, Lexer};
use super::parser::too_long;
use super::{Entity, Field, MAX_ORDER_KEYS};

/// One key of an order.
///
/// Values come first, then NaN, then what is missing, in both directions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OrderBy {
    pub field: Field,
    pub descending: bool,
}

/// Reads the `order_by` of a search: each clause is `key [ASC|DESC]`.
///
/// A field that stands twice is refused where MLflow refuses it (runs, registered models, model
/// versions), whatever its spelling and direction.
pub fn parse_order_by<S: AsRef<str>>(entity: Entity, clauses: &[S]) -> Result<Vec<OrderBy>, FilterError> {
    let mut order: Vec<OrderBy> = Vec::with_capacity(clauses.len().min(MAX_ORDER_KEYS));
    for clause in clauses {
        let text = clause.as_ref();
        if order.len() == MAX_ORDER_KEYS {
            let message = format!("The order has more than {MAX_ORDER_KEYS} keys.");
            return Err(FilterError::new(text, 0, message, "Leave out the last ones."));
        }
        let key = parse_clause(entity, text)?;
        if entity.refuses_repeated_order() && order.iter().any(|other| other.field == key.field) {
            let message = format!("The order names the {} twice.", described(&key.field));
            return Err(FilterError::new(text, 0, message, "Name each field once."));
        }
        order.push(key);
    }
    Ok(order)
}

/// Reads a key whose direction is given apart, as searches of logged models give it
/// (`field_name`). What follows the dot is the key as it is, blanks and marks included.
pub fn parse_order_key(entity: Entity, field_name: &str) -> Result<Field, FilterError> {
    too_long(field_name)?;
    let (kind, key) = match field_name.split_once('.') {
        Some((kind, key)) => (Some(kind), key),
        None => (None, field_name),
    };
    let bare = key.strip_prefix('`').and_then(|key| key.strip_suffix('`')).unwrap_or(key);
    let key_start = field_name.len() - key.len();
    checked_field(entity, Place::Order, field_name, kind.map(|word| (word, 0)), bare, key_start)
}

fn parse_clause(entity: Entity, text: &str) -> Result<OrderBy, FilterError> {
    too_long(text)?;
    let mut lexer = Lexer::new(text);
    if lexer.peek().kind == Kind::End {
        let attributes = either(entity.attributes(Place::Order).iter().map(|a| a.name()));
        let help = format!("Name a key, such as {attributes}, and ASC or DESC behind it.");
        return Err(FilterError::new(text, text.len(), "A key of the order is empty.", help));
    }
    let field = read_key(entity, Place::Order, &mut lexer)?;
    let token = lexer.next();
    let descending = match token.kind {
        Kind::End => {
            return Ok(OrderBy { field, descending: false });
        }
        Kind::Word if lexer.is_keyword(token, "asc") => false,
        Kind::Word if lexer.is_keyword(token, "desc") => true,
        _ => {
            let found = named(lexer.slice(token));
            let message = format!("{found} stands where the direction of the order is expected.");
            let help = "Write ASC, DESC or nothing behind the key. A key with other characters \
                        than letters, digits, '_' and '.' needs backticks: metrics.`val loss`. \
                        Each key is an element of its own in order_by.";
            return Err(FilterError::new(text, token.start, message, help));
        }
    };
    let rest = lexer.next();
    if rest.kind != Kind::End {
        let found = named(lexer.slice(rest));
        let message = format!("{found} stands behind the direction of the order.");
        let help = "Nothing may follow ASC or DESC. Each key is an element of its own in order_by.";
        return Err(FilterError::new(text, rest.start, message, help));
    }
    Ok(OrderBy { field, descending })
}
