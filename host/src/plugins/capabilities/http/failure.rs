//! Converts errors of outgoing requests to errors of host calls.

use plugin_manifest::Capability;

use crate::{
    egress::EgressError,
    plugins::guest::{CallError, RunScope, bindings::types::ErrorCode},
};

/// Converts an error. If there was a response, the details contain the status of the last one, for the run's history.
pub(super) fn to_call_error(run: &RunScope, error: &EgressError) -> CallError {
    let failed = failure_of(run, error);
    match error.status() {
        Some(status) => failed.with_details(serde_json::json!({ "httpStatus": status })),
        None => failed,
    }
}

fn failure_of(run: &RunScope, error: &EgressError) -> CallError {
    match error {
        EgressError::OutOfScope { host } => run.deny(Capability::Http, &format!("host `{host}`")),
        EgressError::Redirect { source, .. } if matches!(**source, EgressError::OutOfScope { .. }) => {
            failure_of(run, source)
        }
        // The owner's allowlist does not permit the request. The error's message says how to change that.
        error if error.is_denial() => {
            run.record_denial(Capability::Http, &error.to_string());
            CallError::new(ErrorCode::Denied, error.to_string())
        }
        error if error.is_refusal() => CallError::invalid(error.to_string()),
        EgressError::Timeout { .. } => CallError::new(ErrorCode::Timeout, error.to_string()),
        EgressError::TooManyRedirects { .. } => CallError::invalid(error.to_string()),
        EgressError::TooLarge { .. } => CallError::too_large(error.to_string()),
        EgressError::Upload { .. } => CallError::new(ErrorCode::Failed, error.to_string()),
        _ => CallError::unavailable(error.to_string()),
    }
}
