//! The handler that streams changes as server-sent events.

use api_types::{ErrorBody, Event};
use axum::{extract::State, http::HeaderMap, response::Response};
use serde::Deserialize;
use uuid::Uuid;

use super::{
    EventsState,
    stream::{Position, stream_events},
};
use crate::{
    error::{ApiError, ApiResult, Code},
    http::{ApiQuery, HEARTBEAT_INTERVAL},
    jobs::{LogFilter, LogFollower},
};

/// Maximum number of logs in one stream.
const MAX_LOGS: usize = 4;

/// The contents of a stream, and the event after which it continues.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsQuery {
    /// Ids of up to four runs, separated by commas. The stream then contains their logs.
    log: Option<String>,
    /// The same as the header `Last-Event-ID`, for clients that can't send it: the id of the last event.
    last_event_id: Option<String>,
}

/// Follow changes
///
/// Streams server-sent events. The name of an event is the kind of the changed resource: `run`, `job`, `project`,
/// `backup`, `restore`, `plugin`, `channel` or `system`. Its data contains the id, the project and the new state;
/// states in between may be left out. After 15 seconds without an event, a comment is sent.
///
/// The stream begins with an event `system`. With the state `started`, the client must read all its data again. With
/// `resumed`, nothing was missed since the event in `Last-Event-ID`. `started` can also come later, if there were too
/// many changes to list. The stream ends after ten minutes, and after `stopping`, when the node stops. Then connect
/// again.
///
/// For the runs in `log`, the stream also contains their existing and new lines, as events `log` with `runId` and the
/// line, and after the last line an event `logEnd` with `runId` and the run. The id of each event contains the
/// positions in these logs, in the same order.
#[utoipa::path(get, path = "/admin/v1/events", tag = "system", params(EventsQuery),
    responses(
        (status = 200, description = "The stream", content_type = "text/event-stream", body = Event),
        (status = 400, body = ErrorBody),
        (status = 404, description = "A run of `log` does not exist", body = ErrorBody),
        (status = 503, description = "The maximum number of streams is open", body = ErrorBody)))]
pub(crate) async fn stream_changes(
    State(state): State<EventsState>,
    ApiQuery(query): ApiQuery<EventsQuery>,
    headers: HeaderMap,
) -> ApiResult<Response> {
    let runs = parse_runs(query.log.as_deref().unwrap_or_default())?;
    let header = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let last_id = header.or(query.last_event_id.as_deref()).unwrap_or_default();
    let position = Position::parse(last_id, state.history.process());
    let open = state.history.open_stream().ok_or_else(|| {
        ApiError::new(Code::Overloaded, "Too many event streams are open.")
            .with_hint("Close one. A browser needs one for all of its tabs.")
            .with_retry_after(HEARTBEAT_INTERVAL)
    })?;
    let mut logs = Vec::with_capacity(runs.len());
    for (index, run) in runs.into_iter().enumerate() {
        let offset = position.offsets.get(index).copied().unwrap_or_default();
        logs.push(LogFollower::open(&state.runs, run, offset, LogFilter::default()).await?);
    }
    Ok(stream_events(state, open, position.number, logs))
}

fn parse_runs(list: &str) -> ApiResult<Vec<Uuid>> {
    let ids = list.split(',').map(str::trim).filter(|id| !id.is_empty());
    let mut runs: Vec<Uuid> = Vec::new();
    for id in ids {
        let run = id.parse().map_err(|_| ApiError::not_found("run"))?;
        if runs.contains(&run) {
            return Err(ApiError::invalid("`log` names a run twice."));
        }
        runs.push(run);
    }
    if runs.len() > MAX_LOGS {
        return Err(ApiError::invalid(format!("`log` takes up to {MAX_LOGS} runs.")));
    }
    Ok(runs)
}
