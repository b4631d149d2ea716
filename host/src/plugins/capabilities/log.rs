//! The interface `log`, which needs no grant.

use std::sync::Arc;

use wasmtime::component::Linker;

use crate::{
    jobs::{LineLevel, RunOutput},
    plugins::guest::{HeldMemory, Host, RunCalls, RunState, bindings::log},
};

/// Maximum size of a message, and of a line's fields. Longer messages are truncated. Longer fields are replaced by the
/// reason.
const MAX_MESSAGE_BYTES: usize = 8 << 10;
/// Unit in which memory for the log is reserved.
const HELD_STEP_BYTES: usize = 64 << 10;
/// Number of bytes counted per line in addition to its text.
const LINE_OVERHEAD_BYTES: usize = 32;

/// State of a run's log: its size, for the limit, and its last error. Dropping this value writes into the log how many
/// lines were dropped, if any, so that a log is also marked as cut if its run is stopped.
#[derive(Default)]
pub(in crate::plugins) struct LogBudget {
    /// The log and its limit in KiB. `None` before the first line.
    log: Option<(Arc<dyn RunOutput>, u32)>,
    used: usize,
    /// Number of lines that were dropped, because the run exceeded its log limit or no memory for host calls was
    /// available.
    dropped: u64,
    /// Message of the last line, if it is an error. The SDK logs the message of a panic before the guest traps.
    pub last_error: Option<String>,
    /// Reservation for the log, which the host keeps in memory until the end of the run.
    held: Option<HeldMemory>,
}

impl LogBudget {
    /// Reserves memory for the log. Returns whether enough memory was available. If not, all further lines are dropped.
    fn hold(&mut self, calls: &RunCalls, limit: usize) -> bool {
        let bytes = self.used.next_multiple_of(HELD_STEP_BYTES);
        let held = match &mut self.held {
            Some(held) => held.resize(calls, bytes),
            None => calls.hold(bytes).map(|held| self.held = Some(held)),
        };
        if held.is_err() {
            self.used = limit;
            self.dropped += 1;
        }
        held.is_ok()
    }

    /// Counts the bytes of a line. Returns whether the log is still within its limit.
    fn take(&mut self, bytes: usize, limit: usize) -> bool {
        match self.used.checked_add(bytes).filter(|used| *used <= limit) {
            Some(used) => {
                self.used = used;
                true
            }
            None => {
                // Shorter lines that follow are dropped too, because a log with gaps is misleading.
                self.used = limit;
                self.dropped += 1;
                false
            }
        }
    }
}

impl Drop for LogBudget {
    fn drop(&mut self) {
        if let Some((log, limit)) = &self.log
            && self.dropped > 0
        {
            let reason = format!("the run exceeded its log limit of {limit} KiB, or no memory was left for its log");
            log.lines_dropped(self.dropped, &reason);
        }
    }
}

pub(super) fn add_to_linker<S: Send + Sync + 'static>(linker: &mut Linker<RunState<S>>) -> wasmtime::Result<()> {
    log::add_to_linker::<_, Host<S>>(linker, |state| state)
}

impl<S: Send + Sync + 'static> log::Host for RunState<S> {
    fn write(&mut self, level: log::Level, message: String, fields: String) -> wasmtime::Result<()> {
        self.charge(message.len() + fields.len())?;
        let message = &message[..message.floor_char_boundary(MAX_MESSAGE_BYTES)];
        let bytes = message.len() + fields.len().min(MAX_MESSAGE_BYTES) + LINE_OVERHEAD_BYTES;
        let limit = (self.run.limits.log_kib as usize) << 10;
        let run = Arc::clone(&self.run);
        let budget = self.capability_state::<LogBudget>();
        budget.log.get_or_insert_with(|| (Arc::clone(&run.output), run.limits.log_kib));
        if !budget.take(bytes, limit) || !budget.hold(&run.calls, limit) {
            return Ok(());
        }
        let level = match level {
            log::Level::Debug => LineLevel::Debug,
            log::Level::Info => LineLevel::Info,
            log::Level::Warn => LineLevel::Warn,
            log::Level::Error => LineLevel::Error,
        };
        budget.last_error = (level == LineLevel::Error).then(|| message.to_owned());
        self.run.output.log(level, message, parse_fields(&fields));
        Ok(())
    }
}

/// Parses a line's fields. Replaces fields that are invalid or too long by an object whose `fieldsLeftOut` says why.
fn parse_fields(fields: &str) -> serde_json::Value {
    if fields.is_empty() {
        return serde_json::Value::Null;
    }
    if fields.len() > MAX_MESSAGE_BYTES {
        let reason = format!("{} bytes, the maximum is {MAX_MESSAGE_BYTES}", fields.len());
        return serde_json::json!({ "fieldsLeftOut": reason });
    }
    match serde_json::from_str(fields) {
        Ok(serde_json::Value::Object(fields)) => serde_json::Value::Object(fields),
        _ => serde_json::json!({ "fieldsLeftOut": "not a JSON object" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::capabilities::tests::{self as host, RecordedOutput};

    /// A component that imports only `log`. Its function `run` logs a warning.
    const COMPONENT: &str = r#"(component
        (import "atlashub:plugin/log@0.1.0" (instance $log
            (type $level (enum "debug" "info" "warn" "error"))
            (export "level" (type $level' (eq $level)))
            (export "write" (func (param "level" $level') (param "message" string) (param "fields" string)))))
        (core module $memory (memory (export "memory") 1) (data (i32.const 16) "low disk"))
        (core instance $memory (instantiate $memory))
        (alias core export $memory "memory" (core memory $bytes))
        (core func $write (canon lower (func $log "write") (memory $bytes)))
        (core module $code
            (import "host" "write" (func $write (param i32 i32 i32 i32 i32)))
            (func (export "run")
                (call $write (i32.const 2) (i32.const 16) (i32.const 8) (i32.const 0) (i32.const 0))))
        (core instance $code (instantiate $code (with "host" (instance (export "write" (func $write))))))
        (func (export "run") (canon lift (core func $code "run"))))"#;

    #[tokio::test]
    async fn log_is_hosted_alone() {
        let (engine, component) = host::compile(COMPONENT);
        let mut linker = Linker::<RunState<()>>::new(&engine);
        add_to_linker(&mut linker).unwrap();
        let output = Arc::new(RecordedOutput::default());
        let mut store = host::store_with_output(&engine, Arc::clone(&output));
        let instance = linker.instantiate_async(&mut store, &component).await.unwrap();
        instance.get_typed_func::<(), ()>(&mut store, "run").unwrap().call_async(&mut store, ()).await.unwrap();
        assert_eq!(*output.lines.lock(), [(LineLevel::Warn, "low disk".to_owned())]);
    }

    #[test]
    fn exhausted_budget_drops_all_further_lines() {
        let mut budget = LogBudget::default();
        assert!(budget.take(1000, 1024));
        assert!(!budget.take(100, 1024));
        assert!(!budget.take(1, 1024));
        assert_eq!(budget.dropped, 2);
    }

    #[test]
    fn invalid_fields_are_replaced_by_the_reason() {
        let check = |fields: &str, expected: serde_json::Value| assert_eq!(parse_fields(fields), expected);
        check("", serde_json::Value::Null);
        check(r#"{"a":1}"#, serde_json::json!({"a": 1}));
        check("[1]", serde_json::json!({"fieldsLeftOut": "not a JSON object"}));
        check("{", serde_json::json!({"fieldsLeftOut": "not a JSON object"}));
    }
}
