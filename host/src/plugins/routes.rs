//! Handlers of the admin surface for plugins.

use api_types::{ApprovePlugin, ErrorBody, PageQuery, Plugin, PluginPage};
use axum::{Extension, extract::State, http::StatusCode};
use serde_json::json;

use super::Plugins;
use crate::{
    error::ApiResult,
    http::{ApiJson, ApiPath, ApiQuery, AuditDetails, NoQuery, PageRequest},
};

/// Value of `approved_by` for approvals through the API. The audit log contains the owner's identity.
const APPROVED_BY: &str = "owner";

/// List plugins
///
/// Returns the plugins of this node by name, with their state and the reason if they do not run, the jobs that use
/// them, and the plugin folder.
#[utoipa::path(get, path = "/admin/v1/plugins", tag = "plugins", params(PageQuery),
    responses((status = 200, body = PluginPage), (status = 400, body = ErrorBody)))]
pub(crate) async fn list_plugins(
    State(state): State<Plugins>,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> ApiResult<ApiJson<PluginPage>> {
    let request = PageRequest::<String>::parse(&query)?;
    let all = state.list().await;
    let after = request.after.clone();
    let plugins = all.into_iter().filter(|plugin| after.as_ref().is_none_or(|after| plugin.name > *after));
    let plugins = plugins.take(usize::try_from(request.fetch()).unwrap_or_default()).collect();
    let mut page = request.page(plugins, |plugin: &Plugin| plugin.name.clone());
    state.add_use(&mut page.items).await?;
    Ok(ApiJson(PluginPage { items: page.items, next_cursor: page.next_cursor, folder: state.folder().await }))
}

/// Get a plugin
#[utoipa::path(get, path = "/admin/v1/plugins/{plugin}", tag = "plugins", params(("plugin" = String, Path)),
    responses((status = 200, body = Plugin), (status = 404, body = ErrorBody)))]
pub(crate) async fn get_plugin(
    State(plugins): State<Plugins>,
    ApiPath(name): ApiPath<String>,
    _: NoQuery,
) -> ApiResult<ApiJson<Plugin>> {
    Ok(ApiJson(with_use(&plugins, plugins.get(&name).await?).await?))
}

/// Approve a plugin
///
/// Stores the grants for the plugin's name and key, and lets the plugin run. Without `granted`, the plugin is granted
/// everything it requests; a plugin whose approval is current keeps its grants. A grant may be narrower than the
/// request, but not wider. Lifts an earlier revocation of the plugin.
#[utoipa::path(post, path = "/admin/v1/plugins/{plugin}/approve", tag = "plugins",
    params(("plugin" = String, Path)), request_body = ApprovePlugin,
    responses((status = 200, body = Plugin), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody)))]
pub(crate) async fn approve_plugin(
    State(plugins): State<Plugins>,
    ApiPath(name): ApiPath<String>,
    ApiJson(request): ApiJson<ApprovePlugin>,
) -> ApiResult<(Extension<AuditDetails>, ApiJson<Plugin>)> {
    let plugin = with_use(&plugins, plugins.approve(&name, &request, APPROVED_BY).await?).await?;
    let details = json!({
        "keyId": plugin.key_id,
        "sha256": plugin.sha256,
        "serial": plugin.serial,
        "granted": plugin.granted,
        "secrets": request.secrets.map(|secrets| secrets.into_keys().collect::<Vec<_>>()),
        "config": request.config.map(|config| config.into_keys().collect::<Vec<_>>()),
    });
    Ok((Extension(AuditDetails(details)), ApiJson(plugin)))
}

/// Revoke a plugin
///
/// Also revokes its current file, and stops its runs. A plugin with neither an approval nor a readable file gets 409.
#[utoipa::path(post, path = "/admin/v1/plugins/{plugin}/revoke", tag = "plugins", params(("plugin" = String, Path)),
    responses((status = 200, body = Plugin), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(crate) async fn revoke_plugin(
    State(plugins): State<Plugins>,
    ApiPath(name): ApiPath<String>,
) -> ApiResult<(Extension<AuditDetails>, ApiJson<Plugin>)> {
    let plugin = with_use(&plugins, plugins.revoke(&name).await?).await?;
    let details = json!({ "keyId": plugin.key_id, "sha256": plugin.sha256, "serial": plugin.serial });
    Ok((Extension(AuditDetails(details)), ApiJson(plugin)))
}

/// Delete a plugin's approval
///
/// Deletes its settings and secrets too. A plugin whose files still exist needs approval again. A first-party plugin is
/// approved by default again. Revoked files stay revoked, and the highest serial stays recorded.
#[utoipa::path(delete, path = "/admin/v1/plugins/{plugin}", tag = "plugins", params(("plugin" = String, Path)),
    responses((status = 204), (status = 404, body = ErrorBody)))]
pub(crate) async fn forget_plugin(
    State(plugins): State<Plugins>,
    ApiPath(name): ApiPath<String>,
) -> ApiResult<StatusCode> {
    plugins.forget(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn with_use(plugins: &Plugins, mut plugin: Plugin) -> ApiResult<Plugin> {
    plugins.add_use(std::slice::from_mut(&mut plugin)).await?;
    Ok(plugin)
}
