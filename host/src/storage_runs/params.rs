use serde::{Deserialize, Serialize};

/// The plugin name of these runs. No plugin may have it.
pub const PLUGIN: &str = "storage";
/// The name of the only job of [`PLUGIN`].
pub(super) const JOB: &str = "delete";

/// The parameters of a run. Exactly one of `keys` and `prefix` is given.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct DeleteParams {
    pub(super) bucket: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) keys: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) prefix: Option<String>,
}
