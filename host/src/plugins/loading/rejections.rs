//! Reports rejected plugins to the owner.

use super::LoaderState;
use crate::db::audit::{NewAuditEntry, record_or_log};

/// Reports new rejections in the server's log, in the audit log and to `on_rejected`. Each is reported once.
pub(super) async fn report_rejections(state: &LoaderState) {
    let rejections = state.slots.lock().await.take_rejections();
    for rejected in rejections {
        tracing::warn!(plugin = rejected.name, reason = rejected.reason, "a plugin was rejected");
        let mut entry = NewAuditEntry::new("system", "plugin.reject");
        entry.target = Some(rejected.name.clone());
        entry.result = api_types::AuditResult::Denied;
        entry.details = serde_json::json!({
            "reason": rejected.reason,
            "sha256": rejected.sha256,
            "keyId": rejected.key_id,
        });
        record_or_log(&state.parts.platform, &entry).await;
        (state.parts.on_rejected)(&rejected);
    }
}
