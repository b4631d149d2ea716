//! The overview: the state of the whole installation, and what needs the owner's attention.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{
    projects::{GoodBackup, RunCount},
    system::{DiskSpace, Reachability},
    text_enum::text_enum,
    utc_time,
};

/// The state of the whole installation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Overview {
    /// When the overview was computed.
    #[serde(deserialize_with = "utc_time::deserialize")]
    pub at: DateTime<Utc>,
    /// Numbers that describe the installation.
    pub facts: OverviewFacts,
    /// What needs attention, in the order of `AttentionKind`. Empty if nothing does.
    pub attention: Vec<Attention>,
    /// Messages about parts of `facts` and `attention` that could not be determined. Empty if there are none.
    pub problems: Vec<String>,
}

/// Numbers that describe the installation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OverviewFacts {
    /// Number of projects.
    pub project_count: i64,
    /// Size of the databases of all projects, in bytes. Null if the size of one of them can't be read.
    pub database_bytes: Option<i64>,
    /// Number of recorded objects in storage, as in `Bucket`.
    pub object_count: i64,
    /// Size of the recorded objects, in bytes.
    pub object_bytes: i64,
    /// The runs of the last 24 hours.
    #[serde(rename = "runs24h")]
    pub runs_24h: RunCount,
    /// The database whose last good backup is the oldest. Null if no database has a good backup.
    pub oldest_backup: Option<OldestBackup>,
    /// Number of databases without any good backup.
    pub without_backup_count: i64,
    /// Open connections to the databases of projects, in the process that sent the response.
    pub connections: Connections,
    /// The disk with the data. Null if it can't be measured, or if Postgres and the object store are external:
    /// AtlasHub can't measure their disks.
    pub disk: Option<DiskSpace>,
    /// Whether Postgres can be reached.
    pub postgres: Reachability,
    /// Whether the object store can be reached.
    pub store: Reachability,
}

/// The database whose last good backup is the oldest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OldestBackup {
    /// The database: `platform` or `project:<id>`.
    pub target: String,
    /// Name of the project. Null for the platform.
    pub title: Option<String>,
    /// Its last good backup.
    #[serde(flatten)]
    pub backup: GoodBackup,
}

/// Open connections and their limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Connections {
    /// Number of open connections.
    pub open: i64,
    /// Maximum number of connections.
    pub budget: i64,
}

/// Something that needs the owner's attention.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Attention {
    /// Id of the item, made from its kind and its target. The id stays the same as long as the item exists.
    pub id: String,
    /// Kind of the problem.
    pub kind: AttentionKind,
    /// Urgency of the problem.
    pub severity: Severity,
    /// When the problem began. Null if unknown.
    #[serde(deserialize_with = "utc_time::deserialize_option")]
    pub since: Option<DateTime<Utc>>,
    /// For `jobFailing`, the number of failed runs; for `jobBehind` and `jobSkipping`, the number of skipped runs among
    /// the last ten; for `migrations`, the number of migrations. Otherwise 1.
    pub count: i64,
    /// Id of the project that the item concerns. Null if the item concerns none.
    pub project_id: Option<String>,
    /// Name of that project. Null if the item concerns none.
    pub project_name: Option<String>,
    /// Target of the item, depending on `kind`: the id of a project, job, key or channel, the name of a plugin or
    /// table, or a database such as `platform`. Null if the item concerns the installation.
    pub target: Option<String>,
    /// Name of the target, for people. Null if there is none.
    pub title: Option<String>,
    /// Id of the run with the details. Null if there is none.
    pub run_id: Option<String>,
    /// Description of the problem, in one or more sentences.
    pub message: String,
    /// Cause of the problem, for example the error of the last run. The message usually contains the cause too. Null if
    /// there is nothing to add.
    pub reason: Option<String>,
    /// What is missing. Empty unless `kind` is `backupOverdue` or `failuresUnheard`; for `backupOverdue`, also empty if
    /// the job and a backup exist.
    pub missing: Vec<MissingPart>,
    /// Whether the item may be hidden for a while.
    pub can_snooze: bool,
}

/// Something that an item reports as missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum MissingPart {
    /// An enabled job that backs up the database.
    BackupJob,
    /// A good backup of the database.
    GoodBackup,
    /// An enabled notification channel that subscribes to `runFailed`.
    RunFailedChannel,
    /// An enabled notification channel that subscribes to `backupFailed`.
    BackupFailedChannel,
}

/// The urgency of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Severity {
    /// Data or the service is in danger.
    Critical,
    /// Something does not work as intended.
    Warning,
    /// Something should be reviewed.
    Info,
}

text_enum!(Severity {
    Critical => "critical",
    Warning => "warning",
    Info => "info",
});

/// The kind of an item that needs attention. Lists of items have the order of the kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum AttentionKind {
    /// Postgres can't be reached.
    PostgresUnreachable,
    /// The object store can't be reached.
    StoreUnreachable,
    /// The disk is nearly full.
    DiskLow,
    /// A database has no recent backup, none of its backups was verified for 30 days, or no job backs it up.
    BackupOverdue,
    /// A run of a job failed, and none has succeeded since.
    JobFailing,
    /// A job can't run as it is stored.
    JobProblem,
    /// The runs of a job take longer than the time between its fire times.
    JobBehind,
    /// Runs of a job are skipped.
    JobSkipping,
    /// An API key that is in use expires soon.
    KeyExpiring,
    /// A plugin waits for approval.
    PluginPending,
    /// A plugin was refused.
    PluginRejected,
    /// Publishable keys may write to a table without row-level security.
    TableOpen,
    /// The newest delivery attempt or test of a notification channel failed, or the newest attempt for one of its
    /// e-mail addresses.
    ChannelFailing,
    /// No enabled notification channel subscribes to `runFailed`, or none to `backupFailed`.
    FailuresUnheard,
    /// Migrations are pending or were changed.
    Migrations,
    /// A project is stuck while it is being created or deleted.
    ProjectStuck,
    /// A project was not deleted, because its final backup failed.
    DeleteProblem,
    /// More than 80 % of the allowed connections to databases of projects are open.
    ConnectionsHigh,
}

text_enum!(AttentionKind {
    PostgresUnreachable => "postgresUnreachable",
    StoreUnreachable => "storeUnreachable",
    DiskLow => "diskLow",
    BackupOverdue => "backupOverdue",
    JobFailing => "jobFailing",
    JobProblem => "jobProblem",
    JobBehind => "jobBehind",
    JobSkipping => "jobSkipping",
    KeyExpiring => "keyExpiring",
    PluginPending => "pluginPending",
    PluginRejected => "pluginRejected",
    TableOpen => "tableOpen",
    ChannelFailing => "channelFailing",
    FailuresUnheard => "failuresUnheard",
    Migrations => "migrations",
    ProjectStuck => "projectStuck",
    DeleteProblem => "deleteProblem",
    ConnectionsHigh => "connectionsHigh",
});
