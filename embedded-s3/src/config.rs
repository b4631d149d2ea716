//! Settings of the server.

use std::fmt;
use std::path::PathBuf;

/// Settings that [`serve`](crate::serve) needs besides the [`Store`](crate::Store).
#[derive(Clone)]
pub struct Config {
    /// Folder of the store, the same as passed to [`Store::open`](crate::Store::open).
    pub root: PathBuf,
    /// The only access key whose signatures are accepted.
    pub access_key: String,
    /// Secret of the access key.
    pub secret_key: String,
    /// Region that buckets report, such as `us-east-1`. Signatures for other regions are accepted too.
    pub region: String,
}

/// The output leaves out the secret key.
impl fmt::Debug for Config {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Config")
            .field("root", &self.root)
            .field("access_key", &self.access_key)
            .field("region", &self.region)
            .finish_non_exhaustive()
    }
}
