//! Trust as the platform database holds it: read into a [`TrustView`], changed under one version.

use std::collections::BTreeMap;

use plugin_manifest::{Capability, Scope};
use serde::{Deserialize, Serialize};
use sqlx::PgPool;

use super::{
    first_party::FirstParty,
    queries::{self, ApprovalRow, TrustRows},
    trust::{Approval, PluginKey, Powers, SeenSerial, TrustView},
};

/// In `approved_by`, where nobody decided.
pub(super) const BY_DEFAULT: &str = "system";

/// One power as the table stores it.
#[derive(Serialize, Deserialize)]
struct StoredPower {
    capability: Capability,
    #[serde(default)]
    scope: Scope,
}

/// What the database says now. The binary's own key counts as well, unless it was revoked.
pub(super) async fn load(pool: &PgPool, first_party: &FirstParty) -> Result<TrustView, sqlx::Error> {
    Ok(view(queries::trust_rows(pool).await?, first_party))
}

fn view(rows: TrustRows, first_party: &FirstParty) -> TrustView {
    let mut view = TrustView { version: rows.version, ..TrustView::default() };
    for row in rows.keys {
        if row.revoked_at.is_some() {
            view.revoked_keys.insert(row.id);
        } else if !row.first_party {
            // The owner's; another binary's own key is not ours to trust.
            match PluginKey::parse(&row.public_key) {
                Ok(key) => drop(view.keys.insert(row.id, key)),
                Err(error) => tracing::error!(key = row.id, %error, "a trusted key can't be read"),
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
            view.serials.insert(row.name, SeenSerial { serial, sha256 });
        }
    }
    view.approvals = rows.approvals.into_iter().map(|row| (row.name.clone(), approval(row))).collect();
    for row in rows.secrets {
        if let Some(approval) = view.approvals.get_mut(&row.plugin) {
            approval.secrets.insert(row.name, row.sealed);
        }
    }
    view
}

fn approval(row: ApprovalRow) -> Approval {
    Approval {
        granted: powers(row.granted, &row.name),
        requested: powers(row.requested, &row.name),
        config: serde_json::from_value(row.config).unwrap_or_default(),
        secrets: BTreeMap::new(),
        by_default: row.approved_by == BY_DEFAULT,
        revoked: row.revoked_at.is_some(),
        key_id: row.key_id,
    }
}

/// What can't be read grants nothing: a newer version may know powers that this one doesn't.
fn powers(stored: serde_json::Value, plugin: &str) -> Powers {
    let Ok(list) = serde_json::from_value::<Vec<serde_json::Value>>(stored) else { return Powers::new() };
    let known = list.into_iter().filter_map(|power| match serde_json::from_value::<StoredPower>(power) {
        Ok(power) => Some((power.capability, power.scope)),
        Err(error) => {
            tracing::warn!(plugin, %error, "a granted power is unknown here and left out");
            None
        }
    });
    known.collect()
}

/// As the tables store powers.
pub(super) fn stored(powers: &Powers) -> serde_json::Value {
    let list = powers.iter().map(|(capability, scope)| {
        serde_json::to_value(StoredPower { capability: *capability, scope: scope.clone() }).unwrap_or_default()
    });
    serde_json::Value::Array(list.collect())
}
