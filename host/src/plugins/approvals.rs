//! The owner's word: approving a plugin, with less than it asks for if wanted; revoking it; forgetting it.

use std::collections::BTreeMap;

use api_types::{ApprovePlugin, GrantedCapability};
use plugin_manifest::{Capability, Scope};
use sqlx::PgPool;

use super::{
    PluginError, queries,
    slots::hex,
    trust::{Approval, InspectedPlugin, Powers, Refusal, requested_powers},
    trust_store::{BY_DEFAULT, stored},
};
use crate::secrets::{SealedColumn, Sealer};

const SEALED_SECRET: SealedColumn = SealedColumn {
    table: "plugin_secrets",
    column: "sealed",
    key_columns: &["plugin", "name"],
    identity: "plugin_secrets/{plugin}/{name}",
};
/// Columns of this slice that are sealed under the master key.
pub const SEALED_COLUMNS: &[SealedColumn] = &[SEALED_SECRET];

const MAX_ENTRIES: usize = 64;
const MAX_VALUE_BYTES: usize = 8 << 10;
const MAX_PATTERNS: usize = 100;

/// Returns the identity that a plugin's secret is sealed for.
pub(super) fn plugin_secret_identity(plugin: &str, name: &str) -> String {
    SEALED_SECRET.identity(&[&plugin, &name])
}

/// Binds the plugin's name, key and grants, and lifts a revocation of plugin and file. Answers the grants.
///
/// `granted` left out means all that it asks for; but what is approved as it stands keeps its grants, so that a
/// secret can be set without widening them.
pub(super) async fn approve(
    platform: &PgPool,
    sealer: &Sealer,
    plugin: &InspectedPlugin,
    before: Option<&Approval>,
    request: &ApprovePlugin,
    by: &str,
) -> Result<Powers, PluginError> {
    let manifest = &plugin.facts().manifest;
    let sha256 = hex(&plugin.sha256());
    if request.sha256.as_ref().is_some_and(|seen| !seen.eq_ignore_ascii_case(&sha256)) {
        return Err(PluginError::OtherFile { name: manifest.name.clone(), sha256 });
    }
    let requested = requested_powers(manifest);
    let granted = match (&request.granted, before) {
        (Some(granted), _) => checked_grant(granted, &requested)?,
        (None, Some(before)) if before.stands_for(plugin) => before.granted.clone(),
        (None, _) => requested.clone(),
    };
    let config = request.config.as_ref().map(checked_config).transpose()?;
    let secrets = sealed_secrets(sealer, &manifest.name, request.secrets.as_ref())?;
    let mut transaction = platform.begin().await?;
    let approval = queries::NewApproval {
        name: &manifest.name,
        key_id: plugin.key_id(),
        granted: stored(&granted),
        requested: stored(&requested),
        config,
        approved_by: by,
    };
    queries::trust_changed(&mut transaction).await?;
    queries::approve(&mut *transaction, approval).await?;
    queries::set_secrets(&mut transaction, &manifest.name, &secrets).await?;
    queries::restore_hash(&mut *transaction, &plugin.sha256()).await?;
    transaction.commit().await?;
    Ok(granted)
}

/// Approves one of the platform's own plugins with all it asks for, where the owner has not decided. True where
/// that changed something.
pub(super) async fn approve_by_default(
    platform: &PgPool,
    plugin: &InspectedPlugin,
    before: Option<&Approval>,
) -> Result<bool, PluginError> {
    let requested = requested_powers(&plugin.facts().manifest);
    // Together with what was there: an older and a newer binary side by side would take turns otherwise.
    let wanted = before.map_or_else(|| requested.clone(), |before| union(&before.requested, &requested));
    let mut transaction = platform.begin().await?;
    queries::trust_changed(&mut transaction).await?;
    let approval = queries::NewApproval {
        name: &plugin.facts().manifest.name,
        key_id: plugin.key_id(),
        granted: stored(&wanted),
        requested: stored(&wanted),
        config: None,
        approved_by: BY_DEFAULT,
    };
    let changed = queries::approve_by_default(&mut *transaction, approval).await?;
    if changed {
        transaction.commit().await?;
    }
    Ok(changed)
}

/// Stops a plugin, and the very file that is there now. True where there was something to stop.
pub(super) async fn revoke(platform: &PgPool, name: &str, file: Option<[u8; 32]>) -> Result<bool, PluginError> {
    let mut transaction = platform.begin().await?;
    queries::trust_changed(&mut transaction).await?;
    let mut done = queries::revoke_approval(&mut *transaction, name).await?;
    if let Some(sha256) = file {
        done |= queries::revoke_hash(&mut *transaction, &sha256, Some(name)).await?;
    }
    transaction.commit().await?;
    Ok(done)
}

/// Stops a file, whichever plugin it may be.
pub(super) async fn revoke_file(platform: &PgPool, sha256: [u8; 32]) -> Result<(), PluginError> {
    let mut transaction = platform.begin().await?;
    queries::trust_changed(&mut transaction).await?;
    queries::revoke_hash(&mut *transaction, &sha256, None).await?;
    transaction.commit().await?;
    Ok(())
}

/// Forgets approval, settings and secrets. True where there was an approval.
pub(super) async fn forget(platform: &PgPool, name: &str) -> Result<bool, PluginError> {
    let mut transaction = platform.begin().await?;
    queries::trust_changed(&mut transaction).await?;
    let done = queries::forget_approval(&mut *transaction, name).await?;
    transaction.commit().await?;
    Ok(done)
}

impl Approval {
    /// Whether nothing about the plugin waits for a decision.
    fn stands_for(&self, plugin: &InspectedPlugin) -> bool {
        let requested = requested_powers(&plugin.facts().manifest);
        !self.revoked && self.key_id == plugin.key_id() && self.requested == requested
    }
}

fn checked_grant(granted: &[GrantedCapability], requested: &Powers) -> Result<Powers, PluginError> {
    let mut powers = Powers::new();
    for grant in granted {
        let capability = Capability::ALL.into_iter().find(|capability| capability.as_str() == grant.capability);
        let asked = capability.and_then(|capability| Some((capability, requested.get(&capability)?)));
        let Some((capability, asked)) = asked else {
            let known: Vec<&str> = requested.keys().map(|capability| capability.as_str()).collect();
            return Err(PluginError::Invalid(format!(
                "`granted` names `{}`, and the plugin asks for {}.",
                shortened(&grant.capability),
                if known.is_empty() { "nothing".to_owned() } else { known.join(", ") }
            )));
        };
        let scope = Scope {
            databases: grant.scope.databases.clone(),
            stores: grant.scope.stores.clone(),
            hosts: grant.scope.hosts.clone(),
            secrets: grant.scope.secrets.clone(),
        };
        let patterns = scope.databases.iter().chain(&scope.stores).chain(&scope.hosts).chain(&scope.secrets);
        if patterns.clone().count() > MAX_PATTERNS || patterns.clone().any(|pattern| !is_pattern(pattern)) {
            return Err(PluginError::Invalid(format!(
                "The scope of `{capability}` has more than {MAX_PATTERNS} names, or one that is empty or too long."
            )));
        }
        if !scope.is_within(asked) {
            return Err(PluginError::Invalid(format!(
                "The grant of `{capability}` reaches further than the plugin asks for; leave out what it does not ask for."
            )));
        }
        if powers.insert(capability, scope).is_some() {
            return Err(PluginError::Invalid(format!("`granted` names `{capability}` twice.")));
        }
    }
    Ok(powers)
}

fn is_pattern(pattern: &str) -> bool {
    (1..=255).contains(&pattern.len()) && !pattern.chars().any(|c| c.is_control() || c.is_whitespace())
}

fn checked_config(config: &BTreeMap<String, String>) -> Result<serde_json::Value, PluginError> {
    check_entries("config", config.iter().map(|(name, value)| (name, Some(value))))?;
    Ok(serde_json::to_value(config).unwrap_or_default())
}

fn sealed_secrets(
    sealer: &Sealer,
    plugin: &str,
    secrets: Option<&BTreeMap<String, Option<String>>>,
) -> Result<BTreeMap<String, Option<Vec<u8>>>, PluginError> {
    let Some(secrets) = secrets else { return Ok(BTreeMap::new()) };
    check_entries("secrets", secrets.iter().map(|(name, value)| (name, value.as_ref())))?;
    let mut sealed = BTreeMap::new();
    for (name, value) in secrets {
        let value = value.as_ref().map(|value| sealer.seal(value.as_bytes(), &plugin_secret_identity(plugin, name)));
        sealed.insert(name.clone(), value.transpose()?);
    }
    Ok(sealed)
}

fn check_entries<'a>(
    field: &str,
    entries: impl ExactSizeIterator<Item = (&'a String, Option<&'a String>)>,
) -> Result<(), PluginError> {
    if entries.len() > MAX_ENTRIES {
        return Err(PluginError::Invalid(format!("`{field}` has more than {MAX_ENTRIES} entries.")));
    }
    for (name, value) in entries {
        let named = (1..=64).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        if !named {
            return Err(PluginError::Invalid(format!(
                "`{field}` has the name `{}`; use 1 to 64 letters, digits, `_`, `.` and `-`.",
                shortened(name)
            )));
        }
        if value.is_some_and(|value| value.len() > MAX_VALUE_BYTES) {
            return Err(PluginError::Invalid(format!("`{field}.{name}` is longer than {MAX_VALUE_BYTES} bytes.")));
        }
    }
    Ok(())
}

fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

fn union(a: &Powers, b: &Powers) -> Powers {
    let mut both = a.clone();
    for (capability, scope) in b {
        let known = both.entry(*capability).or_default();
        let lists = [
            (&mut known.databases, &scope.databases),
            (&mut known.stores, &scope.stores),
            (&mut known.hosts, &scope.hosts),
            (&mut known.secrets, &scope.secrets),
        ];
        for (known, more) in lists {
            let new: Vec<String> = more.iter().filter(|name| !known.contains(name)).cloned().collect();
            known.extend(new);
        }
    }
    both
}

/// Whether the owner could let it run by approving it.
pub(super) fn approvable(name: &str, refusal: Option<&Refusal>) -> Result<(), PluginError> {
    match refusal {
        None
        | Some(
            Refusal::NotApproved
            | Refusal::OtherKey { .. }
            | Refusal::WiderRequest(_)
            | Refusal::ImportNotGranted(_)
            | Refusal::Compiling
            | Refusal::Revoked
            | Refusal::RevokedFile(_)
            | Refusal::Grants(_),
        ) => Ok(()),
        Some(refusal) => Err(PluginError::NotApprovable { name: name.to_owned(), refusal: refusal.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api_types::CapabilityScope;

    fn hosts(hosts: &[&str]) -> Vec<String> {
        hosts.iter().map(|host| (*host).to_owned()).collect()
    }

    #[test]
    fn a_grant_is_within_the_request() {
        let requested = Powers::from([(Capability::Http, Scope { hosts: hosts(&["*.example"]), ..Scope::default() })]);
        let check = |grants: &[(&str, &[&str])], expected: Option<&str>| {
            let grants: Vec<GrantedCapability> = grants
                .iter()
                .map(|(capability, names)| GrantedCapability {
                    capability: (*capability).to_owned(),
                    scope: CapabilityScope { hosts: hosts(names), ..CapabilityScope::default() },
                })
                .collect();
            let found = checked_grant(&grants, &requested).err().map(|error| error.to_string());
            match expected {
                None => assert_eq!(found, None, "{grants:?}"),
                Some(part) => assert!(found.as_deref().is_some_and(|found| found.contains(part)), "{found:?}"),
            }
        };
        check(&[], None);
        check(&[("http", &["*.example"])], None);
        check(&[("http", &["a.example"])], None);
        check(&[("http", &["*"])], Some("further"));
        check(&[("http", &["a.example", "b.test"])], Some("further"));
        check(&[("http", &[""])], Some("empty"));
        check(&[("secrets", &[])], Some("asks for http"));
        check(&[("shell", &[])], Some("asks for http"));
        check(&[("http", &[]), ("http", &[])], Some("twice"));
    }

    #[test]
    fn names_and_sizes_of_settings_are_bounded() {
        let check = |name: &str, value: &str, fits: bool| {
            let config = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            assert_eq!(checked_config(&config).is_ok(), fits, "{name}");
        };
        check("API_KEY.v-1", "x", true);
        check("", "x", false);
        check("a b", "x", false);
        check("x", &"y".repeat(MAX_VALUE_BYTES + 1), false);
    }

    #[test]
    fn defaults_of_two_versions_add_up() {
        let powers = |names: &[&str]| {
            Powers::from([(Capability::Databases, Scope { databases: hosts(names), ..Scope::default() })])
        };
        assert_eq!(
            union(&powers(&["platform"]), &powers(&["project:*", "platform"])),
            powers(&["platform", "project:*"])
        );
    }
}
