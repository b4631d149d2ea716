//! Signs an upload as a browser form.

use std::collections::BTreeMap;

use api_types::SignedUpload;
use chrono::Utc;

use super::checked::{CheckedUpload, URL_LIFETIME};
use crate::{
    error::{ApiError, ApiResult},
    object_store::PostPolicy,
};

/// Signs a browser form. The store enforces the form's POST policy, which limits the length.
pub(super) async fn sign_post(upload: CheckedUpload<'_>) -> ApiResult<SignedUpload> {
    let upload = CheckedUpload { max_size: max_form_size(upload)?, ..upload };
    let key = upload.record_single().await?;
    let CheckedUpload { access, plan, max_size } = upload;
    let signed = access.state.store.presign_post(
        &PostPolicy {
            bucket: &access.store_bucket(),
            key: &key,
            content_type: &plan.content_type,
            length: plan.size.unwrap_or(0)..=max_size,
            expires_in: URL_LIFETIME,
        },
        Utc::now(),
    );
    Ok(SignedUpload {
        object_key: plan.path.key().to_owned(),
        upload_url: signed.url,
        method: "POST".to_owned(),
        headers: BTreeMap::new(),
        expires_in: URL_LIFETIME.as_secs(),
        fields: Some(signed.fields),
        multipart: None,
    })
}

/// Returns the maximum size of the form's file in bytes.
///
/// # Errors
/// Returns 400 if the request asks for more than the store accepts in a form.
fn max_form_size(upload: CheckedUpload<'_>) -> ApiResult<i64> {
    let CheckedUpload { access, plan, max_size } = upload;
    let Some(limit) = access.state.max_form_bytes.filter(|limit| max_size > *limit) else { return Ok(max_size) };
    let field = match (plan.size, plan.max_size) {
        (Some(_), _) => "size",
        (None, Some(_)) => "maxSize",
        // The request asks for no size, so the smaller limit applies instead of the bucket's.
        (None, None) => return Ok(limit),
    };
    Err(ApiError::invalid(format!("The object store accepts files up to {limit} bytes in forms."))
        .with_hint(format!("Send a smaller `{field}`, or use the mode `put` or `multipart`."))
        .with_detail("field", field.into()))
}
