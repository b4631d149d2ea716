//! Names of the WIT interfaces that a component may import and export.

use plugin_manifest::Capability;

/// Prefix of every interface's name: the package and a slash.
const PACKAGE: &str = "atlashub:plugin/";
/// Suffix of every interface's name: the version of the package.
const VERSION: &str = "@0.1.0";
/// Interface that every plugin exports.
pub const JOB_EXPORT: &str = "atlashub:plugin/job@0.1.0";

/// Interfaces that need no grant.
const FREE_INTERFACES: [&str; 5] = ["types", "log", "progress", "clock", "config"];

/// Returns the name of an imported interface without package and version, for example `http`, or `None` if the host
/// offers no such interface.
pub fn interface_name(import: &str) -> Option<&str> {
    let interface = import.strip_prefix(PACKAGE)?.strip_suffix(VERSION)?;
    (is_free(interface) || capability_of(interface).is_some()).then_some(interface)
}

/// Returns whether every plugin may use the interface without a grant.
fn is_free(interface: &str) -> bool {
    FREE_INTERFACES.contains(&interface)
}

/// Returns the capability that the interface requires, or `None` if it needs no grant.
pub fn capability_of(interface: &str) -> Option<Capability> {
    Capability::ALL.into_iter().find(|capability| capability.as_str() == interface)
}
