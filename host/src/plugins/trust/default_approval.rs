//! Approves first-party plugins with everything they request, unless the owner decided otherwise.

use sqlx::PgPool;

use super::{
    Approval, CapabilityScopes, InspectedPlugin, TrustView, inspect_file, queries, requested_scopes,
    store::{APPROVED_BY_DEFAULT, to_stored},
};
use crate::{
    db::audit::{NewAuditEntry, record},
    plugins::{
        PluginError,
        package::{FirstParty, Refusal, SignedFile},
    },
};

/// Approves the first-party plugins that lack a sufficient approval. Returns whether an approval changed.
pub(in crate::plugins) async fn approve_first_party(
    platform: &PgPool,
    first_party: &FirstParty,
    trust: &TrustView,
) -> Result<bool, PluginError> {
    let mut changed = false;
    for file in first_party.files() {
        let previous = trust.approvals.get(&file.name);
        if previous.is_some_and(|previous| !previous.by_default || previous.revoked) {
            continue;
        }
        changed |= approve_file(platform, file, previous, trust).await?;
    }
    Ok(changed)
}

async fn approve_file(
    platform: &PgPool,
    file: SignedFile,
    previous: Option<&Approval>,
    trust: &TrustView,
) -> Result<bool, PluginError> {
    let view = trust.clone();
    let inspection = tokio::task::spawn_blocking(move || inspect_file(&file, &view)).await;
    let Some(plugin) = inspection.ok().and_then(|inspection| inspection.plugin) else { return Ok(false) };
    let is_sufficient = previous.is_some() && !matches!(plugin.effective_scopes(trust), Err(Refusal::WiderRequest(_)));
    if is_sufficient { Ok(false) } else { approve_by_default(platform, &plugin, previous).await }
}

/// Creates or extends a default approval. Returns whether the approval in the database changed.
async fn approve_by_default(
    platform: &PgPool,
    plugin: &InspectedPlugin,
    previous: Option<&Approval>,
) -> Result<bool, PluginError> {
    let requested = requested_scopes(&plugin.facts().manifest);
    // Merged with the previous request: otherwise, an older and a newer binary on the same database would overwrite
    // each other's approval again and again.
    let scopes = previous.map_or_else(|| requested.clone(), |previous| merge(&previous.requested, &requested));
    let mut transaction = platform.begin().await?;
    queries::record_trust_change(&mut transaction).await?;
    let approval = queries::NewApproval {
        name: plugin.name(),
        key_id: plugin.key_id(),
        granted: to_stored(&scopes),
        requested: to_stored(&scopes),
        config: None,
        approved_by: APPROVED_BY_DEFAULT,
    };
    let changed = queries::upsert_default_approval(&mut *transaction, approval).await?;
    if changed {
        let mut entry = NewAuditEntry::new("system", "plugin.approve");
        entry.target = Some(plugin.name().to_owned());
        entry.details = serde_json::json!({
            "keyId": plugin.key_id(),
            "serial": plugin.facts().manifest.serial,
            "firstParty": true,
        });
        record(&mut *transaction, &entry).await?;
        transaction.commit().await?;
    }
    Ok(changed)
}

fn merge(a: &CapabilityScopes, b: &CapabilityScopes) -> CapabilityScopes {
    let mut merged = a.clone();
    for (capability, scope) in b {
        let target = merged.entry(*capability).or_default();
        let lists = [
            (&mut target.databases, &scope.databases),
            (&mut target.stores, &scope.stores),
            (&mut target.hosts, &scope.hosts),
            (&mut target.secrets, &scope.secrets),
        ];
        for (target, source) in lists {
            let added: Vec<String> = source.iter().filter(|name| !target.contains(name)).cloned().collect();
            target.extend(added);
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use plugin_manifest::{Capability, Scope};

    use super::*;

    #[test]
    fn default_approvals_of_two_versions_are_merged() {
        let scopes = |names: &[&str]| {
            let databases = names.iter().map(|name| (*name).to_owned()).collect();
            CapabilityScopes::from([(Capability::Databases, Scope { databases, ..Scope::default() })])
        };
        assert_eq!(
            merge(&scopes(&["platform"]), &scopes(&["project:*", "platform"])),
            scopes(&["platform", "project:*"])
        );
    }
}
