use plugin_manifest::{Capability, Scope};
use wasmtime::component::{Linker, Resource, ResourceType};

use crate::{
    config::Secret,
    plugins::runtime::{CallError, RunState, bindings::secrets},
};

/// What a guest's handle of a secret stands for; other capabilities take the value out of the table, the guest never.
pub struct OpenSecret(pub Secret);

impl secrets::Host for RunState {
    fn open(&mut self, name: String) -> Result<Resource<OpenSecret>, CallError> {
        self.charge(name.len())?;
        let run = &self.run;
        let value = match run.call.secrets.get(&name) {
            Some(of_the_run) => of_the_run.clone(),
            None if !Scope::reaches(&run.scope(Capability::Secrets).secrets, &name) => {
                return Err(run.denied(Capability::Secrets, &format!("secret `{name}`")));
            }
            None => run.grants.secrets.get(&name).cloned().ok_or_else(|| {
                CallError::not_found(format!(
                    "plugin `{}` has no secret `{name}`; approve it again with one",
                    run.plugin
                ))
            })?,
        };
        Ok(self.table.push(OpenSecret(value))?)
    }
}

impl secrets::HostSecret for RunState {
    fn drop(&mut self, secret: Resource<OpenSecret>) -> wasmtime::Result<()> {
        self.table.delete(secret)?;
        Ok(())
    }
}

/// The type `secret` alone, for components that name it in the signature of `http` and were not granted `secrets`.
pub(super) fn add_type_to_linker(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    linker.instance("atlashub:plugin/secrets@0.1.0")?.resource(
        "secret",
        ResourceType::host::<OpenSecret>(),
        |mut store, handle| {
            store.data_mut().table.delete(Resource::<OpenSecret>::new_own(handle))?;
            Ok(())
        },
    )
}
