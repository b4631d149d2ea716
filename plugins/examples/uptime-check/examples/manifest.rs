//! Prints the manifest as JSON. `cargo xtask plugin build` runs this program.

fn main() -> std::process::ExitCode {
    atlashub_plugin_sdk::plugin::print_manifest(&uptime_check_plugin::plugin())
}
