//! The application: every slice's state, made once from the configuration.

use std::{num::NonZeroU32, path::PathBuf, sync::Arc, time::Duration};

use api_types::NotificationEvent;
use axum::extract::FromRef;
use chrono::{DateTime, Utc};
use sqlx::PgPool;

use crate::{
    admin::{AdminIdentity, AdminState, SystemFacts},
    backups::BackupsState,
    config::{Config, ExternalStorageConfig, Secret},
    data::{DataLimits, DataService},
    db::{self, PoolLimits, ProjectPools, ServerAddress, dump::Dumper},
    egress::Egress,
    jobs::notify::{self, Notification, NotificationState, Notifier},
    object_store::ObjectStore,
    observability,
    plugins::{FirstParty, PluginFolder, PluginRunner, Plugins, PluginsParts, RejectedPlugin, capabilities, runtime},
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
const PLATFORM_CONNECTIONS: u32 = 10;
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
    plugins: Plugins,
    capabilities: Arc<capabilities::Services>,
    backups: BackupsState,
    egress: Egress,
    notifications: NotificationState,
    admin: AdminState,
}

impl App {
    /// Builds every slice's state. Opens no connection; must run inside a tokio runtime.
    pub fn build(config: Config, services: &Services) -> anyhow::Result<Self> {
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
        let storage = StorageState::new(platform.clone(), store.clone(), max_object_bytes);
        let backups = BackupsState::new(platform.clone(), store.clone(), databases.clone());
        let egress = Egress::new(config.http_allowed_hosts.clone())?;
        let notifications = NotificationState::new(platform.clone(), sealer.clone(), egress.clone());
        let capabilities = capabilities::Services {
            platform: platform.clone(),
            egress: egress.clone(),
            notifier: notifications.notifier.clone(),
            database_url: services.database_url.clone(),
            databases,
            store: store.clone(),
            storage: storage.clone(),
            backups: Arc::new(backups.catalogue.clone()),
            master_key_id: sealer.current_key().to_string(),
        };
        let capabilities = Arc::new(capabilities);
        let plugins = plugins(&config, &sealer, &capabilities)?;
        let started_at = Utc::now();
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
            data: DataService::new(pools.clone(), DataLimits::from(&config.limits)),
            notifications,
            egress,
            sql_editor: SqlEditorState { pools: pools.clone(), allow_create_extension: config.sql_create_extension },
            plugins,
            capabilities,
            backups,
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
            },
            config,
        })))
    }

    /// Starts what runs beside the requests: metrics, hearing of revoked keys, the sweeps.
    pub fn start_background(&self) {
        observability::start_metrics();
        tokio::spawn(self.0.projects.keys.clone().listen());
        tokio::spawn(self.0.plugins.clone().watch());
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
    pub fn capabilities(&self) -> &Arc<capabilities::Services> {
        &self.0.capabilities
    }

    pub fn admin(&self) -> &AdminState {
        &self.0.admin
    }

    pub fn plugins(&self) -> &Plugins {
        &self.0.plugins
    }

    /// Runs jobs by the plugins that may run.
    pub fn job_runner(&self) -> PluginRunner {
        PluginRunner::new(self.0.plugins.clone())
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

fn plugins(config: &Config, sealer: &Sealer, services: &Arc<capabilities::Services>) -> anyhow::Result<Plugins> {
    let limits = runtime::HostLimits::default();
    let notifier = services.notifier.clone();
    Ok(Plugins::new(PluginsParts {
        platform: services.platform.clone(),
        sealer: sealer.clone(),
        folder: PluginFolder::new(&config.plugin_dir),
        first_party: FirstParty::of_binary(),
        runtime: Arc::new(runtime::Runtime::new(runtime::Engine::new(&limits)?, limits, Arc::clone(services))),
        on_rejected: Arc::new(move |rejected| notifier.notify(rejection(rejected))),
    }))
}

fn rejection(rejected: &RejectedPlugin) -> Notification {
    let title = format!("Plugin \"{}\" was rejected", rejected.name);
    let message = format!("The plugin does not run: {}.", rejected.reason);
    let mut notification = Notification::new(NotificationEvent::PluginRejected, title, message);
    if let Some(key) = &rejected.key_id {
        notification = notification.with_field("key", key);
    }
    notification
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
    Plugins = plugins;
    BackupsState = backups;
    NotificationState = notifications;
    Egress = egress;
    AdminState = admin;
}
