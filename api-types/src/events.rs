//! Events about changes, for clients that keep their data up to date.
//!
//! `GET /admin/v1/events` streams them as server-sent events (WHATWG HTML, section 9.2). Most events are named after an
//! [`EventKind`] and contain an [`Event`] as data. For each run that the query parameter `log` names, the stream also
//! contains events `log`, with a [`LogEvent`], and `logEnd`, with a [`LogEndEvent`].

use serde::{Deserialize, Serialize};

use crate::{
    runs::{LogLine, Run},
    text_enum::text_enum,
};

/// The subject of an event. Also the name of the event in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum EventKind {
    /// A run was queued, changed its status, or reported progress. `state` is the run's status.
    Run,
    /// A job was created, changed or deleted. `state` is `enabled`, `disabled` or `deleted`.
    Job,
    /// A project was created, changed or deleted. `state` is the project's state, or `deleted`.
    Project,
    /// A backup was made, verified, lost or deleted. `state` is the backup's state, or `deleted`.
    Backup,
    /// A restore was planned, changed its state, or no longer keeps a database. `state` is the restore's state, or
    /// `deleted`.
    Restore,
    /// The approval of a plugin or the files in the plugin folder changed. `state` is the plugin's state, or `deleted`.
    Plugin,
    /// A notification channel was created, changed or deleted, or its `lastSentAt` or `lastError` changed. `state` is
    /// `enabled`, `failing`, `disabled` or `deleted`.
    Channel,
    /// The state of the stream or of a node changed. `state` is a `SystemState`.
    System,
}

text_enum!(EventKind {
    Run => "run",
    Job => "job",
    Project => "project",
    Backup => "backup",
    Restore => "restore",
    Plugin => "plugin",
    Channel => "channel",
    System => "system",
});

/// The data of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Event {
    /// Id of the changed resource; for a plugin, its name. For kind `system`, the id of the node if the state is
    /// `joined` or `left`, and null otherwise.
    pub id: Option<String>,
    /// Id of the project that the resource belongs to. Null for the platform.
    pub project_id: Option<String>,
    /// The state after the change. States in between may be left out.
    pub state: String,
}

/// The states of events of kind `system`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum SystemState {
    /// The stream begins. It reports only changes from now on, so read again everything that you display. Also sent if
    /// the events after `Last-Event-ID` are no longer known, and if there were too many changes to list.
    Started,
    /// The stream continues after `Last-Event-ID`; nothing was missed.
    Resumed,
    /// A node started, or reports again. `id` is the node.
    Joined,
    /// A node stopped, or has not reported for 30 seconds. `id` is the node.
    Left,
    /// The node that serves the stream stops. The stream ends; connect again.
    Stopping,
}

text_enum!(SystemState {
    Started => "started",
    Resumed => "resumed",
    Joined => "joined",
    Left => "left",
    Stopping => "stopping",
});

/// The data of the event `log`: a line of the log of a run that the request names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogEvent {
    /// Id of the run.
    pub run_id: String,
    /// The line.
    #[serde(flatten)]
    pub line: LogLine,
}

/// The data of the event `logEnd`, which follows the last line of a log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogEndEvent {
    /// Id of the run.
    pub run_id: String,
    /// The ended run. Null if it was deleted.
    pub run: Option<Run>,
}
