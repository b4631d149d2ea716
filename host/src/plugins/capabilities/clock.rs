use std::time::{Duration, SystemTime};

use crate::plugins::runtime::{Accessor, Host, RunState, bindings::clock};

impl clock::Host for RunState {
    fn now(&mut self) -> wasmtime::Result<u64> {
        self.charge(0)?;
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Ok(since_1970.as_millis() as u64)
    }

    fn monotonic(&mut self) -> wasmtime::Result<u64> {
        self.charge(0)?;
        Ok(self.run.started.elapsed().as_nanos() as u64)
    }
}

impl clock::HostWithStore<RunState> for Host {
    async fn sleep(accessor: &Accessor, milliseconds: u64) -> wasmtime::Result<()> {
        let deadline = accessor.with(|mut access| {
            let state = access.get();
            state.charge(0)?;
            wasmtime::Result::<_>::Ok(state.run.deadline)
        })?;
        // The run is over by then; the timer can't count to the end of a u64.
        let left = deadline.saturating_duration_since(std::time::Instant::now());
        tokio::time::sleep(Duration::from_millis(milliseconds).min(left + Duration::from_secs(60))).await;
        Ok(())
    }
}
