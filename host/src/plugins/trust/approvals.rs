//! The owner's decisions about a plugin: approval, revocation, and deletion of the approval.

use std::collections::BTreeMap;

use api_types::{ApprovePlugin, GrantedCapability};
use plugin_manifest::Scope;
use plugin_packing::capability_of;
use sqlx::PgPool;

use super::{
    Approval, CapabilityScopes, InspectedPlugin, KeyToTrust, queries, requested_scopes, secrets::seal_secrets,
    store::to_stored, trusted_keys,
};
use crate::{
    plugins::{PluginError, package::Refusal},
    secrets::Sealer,
};

/// Maximum number of settings of a plugin, and also of its secrets. A request can contain as many of each.
const MAX_ENTRIES: usize = 64;
const MAX_ENTRY_NAME_LENGTH: usize = 64;
const MAX_VALUE_BYTES: usize = 8 << 10;
/// Maximum number of patterns in the scope of one capability.
const MAX_PATTERNS: usize = 100;
const MAX_PATTERN_BYTES: usize = 255;
/// Maximum number of characters of a caller's text that an error message repeats.
const MAX_QUOTED_LENGTH: usize = 64;

/// An approval to create.
pub(in crate::plugins) struct ApprovalRequest<'a> {
    pub plugin: &'a InspectedPlugin,
    /// The current approval.
    pub previous: Option<&'a Approval>,
    pub request: &'a ApprovePlugin,
    /// A key to trust together with the approval.
    pub key: Option<&'a KeyToTrust>,
    /// The approver, for the column `approved_by`.
    pub approved_by: &'a str,
}

/// Stores the grants for the plugin's name and key, and lifts a revocation of the plugin and its file. Trusts the given
/// key in the same transaction.
///
/// Without `granted`, the plugin is granted everything that it requests. If its current approval is not revoked and is
/// for the same key and the same request, its grants stay as they are, so that a secret can be set without widening
/// them.
///
/// # Errors
/// Returns an error if the request names another file, if its grants, settings or secrets are invalid, if the
/// plugin would have too many secrets, if a secret can't be sealed, if the key can't be trusted, or if the platform
/// database is unavailable.
pub(in crate::plugins) async fn approve(
    platform: &PgPool,
    sealer: &Sealer,
    approval: ApprovalRequest<'_>,
) -> Result<(), PluginError> {
    let ApprovalRequest { plugin, previous, request, key, approved_by } = approval;
    let sha256 = hex::encode(plugin.sha256());
    if request.sha256.as_ref().is_some_and(|expected| !expected.eq_ignore_ascii_case(&sha256)) {
        return Err(PluginError::FileChanged { name: plugin.name().to_owned(), sha256 });
    }
    let requested = requested_scopes(&plugin.facts().manifest);
    let granted = match (&request.granted, previous) {
        (Some(granted), _) => parse_grants(granted, &requested)?,
        (None, Some(previous)) if is_current(previous, plugin, &requested) => previous.granted.clone(),
        (None, _) => requested.clone(),
    };
    let config = request.config.as_ref().map(check_config).transpose()?;
    let secrets = match &request.secrets {
        Some(secrets) => {
            check_entries("secrets", secrets.iter().map(|(name, value)| (name, value.as_ref())))?;
            seal_secrets(sealer, plugin.name(), secrets)?
        }
        None => BTreeMap::new(),
    };
    let mut transaction = platform.begin().await?;
    queries::record_trust_change(&mut transaction).await?;
    if let Some(key) = key {
        trusted_keys::insert(&mut transaction, key).await?;
    }
    let new = queries::NewApproval {
        name: plugin.name(),
        key_id: plugin.key_id(),
        granted: to_stored(&granted),
        requested: to_stored(&requested),
        config,
        approved_by,
    };
    queries::upsert_approval(&mut *transaction, new).await?;
    queries::set_secrets(&mut transaction, plugin.name(), &secrets).await?;
    let adds_secret = secrets.values().any(Option::is_some);
    if adds_secret && queries::count_secrets(&mut *transaction, plugin.name()).await? > MAX_ENTRIES {
        return Err(PluginError::Invalid(format!(
            "Plugin `{}` would have more than {MAX_ENTRIES} secrets. Remove some: send `null` as their value.",
            plugin.name()
        )));
    }
    queries::delete_revoked_hash(&mut *transaction, &plugin.sha256()).await?;
    transaction.commit().await?;
    Ok(())
}

/// Checks that an approval can let a plugin with this refusal run.
///
/// # Errors
/// Returns [`PluginError::NotApprovable`] if it can't.
pub(in crate::plugins) fn check_approvable(name: &str, refusal: Option<&Refusal>) -> Result<(), PluginError> {
    match refusal {
        Some(refusal) if !refusal.is_approvable() => {
            Err(PluginError::NotApprovable { name: name.to_owned(), refusal: refusal.clone() })
        }
        _ => Ok(()),
    }
}

/// Revokes a plugin and its current file. Returns whether this changed anything.
pub(in crate::plugins) async fn revoke(
    platform: &PgPool,
    name: &str,
    file: Option<[u8; 32]>,
) -> Result<bool, PluginError> {
    let mut transaction = platform.begin().await?;
    queries::record_trust_change(&mut transaction).await?;
    let mut changed = queries::revoke_approval(&mut *transaction, name).await?;
    if let Some(sha256) = file {
        changed |= queries::insert_revoked_hash(&mut *transaction, &sha256, Some(name)).await?;
    }
    transaction.commit().await?;
    Ok(changed)
}

/// Revokes a file, regardless of the plugin that it contains.
pub(in crate::plugins) async fn revoke_file(platform: &PgPool, sha256: [u8; 32]) -> Result<(), PluginError> {
    let mut transaction = platform.begin().await?;
    queries::record_trust_change(&mut transaction).await?;
    queries::insert_revoked_hash(&mut *transaction, &sha256, None).await?;
    transaction.commit().await?;
    Ok(())
}

/// Deletes an approval with its settings and secrets. Returns whether the approval existed.
pub(in crate::plugins) async fn forget(platform: &PgPool, name: &str) -> Result<bool, PluginError> {
    let mut transaction = platform.begin().await?;
    queries::record_trust_change(&mut transaction).await?;
    let deleted = queries::delete_approval(&mut *transaction, name).await?;
    transaction.commit().await?;
    Ok(deleted)
}

/// Returns whether the approval is for the plugin's key and request, and is not revoked.
fn is_current(approval: &Approval, plugin: &InspectedPlugin, requested: &CapabilityScopes) -> bool {
    !approval.revoked && approval.key_id == plugin.key_id() && approval.requested == *requested
}

fn parse_grants(granted: &[GrantedCapability], requested: &CapabilityScopes) -> Result<CapabilityScopes, PluginError> {
    let mut scopes = CapabilityScopes::new();
    for grant in granted {
        let capability = capability_of(&grant.capability);
        let entry = capability.and_then(|capability| Some((capability, requested.get(&capability)?)));
        let Some((capability, maximum)) = entry else {
            return Err(PluginError::Invalid(unrequested_grant(&grant.capability, requested)));
        };
        let scope = Scope {
            databases: grant.scope.databases.clone(),
            stores: grant.scope.stores.clone(),
            hosts: grant.scope.hosts.clone(),
            secrets: grant.scope.secrets.clone(),
        };
        let patterns = scope.databases.iter().chain(&scope.stores).chain(&scope.hosts).chain(&scope.secrets);
        if patterns.clone().count() > MAX_PATTERNS || patterns.clone().any(|pattern| !is_valid_pattern(pattern)) {
            return Err(PluginError::Invalid(format!(
                "The scope of `{capability}` is invalid: it can contain up to {MAX_PATTERNS} names of 1 to \
                 {MAX_PATTERN_BYTES} bytes without spaces."
            )));
        }
        if !scope.is_within(maximum) {
            return Err(PluginError::Invalid(format!(
                "The grant of `{capability}` is wider than the plugin's request. Remove the names that the plugin does \
                 not request."
            )));
        }
        if scopes.insert(capability, scope).is_some() {
            return Err(PluginError::Invalid(format!("`granted` contains `{capability}` more than once.")));
        }
    }
    Ok(scopes)
}

fn unrequested_grant(capability: &str, requested: &CapabilityScopes) -> String {
    let names: Vec<&str> = requested.keys().map(|capability| capability.as_str()).collect();
    let names = if names.is_empty() { "no capabilities".to_owned() } else { names.join(", ") };
    format!("`granted` contains `{}`, but the plugin requests {names}.", shorten(capability))
}

fn is_valid_pattern(pattern: &str) -> bool {
    (1..=MAX_PATTERN_BYTES).contains(&pattern.len()) && !pattern.chars().any(|c| c.is_control() || c.is_whitespace())
}

fn check_config(config: &BTreeMap<String, String>) -> Result<serde_json::Value, PluginError> {
    check_entries("config", config.iter().map(|(name, value)| (name, Some(value))))?;
    Ok(serde_json::to_value(config).unwrap_or_default())
}

fn check_entries<'a>(
    field: &str,
    entries: impl ExactSizeIterator<Item = (&'a String, Option<&'a String>)>,
) -> Result<(), PluginError> {
    if entries.len() > MAX_ENTRIES {
        return Err(PluginError::Invalid(format!("`{field}` contains more than {MAX_ENTRIES} entries.")));
    }
    for (name, value) in entries {
        let is_valid = (1..=MAX_ENTRY_NAME_LENGTH).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        if !is_valid {
            return Err(PluginError::Invalid(format!(
                "`{field}` contains the invalid name `{}`. Use 1 to {MAX_ENTRY_NAME_LENGTH} letters, digits, `_`, `.` \
                 and `-`.",
                shorten(name)
            )));
        }
        if value.is_some_and(|value| value.len() > MAX_VALUE_BYTES) {
            return Err(PluginError::Invalid(format!("`{field}.{name}` is longer than {MAX_VALUE_BYTES} bytes.")));
        }
    }
    Ok(())
}

fn shorten(text: &str) -> String {
    text.chars().take(MAX_QUOTED_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use api_types::CapabilityScope;
    use plugin_manifest::Capability;

    use super::*;

    fn hosts(hosts: &[&str]) -> Vec<String> {
        hosts.iter().map(|host| (*host).to_owned()).collect()
    }

    #[test]
    fn grant_beyond_the_request_is_rejected() {
        let requested =
            CapabilityScopes::from([(Capability::Http, Scope { hosts: hosts(&["*.example"]), ..Scope::default() })]);
        let check = |grants: &[(&str, &[&str])], expected: Option<&str>| {
            let grants: Vec<GrantedCapability> = grants
                .iter()
                .map(|(capability, names)| GrantedCapability {
                    capability: (*capability).to_owned(),
                    scope: CapabilityScope { hosts: hosts(names), ..CapabilityScope::default() },
                })
                .collect();
            let error = parse_grants(&grants, &requested).err().map(|error| error.to_string());
            match expected {
                None => assert_eq!(error, None, "{grants:?}"),
                Some(part) => assert!(error.as_deref().is_some_and(|error| error.contains(part)), "{error:?}"),
            }
        };
        check(&[], None);
        check(&[("http", &["*.example"])], None);
        check(&[("http", &["a.example"])], None);
        check(&[("http", &["*"])], Some("wider"));
        check(&[("http", &["a.example", "b.test"])], Some("wider"));
        check(&[("http", &[""])], Some("1 to 255 bytes"));
        check(&[("secrets", &[])], Some("requests http"));
        check(&[("shell", &[])], Some("requests http"));
        check(&[("http", &[]), ("http", &[])], Some("more than once"));
    }

    #[test]
    fn invalid_names_and_long_values_of_settings_are_rejected() {
        let check = |name: &str, value: &str, valid: bool| {
            let config = BTreeMap::from([(name.to_owned(), value.to_owned())]);
            assert_eq!(check_config(&config).is_ok(), valid, "{name}");
        };
        check("API_KEY.v-1", "x", true);
        check("", "x", false);
        check("a b", "x", false);
        check("x", &"y".repeat(MAX_VALUE_BYTES + 1), false);
    }
}
