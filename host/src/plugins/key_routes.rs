//! Handlers of the admin surface for trusted keys.

use api_types::{AddTrustedKey, ErrorBody, Page, PageQuery, RevokeTrustedKey, TrustedKey};
use axum::{Extension, extract::State, http::StatusCode};

use super::Plugins;
use crate::{
    error::ApiResult,
    http::{ApiJson, ApiPath, ApiQuery, AuditDetails, AuditTarget, OptionalJson, PageRequest},
};

/// List trusted keys
///
/// Includes revoked keys, and keys that are only proposed by files in `trusted-keys/` of the plugin folder.
#[utoipa::path(get, path = "/admin/v1/trusted-keys", tag = "plugins", params(PageQuery),
    responses((status = 200, body = Page<TrustedKey>), (status = 400, body = ErrorBody)))]
pub(crate) async fn list_trusted_keys(
    State(plugins): State<Plugins>,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> ApiResult<ApiJson<Page<TrustedKey>>> {
    let request = PageRequest::<String>::parse(&query)?;
    let all = plugins.keys().await?;
    let after = request.after.clone();
    let keys = all.into_iter().filter(|key| after.as_ref().is_none_or(|after| key.id > *after));
    let keys = keys.take(usize::try_from(request.fetch()).unwrap_or_default()).collect();
    Ok(ApiJson(request.page(keys, |key: &TrustedKey| key.id.clone())))
}

/// Trust a key
///
/// Plugins signed with the key still need approval, unless they were approved before.
#[utoipa::path(post, path = "/admin/v1/trusted-keys", tag = "plugins", request_body = AddTrustedKey,
    responses((status = 201, body = TrustedKey), (status = 400, body = ErrorBody), (status = 409, body = ErrorBody)))]
pub(crate) async fn add_trusted_key(
    State(plugins): State<Plugins>,
    ApiJson(request): ApiJson<AddTrustedKey>,
) -> ApiResult<(StatusCode, Extension<AuditTarget>, Extension<AuditDetails>, ApiJson<TrustedKey>)> {
    let key = plugins.add_key(&request.name, &request.public_key).await?;
    let details = serde_json::json!({ "name": key.name });
    Ok((StatusCode::CREATED, Extension(AuditTarget(key.id.clone())), Extension(AuditDetails(details)), ApiJson(key)))
}

/// Revoke a key permanently
///
/// Plugins signed with the key are unloaded, and their runs are stopped. The key of AtlasHub's own plugins needs a
/// confirmation.
#[utoipa::path(
    delete,
    path = "/admin/v1/trusted-keys/{id}",
    tag = "plugins",
    params(("id" = String, Path)),
    request_body = RevokeTrustedKey,
    responses(
        (status = 204),
        (
            status = 400,
            body = ErrorBody,
            description = "`confirmation_required`: the key signs AtlasHub's plugins, and `confirm` is not its name",
        ),
        (status = 404, body = ErrorBody),
    ),
)]
pub(crate) async fn revoke_trusted_key(
    State(plugins): State<Plugins>,
    ApiPath(id): ApiPath<String>,
    OptionalJson(request): OptionalJson<RevokeTrustedKey>,
) -> ApiResult<(StatusCode, Extension<AuditDetails>)> {
    let name = plugins.revoke_key(&id, &request.confirm).await?;
    Ok((StatusCode::NO_CONTENT, Extension(AuditDetails(serde_json::json!({ "name": name })))))
}
