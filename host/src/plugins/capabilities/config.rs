use crate::plugins::runtime::{RunState, bindings::config};

impl config::Host for RunState {
    fn get(&mut self, name: String) -> wasmtime::Result<Option<String>> {
        let value = self.run.grants.config.get(&name).cloned();
        self.charge(name.len() + value.as_ref().map_or(0, String::len))?;
        Ok(value)
    }
}
