//! Projects: provisioning, deletion, recovery, API keys, the gate of the public surface.

pub mod final_backup;
pub mod gate;
pub mod keys;
pub mod lifecycle;
pub mod provisioning;
pub mod recovery;
pub mod totals;
