//! Starts servers and sends requests to them.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation, retry::RetryConfig,
};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use aws_sdk_s3::primitives::ByteStream;
use embedded_s3::{Config, Store, serve};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const ACCESS_KEY: &str = "test-access-key";
pub(crate) const SECRET_KEY: &str = "test-secret-key";
pub(crate) const REGION: &str = "us-east-1";
pub(crate) const BUCKET: &str = "files";

pub(crate) struct TestServer {
    pub folder: TempDir,
    pub address: SocketAddr,
    pub client: Client,
    shutdown: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

impl TestServer {
    /// Starts a server on a new folder and creates [`BUCKET`].
    pub(crate) async fn start() -> Self {
        let server = Self::start_on(tempfile::tempdir().unwrap()).await;
        server.client.create_bucket().bucket(BUCKET).send().await.unwrap();
        server
    }

    pub(crate) async fn start_on(folder: TempDir) -> Self {
        let store = Store::open(folder.path()).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, requested) = oneshot::channel::<()>();
        let config = config(folder.path());
        let server = tokio::spawn(serve(listener, store, config, async move {
            let _ = requested.await;
        }));
        Self { client: client(address), folder, address, shutdown, server }
    }

    pub(crate) async fn stop(self) -> TempDir {
        drop(self.client);
        self.shutdown.send(()).unwrap();
        self.server.await.unwrap().unwrap();
        self.folder
    }

    pub(crate) async fn restart(self) -> Self {
        Self::start_on(self.stop().await).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn put(&self, key: &str, body: impl Into<Vec<u8>>) {
        put(&self.client, key, body.into()).await.unwrap();
    }

    pub(crate) async fn get(&self, key: &str) -> Option<Vec<u8>> {
        get(&self.client, key).await
    }

    /// Presigns a PUT of `key`. `adjust` adds headers to sign.
    pub(crate) async fn sign_put(
        &self,
        key: &str,
        adjust: impl FnOnce(
            aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder,
        ) -> aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder,
    ) -> PresignedRequest {
        let request = self.client.put_object().bucket(BUCKET).key(key);
        adjust(request).presigned(for_one_hour()).await.unwrap()
    }

    pub(crate) async fn sign_get(&self, key: &str) -> PresignedRequest {
        self.client.get_object().bucket(BUCKET).key(key).presigned(for_one_hour()).await.unwrap()
    }
}

pub(crate) async fn put(client: &Client, key: &str, body: Vec<u8>) -> Result<(), String> {
    let request = client.put_object().bucket(BUCKET).key(key).body(ByteStream::from(body));
    request.send().await.map(|_| ()).map_err(|error| format!("{error:?}"))
}

pub(crate) async fn get(client: &Client, key: &str) -> Option<Vec<u8>> {
    match client.get_object().bucket(BUCKET).key(key).send().await {
        Ok(output) => Some(output.body.collect().await.unwrap().to_vec()),
        Err(error) => {
            assert_eq!(status(&error), 404, "{error:?}");
            None
        }
    }
}

pub(crate) fn config(root: &Path) -> Config {
    Config {
        root: root.to_owned(),
        access_key: ACCESS_KEY.to_owned(),
        secret_key: SECRET_KEY.to_owned(),
        region: REGION.to_owned(),
    }
}

pub(crate) fn client(address: SocketAddr) -> Client {
    client_with(address, SECRET_KEY, |builder| builder)
}

pub(crate) fn client_with(
    address: SocketAddr,
    secret: &str,
    adjust: impl FnOnce(aws_sdk_s3::config::Builder) -> aws_sdk_s3::config::Builder,
) -> Client {
    let builder = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .endpoint_url(format!("http://{address}"))
        .credentials_provider(Credentials::new(ACCESS_KEY, secret, None, None, "test"))
        .region(Region::new(REGION))
        .force_path_style(true)
        .retry_config(RetryConfig::disabled())
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    Client::from_conf(adjust(builder).build())
}

pub(crate) fn for_one_hour() -> PresigningConfig {
    PresigningConfig::expires_in(Duration::from_secs(3600)).unwrap()
}

/// Sends a presigned PUT without its body, for which the server has to ask.
pub(crate) async fn send_head(server: &TestServer, url: &PresignedRequest, content_length: u64) -> TcpStream {
    let target = url.uri().strip_prefix(&server.url("")).unwrap();
    let head = format!(
        "PUT {target} HTTP/1.1\r\nhost: {}\r\ncontent-length: {content_length}\r\nexpect: 100-continue\r\n\r\n",
        server.address
    );
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// Reads until the text contains `end`.
pub(crate) async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains(end) {
        let length = stream.read(&mut buffer).await.unwrap();
        assert_ne!(length, 0, "the connection ended: {text}");
        text.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
    }
    text
}

/// Returns a plain HTTP client.
pub(crate) fn http() -> reqwest::Client {
    reqwest::Client::builder().timeout(Duration::from_secs(60)).build().unwrap()
}

pub(crate) fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Returns the key for signatures of version 4 on a day. `day` has the form `YYYYMMDD`.
pub(crate) fn signing_key(day: &str) -> Vec<u8> {
    let scope = [day, REGION, "s3", "aws4_request"];
    scope.iter().fold(format!("AWS4{SECRET_KEY}").into_bytes(), |key, text| hmac(&key, text))
}

/// Returns the HTTP status of a failed SDK call.
pub(crate) fn status<E>(error: &SdkError<E>) -> u16 {
    error.raw_response().map_or(0, |response| response.status().as_u16())
}

/// Returns the S3 error code of a failed SDK call.
pub(crate) fn code<E: ProvideErrorMetadata>(error: &SdkError<E>) -> &str {
    error.code().unwrap_or_default()
}

/// Returns pseudorandom bytes that depend on the seed.
pub(crate) fn bytes(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).flatten().take(length).collect()
}

/// Counts the files below a folder of the store.
pub(crate) fn count_files(path: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(path) else {
        return 0;
    };
    let count = |path: &Path| if path.is_dir() { count_files(path) } else { 1 };
    entries.map(|entry| count(&entry.unwrap().path())).sum()
}
