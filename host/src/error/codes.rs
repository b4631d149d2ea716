//! The table of error codes: code, status and meaning.

use axum::http::StatusCode;

/// A row of the table of codes. `docs/ERRORS.md` contains the same rows.
pub struct CodeRow {
    pub code: Code,
    pub status: u16,
    pub meaning: &'static str,
}

macro_rules! codes {
    ($($variant:ident $name:literal $status:literal $meaning:literal;)*) => {
        /// Stable error codes, as clients see them.
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

        /// Every code, in the order of `docs/ERRORS.md`.
        pub const TABLE: &[CodeRow] = &[
            $(CodeRow { code: Code::$variant, status: $status, meaning: $meaning },)*
        ];
    };
}

codes! {
    InvalidRequest "invalid_request" 400 "A parameter, path or field is missing, unknown or invalid; the message \
        names it.";
    InvalidJson "invalid_json" 400 "The body is not JSON, or not of the expected shape.";
    InvalidValue "invalid_value" 400 "A value is not valid for the type of its column, or its column can't be set; the \
        message says why.";
    UnknownColumn "unknown_column" 400 "The table has no such column; the message lists the existing columns.";
    UnknownOperator "unknown_operator" 400 "The filter has an unknown operator; the message lists the supported ones.";
    UnknownRelation "unknown_relation" 400 "The table to embed is not reached by exactly one foreign key: there is \
        none, or there are several.";
    FilterRequired "filter_required" 400 "An update, a deletion, or a read of a single value needs at least one \
        filter.";
    MaxAffectedExceeded "max_affected_exceeded" 400 "More rows matched than `maxAffected` allows; nothing was changed.";
    InvalidCursor "invalid_cursor" 400 "The cursor was not returned by this list, or the list now has another order.";
    InvalidPath "invalid_path" 400 "The path of an object is not allowed; the message says why.";
    ConfirmationRequired "confirmation_required" 400 "The request must contain the field `confirm`; the message says \
        with which value.";
    WeakPassword "weak_password" 400 "The password is too short, too long or too common; the message says which.";
    SqlError "sql_error" 400 "Postgres refused the statement; `details` contains its code and position.";
    SqlRefused "sql_refused" 400 "The SQL editor does not run this kind of statement.";
    Unauthorized "unauthorized" 401 "The API key, token or sign-in is missing, wrong, expired or revoked.";
    InvalidCredentials "invalid_credentials" 401 "The e-mail address or the password is wrong.";
    InvalidRefreshToken "invalid_refresh_token" 401 "The refresh token is unknown, used or expired, or its session has \
        ended; the user must sign in again.";
    InvalidToken "invalid_token" 401 "The token of a mailed link, or of a login that waits for its second factor, is \
        unknown, used or expired.";
    InvalidCode "invalid_code" 401 "The code of the second factor is wrong, or was used before.";
    Forbidden "forbidden" 403 "The caller is authenticated, but may not do this.";
    SignupDisabled "signup_disabled" 403 "The project does not let users sign up themselves.";
    MfaRequired "mfa_required" 403 "The user has a second factor; send `details.challengeToken` and a code to \
        `/v1/auth/mfa/verify`.";
    MagicLinkDisabled "magic_link_disabled" 403 "The project does not let users sign in with a mailed link.";
    EmailNotVerified "email_not_verified" 403 "The password is correct, but the project requires a verified e-mail \
        address.";
    OriginNotAllowed "origin_not_allowed" 403 "The project, or the admin API, does not allow requests from the website \
        with this origin.";
    HostNotAllowed "host_not_allowed" 403 "The admin listener may not be reached under this host name.";
    NotFound "not_found" 404 "There is no such resource, or the caller may not see it.";
    AuthDisabled "auth_disabled" 404 "End-user login is off for this project.";
    UnknownTable "unknown_table" 404 "There is no such table, or the caller may not see it.";
    ObjectNotFound "object_not_found" 404 "There is no such object.";
    MethodNotAllowed "method_not_allowed" 405 "The path does not support this method.";
    RequestTimeout "request_timeout" 408 "The headers or the body of the request arrived too slowly.";
    Conflict "conflict" 409 "The change conflicts with the current state; the message says how.";
    EmailTaken "email_taken" 409 "Another user of the project has this e-mail address.";
    RowChanged "row_changed" 409 "The row was changed or deleted after it was read; nothing was changed by this \
        request.";
    Cancelled "cancelled" 409 "The statement was cancelled on request.";
    UniqueViolation "unique_violation" 409 "A row with this value already exists, and the value must be unique.";
    ForeignKeyViolation "foreign_key_violation" 409 "The row is referenced, or references a row that does not exist.";
    NotNullViolation "not_null_violation" 409 "A required column has no value.";
    CheckViolation "check_violation" 409 "A value violates a check or exclusion constraint.";
    ConstraintViolation "constraint_violation" 409 "The change violates another constraint of the database.";
    ObjectExists "object_exists" 409 "An object already exists at this path, and the request may not replace it.";
    PreconditionFailed "precondition_failed" 412 "The resource was changed after it was read.";
    BodyTooLarge "body_too_large" 413 "The body is larger than allowed.";
    ObjectTooLarge "object_too_large" 413 "The object is larger than its bucket or the request's `maxSize` allows.";
    UrlTooLong "url_too_long" 414 "The URL is too long: the URL and the headers can have at most 64 KiB together.";
    UnsupportedMediaType "unsupported_media_type" 415 "The body must be sent as `application/json`, and not \
        compressed.";
    Unprocessable "unprocessable" 422 "The request is well formed, but can't be executed; the message says why.";
    ResponseTooLarge "response_too_large" 422 "The response would be larger than the maximum size; if the request \
        changed something nevertheless, the message says so.";
    RateLimited "rate_limited" 429 "Too many requests, attempts or open uploads; wait for the number of seconds in \
        `Retry-After`.";
    HeadersTooLarge "headers_too_large" 431 "The request has more than 100 headers, or the URL and the headers have \
        more than 64 KiB together.";
    Internal "internal" 500 "An error in the server; its log contains the cause with the request id.";
    NotImplemented "not_supported" 501 "The configured object store does not support this.";
    Unavailable "unavailable" 503 "Postgres, the object store or Cloudflare Access can't be reached, the object store \
        is full or refuses AtlasHub's requests, or end-user login can't be used; the message says which. Try again.";
    Overloaded "overloaded" 503 "The server, or the project's share of it, is at a limit; the message says which. Try \
        again.";
    DiskFull "disk_full" 503 "The disk of the Postgres server is full; nothing was changed.";
    Timeout "timeout" 504 "The request took too long and was stopped.";
    HttpVersionNotSupported "http_version_not_supported" 505 "The request uses HTTP/2; the listeners accept HTTP/1.1 \
        and HTTP/1.0.";
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
    fn codes_are_unique_and_have_their_status() {
        for (i, row) in TABLE.iter().enumerate() {
            assert_eq!(row.code.status().as_u16(), row.status, "{}", row.code.as_str());
            assert!(TABLE[..i].iter().all(|other| other.code.as_str() != row.code.as_str()));
        }
    }
}
