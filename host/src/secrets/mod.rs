//! Cryptography at rest: sealing under the master key, random tokens, hashes, comparison in constant time.
//!
//! Not here: signatures of access tokens (`projects::tokens`), TLS.

mod sealer;
mod tokens;

pub use sealer::{KeyId, MasterKey, MasterKeyError, SealError, Sealer};
pub use tokens::{constant_time_eq, random_password, random_token, sha256};
