//! Handlers for notification channels: list, create, get, change, delete, test, and list their deliveries.

use std::time::Instant;

use api_types::{
    ChannelKind, ChannelSettings, CreateNotificationChannel, ErrorBody, NotificationChannel, NotificationDelivery,
    NotificationEvent, NotificationTest, Page, PageQuery, TestNotificationSettings, UpdateNotificationChannel,
};
use axum::{Extension, extract::State, http::StatusCode};
use chrono::{DateTime, Utc};
use serde_json::json;
use uuid::Uuid;

use super::{
    NotificationState, delivery,
    history::{self, DeliveryRow},
    notification::Message,
    queries::{self, ChannelChange, ChannelForm, ChannelRow},
    settings,
};
use crate::{
    error::{ApiError, ApiResult, Code},
    http::{ApiJson, ApiPath, ApiQuery, AuditDetails, AuditTarget, PageRequest},
};

const MAX_NAME_LENGTH: usize = 120;

/// List notification channels
///
/// Oldest first, without their secrets.
#[utoipa::path(get, path = "/admin/v1/notifications", tag = "notifications", params(PageQuery),
    responses((status = 200, body = Page<NotificationChannel>)))]
pub(crate) async fn list_channels(
    State(state): State<NotificationState>,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> ApiResult<ApiJson<Page<NotificationChannel>>> {
    let request = PageRequest::<Uuid>::parse(&query)?;
    let rows = queries::list_channels(&state.platform, request.fetch(), request.after).await?;
    let page = request.page(rows, |row| row.id);
    let items = page.items.into_iter().map(|row| to_wire(&state, row)).collect();
    Ok(ApiJson(Page { items, next_cursor: page.next_cursor }))
}

/// Create a notification channel
///
/// The channel receives events that occur from now on.
#[utoipa::path(post, path = "/admin/v1/notifications", tag = "notifications", request_body = CreateNotificationChannel,
    responses((status = 201, body = NotificationChannel), (status = 400, body = ErrorBody)))]
pub(crate) async fn create_channel(
    State(state): State<NotificationState>,
    ApiJson(request): ApiJson<CreateNotificationChannel>,
) -> ApiResult<(StatusCode, Extension<AuditTarget>, Extension<AuditDetails>, ApiJson<NotificationChannel>)> {
    let name = check_name(&request.name)?;
    let events = check_events(&request.events)?;
    // Without previous settings, this only removes the user name and the password if one of them is empty.
    let form = settings::merge(request.settings, ChannelSettings::default());
    let (_, complete) = settings::check(request.kind, form, &state.egress)?;
    let id = Uuid::now_v7();
    let sealed = settings::seal(&state.sealer, id, &complete).map_err(ApiError::internal)?;
    let form = ChannelForm { name, events: &events, enabled: request.enabled.unwrap_or(true), sealed: &sealed };
    let row = queries::insert_channel(&state.platform, id, request.kind, &form).await?;
    let details = audit_details(&row.name, row.kind);
    Ok((StatusCode::CREATED, Extension(AuditTarget(id.to_string())), details, ApiJson(to_wire(&state, row))))
}

/// Get a notification channel
///
/// Returns the channel without its secrets.
#[utoipa::path(get, path = "/admin/v1/notifications/{channel}", tag = "notifications",
    params(("channel" = String, Path)),
    responses((status = 200, body = NotificationChannel), (status = 404, body = ErrorBody)))]
pub(crate) async fn get_channel(
    State(state): State<NotificationState>,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<ApiJson<NotificationChannel>> {
    let row = find(&state, &id).await?;
    Ok(ApiJson(to_wire(&state, row)))
}

/// Change a notification channel
///
/// Omitted fields, including secrets, keep their values. An empty `username` or `password` removes both. If the channel
/// is disabled, its pending deliveries fail.
#[utoipa::path(patch, path = "/admin/v1/notifications/{channel}", tag = "notifications",
    params(("channel" = String, Path)), request_body = UpdateNotificationChannel,
    responses((status = 200, body = NotificationChannel), (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(crate) async fn update_channel(
    State(state): State<NotificationState>,
    ApiPath(id): ApiPath<String>,
    ApiJson(request): ApiJson<UpdateNotificationChannel>,
) -> ApiResult<(Extension<AuditDetails>, ApiJson<NotificationChannel>)> {
    let row = find(&state, &id).await?;
    let name = request.name.as_deref().map(check_name).transpose()?;
    let events = request.events.as_deref().map(check_events).transpose()?;
    let new_sealed = if is_empty(&request.settings) {
        None
    } else {
        let complete = merge_with_stored(&state, &row, request.settings)?;
        Some(settings::seal(&state.sealer, row.id, &complete).map_err(ApiError::internal)?)
    };
    let sealed = new_sealed.as_deref().map(|new| (row.sealed.as_slice(), new));
    let change = ChannelChange { name, events: events.as_deref(), enabled: request.enabled, sealed };
    let changed = queries::update_channel(&state.platform, row.id, &change).await?.ok_or_else(|| {
        ApiError::new(Code::Conflict, "The channel was changed or deleted by another request at the same time.")
            .with_hint("Read the channel again and repeat the change.")
    })?;
    // If this request enables the channel, a delivery that was being sent when it was disabled may still be pending.
    state.notifier.wake_delivery();
    Ok((audit_details(&changed.name, changed.kind), ApiJson(to_wire(&state, changed))))
}

/// Delete a notification channel
///
/// Also deletes its deliveries, including pending ones.
#[utoipa::path(delete, path = "/admin/v1/notifications/{channel}", tag = "notifications",
    params(("channel" = String, Path)), responses((status = 204), (status = 404, body = ErrorBody)))]
pub(crate) async fn delete_channel(
    State(state): State<NotificationState>,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<(StatusCode, Extension<AuditDetails>)> {
    let deleted = queries::delete_channel(&state.platform, parse_id(&id)?).await?;
    let (name, kind) = deleted.ok_or_else(|| ApiError::not_found("channel"))?;
    Ok((StatusCode::NO_CONTENT, audit_details(&name, kind)))
}

/// Test a notification channel
///
/// Sends a test message once, even if the channel is disabled. Returns the result, and stores it in the channel
/// (`lastSentAt`, `lastError`).
#[utoipa::path(post, path = "/admin/v1/notifications/{channel}/test", tag = "notifications",
    params(("channel" = String, Path)),
    responses((status = 200, body = NotificationTest), (status = 404, body = ErrorBody)))]
pub(crate) async fn test_channel(
    State(state): State<NotificationState>,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<(Extension<AuditDetails>, ApiJson<NotificationTest>)> {
    let row = find(&state, &id).await?;
    let result = match settings::open(&state.sealer, row.id, &row.sealed) {
        Ok(stored) => send_test(&state, &row.name, row.kind, stored).await,
        Err(_) => failed_test(delivery::UNREADABLE_SETTINGS.to_owned()),
    };
    queries::record_test(&state.platform, row.id, result.error.as_deref()).await?;
    let Extension(AuditDetails(mut details)) = audit_details(&row.name, row.kind);
    details["delivered"] = result.delivered.into();
    Ok((Extension(AuditDetails(details)), ApiJson(result)))
}

/// Test the settings of a notification channel
///
/// Sends a test message with the settings of the request, and returns the result. With `channelId`, the stored settings
/// of that channel are used for settings that are absent, and for secrets that are hidden as in responses. Nothing is
/// stored.
#[utoipa::path(post, path = "/admin/v1/notifications/test", tag = "notifications",
    request_body = TestNotificationSettings,
    responses((status = 200, body = NotificationTest), (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody)))]
pub(crate) async fn test_settings(
    State(state): State<NotificationState>,
    ApiJson(request): ApiJson<TestNotificationSettings>,
) -> ApiResult<(Extension<AuditDetails>, ApiJson<NotificationTest>)> {
    let stored = match &request.channel_id {
        Some(id) => Some(find(&state, id).await?),
        None => None,
    };
    let complete = match &stored {
        Some(row) if row.kind != request.kind => {
            return Err(ApiError::invalid(format!(
                "The channel `{}` is not of the kind `{}`.",
                row.name, request.kind
            ))
            .with_hint("Omit `channelId` to test settings of another kind."));
        }
        Some(row) => merge_with_stored(&state, row, request.settings)?,
        None => {
            let form = settings::merge(request.settings, ChannelSettings::default());
            settings::check(request.kind, form, &state.egress)?.1
        }
    };
    let name = match &request.name {
        Some(name) if !name.trim().is_empty() => check_name(name)?,
        _ => stored.as_ref().map_or("without a name", |row| row.name.as_str()),
    };
    let result = send_test(&state, name, request.kind, complete).await;
    let Extension(AuditDetails(mut details)) = audit_details(name, request.kind);
    details["delivered"] = result.delivered.into();
    Ok((Extension(AuditDetails(details)), ApiJson(result)))
}

/// List the deliveries of a notification channel
///
/// Newest first. They are kept for 7 days after they end. Tests are not listed.
#[utoipa::path(get, path = "/admin/v1/notifications/{channel}/deliveries", tag = "notifications",
    params(("channel" = String, Path), PageQuery),
    responses((status = 200, body = Page<NotificationDelivery>), (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody)))]
pub(crate) async fn list_deliveries(
    State(state): State<NotificationState>,
    ApiPath(id): ApiPath<String>,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> ApiResult<ApiJson<Page<NotificationDelivery>>> {
    let request = PageRequest::<(DateTime<Utc>, Uuid)>::parse(&query)?;
    let channel = find(&state, &id).await?;
    let rows = history::deliveries(&state.platform, channel.id, request.after, request.fetch()).await?;
    let page = request.page(rows, |row| (row.first_at, row.id));
    let items = page.items.into_iter().map(DeliveryRow::into_wire).collect();
    Ok(ApiJson(Page { items, next_cursor: page.next_cursor }))
}

/// Sends a test message once.
async fn send_test(
    state: &NotificationState,
    name: &str,
    kind: ChannelKind,
    settings: ChannelSettings,
) -> NotificationTest {
    let started = Instant::now();
    let sent = delivery::send_message(state, kind, settings, &Message::test(name), None).await;
    let error = match sent {
        Ok(sent) => sent.error(),
        Err(error) => Some(error.text),
    };
    let duration_ms = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
    NotificationTest { delivered: error.is_none(), error, duration_ms }
}

fn failed_test(error: String) -> NotificationTest {
    NotificationTest { delivered: false, error: Some(error), duration_ms: 0 }
}

async fn find(state: &NotificationState, id: &str) -> ApiResult<ChannelRow> {
    queries::get_channel(&state.platform, parse_id(id)?).await?.ok_or_else(|| ApiError::not_found("channel"))
}

/// Merges changed settings into the stored ones of a channel, and validates them. If the stored ones can't be opened,
/// the changed ones must be complete, because there is nothing to keep.
fn merge_with_stored(
    state: &NotificationState,
    row: &ChannelRow,
    changed: ChannelSettings,
) -> ApiResult<ChannelSettings> {
    if let Ok(stored) = settings::open(&state.sealer, row.id, &row.sealed) {
        let form = settings::merge(changed, stored);
        return Ok(settings::check(row.kind, form, &state.egress)?.1);
    }
    let checked = settings::without_previous(row.kind, changed)
        .and_then(|form| settings::check(row.kind, form, &state.egress))
        .map_err(with_unreadable_hint)?;
    Ok(checked.1)
}

/// Adds to an error's hint that the stored settings can't be opened.
fn with_unreadable_hint(error: ApiError) -> ApiError {
    let unreadable = delivery::UNREADABLE_SETTINGS;
    let hint = error.hint().map_or_else(|| unreadable.to_owned(), |hint| format!("{unreadable} {hint}"));
    error.with_hint(hint)
}

fn parse_id(id: &str) -> ApiResult<Uuid> {
    id.parse().map_err(|_| ApiError::not_found("channel"))
}

fn check_name(name: &str) -> ApiResult<&str> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MAX_NAME_LENGTH || name.contains(char::is_control) {
        return Err(ApiError::invalid(format!(
            "`name` must have 1 to {MAX_NAME_LENGTH} characters, none of them a control character."
        )));
    }
    Ok(name)
}

fn check_events(events: &[NotificationEvent]) -> ApiResult<Vec<NotificationEvent>> {
    let mut unique: Vec<NotificationEvent> = Vec::new();
    for event in events {
        if !unique.contains(event) {
            unique.push(*event);
        }
    }
    if unique.is_empty() {
        return Err(ApiError::invalid("`events` must name at least one event.")
            .with_hint("To pause a channel, set `enabled` to false."));
    }
    Ok(unique)
}

fn is_empty(settings: &ChannelSettings) -> bool {
    serde_json::to_value(settings).is_ok_and(|value| value.as_object().is_some_and(serde_json::Map::is_empty))
}

fn audit_details(name: &str, kind: ChannelKind) -> Extension<AuditDetails> {
    Extension(AuditDetails(json!({ "name": name, "kind": kind })))
}

fn to_wire(state: &NotificationState, row: ChannelRow) -> NotificationChannel {
    let opened = settings::open(&state.sealer, row.id, &row.sealed).ok();
    let problem = opened.is_none().then(|| delivery::UNREADABLE_SETTINGS.to_owned());
    NotificationChannel {
        id: row.id.to_string(),
        name: row.name,
        kind: row.kind,
        events: row.events,
        enabled: row.enabled,
        settings: opened.as_ref().map(settings::without_secrets).unwrap_or_default(),
        last_sent_at: row.last_sent_at,
        last_error: problem.or(row.last_error),
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}
