//! Projects: provisioning, removal, API keys, the gate of the public API.

pub mod final_backup;
pub mod gate;
pub mod keys;
pub mod lifecycle;
pub mod recovery;
