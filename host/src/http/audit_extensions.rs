//! Response extensions with which handlers of the admin surface complete the audit entry of their request.
//! `admin::audit` reads the extensions and writes the entry.

/// Details of the change, as a JSON object. Must contain no secrets and no bodies.
#[derive(Debug, Clone)]
pub struct AuditDetails(pub serde_json::Value);

/// States that the request changed nothing, although its route usually changes something. `admin::audit` removes the
/// entry of the request.
#[derive(Debug, Clone, Copy)]
pub struct NothingChanged;

/// States that the change was made, although the response is an error because the result does not fit into a response.
#[derive(Debug, Clone, Copy)]
pub struct ChangeMade;

/// Id of the changed resource, if the path does not contain it, for example the id of a created resource.
#[derive(Debug, Clone)]
pub struct AuditTarget(pub String);
