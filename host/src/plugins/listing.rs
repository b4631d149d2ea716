//! Converts plugins to their representation in the API.

use std::sync::Arc;

use api_types::{
    CapabilityScope, GrantedCapability, Plugin, PluginApproval, PluginJob, PluginLimits, PluginState,
    RequestedCapability, RunCount,
};
use plugin_manifest::{Limits, Scope};

use super::{
    LoadedPlugin,
    loading::Slot,
    package::{Origin, Refusal, folder::PluginFolder, is_reserved},
    trust::{Approval, CapabilityScopes, TrustView},
};

/// Converts a plugin to its representation in the API. The result contains the manifest's data only if the signature is
/// valid. The caller adds the effective limits and the use of the plugin.
pub(super) fn to_wire(
    slot: &Slot,
    trust: &TrustView,
    folder: &PluginFolder,
    loaded: Option<&Arc<LoadedPlugin>>,
) -> Plugin {
    let mut wire = missing_to_wire(&slot.candidate.name, trust);
    wire.state = slot.state();
    wire.reason = slot.refusal().map(Refusal::text);
    wire.approvable = slot.inspection.plugin.is_some() && slot.refusal().is_none_or(Refusal::is_approvable);
    wire.compiling = slot.refusal() == Some(&Refusal::Compiling);
    wire.sha256 = slot.inspection.sha256.map(hex::encode).unwrap_or_default();
    wire.key_id.clone_from(&slot.inspection.key_id);
    wire.key_name = wire.key_id.as_ref().and_then(|id| trust.key_names.get(id).cloned());
    wire.first_party = slot.candidate.origin == Origin::Embedded;
    wire.file = (slot.candidate.origin == Origin::Folder)
        .then(|| folder.component_path(&slot.candidate.file).display().to_string());
    wire.loaded_at = loaded.map(|loaded| loaded.loaded_at);
    let Some(plugin) = &slot.inspection.plugin else { return wire };
    let manifest = &plugin.facts().manifest;
    wire.version = Some(manifest.version.clone());
    wire.serial = Some(manifest.serial);
    wire.publisher = Some(manifest.publisher.clone());
    wire.description = Some(manifest.description.clone());
    wire.imports.clone_from(&plugin.facts().imports);
    wire.limits = Some(limits(&manifest.limits));
    wire.requested = manifest
        .capabilities
        .iter()
        .map(|request| RequestedCapability {
            capability: request.capability.to_string(),
            reason: request.reason.clone(),
            scope: scope(&request.scope),
        })
        .collect();
    wire.jobs = manifest
        .jobs
        .iter()
        .map(|job| PluginJob {
            name: job.name.clone(),
            description: job.description.clone(),
            params_schema: job.params_schema.clone(),
        })
        .collect();
    wire
}

/// Returns the representation of a plugin that has an approval but no files.
pub(super) fn missing_to_wire(name: &str, trust: &TrustView) -> Plugin {
    let approval = trust.approvals.get(name);
    let revoked = approval.is_some_and(|approval| approval.revoked);
    Plugin {
        name: name.to_owned(),
        version: None,
        serial: None,
        publisher: None,
        description: None,
        sha256: String::new(),
        key_id: None,
        key_name: None,
        file: None,
        first_party: is_reserved(name),
        state: if revoked { PluginState::Revoked } else { PluginState::Rejected },
        reason: Some("its files are missing".to_owned()),
        approvable: false,
        compiling: false,
        imports: Vec::new(),
        requested: Vec::new(),
        granted: approval.map(|approval| capabilities(&approval.granted)).unwrap_or_default(),
        approval: approval.map(approval_to_wire),
        limits: None,
        effective_limits: None,
        jobs: Vec::new(),
        secrets: approval.map(|approval| approval.secrets.keys().cloned().collect()).unwrap_or_default(),
        config: approval.map(|approval| approval.config.clone()).unwrap_or_default(),
        loaded_at: None,
        used_by: Vec::new(),
        used_by_count: 0,
        runs_24h: RunCount { total: 0, failed: 0 },
        active_run_count: 0,
    }
}

fn approval_to_wire(approval: &Approval) -> PluginApproval {
    PluginApproval {
        approved_at: approval.approved_at,
        approved_by: approval.approved_by.clone(),
        key_id: approval.key_id.clone(),
        granted: capabilities(&approval.granted),
        requested: capabilities(&approval.requested),
        revoked_at: approval.revoked_at,
    }
}

fn capabilities(scopes: &CapabilityScopes) -> Vec<GrantedCapability> {
    scopes
        .iter()
        .map(|(capability, granted)| GrantedCapability { capability: capability.to_string(), scope: scope(granted) })
        .collect()
}

fn scope(scope: &Scope) -> CapabilityScope {
    CapabilityScope {
        databases: scope.databases.clone(),
        stores: scope.stores.clone(),
        hosts: scope.hosts.clone(),
        secrets: scope.secrets.clone(),
    }
}

pub(super) fn limits(limits: &Limits) -> PluginLimits {
    PluginLimits {
        memory_mib: limits.memory_mib,
        wall_seconds: limits.wall_seconds,
        cpu_seconds: limits.cpu_seconds,
        host_call_mib: limits.host_call_mib,
        log_kib: limits.log_kib,
        concurrent_runs: limits.concurrent_runs,
    }
}
