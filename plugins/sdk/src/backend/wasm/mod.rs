//! Calls the host through the generated bindings.

pub(crate) mod buckets;
pub(crate) mod query;
pub(crate) mod state;
pub(crate) mod transfers;

use super::convert::{from_wit, into_wit};
use crate::bindings::atlashub::plugin as host;

pub(crate) mod backups {
    use super::{from_wit, host};
    use crate::{
        Result,
        backups::{Backup, CopiedObjects, Facts, NewBackup, Verification},
    };

    pub(crate) fn describe() -> Facts {
        host::backups::describe()
    }

    pub(crate) async fn record(backup: NewBackup) -> Result<String> {
        host::backups::record_backup(backup).await.map_err(from_wit)
    }

    pub(crate) async fn copy_objects(target: &str, manifest_key: &str) -> Result<CopiedObjects> {
        host::backups::copy_objects(target.to_owned(), manifest_key.to_owned()).await.map_err(from_wit)
    }

    pub(crate) async fn list(target: Option<&str>) -> Result<Vec<Backup>> {
        host::backups::list(target.map(str::to_owned)).await.map_err(from_wit)
    }

    pub(crate) async fn verify(id: &str) -> Result<Verification> {
        host::backups::verify(id.to_owned()).await.map_err(from_wit)
    }

    pub(crate) async fn remove(id: &str) -> Result<()> {
        host::backups::remove(id.to_owned()).await.map_err(from_wit)
    }
}

pub(crate) mod clock {
    use std::time::Duration;

    use super::host;

    pub(crate) fn now() -> u64 {
        host::clock::now()
    }

    pub(crate) fn monotonic() -> Duration {
        Duration::from_nanos(host::clock::monotonic())
    }

    pub(crate) async fn sleep(milliseconds: u64) {
        host::clock::sleep(milliseconds).await;
    }
}

pub(crate) mod config {
    pub(crate) fn get(name: &str) -> Option<String> {
        super::host::config::get(name)
    }
}

pub(crate) mod databases {
    use super::{from_wit, host, stream::Reader};
    use crate::{
        Result,
        databases::{Database, Dump, DumpOptions, Table},
        stream::{ByteStream, Outcome},
    };

    pub(crate) async fn list() -> Result<Vec<Database>> {
        host::databases::list().await.map_err(from_wit)
    }

    pub(crate) async fn dump(database: &str, options: DumpOptions) -> Result<Dump> {
        let (archive, outcome) = host::databases::dump(database.to_owned(), options).await.map_err(from_wit)?;
        Ok(Dump {
            archive: ByteStream { reader: Reader::new(archive) },
            outcome: Outcome::new(async move { outcome.await.map_err(from_wit) }),
        })
    }

    pub(crate) async fn tables(database: &str) -> Result<Vec<Table>> {
        host::databases::tables(database.to_owned()).await.map_err(from_wit)
    }
}

pub(crate) mod http {
    use super::{from_wit, host, stream::Reader};
    use crate::{
        Result,
        http::{Body, HeaderValue, Request, Response, StreamingResponse},
        stream::{ByteStream, Outcome},
    };

    pub(crate) async fn open(mut request: Request<'_>) -> Result<StreamingResponse> {
        let (body, content_length) = match request.body.take() {
            Some(Body::Stream { bytes, content_length }) => (Some(bytes.reader.into_stream()), content_length),
            other => {
                request.body = other;
                (None, None)
            }
        };
        let opened = host::http::open(into_wit(request), body, content_length).await;
        let (head, body, outcome) = opened.map_err(from_wit)?;
        Ok(StreamingResponse {
            status: head.status,
            headers: head.headers,
            body: ByteStream { reader: Reader::new(body) },
            outcome: Outcome::new(async move { outcome.await.map_err(from_wit) }),
        })
    }

    pub(crate) async fn send(request: Request<'_>) -> Result<Response> {
        let response = host::http::send(into_wit(request)).await.map_err(from_wit)?;
        Ok(Response {
            status: response.status,
            headers: response.headers,
            body: response.body,
            truncated: response.truncated,
        })
    }

    fn into_wit(request: Request<'_>) -> host::http::Request<'_> {
        let header = |(name, value)| {
            let value = match value {
                HeaderValue::Text(text) => host::http::HeaderValue::Text(text),
                HeaderValue::Secret(secret) => host::http::HeaderValue::Secret(&secret.handle),
            };
            (name, value)
        };
        host::http::Request {
            method: request.method,
            url: request.url,
            headers: request.headers.into_iter().map(header).collect(),
            body: request.body.and_then(|body| match body {
                Body::Text(text) => Some(host::http::Body::Text(text)),
                Body::Bytes(bytes) => Some(host::http::Body::Bytes(bytes)),
                Body::Secret(secret) => Some(host::http::Body::Secret(&secret.handle)),
                // A stream is passed as a separate argument.
                Body::Stream { .. } => None,
            }),
            timeout_ms: request.timeout_ms,
            max_redirects: request.max_redirects,
        }
    }
}

pub(crate) mod log {
    use serde_json::{Map, Value};

    use super::host;
    use crate::log::Level;

    pub(crate) fn write(level: Level, message: &str, fields: &Map<String, Value>) {
        let fields = if fields.is_empty() { String::new() } else { Value::Object(fields.clone()).to_string() };
        host::log::write(level, message, &fields);
    }
}

pub(crate) mod maintenance {
    use super::{from_wit, host};
    use crate::{
        Result,
        maintenance::{Report, Sweep},
    };

    pub(crate) async fn run(sweep: Sweep) -> Result<Report> {
        host::maintenance::run(sweep).await.map_err(from_wit)
    }
}

pub(crate) mod migrations {
    use super::{from_wit, host};
    use crate::{Result, migrations::Migration};

    pub(crate) async fn status() -> Result<Vec<Migration>> {
        host::migrations::status().await.map_err(from_wit)
    }

    pub(crate) async fn apply() -> Result<Vec<Migration>> {
        host::migrations::apply().await.map_err(from_wit)
    }
}

pub(crate) mod notify {
    use super::{from_wit, host};
    use crate::Result;

    pub(crate) async fn send(title: &str, message: &str) -> Result<()> {
        host::notify::send(title.to_owned(), message.to_owned()).await.map_err(from_wit)
    }
}

pub(crate) mod objects {
    use super::{from_wit, host, stream::Reader};
    use crate::{
        Result,
        objects::{Download, ObjectMeta, ObjectPage, Upload},
        stream::{ByteStream, Outcome},
    };

    pub(crate) type UploadHandle = host::objects::Upload;

    pub(crate) async fn commit(upload: UploadHandle) -> Result<ObjectMeta> {
        upload.commit().await.map_err(from_wit)
    }

    pub(crate) async fn put(store: &str, key: &str, content_type: &str, body: ByteStream) -> Result<Upload> {
        let body = body.reader.into_stream();
        let handle = host::objects::put(store.to_owned(), key.to_owned(), content_type.to_owned(), body).await;
        Ok(Upload { handle: handle.map_err(from_wit)? })
    }

    pub(crate) async fn put_bytes(store: &str, key: &str, content_type: &str, body: Vec<u8>) -> Result<ObjectMeta> {
        host::objects::put_bytes(store.to_owned(), key.to_owned(), content_type.to_owned(), body)
            .await
            .map_err(from_wit)
    }

    pub(crate) async fn get(store: &str, key: &str) -> Result<Download> {
        let (meta, body, outcome) = host::objects::get(store.to_owned(), key.to_owned()).await.map_err(from_wit)?;
        Ok(Download {
            meta,
            body: ByteStream { reader: Reader::new(body) },
            outcome: Outcome::new(async move { outcome.await.map_err(from_wit) }),
        })
    }

    pub(crate) async fn head(store: &str, key: &str) -> Result<ObjectMeta> {
        host::objects::head(store.to_owned(), key.to_owned()).await.map_err(from_wit)
    }

    pub(crate) async fn list(store: &str, prefix: &str, cursor: Option<String>) -> Result<ObjectPage> {
        host::objects::list(store.to_owned(), prefix.to_owned(), cursor).await.map_err(from_wit)
    }

    pub(crate) async fn delete(store: &str, key: &str) -> Result<()> {
        host::objects::delete(store.to_owned(), key.to_owned()).await.map_err(from_wit)
    }
}

pub(crate) mod plugin {
    use schemars::JsonSchema;

    use crate::plugin::{Capability, Limits, Scope};

    /// Stands for a manifest that is being built. A component does not need its own manifest, so this stores nothing.
    pub(crate) struct ManifestBuilder;

    impl ManifestBuilder {
        pub(crate) fn new(_name: &str, _version: &str, _serial: u64) -> Self {
            Self
        }

        pub(crate) fn set_publisher(&mut self, _publisher: &str) {}

        pub(crate) fn set_description(&mut self, _description: &str) {}

        pub(crate) fn set_limits(&mut self, _limits: Limits) {}

        pub(crate) fn add_job<P: JsonSchema>(&mut self, _name: &str, _description: &str) {}

        pub(crate) fn add_capability(&mut self, _capability: Capability, _reason: &str, _scope: Scope) {}
    }

    /// Items that only this target adds to the public module `plugin`.
    pub(crate) mod exports {
        use std::sync::Once;

        use serde_json::{Map, Value};

        use super::super::{host, into_wit};
        use crate::{
            bindings::exports::atlashub::plugin::job::RunContext,
            log::{self, Level},
            plugin::{Plugin, Run},
        };

        /// Runs a job for [`export!`](crate::export).
        #[doc(hidden)]
        pub async fn run_exported(
            plugin: Plugin,
            context: RunContext,
            params: String,
        ) -> Result<String, host::types::Error> {
            log_panics();
            let run = Run {
                id: context.run_id,
                job: context.job,
                attempt: context.attempt,
                scheduled_for: context.scheduled_for,
                project: context.project,
            };
            plugin.run(run, params).await.map_err(into_wit)
        }

        /// Writes panics to the run's log. A panic ends the run with a trap, and a trap contains no message.
        fn log_panics() {
            static HOOK: Once = Once::new();
            HOOK.call_once(|| {
                std::panic::set_hook(Box::new(|panic| {
                    let message = panic.payload_as_str().unwrap_or("(the panic message is not text)");
                    let mut fields = Map::new();
                    if let Some(location) = panic.location() {
                        fields.insert("file".to_owned(), Value::from(location.file()));
                        fields.insert("line".to_owned(), Value::from(location.line()));
                    }
                    // The host removes this prefix when it reports the panic.
                    log::write(Level::Error, &format!("the plugin panicked: {message}"), &fields);
                }));
            });
        }
    }
}

pub(crate) mod progress {
    pub(crate) fn report(done: u64, total: Option<u64>, message: &str) {
        super::host::progress::report(done, total, message);
    }
}

pub(crate) mod secrets {
    use super::{from_wit, host};
    use crate::{Result, secrets::Secret};

    pub(crate) type SecretHandle = host::secrets::Secret;

    pub(crate) fn open(name: &str) -> Result<Secret> {
        Ok(Secret { handle: host::secrets::open(name).map_err(from_wit)? })
    }
}

pub(crate) mod stream {
    use wit_bindgen::{StreamReader, StreamResult, StreamWriter};

    use crate::{Error, Result};

    pub(crate) struct Reader {
        stream: StreamReader<u8>,
        ended: bool,
    }

    pub(crate) struct Writer(StreamWriter<u8>);

    pub(crate) fn new() -> (Writer, Reader) {
        let (writer, reader) = crate::bindings::wit_stream::new::<u8>();
        (Writer(writer), Reader::new(reader))
    }

    impl Reader {
        pub(crate) fn new(stream: StreamReader<u8>) -> Self {
            Self { stream, ended: false }
        }

        pub(crate) fn into_stream(self) -> StreamReader<u8> {
            self.stream
        }

        pub(crate) async fn read_into(&mut self, buffer: &mut Vec<u8>) -> bool {
            while !self.ended {
                let (result, read) = self.stream.read(std::mem::take(buffer)).await;
                *buffer = read;
                self.ended = !matches!(result, StreamResult::Complete(_));
                if !buffer.is_empty() {
                    return true;
                }
            }
            false
        }
    }

    impl Writer {
        pub(crate) async fn write(&mut self, buffer: &mut Vec<u8>) -> Result<()> {
            *buffer = self.0.write_all(std::mem::take(buffer)).await;
            if buffer.is_empty() { Ok(()) } else { Err(Error::failed("the reader closed the stream")) }
        }
    }
}

pub(crate) mod task {
    pub(crate) async fn yield_now() {
        wit_bindgen::yield_async().await;
    }
}
