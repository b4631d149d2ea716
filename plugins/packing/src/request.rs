//! Describes the request of a plugin to the owner.

use std::fmt::Write as _;

use plugin_manifest::{Limits, escape_deceptive};

use crate::Packed;

/// Returns the text that an author reads after packing. It describes what the owner will be asked to approve.
pub fn describe_request(packed: &Packed) -> String {
    let (manifest, mut text) = (&packed.manifest, String::new());
    // Writing to a string can't fail.
    let mut line = |line: String| _ = writeln!(text, "{}", escape_deceptive(&line));
    line(format!("{} {} (serial {}) by {}", manifest.name, manifest.version, manifest.serial, manifest.publisher));
    line(format!("  calls {}", or_nothing(&packed.imports)));
    if manifest.capabilities.is_empty() {
        line("  The owner is asked for no capabilities.".to_owned());
    }
    for request in &manifest.capabilities {
        line(format!("  The owner is asked for {}: {}", request.capability, request.reason));
        let scope = &request.scope;
        let lists = [
            ("databases", &scope.databases),
            ("stores", &scope.stores),
            ("hosts", &scope.hosts),
            ("secrets", &scope.secrets),
        ];
        for (kind, names) in lists.iter().filter(|(_, names)| !names.is_empty()) {
            line(format!("    {kind}: {}", names.join(", ")));
        }
    }
    let Limits { memory_mib, wall_seconds, cpu_seconds, host_call_mib, log_kib, concurrent_runs } = manifest.limits;
    let runs = if concurrent_runs == 1 { "run" } else { "runs" };
    line(format!(
        "  Limits of a run: {memory_mib} MiB of memory, {cpu_seconds} s of processor time, {wall_seconds} s in all, \
         {host_call_mib} MiB in calls, {log_kib} KiB of log; {concurrent_runs} {runs} at a time"
    ));
    for capability in &packed.unused {
        line(format!("  Note: it requests {capability} but does not use it."));
    }
    text
}

fn or_nothing(names: &[String]) -> String {
    if names.is_empty() { "nothing of the platform".to_owned() } else { names.join(", ") }
}
