use std::sync::Arc;

use api_types::{
    CapabilityScope, GrantedCapability, Plugin, PluginJob, PluginLimits, PluginState, RequestedCapability,
};
use plugin_manifest::{Limits, Scope};

use super::{
    first_party::is_reserved,
    registry::ActivePlugin,
    slots::{Slot, hex},
    trust::{Approval, Origin, TrustView},
};

/// A plugin as the owner sees it. What an unchecked manifest says is never shown.
pub(super) fn plugin(name: &str, slot: &Slot, trust: &TrustView, active: Option<&Arc<ActivePlugin>>) -> Plugin {
    let mut wire = absent(name, trust);
    wire.state = slot.state();
    wire.reason = slot.refusal.as_ref().map(ToString::to_string);
    wire.sha256 = slot.sighting.sha256.map(|hash| hex(&hash)).unwrap_or_default();
    wire.key_id = slot.sighting.key_id.clone();
    wire.first_party = slot.origin == Origin::BuiltIn;
    wire.loaded_at = active.map(|active| active.loaded_at);
    let Some(inspected) = &slot.inspected else { return wire };
    let manifest = &inspected.facts().manifest;
    wire.version = Some(manifest.version.clone());
    wire.serial = Some(manifest.serial);
    wire.publisher = Some(manifest.publisher.clone());
    wire.description = Some(manifest.description.clone());
    wire.imports.clone_from(&inspected.facts().imports);
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

/// A plugin of which there is nothing but the owner's word.
pub(super) fn absent(name: &str, trust: &TrustView) -> Plugin {
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
        first_party: is_reserved(name),
        state: if revoked { PluginState::Revoked } else { PluginState::Rejected },
        reason: Some("its file is not there".to_owned()),
        imports: Vec::new(),
        requested: Vec::new(),
        granted: approval.map(granted).unwrap_or_default(),
        limits: None,
        jobs: Vec::new(),
        secrets: approval.map(|approval| approval.secrets.keys().cloned().collect()).unwrap_or_default(),
        config: approval.map(|approval| approval.config.clone()).unwrap_or_default(),
        loaded_at: None,
    }
}

fn granted(approval: &Approval) -> Vec<GrantedCapability> {
    let powers = approval.granted.iter();
    powers.map(|(power, reach)| GrantedCapability { capability: power.to_string(), scope: scope(reach) }).collect()
}

fn scope(scope: &Scope) -> CapabilityScope {
    CapabilityScope {
        databases: scope.databases.clone(),
        stores: scope.stores.clone(),
        hosts: scope.hosts.clone(),
        secrets: scope.secrets.clone(),
    }
}

fn limits(limits: &Limits) -> PluginLimits {
    PluginLimits {
        memory_mib: limits.memory_mib,
        wall_seconds: limits.wall_seconds,
        cpu_seconds: limits.cpu_seconds,
        host_call_mib: limits.host_call_mib,
        log_kib: limits.log_kib,
        concurrent_runs: limits.concurrent_runs,
    }
}
