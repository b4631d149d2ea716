//! Raises the limit on open files of the process.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Limit that is assumed if the system reports none.
const FALLBACK: u64 = 1024;

/// Raises the process's limit on open files to the maximum that the system allows. Returns the resulting limit.
pub fn raise_open_file_limit() -> u64 {
    let (soft, hard) = match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok(limits) => limits,
        Err(error) => {
            tracing::warn!(%error, "could not read the limit on open files; assuming {FALLBACK}");
            return FALLBACK;
        }
    };
    if soft >= hard {
        return soft;
    }
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(error) => {
            tracing::warn!(%error, soft, hard, "could not raise the limit on open files");
            soft
        }
    }
}
