//! Messages between the nodes of one platform database, sent with `NOTIFY`. They only reduce latency: schedulers poll
//! as well.

use uuid::Uuid;

/// The `NOTIFY` channel.
pub(super) const CHANNEL: &str = "atlashub_jobs";
/// A job was created or changed.
pub(super) const JOBS_CHANGED: &str = "jobs";
/// A run was queued.
pub(super) const RUN_QUEUED: &str = "queued";
const CANCEL_PREFIX: &str = "cancel:";

/// Returns the message that asks the scheduler of a run to cancel it.
pub(super) fn cancel_message(run: Uuid) -> String {
    format!("{CANCEL_PREFIX}{run}")
}

/// Returns the run that a cancel message names.
pub(super) fn run_to_cancel(message: &str) -> Option<Uuid> {
    message.strip_prefix(CANCEL_PREFIX)?.parse().ok()
}
