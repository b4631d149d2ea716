//! Decides whether an inspected plugin may run.

use std::sync::Arc;

use super::{
    Approval, CapabilityScopes, InspectedPlugin, Inspection, TrustView, inspect::find_trusted_key, inspect_file,
    requested_scopes, scopes,
};
use crate::plugins::package::{Origin, Refusal, SignedFile};

/// A plugin that may run, with exactly the bytes that were checked.
#[derive(Debug)]
pub struct VerifiedPlugin {
    plugin: Arc<InspectedPlugin>,
    bytes: Arc<[u8]>,
}

impl VerifiedPlugin {
    pub fn plugin(&self) -> &Arc<InspectedPlugin> {
        &self.plugin
    }

    /// Returns the bytes to compile.
    pub fn into_bytes(self) -> Arc<[u8]> {
        self.bytes
    }
}

/// Inspects a file and decides whether it may run. The [`VerifiedPlugin`] is `None` if it was refused.
///
/// Hashes and parses the whole file, so call it on a blocking thread.
pub fn verify_file(file: SignedFile, trust: &TrustView) -> (Inspection, Option<VerifiedPlugin>) {
    let mut inspection = inspect_file(&file, trust);
    let Some(plugin) = inspection.plugin.clone() else { return (inspection, None) };
    match plugin.verify(file.bytes, trust) {
        Ok(verified) => (inspection, Some(verified)),
        Err(refusal) => {
            inspection.refusal = Some(refusal);
            (inspection, None)
        }
    }
}

impl InspectedPlugin {
    /// Checks that the plugin may be loaded, and that `bytes` are the bytes that it was inspected from.
    ///
    /// # Errors
    /// Returns the reason why the plugin may not be loaded, or [`Refusal::Changing`] if `bytes` are different bytes.
    pub fn verify(self: &Arc<Self>, bytes: Arc<[u8]>, trust: &TrustView) -> Result<VerifiedPlugin, Refusal> {
        self.check_loadable(trust)?;
        if crate::secrets::sha256(&bytes) != self.sha256 {
            return Err(Refusal::Changing(self.name().to_owned()));
        }
        Ok(VerifiedPlugin { plugin: Arc::clone(self), bytes })
    }

    /// Checks that the plugin may be loaded, and returns the scopes to load it with. Unlike
    /// [`InspectedPlugin::effective_scopes`], this also checks the plugin's serial.
    ///
    /// # Errors
    /// Returns the reason why the plugin may not be loaded.
    pub fn check_loadable(&self, trust: &TrustView) -> Result<CapabilityScopes, Refusal> {
        self.check_serial(trust)?;
        self.effective_scopes(trust)
    }

    /// Returns the scopes with which the plugin may run, or may continue to run. For each capability that it imports,
    /// the scope contains what was both requested and granted.
    ///
    /// # Errors
    /// Returns the reason why the plugin may not run, for example [`Refusal::ImportNotGranted`] if it imports a
    /// capability that was not granted.
    pub fn effective_scopes(&self, trust: &TrustView) -> Result<CapabilityScopes, Refusal> {
        self.check_not_revoked(trust)?;
        let approval = trust.approvals.get(self.name()).ok_or(Refusal::NotApproved)?;
        self.check_approval(approval)?;
        let mut scopes = CapabilityScopes::new();
        let requested = requested_scopes(&self.facts.manifest);
        for capability in &self.facts.capabilities {
            let granted = approval.granted.get(capability);
            let granted = granted.ok_or_else(|| Refusal::ImportNotGranted(capability.to_string()))?;
            let requested = requested.get(capability);
            let requested = requested.ok_or_else(|| Refusal::ImportNotRequested(capability.to_string()))?;
            scopes.insert(*capability, scopes::intersection(requested, granted));
        }
        Ok(scopes)
    }

    /// Checks that the plugin's key is trusted, and that neither the plugin's file nor its approval is revoked.
    /// `loading::registry` stops the runs of a plugin that fails this check.
    ///
    /// # Errors
    /// Returns [`Refusal::RevokedKey`] or [`Refusal::UntrustedKey`] for the key, [`Refusal::Revoked`] for the approval,
    /// and [`Refusal::RevokedFile`] for the file.
    pub fn check_not_revoked(&self, trust: &TrustView) -> Result<(), Refusal> {
        find_trusted_key(&self.key_id, trust)?;
        if trust.approvals.get(self.name()).is_some_and(|approval| approval.revoked) {
            return Err(Refusal::Revoked);
        }
        if trust.revoked_files.contains(&self.sha256) {
            return Err(Refusal::RevokedFile(hex::encode(self.sha256)));
        }
        Ok(())
    }

    fn check_approval(&self, approval: &Approval) -> Result<(), Refusal> {
        // Approvals of first-party plugins are not bound to a key, because each build may sign them with another key.
        if self.origin == Origin::Folder && approval.key_id != self.key_id {
            return Err(Refusal::OtherKey { approved: approval.key_id.clone(), actual: self.key_id.clone() });
        }
        let requested = requested_scopes(&self.facts.manifest);
        match scopes::describe_excess(&requested, &[&approval.granted, &approval.requested]) {
            Some(excess) => Err(Refusal::WiderRequest(excess)),
            None => Ok(()),
        }
    }

    fn check_serial(&self, trust: &TrustView) -> Result<(), Refusal> {
        let latest = match self.origin {
            // Each binary runs its own plugins, so that an older binary keeps working next to a newer one.
            Origin::Embedded => None,
            Origin::Folder => trust.serials.get(self.name()),
        };
        let Some(latest) = latest else { return Ok(()) };
        let serial = self.facts.manifest.serial;
        if serial < latest.serial {
            return Err(Refusal::Downgrade { serial, highest: latest.serial });
        }
        if serial == latest.serial && self.sha256 != latest.sha256 {
            return Err(Refusal::SameSerial(serial));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::{
        package::{ComponentFacts, ParamsSchemas, PluginKey},
        trust::LatestSerial,
    };
    use plugin_manifest::{Capability, Manifest, Scope};

    fn plugin(serial: u64, hosts: &[&str]) -> Arc<InspectedPlugin> {
        let manifest = serde_json::json!({
            "name": "hello", "version": "1", "serial": serial, "publisher": "Someone", "description": "Says hello.",
            "jobs": [{"name": "greet", "description": "Greets.", "paramsSchema": {"type": "object"}}],
            "capabilities": [{"capability": "http", "reason": "To greet.", "scope": {"hosts": hosts}}],
        });
        let manifest = Manifest::from_json(manifest.to_string().as_bytes()).unwrap();
        let schemas = ParamsSchemas::compile(&manifest).unwrap();
        let facts = ComponentFacts { manifest, imports: vec!["http".into()], capabilities: vec![Capability::Http] };
        let sha256 = crate::secrets::sha256(b"bytes");
        Arc::new(InspectedPlugin { origin: Origin::Folder, sha256, key_id: KEY.into(), facts, schemas })
    }

    const KEY: &str = "E7620F1842B4E81F";

    fn http(hosts: &[&str]) -> CapabilityScopes {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        CapabilityScopes::from([(Capability::Http, Scope { hosts, ..Scope::default() })])
    }

    fn approved(granted: &[&str], requested: &[&str]) -> TrustView {
        let key = PluginKey::parse("RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3").unwrap();
        let approval =
            Approval { key_id: KEY.into(), granted: http(granted), requested: http(requested), ..Approval::default() };
        TrustView {
            keys: [(KEY.to_owned(), key)].into(),
            approvals: [("hello".to_owned(), approval)].into(),
            ..TrustView::default()
        }
    }

    #[test]
    fn effective_scopes_are_requested_and_granted() {
        let check = |requested: &[&str], trust: &TrustView, expected: Result<CapabilityScopes, Refusal>| {
            assert_eq!(plugin(1, requested).effective_scopes(trust), expected, "{requested:?}");
        };
        check(&["a", "b"], &approved(&["a"], &["a", "b"]), Ok(http(&["a"])));
        check(&["a"], &approved(&["*"], &["*"]), Ok(http(&["a"])));
        check(&["c"], &approved(&["a"], &["a", "b"]), Err(Refusal::WiderRequest("http (hosts: c)".into())));
        let mut ungranted = approved(&["a"], &["a"]);
        ungranted.approvals.values_mut().for_each(|approval| approval.granted.clear());
        check(&["a"], &ungranted, Err(Refusal::ImportNotGranted("http".into())));
        check(&["a"], &TrustView { approvals: [].into(), ..ungranted }, Err(Refusal::NotApproved));
    }

    #[test]
    fn revoked_key_file_or_approval_is_refused() {
        let plugin = plugin(1, &["a"]);
        let check = |change: fn(&mut TrustView), expected: fn(&Refusal) -> bool| {
            let mut trust = approved(&["a"], &["a"]);
            assert_eq!(plugin.check_not_revoked(&trust), Ok(()));
            change(&mut trust);
            let refusal = plugin.effective_scopes(&trust).unwrap_err();
            assert!(expected(&refusal) && refusal.state() == api_types::PluginState::Revoked, "{refusal}");
        };
        check(|trust| trust.revoked_keys.extend([KEY.to_owned()]), |it| matches!(it, Refusal::RevokedKey(_)));
        check(
            |trust| trust.revoked_files.extend([crate::secrets::sha256(b"bytes")]),
            |it| matches!(it, Refusal::RevokedFile(_)),
        );
        check(
            |trust| trust.approvals.values_mut().for_each(|approval| approval.revoked = true),
            |it| *it == Refusal::Revoked,
        );
    }

    #[test]
    fn older_or_reused_serial_is_refused() {
        let check = |serial: u64, latest: Option<(u64, &[u8])>, expected: Option<Refusal>| {
            let mut trust = approved(&["a"], &["a"]);
            if let Some((serial, bytes)) = latest {
                let sha256 = crate::secrets::sha256(bytes);
                trust.serials.insert("hello".into(), LatestSerial { serial, sha256 });
            }
            let refusal = plugin(serial, &["a"]).verify(Arc::from(&b"bytes"[..]), &trust).err();
            assert_eq!(refusal, expected, "{serial} {latest:?}");
        };
        check(3, None, None);
        check(3, Some((2, b"older")), None);
        check(3, Some((3, b"bytes")), None);
        check(3, Some((3, b"other")), Some(Refusal::SameSerial(3)));
        check(3, Some((4, b"newer")), Some(Refusal::Downgrade { serial: 3, highest: 4 }));
    }

    #[test]
    fn bytes_that_differ_from_the_inspected_ones_are_refused() {
        let outcome = plugin(1, &["a"]).verify(Arc::from(&b"swapped"[..]), &approved(&["a"], &["a"]));
        assert!(matches!(outcome, Err(Refusal::Changing(_))));
    }

    #[test]
    fn plugin_signed_by_another_key_needs_approval() {
        let mut trust = approved(&["a"], &["a"]);
        trust.approvals.values_mut().for_each(|approval| approval.key_id = "0000000000000000".into());
        assert_eq!(plugin(1, &["a"]).effective_scopes(&trust).unwrap_err().state(), api_types::PluginState::Pending);
    }
}
