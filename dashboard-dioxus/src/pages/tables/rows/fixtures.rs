//! Values for unit tests.

use api_types::ColumnDetail;

/// Returns a column that may be null and has no default.
pub(super) fn column(name: &str, data_type: &str) -> ColumnDetail {
    ColumnDetail {
        name: name.to_owned(),
        data_type: data_type.to_owned(),
        nullable: true,
        has_default: false,
        default: None,
        identity: None,
        generated: None,
        primary_key: false,
        enum_values: None,
        comment: None,
    }
}
