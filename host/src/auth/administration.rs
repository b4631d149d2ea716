//! The owner's operations on users: list, get, create, change, sign out and delete.

use api_types::{CreateUser, Page, PageQuery, ProjectUser, UpdateUser, UserQuery};
use chrono::{DateTime, Utc};
use tokio_postgres::Row;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    AuthState,
    database::{Bind as _, column, read, write},
    email_address::EmailAddress,
    password_policy,
    queries::{self, NewUser, email_taken},
    users::{UserData, UserRow, data_fits, data_too_large, merged_data, user_columns},
};
use crate::{
    db::{DbError, Statement},
    error::{ApiError, ApiResult, Code},
    http::PageRequest,
};

/// A statement that selects the columns of a [`ProjectUser`]. `$rest` follows `FROM auth.users u`.
macro_rules! select_users {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            user_columns!(),
            ", EXISTS (SELECT FROM auth.passwords p WHERE p.user_id = u.id) AS has_password,
              (SELECT pg_catalog.count(*) FROM auth.sessions s
               WHERE s.user_id = u.id AND s.expires_at > pg_catalog.now()) AS sessions
             FROM auth.users u ",
            $rest
        )
    };
}

/// Sort key of the list: creation time and id of a user.
type Position = (DateTime<Utc>, Uuid);

fn parse(row: &Row) -> ApiResult<ProjectUser> {
    Ok(UserRow::parse(row)?.for_owner(column(row, "has_password")?, column(row, "sessions")?))
}

/// Returns a page of users, newest first. With a search text, only users whose e-mail address contains the text or
/// whose id equals it, regardless of case.
pub(super) async fn list(state: &AuthState, project: &str, query: &UserQuery) -> ApiResult<Page<ProjectUser>> {
    state.settings.enabled(project).await?;
    let page = PageQuery { limit: query.limit, cursor: query.cursor.clone() };
    let request = PageRequest::<Position>::parse(&page)?;
    let search = query.search.as_deref().map(str::trim).filter(|search| !search.is_empty());
    if search.is_some_and(|search| search.contains('\0')) {
        return Err(ApiError::unstorable_text());
    }
    // Each kind of list has its own SQL, so that Postgres plans each on its own.
    let statement = match (&request.after, search) {
        (None, None) => read(select_users!("ORDER BY u.created_at DESC, u.id DESC LIMIT $1::pg_catalog.int8")),
        (Some(_), None) => read(select_users!(
            "WHERE (u.created_at, u.id) < ($2::pg_catalog.timestamptz, $3::pg_catalog.uuid)
             ORDER BY u.created_at DESC, u.id DESC LIMIT $1::pg_catalog.int8"
        )),
        (None, Some(_)) => read(select_users!(
            "WHERE u.email ~~ $2::pg_catalog.text OR u.id::pg_catalog.text = $3::pg_catalog.text
             ORDER BY u.created_at DESC, u.id DESC LIMIT $1::pg_catalog.int8"
        )),
        (Some(_), Some(_)) => read(select_users!(
            "WHERE (u.created_at, u.id) < ($2::pg_catalog.timestamptz, $3::pg_catalog.uuid)
               AND (u.email ~~ $4::pg_catalog.text OR u.id::pg_catalog.text = $5::pg_catalog.text)
             ORDER BY u.created_at DESC, u.id DESC LIMIT $1::pg_catalog.int8"
        )),
    };
    let mut statement = statement.bind(request.fetch().to_string());
    if let Some((created_at, id)) = request.after {
        statement = statement.bind(created_at.to_rfc3339()).bind(id.to_string());
    }
    if let Some(search) = search {
        let search = search.to_lowercase();
        statement = statement.bind(contains_pattern(&search)).bind(search);
    }
    let rows = state.database.rows(project, &statement).await?;
    let users = rows.iter().map(parse).collect::<ApiResult<Vec<_>>>()?;
    Ok(request.page(users, |user| (user.created_at, user.id.parse().unwrap_or_default())))
}

/// Returns the `LIKE` pattern for strings that contain `part`.
fn contains_pattern(part: &str) -> String {
    let mut pattern = String::from("%");
    for character in part.chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

pub(super) async fn get(state: &AuthState, project: &str, user: Uuid) -> ApiResult<ProjectUser> {
    state.settings.enabled(project).await?;
    let statement = read(select_users!("WHERE u.id = $1::pg_catalog.uuid")).bind(user.to_string());
    first(&state.database.rows(project, &statement).await?)
}

fn first(rows: &[Row]) -> ApiResult<ProjectUser> {
    rows.first().map(parse).transpose()?.ok_or_else(|| ApiError::not_found("user"))
}

/// Creates a user with a verified e-mail address.
///
/// # Errors
/// Returns 400 for an invalid field or a `weak_password`, 404 `auth_disabled` if login is off, 409 `email_taken` if
/// another user has the e-mail address, and 503 if too many passwords are being hashed.
pub(super) async fn create(state: &AuthState, project: &str, request: CreateUser) -> ApiResult<ProjectUser> {
    let settings = state.settings.enabled(project).await?;
    let CreateUser { email, password, role, data } = request;
    let email = EmailAddress::parse(&email)?;
    let data = UserData::parse(data)?;
    let hash = match password.map(Zeroizing::new) {
        Some(password) => {
            password_policy::check(&password, settings.password_min_length, email.as_str())?;
            Some(state.hasher.hash(password).await?)
        }
        None => None,
    };
    let id = Uuid::new_v4().to_string();
    let new = NewUser {
        id: &id,
        email: &email,
        role: role.as_str(),
        data: &data,
        is_verified: true,
        password_hash: hash.as_deref(),
    };
    let created = queries::insert_user(&state.database, project, &new).await?;
    let taken = || email_taken().with_hint("Use another e-mail address, or change the existing user.");
    Ok(created.ok_or_else(taken)?.for_owner(hash.is_some(), 0))
}

/// Changes a user. Disabling a user ends all their sessions, makes their mailed links invalid, and cancels logins and
/// resets that wait for the second factor. Enabling a disabled user does the same, because sessions, links and logins
/// may have been committed while the user was being disabled.
///
/// # Errors
/// Returns 400 for invalid or too large `data`, 404 if there is no such user, and 404 `auth_disabled` if login is off.
pub(super) async fn update(
    state: &AuthState,
    project: &str,
    user: Uuid,
    request: UpdateUser,
) -> ApiResult<ProjectUser> {
    state.settings.enabled(project).await?;
    let UpdateUser { role, disabled, data } = request;
    let data = UserData::parse(data)?;
    let statement = write(concat!(
        "WITH u AS (
             UPDATE auth.users SET updated_at = pg_catalog.now(), role = coalesce($4::pg_catalog.text, role),
                 disabled_at = CASE WHEN $5::pg_catalog.bool THEN coalesce(disabled_at, pg_catalog.now())
                                    WHEN NOT $5::pg_catalog.bool THEN NULL ELSE disabled_at END,
                 data = ",
        merged_data!(),
        " WHERE id = $1::pg_catalog.uuid AND ",
        data_fits!(),
        " RETURNING id
         ), ending AS (
             SELECT before.id FROM auth.users before JOIN u ON u.id = before.id
             WHERE $5::pg_catalog.bool OR ($5::pg_catalog.bool IS NOT NULL AND before.disabled_at IS NOT NULL)
         ), sessions AS (
             DELETE FROM auth.sessions s USING ending WHERE s.user_id = ending.id
         ), tokens AS (
             DELETE FROM auth.mailed_tokens t USING ending WHERE t.user_id = ending.id
         ), challenges AS (
             DELETE FROM auth.mfa_challenges c USING ending WHERE c.user_id = ending.id
         )
         SELECT FROM u"
    ))
    .bind(user.to_string())
    .bind(data.set())
    .bind(data.removed())
    .bind_option(role.map(|role| role.as_str()))
    .bind_option(disabled.map(|disabled| if disabled { "true" } else { "false" }));
    if state.database.rows(project, &statement).await?.is_empty() {
        get(state, project, user).await?;
        return Err(data_too_large());
    }
    if disabled == Some(true) {
        // The statement above ends only the sessions that existed when it began. Once it is committed, no session can
        // be opened, so this second statement ends the rest.
        queries::end_sessions(&state.database, project, &user.to_string(), None, None).await?;
    }
    get(state, project, user).await
}

/// Ends all sessions of a user. Returns the user's e-mail address.
pub(super) async fn sign_out(state: &AuthState, project: &str, user: Uuid) -> ApiResult<String> {
    let ProjectUser { email, .. } = get(state, project, user).await?;
    queries::end_sessions(&state.database, project, &user.to_string(), None, None).await?;
    Ok(email)
}

/// Deletes a user, and the rows that reference the user with `ON DELETE CASCADE`. Returns the user's e-mail address.
///
/// # Errors
/// Returns 404 if there is no such user, and 404 `auth_disabled` if login is off. Returns 409 if rows still refer to
/// the user, because their foreign key has no `ON DELETE` rule or the rule `RESTRICT`, or if a trigger or constraint of
/// the project prevents the deletion.
pub(super) async fn delete(state: &AuthState, project: &str, user: Uuid) -> ApiResult<String> {
    state.settings.enabled(project).await?;
    // Foreign keys to `auth.users` can change many rows and fire triggers of the project.
    let statement = Statement {
        writes: true,
        heavy: true,
        ..Statement::new("DELETE FROM auth.users WHERE id = $1::pg_catalog.uuid RETURNING email")
    };
    let statement = statement.bind(user.to_string());
    let rows = state.database.fetch(project, &statement).await.map_err(deletion_error)?;
    column(rows.first().ok_or_else(|| ApiError::not_found("user"))?, "email")
}

/// Maps the errors that foreign keys and triggers of the project's own tables cause.
fn deletion_error(error: DbError) -> ApiError {
    let Some(refusal) = error.as_db_error() else { return error.into() };
    let code = refusal.code().code().to_owned();
    // Postgres 18 reports violations of the rule `RESTRICT` with the second code.
    if code == "23503" || code == "23001" {
        let table = match (refusal.schema(), refusal.table()) {
            (Some(schema), Some(table)) => format!("`{schema}.{table}`"),
            _ => "another table".to_owned(),
        };
        return ApiError::new(Code::ForeignKeyViolation, format!("Rows of {table} still refer to the user."))
            .with_hint(
                "Delete or change these rows, or give the foreign key the rule `ON DELETE CASCADE` or \
                 `ON DELETE SET NULL`.",
            )
            .with_cause(error);
    }
    // Violations of constraints, and errors that PL/pgSQL raises.
    if code.starts_with("23") || code.starts_with("P0") {
        return ApiError::new(Code::Conflict, "A rule of the project's own tables prevents deleting the user.")
            .with_hint("Check the triggers and constraints of the tables that reference `auth.users`.")
            .with_cause(error);
    }
    error.into()
}
