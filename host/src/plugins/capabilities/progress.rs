//! The interface `progress`, which needs no grant.

use wasmtime::component::Linker;

use crate::plugins::guest::{Host, RunState, bindings::progress};

/// Maximum size of a message, in bytes. Longer messages are truncated.
const MAX_MESSAGE_BYTES: usize = 500;

pub(super) fn add_to_linker<S: Send + Sync + 'static>(linker: &mut Linker<RunState<S>>) -> wasmtime::Result<()> {
    progress::add_to_linker::<_, Host<S>>(linker, |state| state)
}

impl<S: Send + Sync + 'static> progress::Host for RunState<S> {
    fn report(&mut self, done: u64, total: Option<u64>, message: String) -> wasmtime::Result<()> {
        self.charge(message.len())?;
        self.run.output.progress(done, total, &message[..message.floor_char_boundary(MAX_MESSAGE_BYTES)]);
        Ok(())
    }
}
