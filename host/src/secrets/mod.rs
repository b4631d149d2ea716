//! Cryptography at rest: sealing under the master key, random tokens, hashes, and comparison in constant time.
//!
//! `sealer` seals and opens single values. `sealed_column` describes the columns that store them, and re-seals them
//! when the master key changes. `age_file` encrypts streams to recipients, and decrypts them. `derived_key` derives
//! keys for other purposes. `tokens` generates random tokens and passwords, hashes bytes, and compares them in constant
//! time.
//!
//! Deliberately absent: signatures of access tokens (`auth`, `projects::gate`), TLS.

pub mod age_file;
mod derived_key;
mod sealed_column;
mod sealer;
mod tokens;

pub use age_file::AgeError;
pub use derived_key::DerivedKey;
pub use sealed_column::{
    ResealReport, SealedColumn, SealedColumnError, check_sealed, find_keys, find_needed_key,
    find_reason_why_none_opens, reseal,
};
pub use sealer::{KeyId, MasterKey, MasterKeyError, SealError, Sealer};
pub use tokens::{constant_time_eq, random_password, random_token, sha256};
