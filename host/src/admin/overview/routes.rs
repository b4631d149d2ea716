//! The handler of the overview.

use api_types::{ErrorBody, Overview};
use axum::extract::State;
use chrono::Utc;

use super::OverviewState;
use crate::{
    error::ApiResult,
    http::{ApiJson, NoQuery},
};

/// Get the overview
///
/// The state of the whole installation, and what needs attention, in the order of `AttentionKind`. Sizes of databases
/// and findings about tables are at most a minute old.
#[utoipa::path(get, path = "/admin/v1/overview", tag = "overview",
    responses((status = 200, body = Overview), (status = 503, body = ErrorBody)))]
pub(crate) async fn get_overview(State(state): State<OverviewState>, _: NoQuery) -> ApiResult<ApiJson<Overview>> {
    state.compute(Utc::now()).await.map(ApiJson)
}
