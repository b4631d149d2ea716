//! Refusals of Postgres → answers. Every mapping is written by hand; what is not here is an opaque 500.
//!
//! Postgres's own wording reaches a client only where it can speak of nothing but what this client sent: a
//! parameter. Elsewhere it may quote rows that the client can't see.

use serde_json::json;
use tokio_postgres::error::DbError as Refusal;

use crate::{
    db::DbError,
    error::{ApiError, Code},
};

use super::{
    cursor,
    render::{MAX_AFFECTED_MARKER, Origin},
    schema::{Evidence, Schema, TypeClass},
};

/// What is known about a refused statement.
pub(super) struct Refused<'a> {
    pub(super) schema: &'a Schema,
    pub(super) table: &'a str,
    pub(super) origins: &'a [Origin<'a>],
}

impl Refused<'_> {
    fn limits_affected(&self) -> bool {
        self.origins.iter().any(|origin| matches!(origin, Origin::MaxAffected))
    }
}

/// Whether the schema the statement was planned by may be out of date.
pub(super) fn evidence(error: &DbError) -> Option<Evidence> {
    match error.as_db_error()?.code().code() {
        // Undefined table, column, object, function, schema; duplicate column; wrong type; changed result of a
        // prepared statement; no such conflict target; wrong object type; always generated.
        "42P01" | "42703" | "42704" | "42883" | "3F000" | "42701" | "42804" | "0A000" | "42P10" | "42809" | "428C9" => {
            Some(Evidence::Refused)
        }
        // A grant may be new, or gone.
        "42501" => Some(Evidence::UnknownName),
        _ => None,
    }
}

/// The answer for a statement that did not succeed.
pub(super) fn api_error(error: DbError, refused: &Refused<'_>) -> ApiError {
    match error.as_db_error() {
        Some(refusal) => {
            let mapped = map(refusal, refused);
            match mapped {
                Some(mapped) => mapped.with_cause(error),
                None => ApiError::internal(error),
            }
        }
        None => error.into(),
    }
}

/// Number of the parameter that Postgres could not read, if that is what failed.
pub(super) fn unreadable_parameter(error: &DbError) -> Option<usize> {
    parameter_number(error.as_db_error()?)
}

fn map(refusal: &Refusal, refused: &Refused<'_>) -> Option<ApiError> {
    let code = refusal.code().code();
    if let Some(number) = parameter_number(refusal) {
        return Some(bad_parameter(refusal, refused.origins.get(number.wrapping_sub(1))));
    }
    let table = refused.table;
    Some(match code {
        "22P02" if refused.limits_affected() && refusal.message().contains(MAX_AFFECTED_MARKER) => {
            too_many_affected(refusal)
        }
        "23505" => constraint(refusal, refused, Code::UniqueViolation, "A row with the same key exists"),
        "23503" | "23001" => {
            let what = if refusal.message().starts_with("update or delete") || code == "23001" {
                "Other rows refer to this one"
            } else {
                "The row refers to one that does not exist"
            };
            constraint(refusal, refused, Code::ForeignKeyViolation, what)
        }
        "23502" => not_null(refusal, refused),
        "23514" => constraint(refusal, refused, Code::CheckViolation, "A value fails a check"),
        "23P01" => constraint(refusal, refused, Code::CheckViolation, "The row collides with another one"),
        "44000" => ApiError::new(Code::CheckViolation, format!("The row would not be visible in the view `{table}`.")),
        _ if code.starts_with("23") => {
            constraint(refusal, refused, Code::ConstraintViolation, "The change breaks a constraint")
        }
        "21000" => ApiError::new(Code::Conflict, "Two rows of the request have the same key, so only one could stay.")
            .with_hint("Send each key once."),
        // Raised by the owner's own functions, so the words are for the client.
        "P0001" => raised(refusal),
        // The request asks more of a row than fits.
        "22001" => ApiError::new(Code::InvalidValue, "A text is longer than its column allows."),
        "22003" => ApiError::new(Code::InvalidValue, "A number is out of its column's range."),
        "22012" => ApiError::new(Code::InvalidValue, "A division by zero came up."),
        _ if code.starts_with("22") => {
            ApiError::new(Code::InvalidValue, "A value does not have the form that its type needs.")
        }
        "42501" => not_permitted(refusal, table),
        "25006" => ApiError::new(Code::Unprocessable, "The database takes no writes at present."),
        "40001" | "40P01" | "55P03" => {
            ApiError::new(Code::Conflict, "Another change of the same rows was in the way; nothing was changed.")
                .with_hint("Send the request again.")
        }
        "55000" => ApiError::new(Code::Unprocessable, format!("`{table}` can't be used in this way as it stands.")),
        "428C9" => ApiError::new(Code::InvalidValue, "A generated column can't be given a value; leave it out."),
        "42883" | "42804" | "42846" | "42725" | "42P18" | "42P22" => {
            ApiError::invalid("A filter or ordering does not suit the type of its column.")
                .with_details(json!({ "sqlState": code }))
        }
        "0A000" => ApiError::new(Code::Unprocessable, "Postgres does not support this on this table or view.")
            .with_details(json!({ "sqlState": code })),
        _ if code.starts_with("54") => ApiError::new(Code::Unprocessable, "The request asks for too much at once.")
            .with_hint("Use fewer filters, columns or rows."),
        "57014" => DbError::Timeout.into(),
        "53300" | "53200" => DbError::Overloaded.into(),
        _ if code.starts_with("53") || code.starts_with("57P") || code.starts_with("08") => {
            ApiError::new(Code::Unavailable, "The project's database can't be reached right now.")
                .with_retry_after(std::time::Duration::from_secs(1))
        }
        _ => return None,
    })
}

/// `unnamed portal parameter $2 = '…'` or `portal "x" parameter $2`, as Postgres says where it was.
fn parameter_number(refusal: &Refusal) -> Option<usize> {
    let line = refusal
        .where_()?
        .lines()
        .find(|line| line.starts_with("unnamed portal parameter $") || line.starts_with("portal \""))?;
    let (_, after) = line.split_once("parameter $")?;
    let digits = after.find(|character: char| !character.is_ascii_digit()).unwrap_or(after.len());
    after[..digits].parse().ok()
}

fn bad_parameter(refusal: &Refusal, origin: Option<&Origin<'_>>) -> ApiError {
    match origin {
        Some(Origin::Column(column)) => {
            let error = bad_value(refusal.message(), &column.name, &column.data_type);
            if column.class == TypeClass::Time && refusal.message().contains(' ') {
                error.with_hint("In a query string, write + as %2B.")
            } else {
                error
            }
        }
        Some(Origin::Cursor) => cursor::invalid(),
        Some(Origin::Offset) => ApiError::invalid("`offset` is out of range."),
        Some(Origin::MaxAffected) => ApiError::invalid("`maxAffected` is out of range."),
        Some(Origin::Rows) | None => {
            ApiError::new(Code::InvalidValue, format!("Postgres can't read the values: {}.", refusal.message()))
        }
    }
}

/// The answer once it is known which column a value did not fit.
pub(super) fn bad_value(refusal_message: &str, column: &str, data_type: &str) -> ApiError {
    ApiError::new(Code::InvalidValue, format!("Column `{column}` is of type {data_type}: {refusal_message}."))
        .with_details(json!({ "column": column, "type": data_type }))
}

fn too_many_affected(refusal: &Refusal) -> ApiError {
    let count: Option<u64> = refusal.message().split_once(MAX_AFFECTED_MARKER).and_then(|(_, rest)| {
        let digits = rest.find(|character: char| !character.is_ascii_digit()).unwrap_or(rest.len());
        rest[..digits].parse().ok()
    });
    let message = match count {
        Some(count) => format!("{count} rows match, more than `maxAffected` allows; nothing was changed."),
        None => "More rows match than `maxAffected` allows; nothing was changed.".to_owned(),
    };
    let error = ApiError::new(Code::MaxAffectedExceeded, message);
    match count {
        Some(count) => error.with_details(json!({ "matched": count })),
        None => error,
    }
}

fn constraint(refusal: &Refusal, refused: &Refused<'_>, code: Code, what: &str) -> ApiError {
    let Some(name) = refusal.constraint() else { return ApiError::new(code, format!("{what}.")) };
    // A trigger may break a constraint of a table that the client can't see: then the name is all it learns.
    let broken = refusal.table().filter(|_| refusal.schema() == Some("public")).unwrap_or_default();
    let columns: Option<Vec<&str>> = refused.schema.table(broken).and_then(|table| {
        table.key_column_names(name).or_else(|| {
            let key = refused.schema.foreign_key(&table.name, name)?;
            Some(table.column_names(&key.columns))
        })
    });
    let of = match &columns {
        Some(columns) => format!(" ({})", columns.join(", ")),
        None => String::new(),
    };
    ApiError::new(code, format!("{what}: constraint `{name}`{of}."))
        .with_details(json!({ "constraint": name, "columns": columns }))
}

fn not_null(refusal: &Refusal, refused: &Refused<'_>) -> ApiError {
    let visible = refusal.table().and_then(|table| refused.schema.table(table));
    let (Some(column), Some(table)) = (refusal.column(), visible) else {
        return ApiError::new(Code::NotNullViolation, "A column that needs a value has none.");
    };
    ApiError::new(Code::NotNullViolation, format!("Column `{column}` of `{}` needs a value.", table.name))
        .with_details(json!({ "column": column }))
}

fn not_permitted(refusal: &Refusal, table: &str) -> ApiError {
    if refusal.message().contains("row-level security") {
        return ApiError::new(
            Code::Forbidden,
            format!("A row-level security policy of `{table}` does not allow this."),
        )
        .with_hint(
            "A row may be written only if a policy for it holds; with returning=minimal it need not be readable.",
        );
    }
    ApiError::new(Code::Forbidden, format!("This key may not do this on `{table}`."))
}

fn raised(refusal: &Refusal) -> ApiError {
    let error = ApiError::invalid(refusal.message().to_owned())
        .with_details(json!({ "sqlState": "P0001", "detail": refusal.detail() }));
    match refusal.hint() {
        Some(hint) => error.with_hint(hint.to_owned()),
        None => error,
    }
}
