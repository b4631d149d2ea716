use std::collections::BTreeMap;

use plugin_manifest::{Capability, Manifest, Scope};

/// Powers, each with how far it reaches.
pub type Powers = BTreeMap<Capability, Scope>;

/// What a manifest asks for.
pub fn requested_powers(manifest: &Manifest) -> Powers {
    manifest.capabilities.iter().map(|request| (request.capability, request.scope.clone())).collect()
}

/// The first power that is asked for and not within what there is, in words.
pub(super) fn beyond(requested: &Powers, allowed: &[&Powers]) -> Option<String> {
    requested.iter().find_map(|(capability, scope)| {
        let known: Vec<&Scope> = allowed.iter().filter_map(|powers| powers.get(capability)).collect();
        if known.iter().any(|known| scope.is_within(known)) {
            return None;
        }
        let reach = described(scope);
        Some(if reach.is_empty() { capability.to_string() } else { format!("{capability} ({reach})") })
    })
}

/// What both reach. Of two patterns of which one covers the other, the narrower is kept.
pub(super) fn intersection(a: &Scope, b: &Scope) -> Scope {
    Scope {
        databases: common(&a.databases, &b.databases),
        stores: common(&a.stores, &b.stores),
        hosts: common(&a.hosts, &b.hosts),
        secrets: common(&a.secrets, &b.secrets),
    }
}

fn common(a: &[String], b: &[String]) -> Vec<String> {
    let mut both: Vec<String> = a.iter().filter(|pattern| covered(b, pattern)).cloned().collect();
    both.extend(b.iter().filter(|pattern| covered(a, pattern) && !a.contains(pattern)).cloned());
    both
}

fn covered(patterns: &[String], pattern: &str) -> bool {
    // All four lists know the same patterns; any of them will do.
    let list = |patterns: Vec<String>| Scope { hosts: patterns, ..Scope::default() };
    list(vec![pattern.to_owned()]).is_within(&list(patterns.to_vec()))
}

fn described(scope: &Scope) -> String {
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
    fn an_intersection_reaches_what_both_reach() {
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
    fn what_is_beyond_is_named() {
        let powers = |hosts_: &[&str]| Powers::from([(Capability::Http, hosts(hosts_))]);
        assert_eq!(beyond(&powers(&["a.example"]), &[&powers(&["*.example"])]), None);
        assert_eq!(beyond(&powers(&["*"]), &[&powers(&["a"])]).as_deref(), Some("http (hosts: *)"));
        assert_eq!(beyond(&powers(&["b"]), &[&powers(&["a"]), &powers(&["b"])]), None);
        assert_eq!(beyond(&Powers::from([(Capability::Notify, Scope::default())]), &[]).as_deref(), Some("notify"));
    }
}
