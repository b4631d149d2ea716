//! The interface `config`: the settings that the owner stored for the plugin. It needs no grant.

use wasmtime::component::Linker;

use crate::plugins::guest::{Host, RunState, bindings::config};

pub(super) fn add_to_linker<S: Send + Sync + 'static>(linker: &mut Linker<RunState<S>>) -> wasmtime::Result<()> {
    config::add_to_linker::<_, Host<S>>(linker, |state| state)
}

impl<S: Send + Sync + 'static> config::Host for RunState<S> {
    fn get(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        let value = self.run.grants.config.get(&name).cloned();
        self.charge(name.len() + value.as_ref().map_or(0, String::len))?;
        Ok(value)
    }
}
