//! The private object store: the S3 server of the crate `embedded-s3`, with files in `objects/` of the data folder.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use super::{
    EmbeddedError,
    data_folder::{DataFolder, write_private},
};
use crate::config::{ConfigError, EmbeddedStorageConfig, ExternalStorageConfig, Secret, StoreAddress};

const ADDRESS_FILE: &str = "store-address";

/// Access key id of the embedded store.
pub const ACCESS_KEY_ID: &str = "atlashub";

/// Maximum size of a file in a browser form, in bytes.
pub const MAX_FORM_BYTES: i64 = embedded_s3::MAX_FORM_FILE_BYTES as i64;

/// Timeout of a shutdown. The server itself waits up to 30 s for requests in flight.
const STOP_TIMEOUT: Duration = Duration::from_secs(35);

/// The listener of the store. Connections wait until the store is started.
#[derive(Debug)]
pub struct StoreListener {
    listener: TcpListener,
    address: SocketAddr,
}

/// A running store.
#[derive(Debug)]
pub struct EmbeddedStore {
    shutdown: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
    /// The store as a configuration.
    pub storage: ExternalStorageConfig,
}

impl StoreListener {
    /// Binds the address of the store. If the configuration does not fix it, tries the port of the last start first, so
    /// that signed URLs remain valid, then the preferred port, and then any free port.
    ///
    /// # Errors
    /// Fails if the store can't listen on the fixed address or on any free port.
    pub async fn bind(data_folder: &DataFolder, address: StoreAddress) -> Result<Self, EmbeddedError> {
        let address = match address {
            StoreAddress::Fixed(address) => address,
            StoreAddress::Preferred(default) => {
                let last = recorded_address(data_folder).filter(|last| last.ip() == default.ip() && *last != default);
                for address in last.into_iter().chain([default]) {
                    match Self::bind_to(address).await {
                        Ok(bound) => return Ok(bound),
                        Err(error) => tracing::warn!(
                            %address, %error,
                            "the embedded store can't listen on this address and uses another port; set \
                             ATLASHUB_EMBEDDED_S3_LISTEN for a fixed address"
                        ),
                    }
                }
                SocketAddr::new(default.ip(), 0)
            }
        };
        let config_error = |error: std::io::Error| {
            ConfigError::new(
                "ATLASHUB_EMBEDDED_S3_LISTEN",
                format!("is {address}, where the store can't listen ({error})"),
                "stop the program that uses the port, or set it to another address",
            )
        };
        Ok(Self::bind_to(address).await.map_err(config_error)?)
    }

    async fn bind_to(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }
}

impl EmbeddedStore {
    /// Opens the folder and starts serving it.
    ///
    /// # Errors
    /// Fails if the folder can't be opened or written to.
    pub async fn start(
        data_folder: &DataFolder,
        StoreListener { listener, address }: StoreListener,
        config: &EmbeddedStorageConfig,
        secret_key: Secret,
    ) -> Result<Self, EmbeddedError> {
        let root = data_folder.private_folder("objects")?;
        let store = embedded_s3::Store::open(&root).await.map_err(|error| EmbeddedError::Store(error.to_string()))?;
        // Commands that connect to the running services read this file, and so does the next start.
        write_private(&data_folder.join(ADDRESS_FILE), format!("{address}\n").as_bytes())?;
        let server_config = embedded_s3::Config {
            root,
            access_key: ACCESS_KEY_ID.to_owned(),
            secret_key: secret_key.expose().to_owned(),
            region: config.region.clone(),
        };
        let (shutdown, shutdown_requested) = oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            // `stop` and a drop of the handle both drop the sender.
            let shutdown_requested = async { drop(shutdown_requested.await) };
            let result = embedded_s3::serve(listener, store, server_config, shutdown_requested).await;
            if let Err(error) = &result {
                tracing::error!(%error, "the embedded store ended with an error");
            }
            result
        });
        tracing::info!(%address, "the embedded store is ready");
        Ok(Self { shutdown, server, storage: storage_config(config, address, secret_key) })
    }

    /// Stops the server when requests in flight have completed, or after 35 s.
    pub async fn stop(self) {
        let Self { shutdown, server, .. } = self;
        drop(shutdown);
        let abort = server.abort_handle();
        if tokio::time::timeout(STOP_TIMEOUT, server).await.is_err() {
            abort.abort();
        }
        tracing::info!("the embedded store has stopped");
    }
}

/// Returns the address of the store that another process runs, or the address of the last store on the data folder.
pub(super) fn recorded_address(data_folder: &DataFolder) -> Option<SocketAddr> {
    std::fs::read_to_string(data_folder.join(ADDRESS_FILE)).ok()?.trim().parse().ok()
}

/// Describes the embedded store as a configuration.
pub(super) fn storage_config(
    config: &EmbeddedStorageConfig,
    address: SocketAddr,
    secret_key: Secret,
) -> ExternalStorageConfig {
    // The address of all interfaces can be listened on but not connected to.
    let connect_address = if address.ip().is_unspecified() {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port())
    } else {
        address
    };
    let endpoint = format!("http://{connect_address}");
    ExternalStorageConfig {
        public_endpoint: config.public_endpoint.clone().unwrap_or_else(|| endpoint.clone()),
        endpoint,
        region: config.region.clone(),
        access_key_id: Secret::new(ACCESS_KEY_ID),
        secret_access_key: secret_key,
        max_object_bytes: config.max_object_bytes,
    }
}
