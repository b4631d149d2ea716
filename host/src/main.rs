fn main() -> std::process::ExitCode {
    atlashub::cli::run()
}
