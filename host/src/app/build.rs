//! Creates the state of every slice from the configuration.

use std::sync::Arc;

use chrono::Utc;
use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{App, Inner, ReplacedParts, Services, connections::PLATFORM_CONNECTIONS, notices};
use crate::{
    admin::{AdminIdentity, AdminState, SystemFacts},
    auth::AuthState,
    backups::{BackupsState, Catalogue, CopyNames, Identities, ObjectCopies, RestoreJob, Restores},
    config::Config,
    dashboard::{DashboardFiles, DashboardState, PageHeaders},
    data::{DataLimits, DataService},
    db::{self, Availability, PoolLimits, ProjectPools, ServerAddress, dump::Dumper, restore::Restorer},
    egress::Egress,
    embedded::store::MAX_FORM_BYTES,
    events::EventsState,
    health::Readiness,
    http::{ResponseLimits, ResponseMemory},
    jobs::{Jobs, Runs, WithBuiltIn},
    notifications::NotificationState,
    object_store::ObjectStore,
    plugins::{
        FirstParty, PluginFolder, PluginRunner, Plugins, PluginsParts, guest,
        runtime::{Engine, HostLimits, Runtime},
    },
    projects::{
        AuthResources, AuthSettingsCache, Databases, KeyCache, PluginQueries, Projects, ProjectsState, PublicGate,
        RateLimits, Replacements, SealedCredentials, Surveys, UserTokens, WrongKeyLimit,
    },
    secrets::Sealer,
    sql_editor::{RunningQueries, SqlEditorState},
    sql_runs::SqlJob,
    storage::{StorageState, UploadQuotas},
    storage_runs::DeletionJob,
    tables::TablesState,
    transfers::{Transfers, TransfersState},
};

/// Rows up to this size can be received even if the limit on responses is lower, because a project's schema is read as
/// one row.
const MIN_MAX_ROW_BYTES: usize = 16 << 20;

/// Creates the state of every slice, in the order of their dependencies.
pub(super) fn app(config: Config, services: &Services, replaced: ReplacedParts) -> anyhow::Result<App> {
    let started_at = Utc::now();
    let platform = db::platform::connect(services.database_url.expose(), PLATFORM_CONNECTIONS)?;
    let sealer = Sealer::new(&services.master_key, services.previous_master_key.as_ref());
    let store = ObjectStore::new(&services.storage);
    let credentials = Arc::new(SealedCredentials::new(platform.clone(), services.database_url.clone(), sealer.clone()));
    let availability = Availability::watch(&services.database_url)?;
    let pools = ProjectPools::new(
        ServerAddress::from_url(services.database_url.expose())?,
        availability.clone(),
        credentials.clone(),
        PoolLimits {
            budget: config.limits.project_connections,
            size: config.limits.pool_size,
            statement_timeout: config.limits.request_timeout,
            share_inserts: config.limits.share_inserts,
            max_row_bytes: config.limits.response_bytes.max(MIN_MAX_ROW_BYTES),
        },
    );
    let projects = Projects::new(platform.clone());
    let keys = KeyCache::new(platform.clone(), availability.clone());
    let max_object_bytes = config.storage.max_object_bytes();

    let upload_quotas =
        UploadQuotas { staged: config.limits.open_uploads, multipart: config.limits.open_multipart_uploads };
    let max_form_bytes = config.embedded().then_some(MAX_FORM_BYTES);
    let storage = StorageState::new(platform.clone(), store.clone(), max_object_bytes, max_form_bytes, upload_quotas);
    let responses = ResponseMemory::new(ResponseLimits {
        max_bytes: config.limits.response_bytes,
        max_bytes_in_flight: config.limits.response_bytes_in_flight,
    });
    let data = DataService::new(pools.clone(), DataLimits::from(&config.limits), responses.clone());
    let auth_settings = AuthSettingsCache::new(platform.clone());
    let user_tokens = UserTokens::new(platform.clone(), &config.public_url);
    let auth_resources = AuthResources {
        platform: platform.clone(),
        database_url: services.database_url.clone(),
        sealer: sealer.clone(),
        pools: pools.clone(),
        projects: projects.clone(),
    };
    let auth = AuthState::new(
        auth_resources,
        auth_settings.clone(),
        user_tokens.clone(),
        &config.auth,
        &config.trusted_certificates,
    )?;
    let egress = Egress::new(config.http_allowed_hosts.clone(), &config.trusted_certificates)?;
    let notifications =
        NotificationState::new(platform.clone(), sealer.clone(), egress.clone(), config.trusted_certificates.clone());
    let runs = Runs::new(platform.clone(), store.clone(), config.jobs.clone());

    let restorer = Restorer::new(&services.database_url, services.postgres_programs.clone())?;
    let identities =
        Identities { platform: platform.clone(), sealer: sealer.clone(), configured: config.backup_identity.clone() };
    let copies = ObjectCopies {
        platform: platform.clone(),
        store: store.clone(),
        storage: storage.clone(),
        recipients: config.backup_recipients.clone(),
        names: CopyNames::new(&services.master_key, &config.backup_recipients),
    };
    let catalogue = Catalogue::new(copies.clone(), restorer.clone(), identities.clone());
    // Calls of plugins use separate connections, so that plugins can't use up the platform's.
    let connections = config.plugins.connections;
    let plugin_platform = db::platform::connect_for_plugins(services.database_url.expose(), connections)?;
    let plugin_credentials =
        Arc::new(SealedCredentials::new(plugin_platform.clone(), services.database_url.clone(), sealer.clone()));
    let dumper = Dumper::new(&services.database_url, plugin_credentials.clone(), services.postgres_programs.clone())?;
    let databases = Databases::new(platform.clone(), dumper.clone(), connections as usize);
    let plugin_databases = Databases::new(plugin_platform.clone(), dumper, connections as usize);
    let plugin_queries = PluginQueries::new(
        plugin_platform.clone(),
        services.database_url.clone(),
        sealer.clone(),
        plugin_credentials,
        plugin_databases.clone(),
        config.plugins.query_timeout,
    )?;
    let surveys = Surveys::new(platform.clone(), pools.clone());
    let on_swapped = {
        let (pools, data, surveys, auth) = (pools.clone(), data.clone(), surveys.clone(), auth.clone());
        Arc::new(move |project: &str| {
            pools.close(project);
            data.schemas().forget(project);
            surveys.forget(project);
            auth.forget_project(project);
        })
    };
    let take_over_auth = {
        let auth = auth.clone();
        Arc::new(move |project: String, database: String| {
            let auth = auth.clone();
            async move { auth.take_over_restored(&project, &database).await }.boxed()
        })
    };
    let replacements = Replacements::new(
        services.database_url.clone(),
        credentials,
        config.sql_create_extension,
        on_swapped,
        take_over_auth,
    );
    let capabilities = Arc::new(guest::Services {
        platform: plugin_platform.clone(),
        egress: egress.clone(),
        notifier: notifications.notifier.clone(),
        database_url: services.database_url.clone(),
        databases: plugin_databases.clone(),
        queries: plugin_queries,
        projects: Projects::new(plugin_platform.clone()),
        backup_recipients: config.backup_recipients.clone(),
        store: store.clone(),
        storage: storage.with_platform(plugin_platform.clone()),
        auth: auth.clone(),
        backups: Arc::new(Catalogue::new(
            copies.with_platform(plugin_platform.clone()),
            restorer.clone(),
            Identities { platform: plugin_platform.clone(), ..identities.clone() },
        )),
        replaced_databases: Arc::new(Restores::new(
            copies.with_platform(plugin_platform.clone()),
            restorer.clone(),
            replacements.clone(),
            identities.clone(),
        )),
        transfers: Arc::new(Transfers::new(plugin_platform.clone(), store.clone(), plugin_databases, data.clone())),
        state_kib: config.plugins.state_kib,
        runs: Runs::new(plugin_platform, store.clone(), config.jobs.clone()),
        sealer: sealer.clone(),
        sealed_columns: super::sealed_columns(),
    });
    let limits = HostLimits::from(&config.plugins);
    let notifier = notifications.notifier.clone();
    let plugins = Plugins::new(PluginsParts {
        platform: platform.clone(),
        sealer: sealer.clone(),
        folder: PluginFolder::new(&config.plugin_dir, config.plugins.max_file_bytes()),
        first_party: replaced.first_party.unwrap_or_else(FirstParty::of_binary),
        runtime: Arc::new(Runtime::new(
            Engine::new(&limits, services.plugin_compiler.clone())?,
            limits,
            capabilities.clone(),
        )),
        on_rejected: Arc::new(move |rejected| notifier.notify(notices::plugin_rejected(rejected))),
    });
    let runner = replaced.runner.unwrap_or_else(|| Arc::new(PluginRunner::new(plugins.clone())));
    let schema_changed = {
        let data = data.clone();
        Arc::new(move |project: &str| data.schemas().expire(project))
    };
    let sql_editor = SqlEditorState {
        platform: platform.clone(),
        pools: pools.clone(),
        responses: responses.clone(),
        running: RunningQueries::default(),
        allow_create_extension: config.sql_create_extension,
        schema_changed,
    };
    let runner = Arc::new(WithBuiltIn::new(SqlJob(sql_editor.clone()), runner));
    let deletion = DeletionJob { storage: storage.clone(), projects: projects.clone() };
    let runner = Arc::new(WithBuiltIn::new(deletion, runner));
    let data_folder = config.embedded().then(|| config.data_dir.clone());
    let restores =
        Restores::new(copies.clone(), restorer.clone(), replacements, identities).with_data_folder(data_folder);
    let runner = Arc::new(WithBuiltIn::new(RestoreJob(restores.clone()), runner));
    let jobs = Jobs::new(runs, sealer.clone(), projects.clone(), runner);
    let transfers = TransfersState {
        platform: platform.clone(),
        store: store.clone(),
        projects: projects.clone(),
        data: data.clone(),
        editor: sql_editor.clone(),
        jobs: jobs.clone(),
    };
    let backups = BackupsState {
        platform: platform.clone(),
        store: store.clone(),
        databases,
        catalogue,
        restores,
        copies,
        jobs: jobs.clone(),
    };
    let identity = AdminIdentity::new(&config.admin_auth, services.admin_token.clone(), platform.clone())?;
    let forget = {
        let (storage, data, auth) = (storage.clone(), data.clone(), auth.clone());
        Arc::new(move |project: &str| {
            storage.forget_project(project);
            auth.forget_project(project);
            data.schemas().forget(project);
        })
    };
    let begin_final_backup = {
        let backups = backups.clone();
        Arc::new(move |project: String| {
            let backups = backups.clone();
            async move { backups.start_final_backup(&project).await }.boxed()
        })
    };
    Ok(App(Arc::new(Inner {
        started_at,
        gate: Arc::new(PublicGate {
            keys: keys.clone(),
            limits: RateLimits::new(&config.limits),
            tokens: user_tokens,
            auth: auth_settings,
            sessions: Arc::new(auth.clone()),
            wrong_keys: WrongKeyLimit::default(),
            availability: availability.clone(),
            timeout: config.limits.request_timeout,
        }),
        auth,
        storage,
        tables: TablesState { pools: pools.clone() },
        data,
        notifications,
        egress,
        sql_editor,
        responses,
        backups,
        transfers,
        capabilities,
        events: EventsState::new(platform.clone(), plugins.clone(), jobs.runs().clone()),
        plugins,
        jobs,
        scheduler: tokio::sync::Mutex::new(None),
        admin: AdminState {
            platform: platform.clone(),
            pools: pools.clone(),
            store: store.clone(),
            identity: Arc::new(identity),
            system: Arc::new(SystemFacts {
                environment: config.environment,
                role: config.role,
                embedded: config.embedded(),
                started_at,
                public_url: config.public_url.clone(),
                storage_public_endpoint: services.storage.public_endpoint.clone(),
                node_id: Uuid::now_v7(),
                data_dir: config.data_dir.clone(),
                plugin_dir: config.plugin_dir.clone(),
                disk_low_percent: config.disk_low_percent,
                configuration: config.variables.clone(),
            }),
        },
        dashboard: DashboardState {
            headers: PageHeaders::new(&services.storage.public_endpoint),
            files: DashboardFiles::new(config.dashboard_dir.clone()),
        },
        projects: ProjectsState {
            platform,
            database_url: services.database_url.clone(),
            sealer,
            store,
            surveys,
            pools,
            projects,
            keys,
            max_object_bytes,
            allow_create_extension: config.sql_create_extension,
            forget,
            begin_final_backup,
        },
        readiness: Readiness::default(),
        stopping: CancellationToken::new(),
        config,
    })))
}
