//! Prints the manifest.

fn main() -> std::process::ExitCode {
    atlashub_plugin_sdk::plugin::print_manifest(&nothing_plugin::plugin())
}
