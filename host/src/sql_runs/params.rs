use serde::{Deserialize, Serialize};

/// The plugin name of SQL runs. It is reserved: no plugin may have it.
pub const PLUGIN: &str = "sql";
/// The name of the only job of [`PLUGIN`].
pub(super) const JOB: &str = "script";

/// The parameters of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SqlParams {
    pub(super) sql: String,
    #[serde(default)]
    pub(super) read_only: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) transaction: Option<bool>,
}
