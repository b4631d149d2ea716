//! The private object store: an S3 server of our own on loopback, over files in `objects/` of the data folder.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use super::{
    EmbeddedError,
    data_folder::{DataFolder, write_private},
};
use crate::config::{ConfigError, EmbeddedStorageConfig, ExternalStorageConfig, Secret};

const ADDRESS_FILE: &str = "store-address";

pub const ACCESS_KEY_ID: &str = "atlashub";

/// The server gives requests in flight 30 s by itself.
const STOP_PATIENCE: Duration = Duration::from_secs(35);

/// The store's port, taken; requests wait until it is served.
#[derive(Debug)]
pub struct StoreListener {
    listener: TcpListener,
    address: SocketAddr,
}

/// A store that answers.
#[derive(Debug)]
pub struct EmbeddedStore {
    shutdown: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
    /// As if it were configured.
    pub storage: ExternalStorageConfig,
}

impl StoreListener {
    pub async fn bind(address: SocketAddr) -> Result<Self, EmbeddedError> {
        let wrong = |error: std::io::Error| {
            ConfigError::new(
                "ATLASHUB_EMBEDDED_S3_LISTEN",
                format!("is {address}, which can't be listened on ({error})"),
                "stop what uses the port, or set it to another address",
            )
        };
        let listener = TcpListener::bind(address).await.map_err(wrong)?;
        let address = listener.local_addr().map_err(wrong)?;
        Ok(Self { listener, address })
    }
}

impl EmbeddedStore {
    /// Opens the folder and serves it. Ready for requests when it returns.
    pub async fn start(
        data_folder: &DataFolder,
        StoreListener { listener, address }: StoreListener,
        config: &EmbeddedStorageConfig,
        secret_key: Secret,
    ) -> Result<Self, EmbeddedError> {
        let root = data_folder.private_folder("objects")?;
        let store = embedded_s3::Store::open(&root).await.map_err(|error| EmbeddedError::Store(error.to_string()))?;
        // For commands that look at the running services.
        write_private(&data_folder.join(ADDRESS_FILE), format!("{address}\n").as_bytes())?;
        let server_config = embedded_s3::Config {
            root,
            access_key: ACCESS_KEY_ID.to_owned(),
            secret_key: secret_key.expose().to_owned(),
            region: config.region.clone(),
        };
        let (shutdown, asked) = oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            // A sender that was dropped asks too.
            let asked = async { drop(asked.await) };
            let result = embedded_s3::serve(listener, store, server_config, asked).await;
            if let Err(error) = &result {
                tracing::error!(%error, "the embedded store has ended");
            }
            result
        });
        tracing::info!(%address, "the embedded store is ready");
        Ok(Self { shutdown, server, storage: storage_config(config, address, secret_key) })
    }

    /// Lets requests in flight finish and ends the server.
    pub async fn stop(self) {
        let Self { shutdown, server, .. } = self;
        drop(shutdown);
        let abort = server.abort_handle();
        if tokio::time::timeout(STOP_PATIENCE, server).await.is_err() {
            abort.abort();
        }
        tracing::info!("the embedded store has stopped");
    }
}

/// Where the store of another process listens.
pub(super) fn written_address(data_folder: &DataFolder) -> Option<SocketAddr> {
    std::fs::read_to_string(data_folder.join(ADDRESS_FILE)).ok()?.trim().parse().ok()
}

/// What the embedded store is to the rest of the program.
pub(super) fn storage_config(
    config: &EmbeddedStorageConfig,
    address: SocketAddr,
    secret_key: Secret,
) -> ExternalStorageConfig {
    // An address to listen on everywhere is none to connect to.
    let reachable = if address.ip().is_unspecified() {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), address.port())
    } else {
        address
    };
    let endpoint = format!("http://{reachable}");
    ExternalStorageConfig {
        public_endpoint: config.public_endpoint.clone().unwrap_or_else(|| endpoint.clone()),
        endpoint,
        region: config.region.clone(),
        access_key_id: Secret::new(ACCESS_KEY_ID),
        secret_access_key: secret_key,
        max_object_bytes: config.max_object_bytes,
    }
}
