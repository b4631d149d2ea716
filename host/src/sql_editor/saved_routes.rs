//! The routes of saved queries and of the history.

use api_types::{CreateSavedQuery, ErrorBody, Page, PageQuery, SavedQuery, SqlHistoryEntry, UpdateSavedQuery};
use axum::{
    Extension,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
};
use uuid::Uuid;

use super::{SqlEditorState, check::check_text, history, saved_queries};
use crate::{
    error::{ApiError, ApiResult, Code},
    http::{ApiJson, ApiPath, ApiQuery, AuditDetails, AuditTarget, NoQuery, PageRequest},
    projects::AdminProject,
};

const MAX_NAME_CHARACTERS: usize = 200;

/// A saved query with its entity tag.
type TaggedQuery = ([(HeaderName, HeaderValue); 1], ApiJson<SavedQuery>);

/// List saved queries
///
/// Returns the project's saved queries, sorted by name.
#[utoipa::path(get, path = "/admin/v1/projects/{project}/queries", tag = "sql",
    params(("project" = String, Path), PageQuery),
    responses((status = 200, body = Page<SavedQuery>), (status = 404, body = ErrorBody)))]
pub(crate) async fn list_queries(
    State(state): State<SqlEditorState>,
    AdminProject(project): AdminProject,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> ApiResult<ApiJson<Page<SavedQuery>>> {
    let request = PageRequest::<saved_queries::After>::parse(&query)?;
    let queries = saved_queries::list(&state.platform, &project.id, request.after.as_ref(), request.fetch()).await?;
    Ok(ApiJson(request.page(queries, |query| (query.name.clone(), query.id.parse().unwrap_or_default()))))
}

/// Save a query
#[utoipa::path(post, path = "/admin/v1/projects/{project}/queries", tag = "sql", operation_id = "create_query",
    params(("project" = String, Path)), request_body = CreateSavedQuery,
    responses((status = 201, body = SavedQuery), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody)))]
pub(crate) async fn create_query(
    State(state): State<SqlEditorState>,
    AdminProject(project): AdminProject,
    NoQuery: NoQuery,
    ApiJson(request): ApiJson<CreateSavedQuery>,
) -> ApiResult<(StatusCode, Extension<AuditTarget>, Extension<AuditDetails>, TaggedQuery)> {
    let name = checked_name(&request.name)?;
    check_text(&request.sql)?;
    let query = saved_queries::insert(&state.platform, &project.id, name, &request.sql).await?;
    let target = Extension(AuditTarget(query.id.clone()));
    Ok((StatusCode::CREATED, target, audit_details(&query.name), tagged(query)))
}

/// Get a saved query
#[utoipa::path(get, path = "/admin/v1/projects/{project}/queries/{query}", tag = "sql",
    params(("project" = String, Path), ("query" = String, Path)),
    responses(
        (status = 200, body = SavedQuery, headers(("etag" = String, description = "Version of the query"))),
        (status = 404, body = ErrorBody)))]
pub(crate) async fn get_query(
    State(state): State<SqlEditorState>,
    AdminProject(project): AdminProject,
    ApiPath((_, id)): ApiPath<(String, String)>,
    NoQuery: NoQuery,
) -> ApiResult<TaggedQuery> {
    let query = saved_queries::get(&state.platform, &project.id, parse_id(&id)?).await?;
    query.map(tagged).ok_or_else(not_found)
}

/// Change a saved query
///
/// With `If-Match`, the query is changed only if it still has the version of that entity tag.
#[utoipa::path(patch, path = "/admin/v1/projects/{project}/queries/{query}", tag = "sql",
    params(("project" = String, Path), ("query" = String, Path),
        ("if-match" = Option<String>, Header, description = "`ETag` of the version that was read")),
    request_body = UpdateSavedQuery,
    responses(
        (status = 200, body = SavedQuery), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 412, body = ErrorBody, description = "The query has another version; nothing was changed")))]
pub(crate) async fn update_query(
    State(state): State<SqlEditorState>,
    AdminProject(project): AdminProject,
    ApiPath((_, id)): ApiPath<(String, String)>,
    headers: HeaderMap,
    ApiJson(request): ApiJson<UpdateSavedQuery>,
) -> ApiResult<(Extension<AuditDetails>, TaggedQuery)> {
    let id = parse_id(&id)?;
    let name = request.name.as_deref().map(checked_name).transpose()?;
    if let Some(sql) = &request.sql {
        check_text(sql)?;
    }
    let versions = expected_versions(&headers);
    let (platform, sql) = (&state.platform, request.sql.as_deref());
    let updated = saved_queries::update(platform, &project.id, id, versions.as_deref(), name, sql).await?;
    match updated {
        Some(query) => Ok((audit_details(&query.name), tagged(query))),
        None => Err(missing(&state, &project.id, id).await?),
    }
}

/// Delete a saved query
#[utoipa::path(delete, path = "/admin/v1/projects/{project}/queries/{query}", tag = "sql",
    params(("project" = String, Path), ("query" = String, Path),
        ("if-match" = Option<String>, Header, description = "`ETag` of the version that was read")),
    responses(
        (status = 204, description = "Deleted"), (status = 404, body = ErrorBody),
        (status = 412, body = ErrorBody, description = "The query has another version; nothing was deleted")))]
pub(crate) async fn delete_query(
    State(state): State<SqlEditorState>,
    AdminProject(project): AdminProject,
    ApiPath((_, id)): ApiPath<(String, String)>,
    headers: HeaderMap,
) -> ApiResult<(StatusCode, Extension<AuditDetails>)> {
    let id = parse_id(&id)?;
    let versions = expected_versions(&headers);
    let deleted = saved_queries::delete(&state.platform, &project.id, id, versions.as_deref()).await?;
    match deleted {
        Some(name) => Ok((StatusCode::NO_CONTENT, audit_details(&name))),
        None => Err(missing(&state, &project.id, id).await?),
    }
}

/// List the history
///
/// Returns the SQL that was sent to the SQL editor or ran in the background, including SQL that failed or was refused,
/// newest first. Entries are kept for 90 days, at most 1000 per project.
#[utoipa::path(get, path = "/admin/v1/projects/{project}/queries/history", tag = "sql",
    params(("project" = String, Path), PageQuery),
    responses((status = 200, body = Page<SqlHistoryEntry>), (status = 404, body = ErrorBody)))]
pub(crate) async fn list_sql_history(
    State(state): State<SqlEditorState>,
    AdminProject(project): AdminProject,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> ApiResult<ApiJson<Page<SqlHistoryEntry>>> {
    let request = PageRequest::<i64>::parse(&query)?;
    let entries = history::list(&state.platform, &project.id, request.after, request.fetch()).await?;
    Ok(ApiJson(request.page(entries, |entry| entry.id)))
}

/// Clear the history
#[utoipa::path(delete, path = "/admin/v1/projects/{project}/queries/history", tag = "sql",
    params(("project" = String, Path)),
    responses((status = 204, description = "Deleted"), (status = 404, body = ErrorBody)))]
pub(crate) async fn clear_sql_history(
    State(state): State<SqlEditorState>,
    AdminProject(project): AdminProject,
) -> ApiResult<StatusCode> {
    history::clear(&state.platform, &project.id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Returns the error for a query that was not found in the expected version.
async fn missing(state: &SqlEditorState, project: &str, id: Uuid) -> ApiResult<ApiError> {
    let present = saved_queries::get(&state.platform, project, id).await?;
    Ok(match present {
        None => not_found(),
        Some(query) => ApiError::new(Code::PreconditionFailed, "The query was changed since it was read.")
            .with_hint("Read it again, then decide which version to keep.")
            .with_details(serde_json::json!({ "version": query.version })),
    })
}

/// Returns the versions in `If-Match` (RFC 9110, 13.1.1), or `None` if the header is absent or `*`.
fn expected_versions(headers: &HeaderMap) -> Option<Vec<i64>> {
    let header = headers.get(header::IF_MATCH)?.to_str().unwrap_or_default();
    if header.trim() == "*" {
        return None;
    }
    let version = |tag: &str| tag.trim().strip_prefix('"')?.strip_suffix('"')?.parse().ok();
    Some(header.split(',').filter_map(version).collect())
}

fn tagged(query: SavedQuery) -> TaggedQuery {
    let tag = HeaderValue::try_from(format!("\"{}\"", query.version));
    ([(header::ETAG, tag.unwrap_or(HeaderValue::from_static("\"\"")))], ApiJson(query))
}

/// Names the query in the audit entry, because the entry stays after the query is deleted.
fn audit_details(name: &str) -> Extension<AuditDetails> {
    Extension(AuditDetails(serde_json::json!({ "name": name })))
}

fn checked_name(name: &str) -> ApiResult<&str> {
    let name = name.trim();
    if (1..=MAX_NAME_CHARACTERS).contains(&name.chars().count()) && !name.contains(char::is_control) {
        return Ok(name);
    }
    Err(ApiError::invalid(format!(
        "`name` must have 1 to {MAX_NAME_CHARACTERS} characters, none of them a control character."
    )))
}

fn parse_id(id: &str) -> ApiResult<Uuid> {
    id.parse().map_err(|_| not_found())
}

fn not_found() -> ApiError {
    ApiError::not_found("saved query")
}
