//! What a handler of the admin surface adds to its audit entry, as response extensions; `admin::audit` writes it.

/// More about the change, as a JSON object: never a secret, never a body.
#[derive(Debug, Clone)]
pub struct AuditDetails(pub serde_json::Value);

/// What was changed, where the path does not say: the id of what was made.
#[derive(Debug, Clone)]
pub struct AuditTarget(pub String);
