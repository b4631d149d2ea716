//! `/v1/db`, for callers with an API key.

use axum::extract::State;

use api_types::{ErrorBody, Tables};

use crate::{
    error::ApiResult,
    http::{JsonBody, NoQuery},
    projects::Caller,
};

use super::{
    DataService, RowsResponse,
    table_request::{RowsCaller, TableRequest},
};

/// List tables
///
/// Returns the tables and views of schema `public` that the key can access, with the columns it can access. A table
/// named `tables` can't be reached under `/v1/db/tables`: rename it, or create a view on it.
#[utoipa::path(
    get,
    path = "/v1/db/tables",
    tag = "db",
    responses(
        (status = 200, body = Tables),
        (status = 503, body = ErrorBody, description = "The database can't be reached"),
    ),
)]
pub(crate) async fn list_tables(
    State(service): State<DataService>,
    caller: Caller,
    _: NoQuery,
) -> ApiResult<RowsResponse> {
    service.list_tables(caller.identity()).await
}

/// List rows
///
/// Every parameter not listed below is a filter, written `operator.column=value`. Rows must match all filters.
/// Operators: `eq neq lt lte gt gte`; `like ilike` (`%` matches any text); `in` (`in.id=1,2,3`; quote values that
/// contain commas); `is` (`null true false unknown`); `cs cd ov` (contains, is contained by, overlaps; for arrays,
/// ranges, jsonb and hstore); `fts` (full-text search). The prefix `not.` negates an operator. `or=(eq.a:1,gt.b:2)`
/// matches rows that meet at least one condition; it can be repeated, nested with `and(…)`, and negated as
/// `not.or=(…)`. Values are returned exactly as Postgres writes them; numbers keep every digit.
#[utoipa::path(
    get,
    path = "/v1/db/{table}",
    tag = "db",
    params(
        ("table" = String, Path, description = "Name of a table or view; case-sensitive"),
        ("select" = Option<String>, Query, description = "Comma-separated columns (default `*`). `alias:column` \
            renames a column; names with special characters go in double quotes. `authors(id,name)` embeds the rows of \
            a table related by a foreign key: as an object if there is at most one, otherwise as an array of at most \
            the maximum `limit`; two levels deep. `alias:authors!author_id(…)` chooses the foreign key, by column or \
            constraint. `authors.limit`, `authors.offset`, `authors.order`, `authors.or`, `authors.and`, and filters \
            like `gt.authors.id` select the embedded rows"),
        ("limit" = Option<u64>, Query, description = "Rows per page (default 100, or \
            `ATLASHUB_ROWS_DEFAULT_LIMIT`). Values above 1000 (`ATLASHUB_ROWS_MAX_LIMIT`) are reduced to it, and \
            `page.limitCapped` is set"),
        ("offset" = Option<u64>, Query, description = "Number of rows to skip"),
        ("order" = Option<String>, Query, description = "Columns to order by, for example `a.asc,b.desc.nullslast`"),
        ("count" = Option<String>, Query, description = "`exact` or `estimated` adds `page.total`. `estimated` \
            counts up to 1000 rows exactly if that is quick; otherwise the total is an estimate, and \
            `page.totalIsEstimate` is set, unless the page shows that it is exact"),
        ("after" = Option<String>, Query, description = "`page.nextCursor` of the previous page; requires the same \
            `order`, which must contain a unique key"),
    ),
    responses(
        (status = 200, body = serde_json::Value, description = "`{\"rows\":[…],\"page\":{\"limit\",\"offset\",\
            \"nextOffset\",\"total\"?,\"nextCursor\"?}}`. `nextOffset` is null on the last page, and with `after`. \
            `nextCursor` is present if the order contains a unique key, and null on the last page. `embedsCapped` \
            lists the embedded arrays that a limit cut"),
        (status = 400, body = ErrorBody, description = "`invalid_request`, `invalid_value`, `unknown_column`, \
            `unknown_operator`, `unknown_relation`, `invalid_cursor`"),
        (status = 403, body = ErrorBody, description = "The key may not read the table or a column"),
        (status = 404, body = ErrorBody, description = "`unknown_table`: the table does not exist, or the key can't \
            access it"),
        (status = 414, body = ErrorBody, description = "`url_too_long`"),
        (status = 422, body = ErrorBody, description = "`response_too_large`: select fewer columns, or set a smaller \
            `limit`"),
        (status = 504, body = ErrorBody, description = "The query exceeded its time limit"),
    ),
)]
pub(crate) async fn list_rows(request: TableRequest<Caller>) -> ApiResult<RowsResponse> {
    request.read().await
}

/// Insert rows
///
/// The body is `{"rows":[{…}]}`. Either all rows are inserted or none. A column that a row omits takes its default; an
/// explicit null is stored as null.
#[utoipa::path(
    post,
    path = "/v1/db/{table}",
    tag = "db",
    params(
        ("table" = String, Path, description = "Name of a table or view; case-sensitive"),
        ("select" = Option<String>, Query, description = "Columns of the returned rows"),
        ("returning" = Option<String>, Query, description = "`representation` (default) returns the rows, `minimal` \
            only their number"),
        ("onConflict" = Option<String>, Query, description = "Columns of a unique key. A row whose key already exists \
            is handled as `resolution` says, instead of failing the request"),
        ("resolution" = Option<String>, Query, description = "`merge` (default with `onConflict`) updates the \
            existing row with the columns sent; `ignore` leaves it unchanged and does not return it"),
    ),
    request_body(content = serde_json::Value, description = "`{\"rows\":[{\"column\":value,…},…]}`"),
    responses(
        (status = 201, body = serde_json::Value, description = "`{\"rows\":[…],\"count\":n}`, in the order of \
            the request. If the columns of the rows change more than 199 times from one row to the next, an upsert, or \
            an insert of more than 50 000 values, can change the order"),
        (status = 400, body = ErrorBody, description = "`invalid_json`, `invalid_value`, `unknown_column`"),
        (status = 403, body = ErrorBody, description = "The key or a row-level security policy does not allow it"),
        (status = 404, body = ErrorBody, description = "`unknown_table`"),
        (status = 409, body = ErrorBody,
         description = "A constraint is violated; `details.constraint` names it if the key can access its table"),
        (status = 413, body = ErrorBody), (status = 415, body = ErrorBody),
        (status = 422, body = ErrorBody, description = "The view does not support inserts"),
    ),
)]
pub(crate) async fn insert_rows(request: TableRequest<Caller>, JsonBody(body): JsonBody) -> ApiResult<RowsResponse> {
    request.insert(&body).await
}

/// Update rows
///
/// The body is `{"values":{…}}`. At least one filter is required, written as in `GET`.
#[utoipa::path(
    patch,
    path = "/v1/db/{table}",
    tag = "db",
    params(
        ("table" = String, Path, description = "Name of a table or view; case-sensitive"),
        ("select" = Option<String>, Query, description = "Columns of the returned rows"),
        ("returning" = Option<String>, Query, description = "`representation` (default) returns up to 10 000 rows, \
            `minimal` only their number"),
        ("maxAffected" = Option<u64>, Query, description = "If more rows match, nothing is changed and the response \
            is 400"),
    ),
    request_body(content = serde_json::Value, description = "`{\"values\":{\"column\":value,…}}`"),
    responses(
        (status = 200, body = serde_json::Value, description = "`{\"rows\":[…],\"count\":n}`. `rowsCapped` is true if \
            more than 10 000 rows were changed; `count` is the number of all"),
        (status = 400, body = ErrorBody, description = "`filter_required`, `max_affected_exceeded`, `invalid_value`, \
            `unknown_column`"),
        (status = 403, body = ErrorBody), (status = 404, body = ErrorBody, description = "`unknown_table`"),
        (status = 409, body = ErrorBody,
         description = "A constraint is violated; `details.constraint` names it if the key can access its table"),
        (status = 413, body = ErrorBody),
        (status = 414, body = ErrorBody, description = "`url_too_long`"),
        (status = 415, body = ErrorBody), (status = 422, body = ErrorBody),
    ),
)]
pub(crate) async fn update_rows(request: TableRequest<Caller>, JsonBody(body): JsonBody) -> ApiResult<RowsResponse> {
    request.update(&body).await
}

/// Delete rows
///
/// At least one filter is required, written as in `GET`.
#[utoipa::path(
    delete,
    path = "/v1/db/{table}",
    tag = "db",
    params(
        ("table" = String, Path, description = "Name of a table or view; case-sensitive"),
        ("select" = Option<String>, Query, description = "Columns of the returned rows"),
        ("returning" = Option<String>, Query, description = "`minimal` (default) returns only the number of rows, \
            `representation` also the deleted rows (at most 10 000)"),
        ("maxAffected" = Option<u64>, Query, description = "If more rows match, nothing is deleted and the response \
            is 400"),
    ),
    responses(
        (status = 200, body = serde_json::Value, description = "`{\"count\":n}`, with `rows` if requested. \
            `rowsCapped` is true if more than 10 000 rows were deleted; `count` is the number of all"),
        (status = 400, body = ErrorBody, description = "`filter_required`, `max_affected_exceeded`, `unknown_column`"),
        (status = 403, body = ErrorBody), (status = 404, body = ErrorBody, description = "`unknown_table`"),
        (status = 409, body = ErrorBody, description = "Other rows refer to one of these rows"),
        (status = 414, body = ErrorBody, description = "`url_too_long`"),
        (status = 422, body = ErrorBody),
    ),
)]
pub(crate) async fn delete_rows(request: TableRequest<Caller>) -> ApiResult<RowsResponse> {
    request.delete().await
}
