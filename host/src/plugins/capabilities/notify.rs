use super::{begin_call, check_lease};
use crate::{
    notifications::Notification,
    plugins::runtime::{Accessor, CallError, Host, RunState, bindings::notify},
};

/// Messages of one run; more are likely a loop.
const MESSAGES: u32 = 20;

impl notify::Host for RunState {}

impl notify::HostWithStore<RunState> for Host {
    async fn send(accessor: &Accessor, title: String, message: String) -> Result<(), CallError> {
        let run = begin_call(accessor, title.len() + message.len())?;
        if title.trim().is_empty() {
            return Err(CallError::invalid("the message has no title"));
        }
        check_lease(&run).await?;
        if accessor.with(|mut access| access.get().count_message()) > MESSAGES {
            return Err(CallError::too_large(format!("this run has sent {MESSAGES} messages, and that is the most")));
        }
        // What is too long is cut there.
        let notification = Notification::new(api_types::NotificationEvent::Plugin, title, message)
            .with_project(run.call.project.clone())
            .with_field("plugin", &run.plugin)
            .with_field("job", &run.call.job)
            .with_field("run", run.call.run_id.to_string());
        run.services.notifier.notify(notification);
        Ok(())
    }
}
