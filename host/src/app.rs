//! The application: every slice's state, made once from the configuration.

use std::{num::NonZeroU32, path::PathBuf, sync::Arc, time::Duration};

use axum::extract::FromRef;
use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::{
    admin::{AdminIdentity, AdminState, SystemFacts},
    backups::{BackupsState, Catalogue},
    config::{Config, ExternalStorageConfig, Secret},
    data::{DataLimits, DataService},
    db::{self, PoolLimits, ProjectPools, ServerAddress, dump::Dumper},
    egress::Egress,
    jobs::{
        JobRunner, JobsState, NoRunner, Scheduler,
        notify::{self, NotificationState, Notifier},
    },
    object_store::ObjectStore,
    observability, plugins,
    projects::{
        self, Databases, KeyCache, Projects, ProjectsState, PublicGate, RateLimits, RefusalLimit, SealedCredentials,
        UserTokens,
    },
    secrets::{MasterKey, Sealer},
    sql_editor::SqlEditorState,
    storage::{self, StorageState},
    tables::TablesState,
};

/// Connections of the platform database's own pool.
const PLATFORM_CONNECTIONS: u32 = 12;
/// How long runs may go on when the process is told to stop.
const RUN_GRACE: Duration = Duration::from_secs(10);
const PROJECT_SWEEP: Duration = Duration::from_secs(60);
const STORAGE_SWEEP: Duration = Duration::from_secs(600);
/// Wrong API keys per second and client address.
const REFUSALS_PER_SECOND: NonZeroU32 = NonZeroU32::new(20).unwrap();

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
    capabilities: Arc<plugins::capabilities::Services>,
    jobs: JobsState,
    scheduler: tokio::sync::Mutex<Option<Scheduler>>,
    egress: Egress,
    notifications: NotificationState,
    admin: AdminState,
}

impl App {
    /// Builds every slice's state. Opens no connection; must run inside a tokio runtime.
    pub fn build(config: Config, services: &Services) -> anyhow::Result<Self> {
        Self::build_with_runner(config, services, Arc::new(NoRunner))
    }

    /// The same, with what runs jobs handed in.
    pub fn build_with_runner(config: Config, services: &Services, runner: Arc<dyn JobRunner>) -> anyhow::Result<Self> {
        let platform = db::platform::connect(services.database_url.expose(), PLATFORM_CONNECTIONS)?;
        let sealer = Sealer::new(&services.master_key, services.previous_master_key.as_ref());
        let store = ObjectStore::new(&services.storage);
        let credentials =
            Arc::new(SealedCredentials::new(platform.clone(), services.database_url.clone(), sealer.clone()));
        let pools = ProjectPools::new(
            ServerAddress::from_url(services.database_url.expose())?,
            credentials.clone(),
            PoolLimits {
                budget: config.limits.project_connections,
                size: config.limits.pool_size,
                statement_timeout: config.limits.request_timeout,
            },
        );
        let projects = Projects::new(platform.clone());
        let keys = KeyCache::new(platform.clone(), RateLimits::new(&config.limits));
        let dumper = Dumper::new(&services.database_url, credentials, services.postgres_programs.clone())?;
        let databases = Databases::new(platform.clone(), pools.clone(), dumper);
        let max_object_bytes = config.storage.max_object_bytes();
        let started_at = Utc::now();
        let storage = StorageState::new(platform.clone(), store.clone(), max_object_bytes);
        let data = DataService::new(pools.clone(), DataLimits::from(&config.limits));
        let forget = {
            let (storage, data) = (storage.clone(), data.clone());
            Arc::new(move |project: &str| {
                storage.forget_project(project);
                data.schemas().forget(project);
            })
        };
        let catalogue = Catalogue::new(platform.clone(), store.clone());
        let new_jobs = |runner| {
            let (sealer, store, projects) = (sealer.clone(), store.clone(), projects.clone());
            JobsState::new(platform.clone(), sealer, store, projects, runner, config.jobs.clone())
        };
        let egress = Egress::new(config.http_allowed_hosts.clone())?;
        let notifications = NotificationState::new(platform.clone(), sealer.clone(), egress.clone());
        let capabilities = plugins::capabilities::Services {
            platform: platform.clone(),
            egress: egress.clone(),
            notifier: notifications.notifier.clone(),
            database_url: services.database_url.clone(),
            databases: databases.clone(),
            store: store.clone(),
            storage: storage.clone(),
            backups: Arc::new(catalogue.clone()),
            // What removes old runs begins none, so that it needs nobody to run them.
            runs: new_jobs(Arc::new(NoRunner)),
            master_key_id: sealer.current_key().to_string(),
        };
        let jobs = new_jobs(runner);
        let backups =
            BackupsState { platform: platform.clone(), store: store.clone(), databases, catalogue, jobs: jobs.clone() };
        let identity = AdminIdentity::new(&config.admin_auth, services.admin_token.clone(), platform.clone())?;
        Ok(Self(Arc::new(Inner {
            started_at,
            gate: PublicGate {
                keys: keys.clone(),
                tokens: UserTokens::new(platform.clone(), &config.public_url),
                refusals: RefusalLimit::per_second(REFUSALS_PER_SECOND),
            },
            storage,
            tables: TablesState { pools: pools.clone() },
            data,
            notifications,
            egress,
            sql_editor: SqlEditorState { pools: pools.clone(), allow_create_extension: config.sql_create_extension },
            backups,
            capabilities: Arc::new(capabilities),
            jobs,
            scheduler: tokio::sync::Mutex::new(None),
            admin: AdminState {
                platform: platform.clone(),
                pools: pools.clone(),
                identity: Arc::new(identity),
                system: Arc::new(SystemFacts {
                    environment: config.environment,
                    role: config.role,
                    embedded: config.embedded(),
                    started_at,
                    public_url: config.public_url.clone(),
                    storage_public_endpoint: services.storage.public_endpoint.clone(),
                }),
            },
            projects: ProjectsState {
                platform,
                database_url: services.database_url.clone(),
                sealer,
                store,
                pools,
                projects,
                keys,
                max_object_bytes,
                forget,
            },
            config,
        })))
    }

    /// Starts what runs beside the requests: metrics, hearing of revoked keys, the sweeps.
    pub fn start_background(&self) {
        observability::start_metrics();
        tokio::spawn(self.0.projects.keys.clone().listen());
        notify::start(&self.0.notifications, self.0.config.data_dir.clone(), self.0.config.disk_low_percent);
        let app = self.clone();
        tokio::spawn(async move {
            if let Err(error) = projects::close_shared_databases(&app.0.projects.database_url).await {
                tracing::warn!(%error, "the shared databases could not be closed to projects' roles");
            }
            app.sweep_projects().await;
        });
        if self.0.config.role.runs_jobs() {
            tokio::spawn(self.clone().sweep_storage());
            let app = self.clone();
            tokio::spawn(async move {
                let mut scheduler = app.0.scheduler.lock().await;
                *scheduler = Some(Scheduler::start(app.0.jobs.clone(), None).await);
            });
        }
    }

    /// Ends what runs jobs: no new runs, some seconds for those that go on, and the rest is given up to other nodes.
    pub async fn stop_jobs(&self) {
        self.0.jobs.close();
        let scheduler = self.0.scheduler.lock().await.take();
        if let Some(scheduler) = scheduler {
            scheduler.stop(RUN_GRACE).await;
        }
    }

    /// Finishes what a crash, or a store that was down, left of projects; at the start and now and then.
    async fn sweep_projects(self) {
        let mut ticks = tokio::time::interval(PROJECT_SWEEP);
        loop {
            ticks.tick().await;
            if let Err(error) = projects::finish_unfinished(&self.0.projects).await {
                tracing::error!(error = format!("{error:#}"), "unfinished projects could not be finished");
            }
        }
    }

    async fn sweep_storage(self) {
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + STORAGE_SWEEP, STORAGE_SWEEP);
        loop {
            ticks.tick().await;
            if let Err(error) = storage::cleanup(&self.0.storage).await {
                tracing::error!(%error, "storage could not be cleaned up");
            }
        }
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
    pub fn capabilities(&self) -> &Arc<plugins::capabilities::Services> {
        &self.0.capabilities
    }

    pub fn admin(&self) -> &AdminState {
        &self.0.admin
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
    AdminState = admin;
}
