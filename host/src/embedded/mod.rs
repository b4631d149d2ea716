//! The embedded default: a private Postgres and a private object store under the data folder.
//!
//! Nothing above this folder knows whether a service is embedded: what leaves it is a database URL and the
//! store's endpoint with its keys, as they would come from the configuration. Not in here: migrations, and
//! anything that speaks to the platform's tables.

pub mod data_folder;
mod error;
pub mod postgres;
pub mod secrets;
pub mod store;

use std::path::PathBuf;

use crate::config::{Config, DatabaseConfig, EmbeddedStorageConfig, ExternalStorageConfig, Secret, StorageConfig};
use data_folder::{DataFolder, DataFolderLock};
use postgres::{PLATFORM_DATABASE, Postgres, PostgresSettings};
use secrets::EmbeddedSecret;
use store::{EmbeddedStore, StoreListener};

pub use error::EmbeddedError;

/// Connections besides those to projects' databases: the platform's own pool, dumps, restores, an administrator.
const OTHER_CONNECTIONS: u32 = 40;

/// What the rest of the program needs to know of the embedded services.
#[derive(Debug, Clone)]
pub struct EmbeddedServices {
    /// Of the platform database, as a superuser.
    pub database_url: Secret,
    pub storage: ExternalStorageConfig,
    pub master_key: Secret,
    pub admin_token: Secret,
    /// Where the admin token is written, unless it came from the environment.
    pub admin_token_file: Option<PathBuf>,
}

/// The data folder, held by this process; nothing runs yet.
#[derive(Debug)]
pub struct HeldDataFolder {
    folder: DataFolder,
    lock: DataFolderLock,
}

/// Both services, running. Call [`Embedded::shutdown`]; a drop asks them to stop and does not wait.
#[derive(Debug)]
pub struct Embedded {
    pub services: EmbeddedServices,
    postgres: Postgres,
    store: EmbeddedStore,
    _lock: DataFolderLock,
}

impl HeldDataFolder {
    /// Makes the data folder and takes it. Refused while another process has it.
    pub fn take(config: &Config) -> Result<Self, EmbeddedError> {
        let folder = DataFolder::create(&config.data_dir)?;
        let lock = folder.lock()?;
        Ok(Self { folder, lock })
    }

    /// Starts store and Postgres, and makes at the first start what they need. `launcher` is the `atlashub`
    /// program, see [`PostgresSettings`].
    pub async fn start(self, config: &Config, launcher: Option<PathBuf>) -> Result<Embedded, EmbeddedError> {
        let Self { folder, lock } = self;
        let storage = storage_of(config)?;
        let listener = StoreListener::bind(storage.listen).await?;
        let password = EmbeddedSecret::PostgresPassword.read_or_create(&folder)?;
        let DatabaseConfig::Embedded { bin_dir, port } = &config.database else { return Err(not_embedded()) };
        let settings = PostgresSettings {
            bin_dir: bin_dir.clone(),
            port: *port,
            max_connections: config.limits.project_connections as u32 + OTHER_CONNECTIONS,
            launcher,
            ..PostgresSettings::new(password)
        };
        let postgres = Postgres::start(&folder, settings).await?;
        let store_key = EmbeddedSecret::StoreSecretKey.read_or_create(&folder)?;
        let store = match EmbeddedStore::start(&folder, listener, storage, store_key).await {
            Ok(store) => store,
            Err(error) => {
                postgres.stop().await;
                return Err(error);
            }
        };
        let services = services(config, &folder, postgres.url(PLATFORM_DATABASE), store.storage.clone(), |secret| {
            secret.read_or_create(&folder)
        })?;
        Ok(Embedded { services, postgres, store, _lock: lock })
    }

    /// Starts the store and leaves Postgres alone.
    pub async fn start_store(self, config: &Config) -> Result<EmbeddedStoreAlone, EmbeddedError> {
        let Self { folder, lock } = self;
        let storage = storage_of(config)?;
        let listener = StoreListener::bind(storage.listen).await?;
        let store_key = EmbeddedSecret::StoreSecretKey.read_or_create(&folder)?;
        let store = EmbeddedStore::start(&folder, listener, storage, store_key).await?;
        Ok(EmbeddedStoreAlone { store, _lock: lock })
    }
}

/// The store alone, running, for what must work without a database.
#[derive(Debug)]
pub struct EmbeddedStoreAlone {
    store: EmbeddedStore,
    _lock: DataFolderLock,
}

impl EmbeddedStoreAlone {
    pub fn storage(&self) -> &ExternalStorageConfig {
        &self.store.storage
    }

    /// Stops in order; then the data folder is free.
    pub async fn shutdown(self) {
        self.store.stop().await;
    }
}

impl Embedded {
    /// Folder of the programs that Postgres runs from.
    pub fn postgres_bin_dir(&self) -> &std::path::Path {
        self.postgres.bin_dir()
    }

    /// Stops in order: the store, then Postgres; then the data folder is free.
    pub async fn shutdown(self) {
        self.store.stop().await;
        self.postgres.stop().await;
    }
}

/// The services that another process runs on the data folder, as it wrote them down.
pub fn of_running(config: &Config) -> Result<EmbeddedServices, EmbeddedError> {
    let folder = DataFolder::create(&config.data_dir)?;
    let incomplete = || EmbeddedError::Incomplete { folder: folder.path().to_owned() };
    let read = |secret: EmbeddedSecret| secret.read(&folder)?.ok_or_else(incomplete);
    let password = read(EmbeddedSecret::PostgresPassword)?;
    let database_url = postgres::url_of_running(&folder, &password, PLATFORM_DATABASE).ok_or_else(incomplete)?;
    services(config, &folder, database_url, store_of_running(config)?, read)
}

/// The store that another process runs on the data folder.
pub fn store_of_running(config: &Config) -> Result<ExternalStorageConfig, EmbeddedError> {
    let folder = DataFolder::create(&config.data_dir)?;
    let incomplete = || EmbeddedError::Incomplete { folder: folder.path().to_owned() };
    let address = store::written_address(&folder).ok_or_else(incomplete)?;
    let key = EmbeddedSecret::StoreSecretKey.read(&folder)?.ok_or_else(incomplete)?;
    Ok(store::storage_config(storage_of(config)?, address, key))
}

/// `obtain` is asked for what the environment does not give.
fn services(
    config: &Config,
    folder: &DataFolder,
    database_url: Secret,
    storage: ExternalStorageConfig,
    obtain: impl Fn(EmbeddedSecret) -> Result<Secret, EmbeddedError>,
) -> Result<EmbeddedServices, EmbeddedError> {
    let or_obtain = |given: &Option<Secret>, secret| given.clone().map_or_else(|| obtain(secret), Ok);
    Ok(EmbeddedServices {
        database_url,
        storage,
        master_key: or_obtain(&config.master_key, EmbeddedSecret::MasterKey)?,
        admin_token: or_obtain(&config.admin_auth.dev_token, EmbeddedSecret::AdminToken)?,
        admin_token_file: config.admin_auth.dev_token.is_none().then(|| EmbeddedSecret::AdminToken.file(folder)),
    })
}

fn storage_of(config: &Config) -> Result<&EmbeddedStorageConfig, EmbeddedError> {
    match &config.storage {
        StorageConfig::Embedded(storage) => Ok(storage),
        StorageConfig::External(_) => Err(not_embedded()),
    }
}

fn not_embedded() -> EmbeddedError {
    EmbeddedError::Store("the configuration names external services".to_owned())
}
