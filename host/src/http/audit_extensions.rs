//! Response extensions with which handlers of the admin surface add to their audit entry. `admin::audit` writes it.

/// Details of the change, as a JSON object. Must contain no secrets and no bodies.
#[derive(Debug, Clone)]
pub struct AuditDetails(pub serde_json::Value);

/// The request has changed nothing, although other requests to the same route do. Its audit entry is removed.
#[derive(Debug, Clone, Copy)]
pub struct NothingChanged;

/// Id of the changed resource, if the path does not contain it, for example the id of a created resource.
#[derive(Debug, Clone)]
pub struct AuditTarget(pub String);
