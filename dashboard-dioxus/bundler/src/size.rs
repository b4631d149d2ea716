//! Reports the sizes of the files that the first page loads, and compares their sum with the maximum.

/// Maximum size of all files that the first page should load, compressed, in bytes.
const MAX_FIRST_LOAD: u64 = 300 * 1024;

/// Prints the sizes of these files, and warns if their sum is too large.
pub(crate) fn report(files: &[(String, u64)]) {
    for (name, bytes) in files {
        eprintln!("bundler: {:>7.1} KiB {name}", kib(*bytes));
    }
    eprintln!("bundler: {:>7.1} KiB in total for the first page", kib(total(files)));
    if let Some(excess) = excess(files) {
        eprintln!("bundler: warning: that is {:.1} KiB more than it should be", kib(excess));
    }
}

/// Returns by how many bytes the first page is too large. `None` if it is not.
fn excess(files: &[(String, u64)]) -> Option<u64> {
    total(files).checked_sub(MAX_FIRST_LOAD).filter(|excess| *excess > 0)
}

fn total(files: &[(String, u64)]) -> u64 {
    files.iter().map(|(_, bytes)| bytes).sum()
}

fn kib(bytes: u64) -> f64 {
    bytes as f64 / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_load_above_the_limit_is_reported() {
        let files = |bytes| [("dashboard.wasm".to_owned(), bytes), ("inter.woff2".to_owned(), 1)];
        assert_eq!(excess(&files(MAX_FIRST_LOAD - 1)), None);
        assert_eq!(excess(&files(MAX_FIRST_LOAD)), Some(1));
    }
}
