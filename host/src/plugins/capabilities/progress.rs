//! The interface `progress`, which needs no grant.

use std::sync::Arc;

use wasmtime::component::Linker;

use crate::{
    jobs::RunOutput,
    plugins::guest::{Host, RunState, bindings::progress},
};

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

/// Number of bytes after which the size of a stream is reported again.
const SIZE_STEP: u64 = 1_000_000;

/// Shows the size of a stream beside the progress of its run, so that the owner sees that a long transfer continues.
pub(super) struct SizeNote {
    output: Arc<dyn RunOutput>,
    bytes: u64,
    reported: u64,
}

impl SizeNote {
    pub(super) fn new(output: Arc<dyn RunOutput>) -> Self {
        Self { output, bytes: 0, reported: 0 }
    }

    /// Adds the size of a part of the stream, in bytes.
    pub(super) fn add(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        if self.bytes - self.reported >= SIZE_STEP {
            self.reported = self.bytes;
            self.output.progress_note(&size_text(self.bytes));
        }
    }
}

/// Returns a size of at least a megabyte in the units that the dashboard uses.
fn size_text(bytes: u64) -> String {
    let megabytes = bytes as f64 / 1e6;
    if megabytes < 1e3 { format!("{megabytes:.1} MB") } else { format!("{:.2} GB", megabytes / 1e3) }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::RecordedOutput, *};

    #[test]
    fn size_is_reported_after_each_megabyte() {
        let output = Arc::new(RecordedOutput::default());
        let mut size = SizeNote::new(output.clone());
        for part in [999_999, 1, 500_000, 1_000_000, 1_000, 1_200_000_000] {
            size.add(part);
        }
        assert_eq!(*output.notes.lock(), ["1.0 MB", "2.5 MB", "1.20 GB"]);
    }
}
