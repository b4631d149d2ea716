//! A real S3 server: the embedded one, or Garage if `ATLASHUB_TEST_GARAGE_BIN` is set.

use std::sync::OnceLock;

use atlashub::config::{ExternalStorageConfig, Secret};

use super::garage::{self, Garage};

const ACCESS_KEY: &str = "test-access-key";
const SECRET_KEY: &str = "test-secret-key";

/// A running store.
pub struct Store {
    pub endpoint: String,
    pub access_key: String,
    pub secret_key: String,
    pub region: String,
    /// The server behind the endpoint. It stops with the test process.
    server: Server,
}

enum Server {
    Embedded { _folder: tempfile::TempDir },
    Garage { _garage: Garage },
}

impl Store {
    /// Returns the store that all tests of the process share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Store> = OnceLock::new();
        SHARED.get_or_init(|| match std::env::var("ATLASHUB_TEST_GARAGE_BIN") {
            Ok(binary) if !binary.is_empty() => Self::start_garage(&binary),
            _ => Self::start_embedded(),
        })
    }

    /// Starts an embedded store for one test. It stops with the test process.
    pub fn start_separate() -> &'static Self {
        Box::leak(Box::new(Self::start_embedded()))
    }

    /// Returns whether this is the embedded server. Unlike Garage, it supports `If-None-Match: *`.
    pub fn is_embedded(&self) -> bool {
        matches!(self.server, Server::Embedded { .. })
    }

    fn start_garage(binary: &str) -> Self {
        let garage = Garage::start(binary);
        Self {
            endpoint: garage.endpoint.clone(),
            access_key: garage::ACCESS_KEY.into(),
            secret_key: garage::SECRET_KEY.into(),
            region: garage::REGION.into(),
            server: Server::Garage { _garage: garage },
        }
    }

    fn start_embedded() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let root = folder.path().to_owned();
        let (send_address, address) = std::sync::mpsc::channel();
        // Runs in its own thread and runtime, because the runtime of a test ends with the test.
        std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("port");
                send_address.send(listener.local_addr().expect("address")).expect("receiver");
                let store = embedded_s3::Store::open(&root).await.expect("the store should open");
                let config = embedded_s3::Config {
                    root,
                    access_key: ACCESS_KEY.into(),
                    secret_key: SECRET_KEY.into(),
                    region: "us-east-1".into(),
                };
                embedded_s3::serve(listener, store, config, std::future::pending())
                    .await
                    .expect("the store should serve");
            });
        });
        let address = address.recv().expect("the store's address");
        Self {
            endpoint: format!("http://{address}"),
            access_key: ACCESS_KEY.into(),
            secret_key: SECRET_KEY.into(),
            region: "us-east-1".into(),
            server: Server::Embedded { _folder: folder },
        }
    }

    /// Returns an SDK client, for calls that the platform itself does not make.
    pub fn client(&self) -> aws_sdk_s3::Client {
        use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
        aws_sdk_s3::Client::from_conf(
            aws_sdk_s3::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(Region::new(self.region.clone()))
                .endpoint_url(&self.endpoint)
                .force_path_style(true)
                .credentials_provider(Credentials::new(&*self.access_key, &*self.secret_key, None, None, "tests"))
                .build(),
        )
    }

    pub fn config(&self) -> ExternalStorageConfig {
        ExternalStorageConfig {
            endpoint: self.endpoint.clone(),
            public_endpoint: self.endpoint.clone(),
            region: self.region.clone(),
            access_key_id: Secret::new(&*self.access_key),
            secret_access_key: Secret::new(&*self.secret_key),
            max_object_bytes: 5 << 30,
        }
    }
}
