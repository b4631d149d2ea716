//! What a run ended with, in words for its history.

use serde_json::Value;
use wasmtime::{Trap, component::ResourceTableError};

use super::{
    bindings::{exports::atlashub::plugin::job::Error as JobError, types::ErrorCode},
    limits::LimitReached,
    linked::LinkError,
    run::CALL_BYTES,
    state::{HANDLES, RunState},
};
use crate::jobs::{LineLevel, RunFailure, RunReport};

/// Largest result, and largest details of an error, in bytes.
const RESULT_BYTES: usize = 64 << 10;
/// Longest message of an error, in bytes.
const MESSAGE_BYTES: usize = 2000;

/// Wasmtime's words for it; the type is its own.
const CALL_TOO_LARGE: &str = "fuel allocated for hostcalls";

/// What the guest answered.
pub(super) fn report(answer: Result<String, JobError>) -> Result<RunReport, RunFailure> {
    let result = match answer {
        Ok(result) => result,
        Err(error) => return Err(failure_of(error)),
    };
    if result.len() > RESULT_BYTES {
        return Err(broken(&format!("its result has {} bytes, and at most {RESULT_BYTES} are kept", result.len())));
    }
    match serde_json::from_str(&result) {
        Ok(result) => Ok(RunReport { result }),
        Err(error) => Err(broken(&format!("its result is not JSON: {error}"))),
    }
}

fn failure_of(error: JobError) -> RunFailure {
    let details = error.details.filter(|details| details.len() <= RESULT_BYTES);
    let message = match error.message.trim() {
        "" => "It failed and didn't say why.",
        message => &message[..message.floor_char_boundary(MESSAGE_BYTES)],
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

/// The plugin breaks what it promised; another try would too.
fn broken(what: &str) -> RunFailure {
    RunFailure::Failed { message: format!("The plugin is broken: {what}."), details: None, retryable: false }
}

/// It was not begun.
pub(super) fn refused(error: &LinkError) -> RunFailure {
    RunFailure::Failed { message: format!("The plugin can't be run: {error}."), details: None, retryable: false }
}

pub(super) fn failed(message: impl Into<String>) -> RunFailure {
    RunFailure::Failed { message: message.into(), details: None, retryable: true }
}

pub(super) fn limit_reached(limit: LimitReached) -> RunFailure {
    failed(format!("It was ended: it reached {limit}."))
}

/// Why the guest stopped without an answer.
pub(super) fn trapped(error: &wasmtime::Error, state: &RunState) -> RunFailure {
    if let Some(limit) = error.downcast_ref::<LimitReached>() {
        return limit_reached(*limit);
    }
    if matches!(error.downcast_ref(), Some(ResourceTableError::Full)) {
        return limit_reached(LimitReached::Handles(HANDLES));
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::StackOverflow) => failed("It was ended: its call stack is full; it probably calls itself for ever."),
        Some(Trap::UnreachableCodeReached) => match &state.log.last_error {
            // The SDK's panic hook begins its line like that.
            Some(message) => failed(format!("It panicked: {}", message.trim_start_matches("the plugin panicked: "))),
            None => failed("It panicked."),
        },
        Some(trap) => {
            let trap = trap.to_string();
            failed(format!("It was ended by a trap: {}.", trap.trim_start_matches("wasm trap: ")))
        }
        None => {
            tracing::debug!(error = format!("{error:?}"), plugin = state.run.plugin, "a plugin was ended by an error");
            let cause = error.root_cause().to_string();
            if cause.contains(CALL_TOO_LARGE) {
                return failed(format!("It was ended: it handed over more than {} MiB in one call.", CALL_BYTES >> 20));
            }
            failed(format!("It was ended: {cause}."))
        }
    }
}

/// The history says where it has holes.
pub(super) fn say_what_was_left_out(state: &RunState) {
    if state.log.dropped > 0 {
        let message = format!(
            "{} lines were left out: the run reached its log limit of {} KiB.",
            state.log.dropped, state.run.limits.log_kib
        );
        state.run.output.log(LineLevel::Warn, &message, Value::Null);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_json_of_bounded_size() {
        let check = |answer: &str, expected: Result<Value, &str>| match (report(Ok(answer.to_owned())), expected) {
            (Ok(report), Ok(expected)) => assert_eq!(report.result, expected),
            (Err(RunFailure::Failed { message, retryable: false, .. }), Err(expected)) => {
                assert!(message.contains(expected), "{message}");
            }
            (found, _) => panic!("{found:?}"),
        };
        check(r#"{"a":1}"#, Ok(serde_json::json!({"a": 1})));
        check("{", Err("not JSON"));
        check("", Err("not JSON"));
        check(&format!("\"{}\"", "x".repeat(RESULT_BYTES)), Err("bytes"));
    }

    #[test]
    fn only_what_another_try_may_mend_is_tried_again() {
        let check = |code: ErrorCode, expected: bool| {
            let error = JobError { code, message: "no".to_owned(), details: Some("[]".to_owned()) };
            let RunFailure::Failed { retryable, details: None, .. } = failure_of(error) else { panic!() };
            assert_eq!(retryable, expected, "{code:?}");
        };
        check(ErrorCode::Denied, false);
        check(ErrorCode::Invalid, false);
        check(ErrorCode::Unavailable, true);
        check(ErrorCode::Timeout, true);
        check(ErrorCode::Failed, true);
    }
}
