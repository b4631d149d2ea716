//! Maps errors of Postgres to API errors. Every mapping is written by hand. An SQLSTATE without a mapping counts as an
//! error in the project's SQL (`project_errors`). Internal errors of Postgres, and errors in the SQL that this slice
//! generates, become an opaque 500.
//!
//! Clients without the secret key receive Postgres's own message in two cases: the message can only describe a value
//! that the client sent, or the project's SQL raised the error. Other messages may quote rows that such a client can't
//! see.

use serde_json::json;
use tokio_postgres::error::DbError as PostgresError;

use crate::{
    db::{DbError, is_error_too_large, is_in_function},
    error::{ApiError, Code},
    http::ResponseError,
};

use super::{
    cursor,
    message::shortened,
    project_errors::{Audience, is_raised, raised, rule_failed},
    render::{MAX_AFFECTED_MARKER, Origin, RETURNED_BYTES_MARKER},
    schema::{Column, RefreshReason, Schema, TypeClass},
    violations::{
        computed_column, constraint_violation, does_not_fit, not_null_violation, partition_violation,
        unsupported_constraint,
    },
};

/// The facts about a failed statement from which its error is built.
pub(super) struct StatementContext<'a> {
    pub(super) schema: &'a Schema,
    pub(super) table: &'a str,
    /// The origins of the statement's parameters.
    pub(super) origins: &'a [Origin<'a>],
    pub(super) audience: Audience,
    /// Maximum size of a response.
    pub(super) max_response_bytes: usize,
}

impl StatementContext<'_> {
    /// Returns whether the request contains values that are compared or stored.
    fn has_values(&self) -> bool {
        self.origins.iter().any(|origin| matches!(origin, Origin::Column(_) | Origin::Cursor | Origin::Rows))
    }

    fn has_max_affected(&self) -> bool {
        self.origins.iter().any(|origin| matches!(origin, Origin::MaxAffected))
    }
}

/// Returns the reason why a newer schema might make the statement succeed, if there is one.
pub(super) fn refresh_reason(error: &DbError) -> Option<RefreshReason> {
    if matches!(error, DbError::Stale) {
        return Some(RefreshReason::StatementRejected);
    }
    let postgres_error = error.as_db_error()?;
    if parameter_number(postgres_error).is_some() && rejects_value(postgres_error) {
        return None;
    }
    match postgres_error.code().code() {
        // In this order: undefined table, column, object and function; impossible cast; undefined schema; duplicate
        // column; wrong type; changed result of a prepared statement; missing conflict target; wrong kind of relation;
        // column that is always generated; OID that no longer exists.
        "42P01" | "42703" | "42704" | "42883" | "42846" | "3F000" | "42701" | "42804" | "0A000" | "42P10" | "42809"
        | "428C9" | "XX000" => Some(RefreshReason::StatementRejected),
        // A privilege may have been granted or revoked.
        "42501" => Some(RefreshReason::UnknownName),
        _ => None,
    }
}

/// Converts the error of a statement.
pub(super) fn api_error(error: DbError, context: &StatementContext<'_>) -> ApiError {
    match error.as_db_error() {
        Some(postgres_error) => {
            let mapped = map_postgres_error(postgres_error, context);
            match mapped {
                Some(mapped) => mapped.with_cause(error),
                None => ApiError::internal(error),
            }
        }
        None if matches!(error, DbError::RowTooLarge) => {
            ApiError::from(ResponseError::TooLarge(context.max_response_bytes)).with_cause(error)
        }
        None => error.into(),
    }
}

/// Returns the number of the parameter that Postgres could not parse, if that is why the statement failed.
pub(super) fn invalid_parameter(error: &DbError) -> Option<usize> {
    parameter_number(error.as_db_error()?)
}

/// Returns whether an input function may have rejected a value. Input functions of extensions may report 42601 (syntax
/// error), or XX000 (internal error) if they set no SQLSTATE.
pub(super) fn rejects_value(error: &PostgresError) -> bool {
    match error.code().code() {
        "42601" => true,
        // This message means that a type was replaced, not that the value is invalid.
        "XX000" => !error.message().starts_with("cache lookup failed"),
        code => code.starts_with("22"),
    }
}

fn map_postgres_error(error: &PostgresError, context: &StatementContext<'_>) -> Option<ApiError> {
    let code = error.code().code();
    let (schema, table, audience) = (context.schema, context.table, context.audience);
    if is_error_too_large(error) {
        let message = format!("The statement failed, but {}.", error.message());
        return Some(
            ApiError::new(Code::Unprocessable, message)
                .with_hint("Send shorter values, or shorten the messages of errors in the project's SQL."),
        );
    }
    if is_allocation_limit(error) {
        return Some(ResponseError::TooLarge(context.max_response_bytes).into());
    }
    let invalid_parameter = parameter_number(error).map(|number| context.origins.get(number.wrapping_sub(1)));
    // This must come before `server_problem`, because input functions of extensions may report internal errors.
    if let Some(origin) = invalid_parameter.filter(|_| rejects_value(error) && !is_raised(error)) {
        return Some(invalid_parameter_error(error, origin));
    }
    if let Some(trouble) = server_problem(code) {
        return trouble;
    }
    if is_raised(error) {
        return Some(raised(error));
    }
    if let Some(origin) = invalid_parameter {
        return Some(invalid_parameter_error(error, origin));
    }
    Some(match code {
        "22P02" if context.has_max_affected() && error.message().contains(MAX_AFFECTED_MARKER) => {
            max_affected_exceeded(error)
        }
        "22P02" if error.message().contains(RETURNED_BYTES_MARKER) => ApiError::from(ResponseError::TooLarge(
            context.max_response_bytes,
        ))
        .with_hint("Nothing was changed. Send returning=minimal, select fewer columns, or change fewer rows at once."),
        "23505" => constraint_violation(error, context, Code::UniqueViolation, "A row with the same key exists"),
        "23503" | "23001" => {
            let message = if error.message().starts_with("update or delete") || code == "23001" {
                "Other rows refer to this row"
            } else {
                "The row refers to a row that does not exist"
            };
            constraint_violation(error, context, Code::ForeignKeyViolation, message)
        }
        "23502" => not_null_violation(error, schema),
        "23514" => match partition_violation(error, schema) {
            Some(mapped) => mapped,
            None => constraint_violation(error, context, Code::CheckViolation, "A value violates a check"),
        },
        "23P01" => constraint_violation(error, context, Code::CheckViolation, "The row conflicts with another row"),
        "44000" => {
            ApiError::new(Code::CheckViolation, format!("The row does not match the condition of the view `{table}`."))
        }
        _ if code.starts_with("23") => {
            constraint_violation(error, context, Code::ConstraintViolation, "The change violates a constraint")
        }
        "21000" if error.message().contains("ON CONFLICT") => {
            ApiError::new(Code::Conflict, "Two rows of the request have the same key.").with_hint("Send each key once.")
        }
        "25006" => ApiError::new(Code::Unprocessable, "The database is currently read-only."),
        "40001" | "40P01" | "55P03" => {
            ApiError::new(Code::Conflict, "Another request is changing the same rows. Nothing was changed.")
                .with_hint("Send the request again.")
        }
        // The SQL that this slice generates contains no division, no policy and no subquery that can return several
        // rows, so the error comes from the project's SQL.
        "21000" | "22012" | "42P17" => rule_failed(error, table, audience),
        // A request without values can't contain an invalid value, so an expression of a view failed.
        _ if code.starts_with("22") && !context.has_values() => rule_failed(error, table, audience),
        _ if is_in_function(error) => rule_failed(error, table, audience),
        "22001" => does_not_fit("A string is longer than its column allows", context),
        "22003" => does_not_fit("A number is out of the range of its column", context),
        // 42602: the input function of a type that refers to names, such as regclass.
        _ if (code.starts_with("22") || code == "42602") && audience == Audience::Owner => {
            ApiError::new(Code::InvalidValue, format!("A value is not valid for its type: {}.", error.message()))
                .with_details(json!({ "sqlState": code }))
        }
        _ if code.starts_with("22") || code == "42602" => {
            ApiError::new(Code::InvalidValue, "A value is not valid for its type.")
        }
        "42501" => permission_denied(error, table),
        "55000" if error.message().ends_with("has not been populated") => unpopulated_view(error, context),
        "55000" if error.message().starts_with("ON CONFLICT does not support deferrable") => {
            unsupported_constraint(error, context)
        }
        "55000" => {
            ApiError::new(Code::Unprocessable, format!("`{table}` is not in a state that allows this operation."))
        }
        "428C9" => ApiError::new(Code::InvalidValue, "A generated column can't be set. Omit it."),
        "42883" | "42804" | "42846" | "42725" | "42P18" | "42P22" => {
            ApiError::invalid("A filter or `order` does not support the type of its column.")
                .with_details(json!({ "sqlState": code }))
        }
        "0A000" => computed_column(error, context).unwrap_or_else(|| {
            ApiError::new(Code::Unprocessable, "Postgres does not support this on this table or view.")
                .with_details(json!({ "sqlState": code }))
        }),
        _ if code.starts_with("54") => ApiError::new(Code::Unprocessable, "The request exceeds a limit of Postgres.")
            .with_hint("Use fewer filters, columns or rows."),
        // The table or a column changed after the request was planned. If the request was planned again with a newer
        // schema, it changed once more after that.
        "42P01" | "42703" | "42704" | "3F000" => {
            ApiError::new(Code::Conflict, format!("The definition of `{table}` changed while the request ran."))
                .with_hint("Send the request again.")
        }
        "42P10" => ApiError::invalid(format!("`onConflict` names no unique key that `{table}` supports.")),
        // A syntax error or an unknown parameter in the SQL that this slice generates.
        "42601" | "42P02" => return None,
        _ => rule_failed(error, table, audience),
    })
}

/// Returns `Some` if the error is a problem of the server, even if the project's SQL raised it. The inner value is the
/// error for the client, or `None` if that is an opaque 500.
fn server_problem(code: &str) -> Option<Option<ApiError>> {
    Some(match code {
        "57014" => Some(DbError::Timeout.into()),
        "53100" => Some(ApiError::disk_full()),
        "53200" | "53300" => Some(DbError::Overloaded.into()),
        "53400" => Some(
            ApiError::new(Code::Unprocessable, "The request needs more resources than Postgres allows.")
                .with_hint("Request fewer rows, or add an index for the filter and `order`."),
        ),
        _ if ["08", "53", "57", "58"].iter().any(|class| code.starts_with(class)) => {
            Some(ApiError::unreachable("The project's database"))
        }
        _ if code.starts_with("XX") || code.starts_with("F0") => None,
        _ => return None,
    })
}

/// Returns whether Postgres could not build the text or the JSON of a value because of its limit of one gigabyte.
fn is_allocation_limit(error: &PostgresError) -> bool {
    let message = error.message();
    match error.code().code() {
        "54000" => message.starts_with("out of memory") || message.starts_with("string buffer exceeds"),
        "XX000" => message.starts_with("invalid memory alloc request size"),
        _ => false,
    }
}

/// Returns the parameter number from Postgres's error context, for example `unnamed portal parameter $2 = '…'` or
/// `portal "x" parameter $2`.
fn parameter_number(error: &PostgresError) -> Option<usize> {
    let line = error
        .where_()?
        .lines()
        .find(|line| line.starts_with("unnamed portal parameter $") || line.starts_with("portal \""))?;
    let (_, after) = line.split_once("parameter $")?;
    leading_number(after)
}

fn leading_number<N: std::str::FromStr>(text: &str) -> Option<N> {
    let end = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

fn invalid_parameter_error(error: &PostgresError, origin: Option<&Origin<'_>>) -> ApiError {
    match origin {
        Some(Origin::Column(column)) => {
            let mapped = invalid_value(column, error.message());
            match time_hint(column, error.message()) {
                Some(hint) => mapped.with_hint(hint),
                None => mapped,
            }
        }
        Some(Origin::Cursor) => cursor::invalid_cursor(),
        Some(Origin::Offset) => ApiError::invalid("`offset` is out of range."),
        Some(Origin::MaxAffected) => ApiError::invalid("`maxAffected` is out of range."),
        Some(Origin::Rows) | None => {
            ApiError::new(Code::InvalidValue, format!("Postgres could not read the values: {}.", error.message()))
        }
    }
}

/// Returns how to write the value of a column of dates or times that Postgres rejected with `message`.
fn time_hint(column: &Column, message: &str) -> Option<&'static str> {
    if column.class != TypeClass::Time {
        return None;
    }
    if lacks_plus(message) {
        return Some("In a query string, write + as %2B.");
    }
    match column.data_type.as_str() {
        "date" => Some("Write the date as 2024-12-31."),
        data_type if data_type.starts_with("timestamp") => Some("Write date and time as 2024-12-31T18:30:00."),
        _ => None,
    }
}

/// Returns whether the value that a message quotes is a time with a space before its offset. An unescaped `+` in a
/// query string is a space.
fn lacks_plus(message: &str) -> bool {
    let value = message.split_once('"').map(|(_, value)| value.trim_end_matches('"'));
    let Some((time, offset)) = value.and_then(|value| value.rsplit_once(' ')) else { return false };
    time.contains(':') && offset.len() > 1 && offset.chars().all(|c| c.is_ascii_digit() || c == ':')
}

/// Returns the error for a value that its column's type rejects. `reason` is Postgres's message, or one like it.
pub(super) fn invalid_value(column: &Column, reason: &str) -> ApiError {
    let reason = shorter_reason(reason).unwrap_or_else(|| reason.to_owned());
    ApiError::new(Code::InvalidValue, format!("Column `{}` expects {}: {reason}.", column.name, column.data_type))
        .with_details(json!({ "column": column.name, "type": column.data_type }))
}

/// Rewords Postgres's most common messages, which repeat the type: `invalid input syntax for type bigint: "one"`.
fn shorter_reason(message: &str) -> Option<String> {
    let quoted = |text: &str| match text.strip_prefix('"')?.strip_suffix('"')? {
        // Empty backticks would leave a gap in the sentence.
        "" => Some("the empty text".to_owned()),
        text => Some(format!("`{}`", shortened(text))),
    };
    if let Some(rest) = message.strip_prefix("invalid input syntax for type ") {
        let (type_name, value) = rest.split_once(": ")?;
        return Some(format!("{} is not a valid {type_name}", quoted(value)?));
    }
    if let Some(rest) = message.strip_prefix("invalid input value for enum ") {
        let (_, value) = rest.split_once(": ")?;
        return Some(format!("{} is not a value of this enum", quoted(value)?));
    }
    let (value, _) = message.strip_prefix("value ")?.split_once(" is out of range for type ")?;
    Some(format!("{} is out of range", quoted(value)?))
}

fn max_affected_exceeded(error: &PostgresError) -> ApiError {
    let matched: Option<u64> =
        error.message().split_once(MAX_AFFECTED_MARKER).and_then(|(_, rest)| leading_number(rest));
    match matched {
        Some(matched) => ApiError::new(
            Code::MaxAffectedExceeded,
            format!("{matched} rows match, more than `maxAffected` allows. Nothing was changed."),
        )
        .with_details(json!({ "matched": matched })),
        None => {
            ApiError::new(Code::MaxAffectedExceeded, "More rows match than `maxAffected` allows. Nothing was changed.")
        }
    }
}

fn unpopulated_view(error: &PostgresError, context: &StatementContext<'_>) -> ApiError {
    let quoted = error.message().split('"').nth(1).and_then(|name| context.schema.table(name));
    let name = quoted.map_or(context.table, |view| view.name.as_str());
    let message = match name == context.table {
        true => format!("The materialized view `{name}` has not been populated."),
        false => format!("`{}` reads the materialized view `{name}`, which has not been populated.", context.table),
    };
    ApiError::new(Code::Unprocessable, message).with_hint("Run REFRESH MATERIALIZED VIEW as its owner.")
}

fn permission_denied(error: &PostgresError, table: &str) -> ApiError {
    if error.message().contains("row-level security") {
        return ApiError::new(
            Code::Forbidden,
            format!("A row-level security policy of `{table}` does not allow this."),
        )
        .with_hint(
            "To write a row, a policy must allow the write. To return it, a policy must also allow reading it; \
             with returning=minimal it need not.",
        );
    }
    if let Some(schema) = error.message().strip_prefix("permission denied for schema ") {
        return ApiError::new(
            Code::Forbidden,
            format!(
                "This key may not use the schema `{schema}`, which `{table}` needs, for example for a column's type."
            ),
        )
        .with_hint("As the owner of the schema, grant USAGE on it to the roles of the project.");
    }
    ApiError::new(Code::Forbidden, format!("This key may not do this on `{table}`."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_reasons_are_reworded() {
        let check = |message: &str, expected: Option<&str>| {
            assert_eq!(shorter_reason(message).as_deref(), expected, "{message}");
        };
        check("invalid input syntax for type bigint: \"one\"", Some("`one` is not a valid bigint"));
        check("invalid input syntax for type bigint: \"\"", Some("the empty text is not a valid bigint"));
        check("invalid input syntax for type numeric: \"a: b\"", Some("`a: b` is not a valid numeric"));
        check("invalid input value for enum mood: \"angry\"", Some("`angry` is not a value of this enum"));
        check("value \"99999999999\" is out of range for type integer", Some("`99999999999` is out of range"));
        check("malformed array literal: \"{a\"", None);
        check("invalid input syntax for type json", None);
    }
}
