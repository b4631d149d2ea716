use super::log::cut;
use crate::plugins::runtime::{RunState, bindings::progress};

/// Longest message, in bytes.
const MESSAGE_BYTES: usize = 500;

impl progress::Host for RunState {
    fn report(&mut self, done: u64, total: Option<u64>, message: String) -> wasmtime::Result<()> {
        self.charge(message.len())?;
        self.run.output.progress(done, total, cut(&message, MESSAGE_BYTES));
        Ok(())
    }
}
