use std::sync::Arc;

use super::{
    Approval, InspectedPlugin, Origin, Powers, Refusal, TrustView, inspect::trusted, requested_powers, scopes,
};

/// A plugin that may run, and the very bytes that were checked.
#[derive(Debug)]
pub struct VerifiedPlugin {
    plugin: Arc<InspectedPlugin>,
    bytes: Arc<[u8]>,
    powers: Powers,
}

impl VerifiedPlugin {
    pub fn plugin(&self) -> &Arc<InspectedPlugin> {
        &self.plugin
    }

    /// Imports ∩ requested ∩ granted.
    pub fn powers(&self) -> &Powers {
        &self.powers
    }

    /// What to compile, and the powers to run it with.
    pub fn into_bytes(self) -> (Arc<[u8]>, Powers) {
        (self.bytes, self.powers)
    }
}

impl InspectedPlugin {
    /// Whether it may be loaded. `bytes` are those that it was inspected from.
    pub fn verify(self: &Arc<Self>, bytes: Arc<[u8]>, trust: &TrustView) -> Result<VerifiedPlugin, Refusal> {
        let powers = self.may_be_loaded(trust)?;
        if crate::secrets::sha256(&bytes) != self.sha256 {
            return Err(Refusal::Changing(self.facts.manifest.name.clone()));
        }
        Ok(VerifiedPlugin { plugin: Arc::clone(self), bytes, powers })
    }

    /// The same once more, where time went by since and trust may have changed.
    pub fn may_be_loaded(&self, trust: &TrustView) -> Result<Powers, Refusal> {
        self.check_serial(trust)?;
        self.effective_powers(trust)
    }

    /// Whether it may run, or go on running, by the owner's word alone; with which powers.
    pub fn effective_powers(&self, trust: &TrustView) -> Result<Powers, Refusal> {
        self.check_not_revoked(trust)?;
        let approval = trust.approvals.get(&self.facts.manifest.name).ok_or(Refusal::NotApproved)?;
        self.check_approval(approval)?;
        let mut powers = Powers::new();
        let requested = requested_powers(&self.facts.manifest);
        for power in &self.facts.powers {
            let granted = approval.granted.get(power);
            let granted = granted.ok_or_else(|| Refusal::ImportNotGranted(power.to_string()))?;
            let asked = requested.get(power).ok_or_else(|| Refusal::ImportNotRequested(power.to_string()))?;
            powers.insert(*power, scopes::intersection(asked, granted));
        }
        Ok(powers)
    }

    /// Whether nobody revoked its key, this file or its approval. A running plugin ends when one was.
    pub fn check_not_revoked(&self, trust: &TrustView) -> Result<(), Refusal> {
        trusted(&self.key_id, trust)?;
        if trust.approvals.get(&self.facts.manifest.name).is_some_and(|approval| approval.revoked) {
            return Err(Refusal::Revoked);
        }
        if trust.revoked_files.contains(&self.sha256) {
            return Err(Refusal::RevokedFile(self.sha256.iter().map(|byte| format!("{byte:02x}")).collect()));
        }
        Ok(())
    }

    fn check_approval(&self, approval: &Approval) -> Result<(), Refusal> {
        // The binary is whose it is: with another build comes another key.
        if self.origin == Origin::Folder && approval.key_id != self.key_id {
            return Err(Refusal::OtherKey { approved: approval.key_id.clone(), now: self.key_id.clone() });
        }
        let requested = requested_powers(&self.facts.manifest);
        match scopes::beyond(&requested, &[&approval.granted, &approval.requested]) {
            Some(beyond) => Err(Refusal::WiderRequest(beyond)),
            None => Ok(()),
        }
    }

    fn check_serial(&self, trust: &TrustView) -> Result<(), Refusal> {
        // Which of its own plugins runs is the binary's choice: an older binary beside a newer one must go on working.
        let seen = match self.origin {
            Origin::BuiltIn => None,
            Origin::Folder => trust.serials.get(&self.facts.manifest.name),
        };
        let Some(seen) = seen else { return Ok(()) };
        let serial = self.facts.manifest.serial;
        if serial < seen.serial {
            return Err(Refusal::Downgrade { serial, highest: seen.serial });
        }
        if serial == seen.serial && self.sha256 != seen.sha256 {
            return Err(Refusal::SameSerial(serial));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::trust::{ComponentFacts, SeenSerial};
    use plugin_manifest::{Capability, Manifest, Scope};

    fn plugin(serial: u64, hosts: &[&str]) -> Arc<InspectedPlugin> {
        let manifest = serde_json::json!({
            "name": "hello", "version": "1", "serial": serial, "publisher": "Someone", "description": "Says hello.",
            "jobs": [{"name": "greet", "description": "Greets.", "paramsSchema": {"type": "object"}}],
            "capabilities": [{"capability": "http", "reason": "To greet.", "scope": {"hosts": hosts}}],
        });
        let manifest = Manifest::from_json(manifest.to_string().as_bytes()).unwrap();
        let facts = ComponentFacts { manifest, imports: vec!["http".into()], powers: vec![Capability::Http] };
        let sha256 = crate::secrets::sha256(b"bytes");
        Arc::new(InspectedPlugin { origin: Origin::Folder, sha256, key_id: KEY.into(), facts })
    }

    const KEY: &str = "E7620F1842B4E81F";

    fn http(hosts: &[&str]) -> Powers {
        let hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        Powers::from([(Capability::Http, Scope { hosts, ..Scope::default() })])
    }

    fn approved(granted: &[&str], requested: &[&str]) -> TrustView {
        let key = super::super::PluginKey::parse("RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3").unwrap();
        let approval =
            Approval { key_id: KEY.into(), granted: http(granted), requested: http(requested), ..Approval::default() };
        TrustView {
            keys: [(KEY.to_owned(), key)].into(),
            approvals: [("hello".to_owned(), approval)].into(),
            ..TrustView::default()
        }
    }

    #[test]
    fn only_what_is_asked_for_and_granted_is_given() {
        let check = |asked: &[&str], trust: &TrustView, expected: Result<Powers, Refusal>| {
            assert_eq!(plugin(1, asked).effective_powers(trust), expected, "{asked:?}");
        };
        check(&["a", "b"], &approved(&["a"], &["a", "b"]), Ok(http(&["a"])));
        check(&["a"], &approved(&["*"], &["*"]), Ok(http(&["a"])));
        check(&["c"], &approved(&["a"], &["a", "b"]), Err(Refusal::WiderRequest("http (hosts: c)".into())));
        let mut nothing = approved(&["a"], &["a"]);
        nothing.approvals.values_mut().for_each(|approval| approval.granted.clear());
        check(&["a"], &nothing, Err(Refusal::ImportNotGranted("http".into())));
        check(&["a"], &TrustView { approvals: [].into(), ..nothing }, Err(Refusal::NotApproved));
    }

    #[test]
    fn a_revocation_of_any_kind_ends_it() {
        let plugin = plugin(1, &["a"]);
        let check = |change: fn(&mut TrustView), expected: fn(&Refusal) -> bool| {
            let mut trust = approved(&["a"], &["a"]);
            assert_eq!(plugin.check_not_revoked(&trust), Ok(()));
            change(&mut trust);
            let refusal = plugin.effective_powers(&trust).unwrap_err();
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
    fn a_serial_never_goes_back() {
        let check = |serial: u64, seen: Option<(u64, &[u8])>, expected: Option<Refusal>| {
            let mut trust = approved(&["a"], &["a"]);
            if let Some((serial, bytes)) = seen {
                let sha256 = crate::secrets::sha256(bytes);
                trust.serials.insert("hello".into(), SeenSerial { serial, sha256 });
            }
            let found = plugin(serial, &["a"]).verify(Arc::from(&b"bytes"[..]), &trust).err();
            assert_eq!(found, expected, "{serial} {seen:?}");
        };
        check(3, None, None);
        check(3, Some((2, b"older")), None);
        check(3, Some((3, b"bytes")), None);
        check(3, Some((3, b"other")), Some(Refusal::SameSerial(3)));
        check(3, Some((4, b"newer")), Some(Refusal::Downgrade { serial: 3, highest: 4 }));
    }

    #[test]
    fn other_bytes_than_the_inspected_ones_are_refused() {
        let found = plugin(1, &["a"]).verify(Arc::from(&b"swapped"[..]), &approved(&["a"], &["a"]));
        assert!(matches!(found, Err(Refusal::Changing(_))));
    }

    #[test]
    fn another_key_waits_for_approval() {
        let mut trust = approved(&["a"], &["a"]);
        trust.approvals.values_mut().for_each(|approval| approval.key_id = "0000000000000000".into());
        assert_eq!(plugin(1, &["a"]).effective_powers(&trust).unwrap_err().state(), api_types::PluginState::Pending);
    }
}
