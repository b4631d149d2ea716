//! Signs an upload as a plain `PUT`.

use api_types::SignedUpload;

use super::checked::{CheckedUpload, URL_LIFETIME};
use crate::{
    error::ApiResult,
    object_store::{IfExists, PutConditions},
};

/// Signs a plain `PUT`. The store enforces the content type, the length if the request gave `size`, and `if_exists`.
pub(super) async fn sign_put(upload: CheckedUpload<'_>, if_exists: IfExists) -> ApiResult<SignedUpload> {
    let key = upload.record_single().await?;
    let CheckedUpload { access, plan, .. } = upload;
    let conditions = PutConditions { content_type: &plan.content_type, content_length: plan.size, if_exists };
    let store = &access.state.store;
    let signed = store.presign_put(&access.store_bucket(), &key, conditions, URL_LIFETIME).await?;
    Ok(SignedUpload {
        object_key: plan.path.key().to_owned(),
        upload_url: signed.url,
        method: "PUT".to_owned(),
        headers: signed.headers,
        expires_in: URL_LIFETIME.as_secs(),
        fields: None,
        multipart: None,
    })
}
