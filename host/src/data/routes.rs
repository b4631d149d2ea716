use axum::{
    body::Bytes,
    extract::{FromRef, FromRequest, RawQuery, Request, State},
    http::{StatusCode, header},
};
use utoipa_axum::{router::OpenApiRouter, routes};

use api_types::{ErrorBody, Tables};

use crate::{
    error::{ApiError, ApiResult, Code},
    http::{ApiJson, ApiPath},
    projects::Caller,
};

use super::{DataService, Identity, JsonAnswer};

/// `/v1/db`, for callers with an API key.
pub fn router<S>() -> OpenApiRouter<S>
where
    S: Clone + Send + Sync + 'static,
    DataService: FromRef<S>,
{
    OpenApiRouter::new().routes(routes!(list_tables)).routes(routes!(list_rows, insert_rows, update_rows, delete_rows))
}

/// List tables
///
/// Tables and views of schema `public` that the key may use, with the columns it may use. A table that is itself
/// called `tables` can't be reached under this name; give it another one, or a view.
#[utoipa::path(
    get,
    path = "/v1/db/tables",
    tag = "db",
    responses((status = 200, body = Tables), (status = 503, body = ErrorBody, description = "The database can't be reached")),
)]
async fn list_tables(State(service): State<DataService>, caller: Caller) -> ApiResult<ApiJson<Tables>> {
    service.tables(identity(&caller)).await.map(ApiJson)
}

/// List rows
///
/// Besides the parameters below, every other one is a filter `operator.column=value`; all must hold. Operators:
/// `eq neq lt lte gt gte`, `like ilike` (`%` stands for any text), `in` (`in.id=1,2,3`, quotes for commas), `is`
/// (`null true false unknown`), `cs cd ov` (contains, is contained by, overlaps: arrays, ranges, jsonb), `fts` (text
/// search). `not.` before one negates it. `or=(eq.a:1,gt.b:2)` needs one of several; it may be repeated, nested with
/// `and(…)`, and negated with `not.or=(…)`. Values are answered exactly as Postgres writes them, numbers with every digit.
#[utoipa::path(
    get,
    path = "/v1/db/{table}",
    tag = "db",
    params(
        ("table" = String, Path, description = "Name of a table or view; case-sensitive"),
        ("select" = Option<String>, Query, description = "Columns by comma, `*` unless told; `alias:column` renames, names with odd characters go in double quotes. `authors(id,name)` embeds the table of that name along a foreign key, to-one as an object, to-many as an array (of at most the largest limit), two deep; `alias:authors!author_id(…)` says which key, by column or constraint"),
        ("limit" = Option<u64>, Query, description = "Rows of the page; 100 unless told, above 1000 cut to that (`page.limitCapped`)"),
        ("offset" = Option<u64>, Query, description = "Rows to skip"),
        ("order" = Option<String>, Query, description = "`a.asc,b.desc.nullslast`"),
        ("count" = Option<String>, Query, description = "`exact` or `estimated` adds `page.total`; an estimate is marked `page.totalIsEstimate`"),
        ("after" = Option<String>, Query, description = "`page.nextCursor` of the page before, under the same `order`, which must contain a unique key"),
    ),
    responses(
        (status = 200, body = serde_json::Value, description = "`{\"rows\":[…],\"page\":{\"limit\",\"offset\",\"nextOffset\",\"total\"?,\"nextCursor\"?}}`. `nextOffset` is null on the last page; `nextCursor` is there when the order contains a unique key, and null on the last page"),
        (status = 400, body = ErrorBody, description = "`invalid_request`, `invalid_value`, `unknown_column`, `unknown_operator`, `unknown_relation`, `invalid_cursor`"),
        (status = 403, body = ErrorBody, description = "The key may not read the table or a column"),
        (status = 404, body = ErrorBody, description = "`unknown_table`: there is none, or the key can't see it"),
        (status = 504, body = ErrorBody, description = "It took too long"),
    ),
)]
async fn list_rows(
    State(service): State<DataService>,
    caller: Caller,
    ApiPath(table): ApiPath<String>,
    RawQuery(query): RawQuery,
) -> ApiResult<JsonAnswer> {
    service.read(identity(&caller), &table, query.as_deref().unwrap_or("")).await
}

/// Insert rows
///
/// The body is `{"rows":[{…}]}`; all rows or none are inserted. A key that a row leaves out takes the column's
/// default, an explicit null is null.
#[utoipa::path(
    post,
    path = "/v1/db/{table}",
    tag = "db",
    params(
        ("table" = String, Path, description = "Name of a table or view; case-sensitive"),
        ("select" = Option<String>, Query, description = "Columns of the rows to answer"),
        ("returning" = Option<String>, Query, description = "`representation` (default) or `minimal`, the count alone"),
        ("onConflict" = Option<String>, Query, description = "Columns of a unique key: a row that has the key of one that exists is resolved instead of refused"),
        ("resolution" = Option<String>, Query, description = "`merge` (default with `onConflict`) updates the row that exists with the keys sent, `ignore` leaves it and does not answer it"),
    ),
    request_body(content = serde_json::Value, description = "`{\"rows\":[{\"column\":value,…},…]}`"),
    responses(
        (status = 201, body = serde_json::Value, description = "`{\"rows\":[…],\"count\":n}`, in the order of the request"),
        (status = 400, body = ErrorBody, description = "`invalid_json`, `invalid_value`, `unknown_column`"),
        (status = 403, body = ErrorBody, description = "The key, or a row-level security policy, does not allow it"),
        (status = 404, body = ErrorBody, description = "`unknown_table`"),
        (status = 409, body = ErrorBody, description = "A constraint; `details.constraint` names it"),
        (status = 413, body = ErrorBody), (status = 415, body = ErrorBody),
        (status = 422, body = ErrorBody, description = "A view that takes no inserts"),
    ),
)]
async fn insert_rows(
    State(service): State<DataService>,
    caller: Caller,
    ApiPath(table): ApiPath<String>,
    RawQuery(query): RawQuery,
    JsonBytes(body): JsonBytes,
) -> ApiResult<JsonAnswer> {
    service.insert(identity(&caller), &table, query.as_deref().unwrap_or(""), &body).await
}

/// Update rows
///
/// The body is `{"values":{…}}`; needs at least one filter, as for listing rows.
#[utoipa::path(
    patch,
    path = "/v1/db/{table}",
    tag = "db",
    params(
        ("table" = String, Path, description = "Name of a table or view; case-sensitive"),
        ("select" = Option<String>, Query, description = "Columns of the rows to answer"),
        ("returning" = Option<String>, Query, description = "`representation` (default, at most 10 000 rows) or `minimal`, the count alone"),
        ("maxAffected" = Option<u64>, Query, description = "Change nothing and answer 400 when more rows match"),
    ),
    request_body(content = serde_json::Value, description = "`{\"values\":{\"column\":value,…}}`"),
    responses(
        (status = 200, body = serde_json::Value, description = "`{\"rows\":[…],\"count\":n}`"),
        (status = 400, body = ErrorBody, description = "`filter_required`, `max_affected_exceeded`, `invalid_value`, `unknown_column`"),
        (status = 403, body = ErrorBody), (status = 404, body = ErrorBody, description = "`unknown_table`"),
        (status = 409, body = ErrorBody, description = "A constraint; `details.constraint` names it"),
        (status = 413, body = ErrorBody), (status = 415, body = ErrorBody), (status = 422, body = ErrorBody),
    ),
)]
async fn update_rows(
    State(service): State<DataService>,
    caller: Caller,
    ApiPath(table): ApiPath<String>,
    RawQuery(query): RawQuery,
    JsonBytes(body): JsonBytes,
) -> ApiResult<JsonAnswer> {
    service.update(identity(&caller), &table, query.as_deref().unwrap_or(""), &body).await
}

/// Delete rows
///
/// Needs at least one filter, as for listing rows.
#[utoipa::path(
    delete,
    path = "/v1/db/{table}",
    tag = "db",
    params(
        ("table" = String, Path, description = "Name of a table or view; case-sensitive"),
        ("select" = Option<String>, Query, description = "Columns of the rows to answer"),
        ("returning" = Option<String>, Query, description = "`minimal` (default), the count alone, or `representation`, also the rows as they were (at most 10 000)"),
        ("maxAffected" = Option<u64>, Query, description = "Delete nothing and answer 400 when more rows match"),
    ),
    responses(
        (status = 200, body = serde_json::Value, description = "`{\"count\":n}`, with `rows` where asked for"),
        (status = 400, body = ErrorBody, description = "`filter_required`, `max_affected_exceeded`, `unknown_column`"),
        (status = 403, body = ErrorBody), (status = 404, body = ErrorBody, description = "`unknown_table`"),
        (status = 409, body = ErrorBody, description = "Other rows refer to one of them"),
        (status = 422, body = ErrorBody),
    ),
)]
async fn delete_rows(
    State(service): State<DataService>,
    caller: Caller,
    ApiPath(table): ApiPath<String>,
    RawQuery(query): RawQuery,
) -> ApiResult<JsonAnswer> {
    service.delete(identity(&caller), &table, query.as_deref().unwrap_or("")).await
}

fn identity(caller: &Caller) -> Identity<'_> {
    Identity {
        project: &caller.project.id,
        role: caller.db_role(),
        claims: caller.user.as_ref().map(|user| user.json.as_str()),
    }
}

/// A JSON body as it came, so that its numbers keep every digit.
pub(super) struct JsonBytes(pub(super) Bytes);

impl<S: Send + Sync> FromRequest<S> for JsonBytes {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(&request) {
            return Err(ApiError::new(
                Code::UnsupportedMediaType,
                "Send the body with the header `content-type: application/json`.",
            ));
        }
        Bytes::from_request(request, state).await.map(Self).map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                ApiError::new(Code::BodyTooLarge, "The body is larger than this endpoint allows.")
            } else {
                ApiError::invalid(format!("The body could not be read: {}", rejection.body_text()))
            }
        })
    }
}

fn is_json(request: &Request) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| {
        let essence = value.split(';').next().unwrap_or("").trim();
        essence.eq_ignore_ascii_case("application/json")
    })
}
