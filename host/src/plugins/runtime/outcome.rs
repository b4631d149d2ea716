//! Converts the end of a run to the result or error in its history.

use serde_json::Value;
use wasmtime::{Trap, component::ResourceTableError};

use super::{host_limits::MAX_CALL_BYTES, linked::LinkError};
use crate::{
    jobs::{RunFailure, RunReport},
    plugins::{
        capabilities::LogBudget,
        guest::{
            LimitReached, MAX_HANDLES, RunState,
            bindings::{exports::atlashub::plugin::job::Error as JobError, types::ErrorCode},
        },
    },
};

/// Maximum size of a result, and of the details of an error.
const MAX_RESULT_BYTES: usize = 64 << 10;
/// Maximum size of an error message. Longer messages are truncated.
const MAX_MESSAGE_BYTES: usize = 2000;

/// Part of wasmtime's message for a call that passes too many bytes. The type of the error is private.
const CALL_TOO_LARGE_MESSAGE: &str = "fuel allocated for hostcalls";

/// Converts the return value of the guest's `run`.
pub(super) fn report(returned: Result<String, JobError>) -> Result<RunReport, RunFailure> {
    let result = match returned {
        Ok(result) => result,
        Err(error) => return Err(job_failed(error)),
    };
    if result.len() > MAX_RESULT_BYTES {
        return Err(invalid_result(&format!("it has {} bytes; the maximum is {MAX_RESULT_BYTES}", result.len())));
    }
    match serde_json::from_str(&result) {
        Ok(result) => Ok(RunReport { result }),
        Err(error) => Err(invalid_result(&format!("it is not JSON: {error}"))),
    }
}

fn job_failed(error: JobError) -> RunFailure {
    let details = error.details.filter(|details| details.len() <= MAX_RESULT_BYTES);
    let message = match error.message.trim() {
        "" => "The job failed without a message.",
        message => &message[..message.floor_char_boundary(MAX_MESSAGE_BYTES)],
    };
    RunFailure::Failed {
        message: message.to_owned(),
        details: details.and_then(|details| serde_json::from_str(&details).ok()).filter(Value::is_object),
        retryable: !matches!(
            error.code,
            ErrorCode::Denied | ErrorCode::Invalid | ErrorCode::NotFound | ErrorCode::TooLarge
        ),
    }
}

/// Returns the failure of a plugin that violates the interface. A retry would fail too.
fn invalid_result(problem: &str) -> RunFailure {
    RunFailure::refused(format!("The plugin returned an invalid result: {problem}."))
}

/// Returns the failure of a run that did not start.
pub(super) fn link_failed(error: &LinkError) -> RunFailure {
    RunFailure::refused(format!("The plugin can't run: {error}."))
}

pub(super) fn limit_reached(limit: LimitReached) -> RunFailure {
    RunFailure::temporary(format!("Stopped: the run exceeded {limit}."))
}

/// Converts a trap to a failure.
pub(super) fn trapped(error: &wasmtime::Error, state: &mut RunState) -> RunFailure {
    if let Some(limit) = error.downcast_ref::<LimitReached>() {
        return limit_reached(*limit);
    }
    if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) {
        return limit_reached(LimitReached::Handles(MAX_HANDLES));
    }
    let message = match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => "Stopped: the call stack overflowed, probably by infinite recursion.".to_owned(),
        Some(Trap::UnreachableCodeReached) => match &state.capability_state::<LogBudget>().last_error {
            // The SDK's panic hook adds this prefix.
            Some(message) => {
                format!("The plugin panicked: {}", message.trim_start_matches("the plugin panicked: "))
            }
            None => "The plugin panicked.".to_owned(),
        },
        Some(trap) => format!("Stopped by a trap: {}.", trap.to_string().trim_start_matches("wasm trap: ")),
        None => {
            tracing::debug!(
                error = format!("{error:?}"),
                plugin = state.run.plugin,
                "a plugin's run was stopped by an error"
            );
            let cause = error.root_cause().to_string();
            if cause.contains(CALL_TOO_LARGE_MESSAGE) {
                format!("Stopped: one host call passed more than {} MiB.", MAX_CALL_BYTES >> 20)
            } else {
                format!("Stopped: {cause}.")
            }
        }
    };
    RunFailure::temporary(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_or_large_result_fails_the_run() {
        let check = |result: &str, expected: Result<Value, &str>| match (report(Ok(result.to_owned())), expected) {
            (Ok(report), Ok(expected)) => assert_eq!(report.result, expected),
            (Err(RunFailure::Failed { message, retryable: false, .. }), Err(expected)) => {
                assert!(message.contains(expected), "{message}");
            }
            (outcome, _) => panic!("{outcome:?}"),
        };
        check(r#"{"a":1}"#, Ok(serde_json::json!({"a": 1})));
        check("{", Err("not JSON"));
        check("", Err("not JSON"));
        check(&format!("\"{}\"", "x".repeat(MAX_RESULT_BYTES)), Err("bytes"));
    }

    #[test]
    fn only_transient_errors_are_retryable() {
        let check = |code: ErrorCode, expected: bool| {
            let error = JobError { code, message: "no".to_owned(), details: Some("[]".to_owned()) };
            let RunFailure::Failed { retryable, details: None, .. } = job_failed(error) else { panic!() };
            assert_eq!(retryable, expected, "{code:?}");
        };
        check(ErrorCode::Denied, false);
        check(ErrorCode::Invalid, false);
        check(ErrorCode::Unavailable, true);
        check(ErrorCode::Timeout, true);
        check(ErrorCode::Failed, true);
    }
}
