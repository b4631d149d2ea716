//! The limits that apply to requests for rows.

use crate::config::LimitsConfig;

/// Limits on the number of rows in one request or response, and whether lookups share statements.
#[derive(Debug, Clone, Copy)]
pub struct DataLimits {
    /// Rows per page when the request does not set `limit`.
    pub default_limit: u64,
    /// Maximum rows per page, and per embedded array.
    pub max_limit: u64,
    /// Maximum rows per insert.
    pub max_insert_rows: usize,
    /// Whether lookups by key may share statements.
    pub share_lookups: bool,
}

impl Default for DataLimits {
    fn default() -> Self {
        Self { default_limit: 100, max_limit: 1000, max_insert_rows: 10_000, share_lookups: true }
    }
}

impl From<&LimitsConfig> for DataLimits {
    fn from(config: &LimitsConfig) -> Self {
        Self {
            default_limit: config.rows_default.into(),
            max_limit: config.rows_max.into(),
            share_lookups: config.share_lookups,
            ..Self::default()
        }
    }
}
