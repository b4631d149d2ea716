use api_types::{ApprovePlugin, ErrorBody, Page, PageQuery, Plugin};
use axum::{Extension, extract::State, http::StatusCode};
use serde_json::json;

use super::Plugins;
use crate::{
    error::ApiResult,
    http::{ApiJson, ApiPath, ApiQuery, AuditDetails, PageRequest},
};

/// In `approved_by`; who it was, the audit log says.
const BY: &str = "owner";

/// Plugins of this node by name: what is loaded, what waits, what was refused and why.
#[utoipa::path(get, path = "/admin/v1/plugins", tag = "plugins", params(PageQuery),
    responses((status = 200, body = Page<Plugin>), (status = 400, body = ErrorBody)))]
pub(super) async fn list_plugins(
    State(plugins): State<Plugins>,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> ApiResult<ApiJson<Page<Plugin>>> {
    let request = PageRequest::<String>::parse(&query)?;
    let all = plugins.list().await;
    let after = request.after.clone();
    let rest = all.into_iter().filter(|plugin| after.as_ref().is_none_or(|after| plugin.name > *after));
    let rest = rest.take(usize::try_from(request.fetch()).unwrap_or_default()).collect();
    Ok(ApiJson(request.page(rest, |plugin: &Plugin| plugin.name.clone())))
}

/// One plugin.
#[utoipa::path(get, path = "/admin/v1/plugins/{plugin}", tag = "plugins", params(("plugin" = String, Path)),
    responses((status = 200, body = Plugin), (status = 404, body = ErrorBody)))]
pub(super) async fn get_plugin(
    State(plugins): State<Plugins>,
    ApiPath(name): ApiPath<String>,
) -> ApiResult<ApiJson<Plugin>> {
    Ok(ApiJson(plugins.get(&name).await?))
}

/// Lets a plugin run: binds its name, its key and what it is granted.
///
/// `granted` left out grants what it asks for; a plugin that is approved as it stands keeps its grants. A grant may be
/// narrower than the request, never wider. Lifts an earlier revocation of the plugin.
#[utoipa::path(post, path = "/admin/v1/plugins/{plugin}/approve", tag = "plugins",
    params(("plugin" = String, Path)), request_body = ApprovePlugin,
    responses((status = 200, body = Plugin), (status = 400, body = ErrorBody), (status = 404, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(super) async fn approve_plugin(
    State(plugins): State<Plugins>,
    ApiPath(name): ApiPath<String>,
    ApiJson(request): ApiJson<ApprovePlugin>,
) -> ApiResult<(Extension<AuditDetails>, ApiJson<Plugin>)> {
    let plugin = plugins.approve(&name, &request, BY).await?;
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

/// Stops a plugin and the file that is there now, and ends its runs.
#[utoipa::path(post, path = "/admin/v1/plugins/{plugin}/revoke", tag = "plugins", params(("plugin" = String, Path)),
    responses((status = 200, body = Plugin), (status = 404, body = ErrorBody)))]
pub(super) async fn revoke_plugin(
    State(plugins): State<Plugins>,
    ApiPath(name): ApiPath<String>,
) -> ApiResult<(Extension<AuditDetails>, ApiJson<Plugin>)> {
    let plugin = plugins.revoke(&name).await?;
    let details = json!({ "keyId": plugin.key_id, "sha256": plugin.sha256, "serial": plugin.serial });
    Ok((Extension(AuditDetails(details)), ApiJson(plugin)))
}

/// Forgets an approval with its settings and secrets. A plugin that is still there waits for approval again; a
/// revoked file stays revoked, and no older serial comes back.
#[utoipa::path(delete, path = "/admin/v1/plugins/{plugin}", tag = "plugins", params(("plugin" = String, Path)),
    responses((status = 204), (status = 404, body = ErrorBody)))]
pub(super) async fn forget_plugin(
    State(plugins): State<Plugins>,
    ApiPath(name): ApiPath<String>,
) -> ApiResult<StatusCode> {
    plugins.forget(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}
