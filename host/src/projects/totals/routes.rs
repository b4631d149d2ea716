//! The handler that lists projects, with or without totals.

use std::time::Duration;

use api_types::{ErrorBody, ListedProject, Page, PageQuery};
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::queries::{self, After, Order};
use crate::{
    error::{ApiError, ApiResult, Code},
    http::{ApiJson, ApiQuery, PageRequest},
    projects::{ProjectRef, ProjectsState},
};

/// Maximum age of database sizes and table counts in the list.
const MAX_LIST_AGE: Duration = Duration::from_secs(60);
const MAX_SEARCH_CHARS: usize = 200;

/// Filter, order and page of a list of projects.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ProjectsQuery {
    /// Projects per page, 1–200 (default 50).
    limit: Option<u32>,
    /// `nextCursor` of the previous page.
    cursor: Option<String>,
    /// Only projects whose name contains this text (case-insensitive) or that have this id.
    q: Option<String>,
    /// Sort key: `name`, `-name`, `createdAt` or `-createdAt` (default). With `-`, the order is descending.
    order: Option<String>,
    /// `totals` adds the totals of each project. Database sizes and numbers of tables are at most a minute old.
    include: Option<String>,
}

/// List projects
///
/// Newest first, unless `order` says otherwise.
#[utoipa::path(get, path = "/admin/v1/projects", tag = "projects", params(ProjectsQuery),
    responses((status = 200, body = Page<ListedProject>), (status = 400, body = ErrorBody)))]
pub(crate) async fn list_projects(
    State(state): State<ProjectsState>,
    ApiQuery(query): ApiQuery<ProjectsQuery>,
) -> ApiResult<ApiJson<Page<ListedProject>>> {
    let order = parse_order(query.order.as_deref())?;
    let include_totals = match query.include.as_deref() {
        None | Some("") => false,
        Some("totals") => true,
        Some(other) => {
            return Err(ApiError::invalid(format!("Unknown value `{other}` of `include`. Supported: totals.")));
        }
    };
    let q = query.q.as_deref().map(str::trim).filter(|q| !q.is_empty());
    if q.is_some_and(|q| q.contains('\0') || q.chars().count() > MAX_SEARCH_CHARS) {
        return Err(ApiError::invalid(format!("`q` must have at most {MAX_SEARCH_CHARS} characters, without NUL.")));
    }
    let request = PageRequest::<(String, After)>::parse(&PageQuery { limit: query.limit, cursor: query.cursor })?;
    let order_text = order_text(order);
    let after = match request.after.clone() {
        Some((cursor_order, after)) if cursor_order == order_text && is_sort_key(order, &after) => Some(after),
        Some(_) => {
            return Err(ApiError::new(Code::InvalidCursor, "The cursor belongs to a list in another order.")
                .with_hint("Send the `order` of the previous page, or leave `cursor` out."));
        }
        None => None,
    };
    let projects = queries::list(&state.platform, q, order, after, request.fetch()).await?;
    let page = request.page(projects, |project| (order_text.to_owned(), sort_key(order, project)));
    let mut totals = match include_totals {
        true => state.totals(&page.items, MAX_LIST_AGE).await?,
        false => Default::default(),
    };
    let items = page
        .items
        .iter()
        .map(|project| ListedProject { project: project.to_wire(), totals: totals.remove(&project.id) });
    Ok(ApiJson(Page { items: items.collect(), next_cursor: page.next_cursor }))
}

fn parse_order(text: Option<&str>) -> ApiResult<Order> {
    match text {
        None | Some("-createdAt") => Ok(Order { by_name: false, descending: true }),
        Some("createdAt") => Ok(Order { by_name: false, descending: false }),
        Some("name") => Ok(Order { by_name: true, descending: false }),
        Some("-name") => Ok(Order { by_name: true, descending: true }),
        Some(other) => Err(ApiError::invalid(format!(
            "Unknown value `{other}` of `order`. Supported: name, -name, createdAt, -createdAt."
        ))),
    }
}

fn order_text(order: Order) -> &'static str {
    match (order.by_name, order.descending) {
        (true, false) => "name",
        (true, true) => "-name",
        (false, false) => "createdAt",
        (false, true) => "-createdAt",
    }
}

/// Returns whether the key of a cursor, which clients can change, has the right type.
fn is_sort_key(order: Order, (key, _): &After) -> bool {
    !key.contains('\0') && (order.by_name || key.parse::<DateTime<Utc>>().is_ok())
}

fn sort_key(order: Order, project: &ProjectRef) -> After {
    let key = if order.by_name { project.name.clone() } else { project.created_at.to_rfc3339() };
    (key, project.id.clone())
}
