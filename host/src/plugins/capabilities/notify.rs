//! The interface `notify`: messages to the owner.

use wasmtime::component::Linker;

use crate::{
    notifications::Notification,
    plugins::guest::{Accessor, CallError, Host, RunState, begin_call, bindings::notify, check_lease},
};

/// Maximum number of messages per run, so that a loop can't flood the owner.
const MAX_MESSAGES: u32 = 20;

/// Number of messages that the run has sent or tried to send.
#[derive(Default)]
struct SentMessages(u32);

pub(super) fn add_to_linker(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    notify::add_to_linker::<_, Host>(linker, |state| state)
}

impl notify::Host for RunState {}

impl notify::HostWithStore<RunState> for Host {
    async fn send(accessor: &Accessor, title: String, message: String) -> Result<(), CallError> {
        let run = begin_call(accessor, title.len() + message.len())?;
        if title.trim().is_empty() {
            return Err(CallError::invalid("`title` must not be empty"));
        }
        let _permit = run.enter().await;
        check_lease(&run).await?;
        let sent = accessor.with(|mut access| {
            let SentMessages(sent) = access.get().capability_state();
            *sent = sent.saturating_add(1);
            *sent
        });
        if sent > MAX_MESSAGES {
            return Err(CallError::too_large(format!(
                "this run has already sent {MAX_MESSAGES} messages, the maximum"
            )));
        }
        // `Notification` truncates long texts.
        let notification = Notification::new(api_types::NotificationEvent::Plugin, title, message)
            .with_project(run.call.project.clone())
            .with_field("plugin", &run.plugin)
            .with_field("job", &run.call.job)
            .with_field("run", run.call.run_id.to_string());
        run.services.notifier.notify(notification);
        Ok(())
    }
}
