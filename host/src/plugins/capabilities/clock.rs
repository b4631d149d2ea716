//! The interface `clock`, which needs no grant.

use std::time::{Duration, Instant, SystemTime};

use wasmtime::component::Linker;

use crate::plugins::guest::{Accessor, Host, RunState, bindings::clock};

pub(super) fn add_to_linker<S: Send + Sync + 'static>(linker: &mut Linker<RunState<S>>) -> wasmtime::Result<()> {
    clock::add_to_linker::<_, Host<S>>(linker, |state| state)
}

impl<S: Send + Sync + 'static> clock::Host for RunState<S> {
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

impl<S: Send + Sync + 'static> clock::HostWithStore<RunState<S>> for Host<S> {
    async fn sleep(accessor: &Accessor<S>, milliseconds: u64) -> wasmtime::Result<()> {
        let deadline = accessor.with(|mut access| {
            let state = access.get();
            state.charge(0)?;
            wasmtime::Result::<_>::Ok(state.run.deadline)
        })?;
        // The run is stopped at its deadline. The maximum only keeps the timer from overflowing.
        let max = deadline.saturating_duration_since(Instant::now()) + Duration::from_secs(60);
        tokio::time::sleep(Duration::from_millis(milliseconds).min(max)).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use wasmtime::component::Linker;

    use super::*;
    use crate::plugins::capabilities::tests as host;

    /// A component that imports only `clock`. Its function `now` calls the host's `now`.
    const COMPONENT: &str = r#"(component
        (import "atlashub:plugin/clock@0.1.0" (instance $clock (export "now" (func (result u64)))))
        (core func $now (canon lower (func $clock "now")))
        (core module $code
            (import "host" "now" (func $now (result i64)))
            (func (export "now") (result i64) (call $now)))
        (core instance $code (instantiate $code (with "host" (instance (export "now" (func $now))))))
        (func (export "now") (result u64) (canon lift (core func $code "now"))))"#;

    #[tokio::test]
    async fn clock_is_hosted_alone() {
        let (engine, component) = host::compile(COMPONENT);
        let mut linker = Linker::<RunState<()>>::new(&engine);
        assert!(linker.instantiate_pre(&component).is_err(), "linked without `clock`");
        add_to_linker(&mut linker).unwrap();
        let mut store = host::store(&engine);
        let instance = linker.instantiate_async(&mut store, &component).await.unwrap();
        let now = instance.get_typed_func::<(), (u64,)>(&mut store, "now").unwrap();
        let (milliseconds,) = now.call_async(&mut store, ()).await.unwrap();
        let expected = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis() as u64;
        assert!(expected.abs_diff(milliseconds) < 60_000, "{milliseconds}");
    }
}
