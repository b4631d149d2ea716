use std::collections::BTreeMap;

use api_types::SignedUpload;
use chrono::Utc;

use super::checked::{CheckedUpload, URL_LIFETIME};
use crate::{error::ApiResult, object_store::PostPolicy};

/// Signs a browser form. The store enforces the form's POST policy, which limits the length.
pub(super) async fn sign_post(upload: CheckedUpload<'_>) -> ApiResult<SignedUpload> {
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
