//! The interface `secrets`: opens secrets as handles. The guest can pass a handle on, but can't read the value.

use plugin_manifest::{Capability, Scope};
use wasmtime::component::{Linker, Resource, ResourceType};

use crate::plugins::guest::{CallError, Host, OpenSecret, RunState, bindings::secrets};

pub(super) fn add_to_linker<S: Send + Sync + 'static>(linker: &mut Linker<RunState<S>>) -> wasmtime::Result<()> {
    secrets::add_to_linker::<_, Host<S>>(linker, |state| state)
}

/// Adds only the type `secret`, for components that import `http` without a grant for `secrets`. The signature of
/// `http` names the type.
pub(super) fn add_type_to_linker<S: 'static>(linker: &mut Linker<RunState<S>>) -> wasmtime::Result<()> {
    linker.instance("atlashub:plugin/secrets@0.1.0")?.resource(
        "secret",
        ResourceType::host::<OpenSecret>(),
        |mut store, handle| {
            store.data_mut().table.delete(Resource::<OpenSecret>::new_own(handle))?;
            Ok(())
        },
    )
}

impl<S: Send + Sync + 'static> secrets::Host for RunState<S> {
    fn open(&mut self, name: String) -> Result<Resource<OpenSecret>, CallError> {
        self.charge(name.len())?;
        let run = &self.run;
        // Secrets of the job itself need no entry in the scope.
        let value = match run.call.secrets.get(&name) {
            Some(job_secret) => job_secret.clone(),
            None if !Scope::reaches(&run.scope(Capability::Secrets).secrets, &name) => {
                return Err(run.deny(Capability::Secrets, &format!("secret `{name}`")));
            }
            None => run.grants.secrets.get(&name).cloned().ok_or_else(|| {
                CallError::not_found(format!(
                    "plugin `{}` has no secret `{name}`; approve the plugin again with a value for it",
                    run.plugin
                ))
            })?,
        };
        Ok(self.table.push(OpenSecret(value))?)
    }
}

impl<S: Send + Sync + 'static> secrets::HostSecret for RunState<S> {
    fn drop(&mut self, secret: Resource<OpenSecret>) -> wasmtime::Result<()> {
        self.table.delete(secret)?;
        Ok(())
    }
}
