//! Cryptography at rest: sealing under the master key, random tokens, hashes, comparison in constant time.
//!
//! `sealer` seals and opens single values; `sealed_column` describes where the platform database stores them, and
//! re-seals them when the master key changes; `tokens` makes random tokens and passwords.
//!
//! Not here: signatures of access tokens (`projects::gate`), TLS.

mod sealed_column;
mod sealer;
mod tokens;

pub use sealed_column::{ResealReport, SealedColumn, SealedColumnError, check_sealed, reseal};
pub use sealer::{KeyId, MasterKey, MasterKeyError, SealError, Sealer};
pub use tokens::{constant_time_eq, random_password, random_token, sha256};
