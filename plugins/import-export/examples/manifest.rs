//! Prints the manifest as JSON. Run by `cargo xtask plugin build`.

fn main() -> std::process::ExitCode {
    atlashub_plugin_sdk::plugin::print_manifest(&import_export_plugin::plugin())
}
