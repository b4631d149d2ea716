//! Starts and stops the private Postgres and the private object store together.

use std::path::PathBuf;

use super::{
    data_folder::{DataFolder, DataFolderLock},
    error::EmbeddedError,
    postgres::{self, PLATFORM_DATABASE, Postgres, PostgresSettings},
    secrets::EmbeddedSecret,
    store::{self, EmbeddedStore, StoreListener},
};
use crate::config::{
    Config, ConfigError, DatabaseConfig, EmbeddedStorageConfig, ExternalStorageConfig, Secret, StorageConfig,
};

/// Connections in addition to those to projects' databases and those whose number the limits on plugins determine: for
/// the platform's pool, the scheduler, restores and an administrator, and for closed connections whose server processes
/// have not ended yet. With many projects, idle connections are closed all the time to open others.
const OTHER_CONNECTIONS: u32 = 56;

/// The data that the rest of the program needs to connect to the embedded services.
#[derive(Debug, Clone)]
pub struct EmbeddedServices {
    /// URL of the platform database, as a superuser.
    pub database_url: Secret,
    pub storage: ExternalStorageConfig,
    pub master_key: Secret,
    /// The admin token. `None` if the services run in another process, which got its token from its environment.
    pub admin_token: Option<Secret>,
    /// File with the admin token, unless the token came from the environment.
    pub admin_token_file: Option<PathBuf>,
}

/// The data folder, locked by this process. No service runs yet.
#[derive(Debug)]
pub struct HeldDataFolder {
    folder: DataFolder,
    lock: DataFolderLock,
}

/// The running Postgres and object store. Call [`Embedded::shutdown`] to stop them; a drop stops them without waiting.
#[derive(Debug)]
pub struct Embedded {
    pub services: EmbeddedServices,
    postgres: Postgres,
    store: EmbeddedStore,
    _lock: DataFolderLock,
}

impl HeldDataFolder {
    /// Creates the data folder if it is missing, and locks it.
    ///
    /// # Errors
    /// Fails if another process has locked the folder, or if the folder can't be created or locked.
    pub fn lock(config: &Config) -> Result<Self, EmbeddedError> {
        let folder = DataFolder::create(&config.data_dir)?;
        let lock = folder.lock()?;
        Ok(Self { folder, lock })
    }

    /// Starts Postgres, then the store. The first start creates their files and secrets. `launcher` is the `atlashub`
    /// program; see [`PostgresSettings`].
    ///
    /// # Errors
    /// Fails if the configuration uses external services, if an address is in use, if a secret can't be read or
    /// written, or if a service does not start.
    pub async fn start(self, config: &Config, launcher: Option<PathBuf>) -> Result<Embedded, EmbeddedError> {
        let Self { folder, lock } = self;
        let storage = embedded_storage(config)?;
        let listener = StoreListener::bind(&folder, storage.listen).await?;
        let password = EmbeddedSecret::PostgresPassword.read_or_create(&folder)?;
        if config.master_key.is_none() {
            // The key is created before the cluster: once the cluster exists, a missing key is an error.
            EmbeddedSecret::MasterKey.read_or_create(&folder)?;
        }
        let DatabaseConfig::Embedded { bin_dir, port } = &config.database else { return Err(not_embedded()) };
        let settings = PostgresSettings {
            bin_dir: bin_dir.clone(),
            port: *port,
            max_connections: max_connections(config),
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
        let obtain = |configured: &Option<Secret>, secret: EmbeddedSecret| {
            configured.clone().map_or_else(|| secret.read_or_create(&folder), Ok)
        };
        let services = EmbeddedServices {
            database_url: postgres.url(PLATFORM_DATABASE),
            storage: store.storage.clone(),
            master_key: obtain(&config.master_key, EmbeddedSecret::MasterKey)?,
            admin_token: Some(obtain(&config.admin_auth.dev_token, EmbeddedSecret::AdminToken)?),
            admin_token_file: admin_token_file(config, &folder),
        };
        Ok(Embedded { services, postgres, store, _lock: lock })
    }

    /// Starts only the store.
    ///
    /// # Errors
    /// Fails if the configuration uses an external store, if the address is in use, if the store's key can't be read or
    /// written, or if the store does not start.
    pub async fn start_store(self, config: &Config) -> Result<EmbeddedStoreAlone, EmbeddedError> {
        let Self { folder, lock } = self;
        let storage = embedded_storage(config)?;
        let listener = StoreListener::bind(&folder, storage.listen).await?;
        let store_key = EmbeddedSecret::StoreSecretKey.read_or_create(&folder)?;
        let store = EmbeddedStore::start(&folder, listener, storage, store_key).await?;
        Ok(EmbeddedStoreAlone { store, _lock: lock })
    }
}

/// The running store without Postgres, for commands that must work without a database.
#[derive(Debug)]
pub struct EmbeddedStoreAlone {
    store: EmbeddedStore,
    _lock: DataFolderLock,
}

impl EmbeddedStoreAlone {
    /// Returns the store as a configuration.
    pub fn storage(&self) -> &ExternalStorageConfig {
        &self.store.storage
    }

    /// Stops the store and unlocks the data folder.
    pub async fn shutdown(self) {
        self.store.stop().await;
    }
}

impl Embedded {
    /// Returns the folder of the Postgres programs.
    pub fn postgres_bin_dir(&self) -> &std::path::Path {
        self.postgres.bin_dir()
    }

    /// Stops the store, then Postgres, and unlocks the data folder.
    pub async fn shutdown(self) {
        self.store.stop().await;
        self.postgres.stop().await;
    }
}

/// Returns the connection data of the services that another process runs on the data folder.
///
/// # Errors
/// Fails if that process has not finished its first start, if its files can't be read, if its master key is in neither
/// its files nor the configuration, or if the configuration uses an external store.
pub fn of_running(config: &Config) -> Result<EmbeddedServices, EmbeddedError> {
    let folder = DataFolder::create(&config.data_dir)?;
    let incomplete = || EmbeddedError::Incomplete { folder: folder.path().to_owned() };
    let read = |secret: EmbeddedSecret| secret.read(&folder)?.ok_or_else(incomplete);
    let password = read(EmbeddedSecret::PostgresPassword)?;
    let database_url = postgres::url_of_running(&folder, &password, PLATFORM_DATABASE).ok_or_else(incomplete)?;
    let master_key = match &config.master_key {
        Some(key) => key.clone(),
        // A process without a key in its environment writes the file before it starts Postgres.
        None => EmbeddedSecret::MasterKey.read(&folder)?.ok_or_else(|| {
            ConfigError::new(
                "PLATFORM_MASTER_KEY",
                "is not set, but the atlashub that uses the data folder has its key from there",
                "set it to the same key",
            )
        })?,
    };
    // Commands don't need the token.
    let admin_token = match &config.admin_auth.dev_token {
        Some(token) => Some(token.clone()),
        None => EmbeddedSecret::AdminToken.read(&folder)?,
    };
    let storage = store_of_running(config)?;
    let admin_token_file = admin_token_file(config, &folder);
    Ok(EmbeddedServices { database_url, storage, master_key, admin_token, admin_token_file })
}

/// Returns the connection data of the store that another process runs on the data folder.
///
/// # Errors
/// Fails if that process has not finished its first start, if its files can't be read, or if the configuration uses an
/// external store.
pub fn store_of_running(config: &Config) -> Result<ExternalStorageConfig, EmbeddedError> {
    let folder = DataFolder::create(&config.data_dir)?;
    let incomplete = || EmbeddedError::Incomplete { folder: folder.path().to_owned() };
    let address = store::recorded_address(&folder).ok_or_else(incomplete)?;
    let key = EmbeddedSecret::StoreSecretKey.read(&folder)?.ok_or_else(incomplete)?;
    Ok(store::storage_config(embedded_storage(config)?, address, key))
}

/// Returns the file with the admin token, unless the token is configured.
fn admin_token_file(config: &Config, folder: &DataFolder) -> Option<PathBuf> {
    config.admin_auth.dev_token.is_none().then(|| EmbeddedSecret::AdminToken.file(folder))
}

/// Returns the value of Postgres's `max_connections`.
fn max_connections(config: &Config) -> u32 {
    // The owner's list of a database's tables uses connections of its own, up to the same number as that of plugins.
    let listing = config.plugins.connections;
    config.limits.project_connections as u32 + OTHER_CONNECTIONS + listing + config.plugins.postgres_connections()
}

fn embedded_storage(config: &Config) -> Result<&EmbeddedStorageConfig, EmbeddedError> {
    match &config.storage {
        StorageConfig::Embedded(storage) => Ok(storage),
        StorageConfig::External(_) => Err(not_embedded()),
    }
}

fn not_embedded() -> EmbeddedError {
    EmbeddedError::Store("the configuration uses external services".to_owned())
}
