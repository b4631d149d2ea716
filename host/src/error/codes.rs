use axum::http::StatusCode;

/// One row of the table: a code, its status and what it means. `docs/ERRORS.md` lists the same rows.
pub struct CodeRow {
    pub code: Code,
    pub status: u16,
    pub meaning: &'static str,
}

macro_rules! codes {
    ($($variant:ident $name:literal $status:literal $meaning:literal;)*) => {
        /// Stable codes of errors, as clients see them.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($variant,)* }

        impl Code {
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            const fn status_number(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }
        }

        /// Every code there is, in the order of the document.
        pub const TABLE: &[CodeRow] = &[
            $(CodeRow { code: Code::$variant, status: $status, meaning: $meaning },)*
        ];
    };
}

codes! {
    InvalidRequest "invalid_request" 400 "A parameter, path or field is missing, unknown or out of range; the message names it.";
    InvalidJson "invalid_json" 400 "The body is not JSON of the expected shape.";
    InvalidValue "invalid_value" 400 "A value does not fit its column's type; the message names the column.";
    UnknownColumn "unknown_column" 400 "The table has no such column; the message lists those there are.";
    UnknownOperator "unknown_operator" 400 "There is no such filter; the message lists those there are.";
    UnknownRelation "unknown_relation" 400 "No foreign key, or more than one, leads to the table to embed.";
    FilterRequired "filter_required" 400 "An update or delete needs at least one filter.";
    MaxAffectedExceeded "max_affected_exceeded" 400 "More rows matched than `maxAffected` allows; nothing was changed.";
    InvalidCursor "invalid_cursor" 400 "The cursor is not one of this list.";
    InvalidPath "invalid_path" 400 "The path of an object is not allowed; the message says why.";
    ConfirmationRequired "confirmation_required" 400 "A dangerous act needs `confirm`; the message says what to send.";
    SqlError "sql_error" 400 "Postgres refused the statement; `details` has its code and position.";
    SqlRefused "sql_refused" 400 "The SQL editor does not run this kind of statement.";
    Unauthorized "unauthorized" 401 "The API key, token or sign-in is missing, wrong, expired or revoked.";
    Forbidden "forbidden" 403 "The caller is known, and may not do this.";
    OriginNotAllowed "origin_not_allowed" 403 "The project does not allow requests from this origin.";
    HostNotAllowed "host_not_allowed" 403 "The admin surface does not answer under this host name.";
    NotFound "not_found" 404 "There is no such thing, or the caller may not know of it.";
    UnknownTable "unknown_table" 404 "There is no such table, or the caller may not see it.";
    ObjectNotFound "object_not_found" 404 "There is no such object.";
    MethodNotAllowed "method_not_allowed" 405 "The path exists, the method does not.";
    Conflict "conflict" 409 "The change collides with what is there.";
    UniqueViolation "unique_violation" 409 "A row with this value exists.";
    ForeignKeyViolation "foreign_key_violation" 409 "The row is referred to, or refers to one that does not exist.";
    NotNullViolation "not_null_violation" 409 "A column needs a value.";
    CheckViolation "check_violation" 409 "A value fails a check, or an exclusion, of the table.";
    ConstraintViolation "constraint_violation" 409 "The change breaks another constraint of the database.";
    ObjectExists "object_exists" 409 "The object exists and may not be replaced.";
    PreconditionFailed "precondition_failed" 412 "The thing changed since it was read.";
    BodyTooLarge "body_too_large" 413 "The body is larger than allowed.";
    ObjectTooLarge "object_too_large" 413 "The object is larger than its bucket allows.";
    UnsupportedMediaType "unsupported_media_type" 415 "The body must be sent as `application/json`.";
    Unprocessable "unprocessable" 422 "The request is well formed, and can't be carried out as it stands.";
    RateLimited "rate_limited" 429 "Too many requests; `Retry-After` says when to come back.";
    Internal "internal" 500 "A fault of the server; its log has the cause under the request id.";
    NotImplemented "not_supported" 501 "The object store in use can't do this.";
    Unavailable "unavailable" 503 "Postgres or the object store can't be reached; try again.";
    Overloaded "overloaded" 503 "No capacity in time; try again.";
    Timeout "timeout" 504 "It took too long and was stopped.";
}

impl Code {
    pub const fn status(self) -> StatusCode {
        match StatusCode::from_u16(self.status_number()) {
            Ok(status) => status,
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_unique_and_has_its_status() {
        for (i, row) in TABLE.iter().enumerate() {
            assert_eq!(row.code.status().as_u16(), row.status, "{}", row.code.as_str());
            assert!(TABLE[..i].iter().all(|other| other.code.as_str() != row.code.as_str()));
        }
    }
}
