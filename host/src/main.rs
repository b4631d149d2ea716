/// Requests allocate much and briefly; the system's allocator took 5 to 9 % of all processor time under load.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    atlashub::cli::run()
}
