//! The application: every slice's state, made once from the configuration, and what runs beside the requests.
//!
//! [`App`] is what handlers share; `build` makes it, `background` starts and stops its tasks, `notices` tells the owner
//! what jobs and plugins came to. Nothing here decides anything: it puts slices together.

mod background;
mod build;
mod notices;
mod sealed_values;

use std::{path::PathBuf, sync::Arc};

use axum::extract::FromRef;
use chrono::{DateTime, Utc};
use plugin_compiler::Compiler;
use sqlx::PgPool;

use crate::{
    admin::AdminState,
    backups::BackupsState,
    config::{Config, ExternalStorageConfig, Secret},
    data::DataService,
    egress::Egress,
    jobs::{JobRunner, JobsState, Scheduler},
    notifications::{NotificationState, Notifier},
    object_store::ObjectStore,
    plugins::{FirstParty, PluginRunner, Plugins, capabilities},
    projects::{Projects, ProjectsState, PublicGate},
    secrets::MasterKey,
    sql_editor::SqlEditorState,
    storage::StorageState,
    tables::TablesState,
};

pub use sealed_values::{check_all_sealed, reseal_all, sealed_columns};

/// What the process runs on, embedded or external.
#[derive(Clone)]
pub struct Services {
    pub database_url: Secret,
    pub storage: ExternalStorageConfig,
    pub master_key: MasterKey,
    pub previous_master_key: Option<MasterKey>,
    /// Token of the admin surface, where tokens are allowed.
    pub admin_token: Option<Secret>,
    /// Folder looked into for `pg_dump` before the usual places.
    pub postgres_programs: Option<PathBuf>,
    /// Compiles plugins.
    pub plugin_compiler: Compiler,
}

/// Parts that a caller brings instead of the usual ones.
#[derive(Default)]
pub struct Exchanged {
    /// Runs jobs; else plugins do.
    pub runner: Option<Arc<dyn JobRunner>>,
    /// The platform's own plugins; else those of the binary.
    pub first_party: Option<FirstParty>,
}

/// Everything that handlers and background work share. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

struct Inner {
    config: Config,
    started_at: DateTime<Utc>,
    projects: ProjectsState,
    gate: PublicGate,
    storage: StorageState,
    tables: TablesState,
    data: DataService,
    sql_editor: SqlEditorState,
    backups: BackupsState,
    capabilities: Arc<capabilities::Services>,
    plugins: Plugins,
    jobs: JobsState,
    scheduler: tokio::sync::Mutex<Option<Scheduler>>,
    egress: Egress,
    notifications: NotificationState,
    admin: AdminState,
}

impl App {
    /// Builds every slice's state; plugins run the jobs. Opens no connection; must run inside a tokio runtime.
    pub fn build(config: Config, services: &Services) -> anyhow::Result<Self> {
        build::app(config, services, Exchanged::default())
    }

    /// The same with parts of the caller's own.
    pub fn build_with(config: Config, services: &Services, exchanged: Exchanged) -> anyhow::Result<Self> {
        build::app(config, services, exchanged)
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

    /// What plugins' capabilities work on.
    pub fn capabilities(&self) -> &Arc<capabilities::Services> {
        &self.0.capabilities
    }

    pub fn plugins(&self) -> &Plugins {
        &self.0.plugins
    }

    /// Runs jobs by the plugins that may run.
    pub fn job_runner(&self) -> PluginRunner {
        PluginRunner::new(self.0.plugins.clone())
    }

    pub fn jobs(&self) -> &JobsState {
        &self.0.jobs
    }

    /// Requests out of the platform.
    pub fn egress(&self) -> &Egress {
        &self.0.egress
    }

    /// Takes what the owner may want to hear of.
    pub fn notifier(&self) -> &Notifier {
        &self.0.notifications.notifier
    }

    pub fn admin(&self) -> &AdminState {
        &self.0.admin
    }

    pub fn gate(&self) -> &PublicGate {
        &self.0.gate
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

parts! {
    ProjectsState = projects;
    Projects = projects.projects;
    StorageState = storage;
    TablesState = tables;
    DataService = data;
    SqlEditorState = sql_editor;
    BackupsState = backups;
    JobsState = jobs;
    NotificationState = notifications;
    Egress = egress;
    Plugins = plugins;
    AdminState = admin;
}
