//! Who can reach the rows of tables.

use serde::{Deserialize, Serialize};

use crate::text_enum::text_enum;

/// A kind of caller of the public API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ApiCaller {
    /// A server with the secret key.
    SecretKey,
    /// Anyone with the publishable key.
    Publishable,
    /// A signed-in user.
    SignedIn,
}

text_enum!(ApiCaller {
    SecretKey => "secretKey",
    Publishable => "publishable",
    SignedIn => "signedIn",
});

/// The rows of a table that a caller can reach, according to grants and row-level security.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CallerAccess {
    /// The caller.
    pub caller: ApiCaller,
    /// Rows that the caller can read.
    pub select: RowAccess,
    /// Rows that the caller can insert.
    pub insert: RowAccess,
    /// Rows that the caller can update.
    pub update: RowAccess,
    /// Rows that the caller can delete.
    pub delete: RowAccess,
    /// Names of the policies that apply to the caller. Empty if row-level security is off or does not apply to the
    /// caller.
    pub policies: Vec<String>,
}

/// The rows that an operation reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RowAccess {
    /// None: the caller lacks the privilege, or row-level security is on and no policy allows the operation.
    None,
    /// Rows that policies allow.
    Policies,
    /// Rows that the caller can reach in the underlying tables. For a view with `security_invoker`.
    Underlying,
    /// All rows.
    All,
}

/// Findings about who can reach the tables of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AccessFindings {
    /// The findings, the most serious first.
    pub findings: Vec<AccessFinding>,
}

/// Access that is probably wider than intended, according to grants and row-level security. For a finding of the kind
/// `securityDefinerView`, the API itself does not serve the view to the caller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct AccessFinding {
    /// Kind of the finding.
    pub kind: AccessFindingKind,
    /// Name of the table or view.
    pub table: String,
    /// The caller that has this access.
    pub caller: ApiCaller,
    /// Operations that the caller may perform on every row: some of `select`, `insert`, `update` and `delete`.
    pub operations: Vec<String>,
    /// A sentence for the owner.
    pub message: String,
    /// SQL that narrows the access.
    pub remedy: String,
}

/// Kind of an access finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum AccessFindingKind {
    /// Every row can be written, because row-level security is off.
    WriteWithoutRowSecurity,
    /// Every row can be written, because a policy has the condition `true`.
    WriteThroughOpenPolicy,
    /// A view runs with its owner's privileges: policies of its tables don't apply to its callers.
    SecurityDefinerView,
    /// Every row can be read by signed-in users, although not with the publishable key alone, because row-level
    /// security is off.
    ReadWithoutRowSecurity,
}
