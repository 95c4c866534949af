//! A REST answer as a GraphQL object.
//!
//! The REST answers are protobuf's JSON, which leaves out what is not set. GraphQL shows it with protobuf's defaults, as
//! in MLflow: "" for a text, "0" for a number, an empty list, a message whose fields are all not set.

use std::borrow::Cow;

use apollo_compiler::ast::Type;
use apollo_compiler::resolvers::{AsyncObjectValue, AsyncResolvedValue, FieldError, ResolveInfo};
use apollo_compiler::response::{JsonMap, JsonValue};
use apollo_compiler::schema::ExtendedType;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

pub(super) type Resolved<'a> = Result<AsyncResolvedValue<'a>, FieldError>;

/// An object of the type, with the fields as REST has them.
pub(super) struct Message<'a> {
    type_name: &'a str,
    fields: Cow<'a, JsonMap>,
}

impl<'a> Message<'a> {
    pub(super) fn new(type_name: &'a str, fields: JsonMap) -> Message<'a> {
        Message { type_name, fields: Cow::Owned(fields) }
    }
}

impl AsyncObjectValue for Message<'_> {
    fn type_name(&self) -> &str {
        self.type_name
    }

    fn resolve_field<'a>(&'a self, info: &'a ResolveInfo<'a>) -> BoxFuture<'a, Resolved<'a>> {
        std::future::ready(Ok(field(info, &self.fields))).boxed()
    }
}

/// The field that is asked for.
pub(super) fn field<'a>(info: &ResolveInfo<'a>, fields: &'a JsonMap) -> AsyncResolvedValue<'a> {
    value(info, &info.field_definition().ty, fields.get(snake_case(info.field_name()).as_str()))
}

/// A value of a REST answer, or none, as what the schema says it is.
pub(super) fn value<'a>(
    info: &ResolveInfo<'a>,
    type_: &'a Type,
    given: Option<&'a JsonValue>,
) -> AsyncResolvedValue<'a> {
    let name = match type_ {
        Type::Named(name) | Type::NonNullNamed(name) => name.as_str(),
        Type::List(inner) | Type::NonNullList(inner) => {
            let items = given.and_then(JsonValue::as_array).map_or(&[][..], Vec::as_slice);
            let items: Vec<_> = items.iter().map(|item| value(info, inner, Some(item))).collect();
            return AsyncResolvedValue::list(items);
        }
    };
    match name {
        "String" => AsyncResolvedValue::leaf(given.and_then(JsonValue::as_str).unwrap_or_default()),
        "Boolean" => AsyncResolvedValue::leaf(given.and_then(JsonValue::as_bool).unwrap_or_default()),
        "LongString" => AsyncResolvedValue::leaf(given.map_or_else(|| "0".to_owned(), JsonValue::to_string)),
        // REST sends a NaN as a text.
        "Float" => match given {
            Some(given) => given.as_f64().map_or_else(AsyncResolvedValue::null, AsyncResolvedValue::leaf),
            None => AsyncResolvedValue::leaf(0.0),
        },
        "ApiError" => AsyncResolvedValue::null(),
        _ => match info.schema().types.get(name) {
            Some(ExtendedType::Object(_)) => {
                let fields = given.and_then(JsonValue::as_object).map_or_else(Cow::default, Cow::Borrowed);
                AsyncResolvedValue::object(Message { type_name: name, fields })
            }
            // An enumeration, by its name.
            _ => given.cloned().map_or_else(AsyncResolvedValue::null, AsyncResolvedValue::Leaf),
        },
    }
}

/// `runId` as `run_id`.
pub(super) fn snake_case(camel: &str) -> String {
    let mut snake = String::with_capacity(camel.len() + 2);
    for c in camel.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}
