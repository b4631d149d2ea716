//! Reads the trust data of the platform database into a [`TrustView`], and records the serials of loaded plugins.

use std::collections::BTreeMap;

use plugin_manifest::{Capability, Scope};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::{
    Approval, CapabilityScopes, InspectedPlugin, LatestSerial, TrustView,
    queries::{self, ApprovalRow, TrustRows},
};
use crate::plugins::package::{FirstParty, PluginKey, Refusal};

/// Value of `approved_by` for approvals that the host created.
pub(super) const APPROVED_BY_DEFAULT: &str = "system";

/// A capability as the tables store it.
#[derive(Serialize, Deserialize)]
struct StoredCapability {
    capability: Capability,
    #[serde(default)]
    scope: Scope,
}

/// Reads the current trust data. Includes this binary's own key, unless it was revoked.
pub(in crate::plugins) async fn load_trust(pool: &PgPool, first_party: &FirstParty) -> Result<TrustView, sqlx::Error> {
    Ok(to_view(queries::read_trust(pool).await?, first_party))
}

/// Records the serial of a plugin that is about to be loaded.
///
/// Returns a refusal if another node loaded a newer version, or another file with the same serial, since the trust data
/// was read.
pub(in crate::plugins) async fn record_serial(
    pool: &PgPool,
    plugin: &InspectedPlugin,
) -> Result<Option<Refusal>, sqlx::Error> {
    let serial = plugin.facts().manifest.serial;
    let stored = i64::try_from(serial).unwrap_or(i64::MAX);
    let conflict = queries::record_serial(pool, plugin.name(), stored, &plugin.sha256()).await?;
    Ok(conflict.map(|latest| match u64::try_from(latest.serial) {
        Ok(highest) if highest > serial => Refusal::Downgrade { serial, highest },
        _ => Refusal::SameSerial(serial),
    }))
}

fn to_view(rows: TrustRows, first_party: &FirstParty) -> TrustView {
    let mut view = TrustView { version: rows.version, ..TrustView::default() };
    for row in rows.keys {
        view.key_names.insert(row.id.clone(), row.name);
        if row.revoked_at.is_some() {
            view.revoked_keys.insert(row.id);
        } else if !row.first_party {
            // First-party keys in the table may belong to other binaries, which this one does not trust.
            match PluginKey::parse(&row.public_key) {
                Ok(key) => drop(view.keys.insert(row.id, key)),
                Err(error) => tracing::error!(key = row.id, %error, "a stored trusted key is invalid"),
            }
        }
    }
    if let Some(key) = &first_party.key
        && !view.revoked_keys.contains(key.id())
    {
        view.keys.insert(key.id().to_owned(), key.clone());
    }
    view.revoked_files = rows.revoked_hashes.into_iter().filter_map(|hash| hash.try_into().ok()).collect();
    for row in rows.serials {
        if let (Ok(serial), Ok(sha256)) = (u64::try_from(row.serial), row.sha256.try_into()) {
            view.serials.insert(row.name, LatestSerial { serial, sha256 });
        }
    }
    view.approvals = rows.approvals.into_iter().map(|row| (row.name.clone(), to_approval(row))).collect();
    for row in rows.secrets {
        if let Some(approval) = view.approvals.get_mut(&row.plugin) {
            approval.secrets.insert(row.name, row.sealed);
        }
    }
    view
}

fn to_approval(row: ApprovalRow) -> Approval {
    Approval {
        granted: parse_scopes(row.granted, &row.name),
        requested: parse_scopes(row.requested, &row.name),
        config: serde_json::from_value(row.config).unwrap_or_default(),
        secrets: BTreeMap::new(),
        by_default: row.approved_by == APPROVED_BY_DEFAULT,
        revoked: row.revoked_at.is_some(),
        approved_by: row.approved_by,
        approved_at: row.approved_at,
        revoked_at: row.revoked_at,
        key_id: row.key_id,
    }
}

/// Parses stored capabilities. Ignores unknown ones, which a newer version of AtlasHub may have written.
fn parse_scopes(stored: serde_json::Value, plugin: &str) -> CapabilityScopes {
    let Ok(list) = serde_json::from_value::<Vec<serde_json::Value>>(stored) else { return CapabilityScopes::new() };
    let known = list.into_iter().filter_map(|entry| match serde_json::from_value::<StoredCapability>(entry) {
        Ok(entry) => Some((entry.capability, entry.scope)),
        Err(error) => {
            tracing::warn!(plugin, %error, "ignored an unknown capability in a stored approval");
            None
        }
    });
    known.collect()
}

/// Returns scopes as the tables store them.
pub(super) fn to_stored(scopes: &CapabilityScopes) -> serde_json::Value {
    let list = scopes.iter().map(|(capability, scope)| {
        serde_json::to_value(StoredCapability { capability: *capability, scope: scope.clone() }).unwrap_or_default()
    });
    serde_json::Value::Array(list.collect())
}
