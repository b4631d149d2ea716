//! The application: puts the slices together.
//!
//! [`App`] holds the state of every slice. `build` creates it from the configuration. `background` starts and stops the
//! background tasks. `connections` counts connections to Postgres. `notices` turns the outcome of runs and the
//! rejection of plugins into notifications. `sealed_values` collects the sealed columns.

mod background;
mod build;
mod connections;
mod notices;
mod sealed_values;

use std::{path::PathBuf, sync::Arc};

use axum::extract::FromRef;
use chrono::{DateTime, Utc};
use plugin_compiler::Compiler;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::{
    admin::{AdminState, OverviewState},
    auth::AuthState,
    backups::BackupsState,
    config::{Config, ExternalStorageConfig, Secret},
    dashboard::DashboardState,
    data::DataService,
    egress::Egress,
    events::EventsState,
    health::Readiness,
    http::ResponseMemory,
    jobs::{JobRunner, Jobs, Runs, Scheduler},
    notifications::{NotificationState, Notifier},
    object_store::ObjectStore,
    plugins::{FirstParty, PluginRunner, Plugins, guest},
    projects::{ClaimsMaker, Projects, ProjectsState, PublicGate},
    secrets::MasterKey,
    sql_editor::SqlEditorState,
    storage::StorageState,
    tables::TablesState,
    transfers::TransfersState,
};

pub use connections::other_connections;
pub use sealed_values::{check_all_sealed, find_wrong_master_key, reseal_all, sealed_columns};

/// The services that the process uses, embedded or external.
#[derive(Clone)]
pub struct Services {
    pub database_url: Secret,
    pub storage: ExternalStorageConfig,
    pub master_key: MasterKey,
    pub previous_master_key: Option<MasterKey>,
    /// Token of the admin surface, if tokens are allowed.
    pub admin_token: Option<Secret>,
    /// Folder searched for `pg_dump` and `pg_restore` in addition to the usual ones.
    pub postgres_programs: Option<PathBuf>,
    /// Compiles plugins.
    pub plugin_compiler: Compiler,
}

/// Parts that tests replace.
#[derive(Default)]
pub struct ReplacedParts {
    /// Runner of jobs instead of the one that runs plugins.
    pub runner: Option<Arc<dyn JobRunner>>,
    /// First-party plugins instead of those in the binary.
    pub first_party: Option<FirstParty>,
}

/// The state that handlers and background tasks share. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    config: Config,
    started_at: DateTime<Utc>,
    projects: ProjectsState,
    gate: Arc<PublicGate>,
    responses: ResponseMemory,
    auth: AuthState,
    storage: StorageState,
    tables: TablesState,
    data: DataService,
    sql_editor: SqlEditorState,
    backups: BackupsState,
    transfers: TransfersState,
    capabilities: Arc<guest::Services>,
    plugins: Plugins,
    jobs: Jobs,
    events: EventsState,
    scheduler: tokio::sync::Mutex<Option<Scheduler>>,
    egress: Egress,
    notifications: NotificationState,
    admin: AdminState,
    dashboard: DashboardState,
    readiness: Readiness,
    /// Cancelled when the process stops. Ends the background tasks.
    stopping: CancellationToken,
}

impl App {
    /// Creates the state of every slice. Starts a task that watches whether Postgres responds, but opens no other
    /// connection. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// Fails if the database URL is invalid, or a client or the plugin engine can't be created.
    pub fn build(config: Config, services: &Services) -> anyhow::Result<Self> {
        build::app(config, services, ReplacedParts::default())
    }

    /// Like [`Self::build`], with some parts replaced.
    ///
    /// # Errors
    /// Returns the errors of [`Self::build`].
    pub fn build_with(config: Config, services: &Services, replaced: ReplacedParts) -> anyhow::Result<Self> {
        build::app(config, services, replaced)
    }

    pub fn config(&self) -> &Config {
        &self.0.config
    }

    pub fn platform(&self) -> &PgPool {
        &self.0.projects.platform
    }

    pub fn store(&self) -> &ObjectStore {
        &self.0.projects.store
    }

    pub fn projects(&self) -> &ProjectsState {
        &self.0.projects
    }

    pub fn backups(&self) -> &BackupsState {
        &self.0.backups
    }

    pub fn transfers(&self) -> &TransfersState {
        &self.0.transfers
    }

    /// Returns the services that plugins' capabilities use.
    pub fn capabilities(&self) -> &Arc<guest::Services> {
        &self.0.capabilities
    }

    pub fn plugins(&self) -> &Plugins {
        &self.0.plugins
    }

    /// Returns the runner that executes jobs with the loaded plugins.
    pub fn job_runner(&self) -> PluginRunner {
        PluginRunner::new(self.0.plugins.clone())
    }

    pub fn jobs(&self) -> &Jobs {
        &self.0.jobs
    }

    /// Returns the client for outgoing requests.
    pub fn egress(&self) -> &Egress {
        &self.0.egress
    }

    /// Returns the sender of notifications to the owner.
    pub fn notifier(&self) -> &Notifier {
        &self.0.notifications.notifier
    }

    pub fn admin(&self) -> &AdminState {
        &self.0.admin
    }

    /// Returns the state of end-user login.
    pub fn auth(&self) -> &AuthState {
        &self.0.auth
    }

    pub fn responses(&self) -> &ResponseMemory {
        &self.0.responses
    }

    pub fn gate(&self) -> &Arc<PublicGate> {
        &self.0.gate
    }

    pub(crate) fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }

    pub fn started_at(&self) -> DateTime<Utc> {
        self.0.started_at
    }
}

macro_rules! parts {
    ($($part:ty = $field:ident $(. $more:ident)*;)*) => {
        $(impl FromRef<App> for $part {
            fn from_ref(app: &App) -> Self {
                app.0.$field$(.$more)*.clone()
            }
        })*
    };
}

impl FromRef<App> for Runs {
    fn from_ref(app: &App) -> Self {
        app.0.jobs.runs().clone()
    }
}

impl FromRef<App> for ClaimsMaker {
    fn from_ref(app: &App) -> Self {
        Arc::new(app.0.auth.clone())
    }
}

impl FromRef<App> for OverviewState {
    fn from_ref(app: &App) -> Self {
        Self {
            admin: app.0.admin.clone(),
            projects: app.0.projects.clone(),
            jobs: app.0.jobs.clone(),
            backups: app.0.backups.clone(),
            plugins: app.0.plugins.clone(),
        }
    }
}

parts! {
    ProjectsState = projects;
    Projects = projects.projects;
    AuthState = auth;
    StorageState = storage;
    TablesState = tables;
    DataService = data;
    SqlEditorState = sql_editor;
    BackupsState = backups;
    TransfersState = transfers;
    Jobs = jobs;
    EventsState = events;
    NotificationState = notifications;
    Egress = egress;
    Plugins = plugins;
    AdminState = admin;
    DashboardState = dashboard;
}
