//! Compares and intersects scopes of capabilities.

use std::collections::BTreeMap;

use plugin_manifest::{Capability, Manifest, Scope};

/// Capabilities with their scopes.
pub type CapabilityScopes = BTreeMap<Capability, Scope>;

/// Returns the capabilities that a manifest requests.
pub fn requested_scopes(manifest: &Manifest) -> CapabilityScopes {
    manifest.capabilities.iter().map(|request| (request.capability, request.scope.clone())).collect()
}

/// Describes the first requested capability that is not within any of `allowed`.
pub(super) fn describe_excess(requested: &CapabilityScopes, allowed: &[&CapabilityScopes]) -> Option<String> {
    requested.iter().find_map(|(capability, scope)| {
        let mut allowed = allowed.iter().filter_map(|scopes| scopes.get(capability));
        if allowed.any(|allowed| scope.is_within(allowed)) {
            return None;
        }
        let names = describe(scope);
        Some(if names.is_empty() { capability.to_string() } else { format!("{capability} ({names})") })
    })
}

/// Returns the intersection of two scopes. If one of two patterns covers the other, the result contains the narrower
/// one.
pub(super) fn intersection(a: &Scope, b: &Scope) -> Scope {
    Scope {
        databases: intersect_patterns(&a.databases, &b.databases),
        stores: intersect_patterns(&a.stores, &b.stores),
        hosts: intersect_patterns(&a.hosts, &b.hosts),
        secrets: intersect_patterns(&a.secrets, &b.secrets),
    }
}

fn intersect_patterns(a: &[String], b: &[String]) -> Vec<String> {
    let mut both: Vec<String> = a.iter().filter(|pattern| is_covered(b, pattern)).cloned().collect();
    both.extend(b.iter().filter(|pattern| is_covered(a, pattern) && !a.contains(pattern)).cloned());
    both
}

fn is_covered(patterns: &[String], pattern: &str) -> bool {
    // All four lists use the same pattern syntax, so any of them can be used for the comparison.
    let list = |patterns: Vec<String>| Scope { hosts: patterns, ..Scope::default() };
    list(vec![pattern.to_owned()]).is_within(&list(patterns.to_vec()))
}

fn describe(scope: &Scope) -> String {
    let lists = [
        ("databases", &scope.databases),
        ("stores", &scope.stores),
        ("hosts", &scope.hosts),
        ("secrets", &scope.secrets),
    ];
    let lists = lists.into_iter().filter(|(_, names)| !names.is_empty());
    lists.map(|(list, names)| format!("{list}: {}", names.join(", "))).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(hosts: &[&str]) -> Scope {
        Scope { hosts: hosts.iter().map(|host| (*host).to_owned()).collect(), ..Scope::default() }
    }

    #[test]
    fn intersection_contains_names_that_both_scopes_contain() {
        let check = |a: &[&str], b: &[&str], expected: &[&str]| {
            assert_eq!(intersection(&hosts(a), &hosts(b)), hosts(expected), "{a:?} {b:?}");
        };
        check(&["*"], &["a.example"], &["a.example"]);
        check(&["a.example"], &["*"], &["a.example"]);
        check(&["*.example", "b.test"], &["a.example", "c.test"], &["a.example"]);
        check(&["a", "b"], &["b", "a"], &["a", "b"]);
        check(&["a"], &[], &[]);
    }

    #[test]
    fn excess_is_described_by_capability_and_names() {
        let http = |names: &[&str]| CapabilityScopes::from([(Capability::Http, hosts(names))]);
        assert_eq!(describe_excess(&http(&["a.example"]), &[&http(&["*.example"])]), None);
        assert_eq!(describe_excess(&http(&["*"]), &[&http(&["a"])]).as_deref(), Some("http (hosts: *)"));
        assert_eq!(describe_excess(&http(&["b"]), &[&http(&["a"]), &http(&["b"])]), None);
        assert_eq!(
            describe_excess(&CapabilityScopes::from([(Capability::Notify, Scope::default())]), &[]).as_deref(),
            Some("notify")
        );
    }
}
