//! The grants that the owner chooses.

use std::collections::{BTreeMap, BTreeSet};

use api_types::{CapabilityScope, GrantedCapability, Plugin, RequestedCapability};

use super::super::words::{lists, old_request};

/// The chosen values of each list of a scope, by the list's heading.
type Allowed = BTreeMap<&'static str, BTreeSet<String>>;

/// The choices of the owner, by capability.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in super::super) struct Choices(BTreeMap<String, Choice>);

/// The choice of the owner for one capability.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Choice {
    pub(super) is_allowed: bool,
    pub(super) values: Allowed,
}

impl Choices {
    /// Returns the initial choices: the current grants with the values that are new in the request, and the whole
    /// request for capabilities that the owner has not decided on.
    pub(in super::super) fn of(plugin: &Plugin) -> Self {
        let granted = plugin.approval.as_ref().map_or(&plugin.granted, |approval| &approval.granted);
        let choice = |request: &RequestedCapability| {
            let grant = granted.iter().find(|grant| grant.capability == request.capability);
            let is_undecided = match &plugin.approval {
                Some(_) => old_request(plugin, &request.capability).is_none(),
                None => granted.is_empty(),
            };
            let mut values = Allowed::new();
            for (index, (list, asked)) in lists(&request.scope).into_iter().enumerate() {
                let held = grant.and_then(|grant| lists(&grant.scope).get(index).map(|(_, values)| (*values).clone()));
                let old = old_request(plugin, &request.capability)
                    .and_then(|old| lists(&old.scope).get(index).map(|(_, values)| (*values).clone()));
                let chosen: BTreeSet<String> = match held {
                    // Values that are new in the request are preselected.
                    Some(held) => {
                        let is_proposed = |value: &&String| old.as_ref().is_some_and(|old| !old.contains(value));
                        // A wildcard can be narrowed to values that the request doesn't name.
                        let is_asked =
                            |value: &String| asked.contains(value) || asked.iter().any(|asked| is_wildcard(asked));
                        let kept = held.into_iter().filter(is_asked);
                        kept.chain(asked.iter().filter(is_proposed).cloned()).collect()
                    }
                    None => asked.iter().cloned().collect(),
                };
                values.insert(list, chosen);
            }
            (request.capability.clone(), Choice { is_allowed: grant.is_some() || is_undecided, values })
        };
        Self(plugin.requested.iter().map(choice).collect())
    }

    /// Returns the grants to approve.
    pub(in super::super) fn grants(&self) -> Vec<GrantedCapability> {
        let values = |choice: &Choice, list: &str| {
            choice.values.get(list).map(|values| values.iter().cloned().collect()).unwrap_or_default()
        };
        self.0
            .iter()
            .filter(|(_, choice)| choice.is_allowed)
            .map(|(capability, choice)| GrantedCapability {
                capability: capability.clone(),
                scope: CapabilityScope {
                    databases: values(choice, "Databases"),
                    stores: values(choice, "Stores"),
                    hosts: values(choice, "Hosts"),
                    secrets: values(choice, "Secrets"),
                },
            })
            .collect()
    }

    /// Returns whether a capability is allowed, and its chosen values.
    pub(super) fn of_capability(&self, capability: &str) -> Choice {
        self.0.get(capability).cloned().unwrap_or_default()
    }

    pub(super) fn allow(&mut self, capability: &str, is_allowed: bool) {
        if let Some(choice) = self.0.get_mut(capability) {
            choice.is_allowed = is_allowed;
        }
    }

    pub(super) fn set(&mut self, capability: &str, list: &'static str, value: &str, is_chosen: bool) {
        let Some(choice) = self.0.get_mut(capability) else { return };
        let values = choice.values.entry(list).or_default();
        if is_chosen {
            values.insert(value.to_owned());
        } else {
            values.remove(value);
        }
    }

    /// Replaces the hosts that the owner typed. The choices among the requested hosts stay.
    pub(super) fn set_typed_hosts(&mut self, capability: &str, asked: &[String], typed: BTreeSet<String>) {
        let Some(choice) = self.0.get_mut(capability) else { return };
        let hosts = choice.values.entry("Hosts").or_default();
        hosts.retain(|host| asked.contains(host));
        hosts.extend(typed);
    }
}

/// Returns whether a value of a scope stands for several: `*`, `project:*` or `*.example.com`.
pub(super) fn is_wildcard(value: &str) -> bool {
    value.starts_with('*') || value.ends_with('*')
}

#[cfg(test)]
mod tests {
    use api_types::{PluginApproval, PluginState, RunCount};

    use super::*;

    fn hosts(hosts: &[&str]) -> CapabilityScope {
        CapabilityScope { hosts: hosts.iter().map(|host| (*host).to_owned()).collect(), ..Default::default() }
    }

    fn plugin(asked: &[&str], approved: Option<(&[&str], &[&str])>) -> Plugin {
        let grant = |values: &[&str]| vec![GrantedCapability { capability: "http".to_owned(), scope: hosts(values) }];
        Plugin {
            name: "p".to_owned(),
            version: None,
            serial: None,
            publisher: None,
            description: None,
            sha256: String::new(),
            key_id: None,
            key_name: None,
            file: None,
            first_party: false,
            state: PluginState::Pending,
            reason: None,
            approvable: true,
            compiling: false,
            imports: Vec::new(),
            requested: vec![RequestedCapability {
                capability: "http".to_owned(),
                reason: String::new(),
                scope: hosts(asked),
            }],
            granted: Vec::new(),
            approval: approved.map(|(requested, granted)| PluginApproval {
                approved_at: chrono::DateTime::UNIX_EPOCH,
                approved_by: "owner".to_owned(),
                key_id: String::new(),
                granted: grant(granted),
                requested: grant(requested),
                revoked_at: None,
            }),
            limits: None,
            effective_limits: None,
            jobs: Vec::new(),
            used_by: Vec::new(),
            used_by_count: 0,
            runs_24h: RunCount { total: 0, failed: 0 },
            active_run_count: 0,
            secrets: Vec::new(),
            config: BTreeMap::new(),
            loaded_at: None,
        }
    }

    fn granted_hosts(choices: &Choices) -> Vec<String> {
        choices.grants().into_iter().flat_map(|grant| grant.scope.hosts).collect()
    }

    #[test]
    fn first_request_is_proposed_whole() {
        assert_eq!(granted_hosts(&Choices::of(&plugin(&["a", "b"], None))), ["a", "b"]);
    }

    #[test]
    fn values_left_out_before_stay_left_out_and_new_ones_are_proposed() {
        let plugin = plugin(&["a", "b", "c"], Some((&["a", "b"], &["a"])));
        assert_eq!(granted_hosts(&Choices::of(&plugin)), ["a", "c"]);
    }

    #[test]
    fn values_that_are_no_longer_requested_are_not_granted() {
        let plugin = plugin(&["a"], Some((&["a", "b"], &["a", "b"])));
        assert_eq!(granted_hosts(&Choices::of(&plugin)), ["a"]);
    }

    #[test]
    fn capability_that_was_denied_stays_denied() {
        let mut plugin = plugin(&["a"], Some((&["a"], &["a"])));
        if let Some(approval) = &mut plugin.approval {
            approval.granted.clear();
        }
        assert!(Choices::of(&plugin).grants().is_empty());
    }

    #[test]
    fn unchecked_values_are_not_granted() {
        let mut choices = Choices::of(&plugin(&["a", "b"], None));
        choices.set("http", "Hosts", "b", false);
        assert_eq!(granted_hosts(&choices), ["a"]);
        choices.allow("http", false);
        assert!(choices.grants().is_empty());
    }
}
