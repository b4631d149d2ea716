//! The services that a command uses: Postgres and object store, external or embedded.

use std::{path::PathBuf, time::Duration};

use plugin_compiler::Compiler;
use sqlx::PgPool;

use crate::{
    app::{self, Services},
    config::{Config, ConfigError, DatabaseConfig, ExternalStorageConfig, Secret, StorageConfig},
    embedded::{self, Embedded, EmbeddedError, EmbeddedServices, EmbeddedStoreAlone, HeldDataFolder},
    object_store::{ObjectStore, PLATFORM_BUCKET, StoreError},
    secrets::{MasterKey, Sealer},
};

use super::error::CommandError;

/// Time limit of one check of the store. The server also starts if the store does not respond in time.
const STORE_CHECK_TIMEOUT: Duration = Duration::from_secs(3);
/// Number of times that the store must refuse the access key before the check fails. A store that has just started may
/// not know the key yet.
const MAX_STORE_CHECKS: usize = 3;
const STORE_CHECK_PAUSE: Duration = Duration::from_millis(500);

/// The services of a running command.
pub(super) struct RunningServices {
    pub(super) services: Services,
    /// The embedded services, if this process started them. The process must stop them.
    pub(super) embedded: Option<Embedded>,
}

impl RunningServices {
    /// Returns the services for a command that ends by itself. In embedded mode, uses the services of an
    /// `atlashub serve` on the same data folder, or starts them until [`Self::stop`].
    pub(super) async fn for_command(config: &Config) -> Result<Self, CommandError> {
        if let Some(services) = external(config)? {
            return Ok(Self { services, embedded: None });
        }
        match HeldDataFolder::lock(config) {
            Ok(held) => Self::start(held, config).await,
            Err(EmbeddedError::InUse { .. }) => {
                let services = from_embedded(config, &embedded::of_running(config)?)?;
                Ok(Self { services, embedded: None })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the services for a command during which no server may run. In embedded mode, starts them until
    /// [`Self::stop`].
    ///
    /// # Errors
    /// Fails if another process uses the data folder.
    pub(super) async fn alone(config: &Config) -> Result<Self, CommandError> {
        match external(config)? {
            Some(services) => Ok(Self { services, embedded: None }),
            None => Self::start(HeldDataFolder::lock(config)?, config).await,
        }
    }

    /// Starts the embedded services on a data folder that this process has locked.
    pub(super) async fn start(held: HeldDataFolder, config: &Config) -> Result<Self, CommandError> {
        let embedded = held.start(config, own_program()).await?;
        match from_embedded(config, &embedded.services) {
            Ok(mut services) => {
                services.postgres_programs = Some(embedded.postgres_bin_dir().to_owned());
                Ok(Self { services, embedded: Some(embedded) })
            }
            Err(error) => {
                embedded.shutdown().await;
                Err(error.into())
            }
        }
    }

    pub(super) async fn stop(self) {
        if let Some(embedded) = self.embedded {
            embedded.shutdown().await;
        }
    }
}

/// The object store of a running command that doesn't need Postgres.
pub(super) struct RunningStore {
    pub(super) storage: ExternalStorageConfig,
    /// The embedded store, if this process started it. The process must stop it.
    embedded: Option<EmbeddedStoreAlone>,
}

impl RunningStore {
    /// Like [`RunningServices::for_command`], for the object store alone.
    pub(super) async fn for_command(config: &Config) -> Result<Self, CommandError> {
        if let StorageConfig::External(storage) = &config.storage {
            return Ok(Self { storage: storage.clone(), embedded: None });
        }
        match HeldDataFolder::lock(config) {
            Ok(held) => {
                let embedded = held.start_store(config).await?;
                Ok(Self { storage: embedded.storage().clone(), embedded: Some(embedded) })
            }
            Err(EmbeddedError::InUse { .. }) => {
                Ok(Self { storage: embedded::store_of_running(config)?, embedded: None })
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(super) async fn stop(self) {
        if let Some(embedded) = self.embedded {
            embedded.shutdown().await;
        }
    }
}

/// In embedded mode, checks that the data folder contains an installation, or data to restore. A command that reads
/// data would otherwise make a new installation in a folder that was named by mistake.
pub(super) fn check_data_folder(config: &Config) -> Result<(), CommandError> {
    // On a new machine, these two folders are copied before a restore.
    if !config.embedded() || ["secrets", "objects"].iter().any(|name| config.data_dir.join(name).exists()) {
        return Ok(());
    }
    let folder = std::path::absolute(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone());
    Err(CommandError::failed(format!(
        "There is no AtlasHub data in {}: set ATLASHUB_DATA_DIR to the folder that has it.",
        folder.display()
    )))
}

/// Returns the external services, or `None` in embedded mode.
pub(super) fn external(config: &Config) -> Result<Option<Services>, ConfigError> {
    let (DatabaseConfig::Url(database_url), StorageConfig::External(storage)) = (&config.database, &config.storage)
    else {
        return Ok(None);
    };
    let missing = || ConfigError::new("PLATFORM_MASTER_KEY", "is not set", "set it to 32 bytes in base64");
    Ok(Some(Services {
        database_url: database_url.clone(),
        storage: storage.clone(),
        master_key: master_key("PLATFORM_MASTER_KEY", config.master_key.as_ref().ok_or_else(missing)?)?,
        previous_master_key: previous_master_key(config)?,
        admin_token: config.admin_auth.dev_token.clone(),
        postgres_programs: None,
        plugin_compiler: compiler(),
    }))
}

fn from_embedded(config: &Config, embedded: &EmbeddedServices) -> Result<Services, ConfigError> {
    Ok(Services {
        database_url: embedded.database_url.clone(),
        storage: embedded.storage.clone(),
        master_key: master_key("PLATFORM_MASTER_KEY", &embedded.master_key)?,
        previous_master_key: previous_master_key(config)?,
        admin_token: embedded.admin_token.clone(),
        postgres_programs: match &config.database {
            DatabaseConfig::Embedded { bin_dir, .. } => bin_dir.clone(),
            DatabaseConfig::Url(_) => None,
        },
        plugin_compiler: compiler(),
    })
}

/// Checks that an external store accepts the access key and the region. A store that can't be reached, or that fails,
/// is not an error: it may start later.
pub(super) async fn check_store(storage: &ExternalStorageConfig) -> Result<(), CommandError> {
    let store = ObjectStore::new(storage);
    let mut checks = 1;
    loop {
        // The response to this request contains a code if the store refuses it, unlike that to `HeadBucket`.
        let list = store.list_page(PLATFORM_BUCKET, "", 1, None);
        let refused = match tokio::time::timeout(STORE_CHECK_TIMEOUT, list).await {
            Ok(Err(error)) => refusal(&storage.endpoint, &error),
            Ok(Ok(_)) | Err(_) => None,
        };
        match refused {
            None => return Ok(()),
            Some(error) if checks == MAX_STORE_CHECKS => return Err(error.into()),
            Some(_) => tokio::time::sleep(STORE_CHECK_PAUSE).await,
        }
        checks += 1;
    }
}

/// Returns the error of the configuration that made the store refuse a request. `None` for other failures.
fn refusal(endpoint: &str, error: &StoreError) -> Option<ConfigError> {
    let StoreError::Refused { code, .. } = error else { return None };
    if code == "AuthorizationHeaderMalformed" {
        let problem = format!("is not the region of the store at {endpoint} ({code})");
        return Some(ConfigError::new("ATLASHUB_S3_REGION", problem, "set it to the store's region"));
    }
    error.is_key_refused().then(|| {
        ConfigError::new(
            "ATLASHUB_S3_ACCESS_KEY_ID",
            format!("or ATLASHUB_S3_SECRET_ACCESS_KEY is refused by the store at {endpoint} ({code})"),
            format!("set both to a key of that store that may create, list and change the bucket `{PLATFORM_BUCKET}`"),
        )
    })
}

/// Checks that a master key opens a sealed value, if there are any. With a wrong key, the process would seal new
/// values, and no key would open both these and the old ones. `remedy` is the end of the error.
pub(super) async fn check_master_key(platform: &PgPool, sealer: &Sealer, remedy: &str) -> Result<(), CommandError> {
    match app::find_wrong_master_key(platform, sealer).await {
        Ok(None) => Ok(()),
        Ok(Some(reason)) => Err(CommandError::failed(format!(
            "The master key {} opens none of the encrypted values of the platform database ({reason}). {remedy}",
            sealer.current_key()
        ))),
        Err(error) => Err(CommandError::failed(format!("The platform database can't be read: {error}."))),
    }
}

/// Checks that the configured master keys are valid.
pub(super) fn check_keys(config: &Config) -> Result<(), ConfigError> {
    if let Some(key) = &config.master_key {
        master_key("PLATFORM_MASTER_KEY", key)?;
    }
    previous_master_key(config).map(drop)
}

fn previous_master_key(config: &Config) -> Result<Option<MasterKey>, ConfigError> {
    config.previous_master_key.as_ref().map(|key| master_key("PLATFORM_MASTER_KEY_PREVIOUS", key)).transpose()
}

fn master_key(variable: &str, text: &Secret) -> Result<MasterKey, ConfigError> {
    MasterKey::from_base64(text.expose()).map_err(|error| {
        ConfigError::new(
            variable,
            error.to_string(),
            "set it to 32 random bytes in base64, for example from `openssl rand -base64 32`",
        )
    })
}

/// Returns the path of this program, which is started again to run Postgres and to compile plugins.
fn own_program() -> Option<PathBuf> {
    // This path refers to the running program even if its file was replaced by a newer one.
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() { Some(running) } else { std::env::current_exe().ok() }
}

fn compiler() -> Compiler {
    own_program().map_or(Compiler::Here, Compiler::Program)
}
