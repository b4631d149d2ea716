//! Describes why parameters do not match a job's schema.

use jsonschema::{
    JsonType, ValidationError, Validator,
    error::{TypeKind, ValidationErrorKind},
};
use serde_json::Value;

/// Maximum number of problems reported for one set of parameters.
const MAX_PROBLEMS: usize = 20;

/// Returns the problems of parameters, each with the location as a JSON pointer. `schema` is the source of the
/// validator.
///
/// Messages contain no values, because these may be secrets and problems are logged.
pub(super) fn problems(validator: &Validator, schema: &Value, params: &Value) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    for error in validator.iter_errors(params) {
        add(&error, schema, &mut problems);
        if problems.len() >= MAX_PROBLEMS {
            problems.truncate(MAX_PROBLEMS);
            break;
        }
    }
    problems
}

/// Returns `/` for the root's empty pointer, which would be invisible in a message.
fn display_pointer(pointer: &str) -> String {
    if pointer.is_empty() { "/".to_owned() } else { pointer.to_owned() }
}

fn add(error: &ValidationError<'_>, schema: &Value, problems: &mut Vec<(String, String)>) {
    match errors_of_only_alternative(error) {
        Some(errors) => errors.iter().for_each(|error| add(error, schema, problems)),
        None => problems.push((display_pointer(error.instance_path().as_str()), message(error, schema))),
    }
}

/// Returns the errors of the only alternative other than `null`. The schema of an optional value has two alternatives:
/// the value's schema, and `null`.
fn errors_of_only_alternative<'a>(error: &'a ValidationError<'_>) -> Option<&'a [ValidationError<'static>]> {
    let (ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context }) = error.kind() else {
        return None;
    };
    let mut others = context.iter().filter(|errors| !is_null_expected(errors, error.instance_path().as_str()));
    match (others.next(), others.next()) {
        (Some(only), None) if !only.is_empty() => Some(only.as_slice()),
        _ => None,
    }
}

/// Returns whether the errors are those of a schema that only allows `null` at the location.
fn is_null_expected(errors: &[ValidationError<'_>], pointer: &str) -> bool {
    let [error] = errors else { return false };
    let is_null = matches!(error.kind(), ValidationErrorKind::Type { kind: TypeKind::Single(JsonType::Null) });
    is_null && error.instance_path().as_str() == pointer
}

fn message(error: &ValidationError<'_>, schema: &Value) -> String {
    let message = error.masked().to_string();
    match error.kind() {
        // The author of the schema explains what is not allowed, because the schema itself is hard to read.
        ValidationErrorKind::Not { schema } => match schema.get("description").and_then(Value::as_str) {
            Some(description) => description.trim().to_owned(),
            None => message,
        },
        ValidationErrorKind::AdditionalProperties { .. } => match names_beside(schema, error.schema_path().as_str()) {
            Some(names) => format!("{message}, the valid names are {names}"),
            None => message,
        },
        _ => message,
    }
}

/// Returns the names in `properties` beside the keyword at this location of the schema.
fn names_beside(schema: &Value, pointer: &str) -> Option<String> {
    let (parent, _) = pointer.rsplit_once('/')?;
    let properties = schema.pointer(parent)?.get("properties")?.as_object()?;
    let names: Vec<String> = properties.keys().map(|name| format!("`{name}`")).collect();
    (!names.is_empty()).then(|| names.join(", "))
}
