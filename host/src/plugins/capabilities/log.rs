use crate::{
    jobs::LineLevel,
    plugins::runtime::{RunState, bindings::log},
};

/// Longest message, and longest fields, in bytes.
const MESSAGE_BYTES: usize = 8 << 10;
/// What a line costs beside its text.
const LINE_OVERHEAD: usize = 32;

/// What a run may still log.
pub(in crate::plugins) struct LogBudget {
    left: usize,
    /// Lines left out for want of it.
    pub(in crate::plugins) dropped: u64,
    /// The newest line, where it is an error: what a panicking guest writes before it traps.
    pub(in crate::plugins) last_error: Option<String>,
}

impl LogBudget {
    pub(in crate::plugins) fn new(log_kib: u32) -> Self {
        Self { left: (log_kib as usize) << 10, dropped: 0, last_error: None }
    }

    fn take(&mut self, bytes: usize) -> bool {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                true
            }
            None => {
                // Shorter lines after this one are left out too: a history with holes misleads.
                self.left = 0;
                self.dropped += 1;
                false
            }
        }
    }
}

impl log::Host for RunState {
    fn write(&mut self, level: log::Level, message: String, fields: String) -> wasmtime::Result<()> {
        self.charge(message.len() + fields.len())?;
        let message = cut(&message, MESSAGE_BYTES);
        if !self.log.take(message.len() + fields.len().min(MESSAGE_BYTES) + LINE_OVERHEAD) {
            return Ok(());
        }
        let level = match level {
            log::Level::Debug => LineLevel::Debug,
            log::Level::Info => LineLevel::Info,
            log::Level::Warn => LineLevel::Warn,
            log::Level::Error => LineLevel::Error,
        };
        self.log.last_error = (level == LineLevel::Error).then(|| message.to_owned());
        self.run.output.log(level, message, parse_fields(&fields));
        Ok(())
    }
}

/// Null where there are none; what is no JSON object, or too long, is said so in the line.
fn parse_fields(fields: &str) -> serde_json::Value {
    if fields.is_empty() {
        return serde_json::Value::Null;
    }
    if fields.len() > MESSAGE_BYTES {
        return serde_json::json!({ "fieldsLeftOut": format!("{} bytes, at most {MESSAGE_BYTES}", fields.len()) });
    }
    match serde_json::from_str(fields) {
        Ok(serde_json::Value::Object(fields)) => serde_json::Value::Object(fields),
        _ => serde_json::json!({ "fieldsLeftOut": "no JSON object" }),
    }
}

/// At most so many bytes, whole characters.
pub(super) fn cut(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spent_budget_stays_spent() {
        let mut budget = LogBudget::new(1);
        assert!(budget.take(1000));
        assert!(!budget.take(100));
        assert!(!budget.take(1));
        assert_eq!(budget.dropped, 2);
    }

    #[test]
    fn fields_are_an_object_or_say_why_not() {
        let check = |fields: &str, expected: serde_json::Value| assert_eq!(parse_fields(fields), expected);
        check("", serde_json::Value::Null);
        check(r#"{"a":1}"#, serde_json::json!({"a": 1}));
        check("[1]", serde_json::json!({"fieldsLeftOut": "no JSON object"}));
        check("{", serde_json::json!({"fieldsLeftOut": "no JSON object"}));
        assert_eq!(cut("aä", 2), "a");
    }
}
