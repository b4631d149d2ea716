//! Every route of both surfaces, one line per path. The method and path of a handler are in its `utoipa::path`
//! attribute, so that routes and OpenAPI document can't differ.
//!
//! A request passes these layers, outermost first: normalization of its path, request id and error bodies, client
//! address, panic handling, the surface's own gate (`projects::authenticate` or `admin::protect`), and the limits
//! (`http::limits`; on the admin surface also `http::responses`). Health checks pass neither gate nor limits.
//!
//! `openapi` builds the document from the same routes.

mod openapi;

use std::sync::Arc;

use axum::{
    Router,
    extract::{DefaultBodyLimit, Request, State},
    middleware,
    response::{IntoResponse as _, Response},
};
use tower::{ServiceBuilder, util::MapRequestLayer};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    admin,
    app::App,
    auth::routes as auth,
    backups,
    dashboard::{self, DashboardState},
    data,
    error::{ApiError, Code},
    events, health,
    http::{RequestLimits, add_client_address, finish_response, limit_requests, limit_responses, with_normal_paths},
    jobs, notifications, observability, plugins, projects, sql_editor, sql_runs,
    storage::{admin_routes as storage_admin, object_routes as storage_objects, routes as storage_public},
    storage_runs, tables, transfers,
};

pub use openapi::openapi;

/// Time limit of the admin surface, where requests create and drop databases.
const ADMIN_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(120);

/// Returns the routes of `/v1`. All but the public keys of access tokens need an API key.
fn public_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(data::list_tables))
        .routes(routes!(data::list_rows, data::insert_rows, data::update_rows, data::delete_rows))
        .routes(routes!(auth::sign_up))
        .routes(routes!(auth::log_in))
        .routes(routes!(auth::refresh_session))
        .routes(routes!(auth::log_out))
        .routes(routes!(auth::get_current_user, auth::update_current_user))
        .routes(routes!(auth::verify_email))
        .routes(routes!(auth::recover_account))
        .routes(routes!(auth::reset_password))
        .routes(routes!(auth::ask_for_magic_link))
        .routes(routes!(auth::confirm_magic_link))
        .routes(routes!(auth::verify_second_factor))
        .routes(routes!(auth::get_second_factor))
        .routes(routes!(auth::enrol_totp, auth::remove_totp))
        .routes(routes!(auth::confirm_totp))
        .routes(routes!(auth::replace_recovery_codes))
        .routes(routes!(auth::get_public_keys))
        .routes(routes!(storage_public::sign_upload))
        .routes(routes!(storage_public::sign_parts))
        .routes(routes!(storage_public::complete_upload))
        .routes(routes!(storage_public::abort_upload))
        .routes(routes!(storage_public::sign_download))
        .routes(routes!(storage_public::list_objects))
        .routes(routes!(storage_public::delete_object))
}

/// Returns the routes of `/admin/v1`. All but the sign-in need the owner.
#[rustfmt::skip]
fn admin_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(admin::sign_in, admin::get_session, admin::sign_out))
        .routes(routes!(admin::list_sessions, admin::end_other_sessions))
        .routes(routes!(admin::end_session))
        .routes(routes!(admin::list_audit_entries))
        .routes(routes!(admin::list_audit_actions))
        .routes(routes!(admin::export_audit_entries))
        .routes(routes!(admin::get_overview))
        .routes(routes!(admin::get_system))
        .routes(routes!(events::stream_changes))
        .routes(routes!(admin::list_migrations))
        .routes(routes!(admin::apply_migrations))
        .routes(routes!(projects::list_projects, projects::create_project))
        .routes(routes!(projects::get_project, projects::update_project, projects::delete_project))
        .routes(routes!(projects::list_keys, projects::create_key))
        .routes(routes!(projects::update_key, projects::revoke_key))
        .routes(routes!(projects::rotate_key))
        .routes(routes!(tables::list_tables))
        .routes(routes!(tables::get_table))
        .routes(routes!(tables::get_table_by_name))
        .routes(routes!(tables::list_access_findings))
        .routes(routes!(data::get_schema))
        .routes(routes!(tables::update_exposure))
        .routes(routes!(
            data::list_table_rows, data::insert_table_rows, data::update_table_rows, data::delete_table_rows
        ))
        .routes(routes!(data::get_table_cell))
        .routes(routes!(data::change_table_rows))
        .routes(routes!(data::list_rows_by_name))
        .routes(routes!(data::get_cell_by_name))
        .routes(routes!(data::change_rows_by_name))
        .routes(routes!(tables::update_exposure_by_name))
        .routes(routes!(sql_editor::run_sql))
        .routes(routes!(sql_runs::start_sql_run))
        .routes(routes!(sql_editor::parse_sql))
        .routes(routes!(sql_editor::cancel_sql))
        .routes(routes!(sql_editor::list_queries, sql_editor::create_query))
        .routes(routes!(sql_editor::list_sql_history, sql_editor::clear_sql_history))
        .routes(routes!(sql_editor::get_query, sql_editor::update_query, sql_editor::delete_query))
        .routes(routes!(storage_admin::list_buckets, storage_admin::create_bucket))
        .routes(routes!(storage_admin::get_bucket, storage_admin::update_bucket, storage_admin::delete_bucket))
        .routes(routes!(storage_objects::list_objects, storage_objects::delete_object))
        .routes(routes!(storage_objects::get_object))
        .routes(routes!(storage_objects::count_objects))
        .routes(routes!(storage_runs::delete_objects))
        .routes(routes!(storage_objects::move_object))
        .routes(routes!(storage_objects::copy_object))
        .routes(routes!(storage_objects::list_multipart_uploads))
        .routes(routes!(storage_admin::sign_upload))
        .routes(routes!(storage_admin::sign_parts))
        .routes(routes!(storage_admin::complete_upload))
        .routes(routes!(storage_admin::abort_upload))
        .routes(routes!(storage_admin::sign_download))
        .routes(routes!(auth::get_auth_settings, auth::update_auth_settings))
        .routes(routes!(auth::rotate_auth_key))
        .routes(routes!(auth::list_users, auth::create_user))
        .routes(routes!(auth::get_user, auth::update_user, auth::delete_user))
        .routes(routes!(auth::sign_user_out))
        .routes(routes!(auth::send_reset_link))
        .routes(routes!(auth::remove_second_factor))
        .routes(routes!(backups::list_backups, backups::create_backup))
        .routes(routes!(backups::list_protection))
        .routes(routes!(backups::get_backup, backups::delete_backup))
        .routes(routes!(backups::sign_backup_download))
        .routes(routes!(backups::verify_backup))
        .routes(routes!(backups::plan_backup_restore))
        .routes(routes!(backups::list_restores, backups::plan_upload_restore))
        .routes(routes!(backups::sign_restore_upload))
        .routes(routes!(backups::sign_restore_upload_again))
        .routes(routes!(backups::get_restore, backups::remove_restore))
        .routes(routes!(backups::confirm_restore))
        .routes(routes!(backups::roll_restore_back))
        .routes(routes!(transfers::list_exports, transfers::create_export))
        .routes(routes!(transfers::get_export, transfers::delete_export))
        .routes(routes!(transfers::sign_export_download))
        .routes(routes!(transfers::list_imports, transfers::create_import))
        .routes(routes!(transfers::get_import, transfers::delete_import))
        .routes(routes!(transfers::sign_import_upload))
        .routes(routes!(transfers::preview_import))
        .routes(routes!(transfers::start_import))
        .routes(routes!(jobs::list_jobs, jobs::create_job))
        .routes(routes!(jobs::get_job, jobs::update_job, jobs::delete_job))
        .routes(routes!(jobs::check_job))
        .routes(routes!(jobs::run_job))
        .routes(routes!(jobs::preview_cron))
        .routes(routes!(jobs::list_runs_of_job))
        .routes(routes!(jobs::list_runs))
        .routes(routes!(jobs::summarize_runs))
        .routes(routes!(jobs::get_run))
        .routes(routes!(jobs::get_run_log))
        .routes(routes!(jobs::cancel_run))
        .routes(routes!(jobs::run_again))
        .routes(routes!(notifications::list_channels, notifications::create_channel))
        .routes(routes!(notifications::get_channel, notifications::update_channel, notifications::delete_channel))
        .routes(routes!(notifications::test_channel))
        .routes(routes!(notifications::test_settings))
        .routes(routes!(notifications::list_deliveries))
        .routes(routes!(plugins::list_plugins))
        .routes(routes!(plugins::get_plugin, plugins::forget_plugin))
        .routes(routes!(plugins::approve_plugin))
        .routes(routes!(plugins::revoke_plugin))
        .routes(routes!(plugins::list_trusted_keys, plugins::add_trusted_key))
        .routes(routes!(plugins::revoke_trusted_key))
}

/// Returns `/healthz` and `/readyz`, which are on both surfaces, outside of their gates and limits.
fn health_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(health::healthz)).routes(routes!(health::readyz))
}

/// Returns `/metrics`, which is on the admin surface, behind `admin::require_metrics_reader`.
fn metrics_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(observability::get_metrics))
}

/// Returns the routes of the dashboard's files and of the OpenAPI document, on the admin surface. They are open to
/// anyone who reaches the listener, because they contain no stored data.
fn page_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(observability::get_openapi))
        .routes(routes!(dashboard::get_page))
        .routes(routes!(dashboard::get_asset))
}

/// Returns the router of the public surface: `/v1`, `/healthz` and `/readyz`.
pub fn public_router(app: &App) -> Router {
    let limits = request_limits(app, app.config().connections.public, app.config().limits.request_timeout);
    let gated = Router::from(public_routes())
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        // One layer for both, because each layer of a router is boxed and cloned for every request.
        .layer(
            ServiceBuilder::new()
                .layer(middleware::from_fn_with_state(app.gate().clone(), projects::authenticate))
                .layer(middleware::from_fn_with_state(limits, limit_requests::<projects::Caller>)),
        );
    add_layers(app, gated)
}

/// Returns the router of the admin surface: `/admin/v1`, `/healthz`, `/readyz`, `/metrics`, `/openapi.json`, the
/// dashboard's files, and its page at every other path that a browser navigates to.
pub fn admin_router(app: &App) -> Router {
    let limits = request_limits(app, app.config().connections.admin, ADMIN_TIMEOUT);
    let metrics = Router::from(metrics_routes())
        .layer(middleware::from_fn_with_state(app.admin().clone(), admin::require_metrics_reader));
    let gated = Router::from(admin_routes())
        .merge(metrics)
        .merge(Router::from(page_routes()))
        .fallback(page_or_unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(middleware::from_fn_with_state(app.responses().clone(), limit_responses))
        .layer(middleware::from_fn_with_state(limits, limit_requests::<admin::AdminCaller>));
    add_layers(app, admin::protect(gated, app.admin()))
}

fn request_limits(app: &App, connections: usize, timeout: std::time::Duration) -> RequestLimits {
    let config = app.config();
    RequestLimits::new(&config.limits, config.connections.min_bytes_per_second, connections, timeout)
}

fn add_layers(app: &App, gated: Router<App>) -> Router {
    let trust = Arc::new(app.config().trusted_proxies.clone());
    let router = gated
        .merge(Router::from(health_routes()).method_not_allowed_fallback(unknown_method))
        .layer(
            ServiceBuilder::new()
                .layer(middleware::from_fn(finish_response))
                .layer(MapRequestLayer::new(move |request| add_client_address(&trust, request)))
                .layer(CatchPanicLayer::custom(|_| panicked()))
                // `limit_requests` has checked the size.
                .layer(DefaultBodyLimit::disable()),
        )
        .with_state(app.clone());
    with_normal_paths(router)
}

fn panicked() -> Response {
    ApiError::internal(anyhow::anyhow!("a handler panicked")).into_response()
}

async fn unknown_path() -> ApiError {
    ApiError::new(Code::NotFound, "There is no such path.")
        .with_hint("See /openapi.json of the admin listener for all paths.")
}

/// Responds to navigation with the dashboard's document, and to other requests with 404. The dashboard's own router
/// selects the page, so browsers receive the same document at every address.
async fn page_or_unknown_path(State(dashboard): State<DashboardState>, request: Request) -> Response {
    let (is_navigation, headers) = (dashboard::is_navigation(&request), request.into_parts().0.headers);
    if is_navigation {
        return dashboard.page(&headers).await;
    }
    unknown_path().await.into_response()
}

async fn unknown_method() -> ApiError {
    ApiError::new(Code::MethodNotAllowed, "The path does not support this method.")
}
