//! Runs capabilities against the simulated host of a test.
//!
//! Reading order: [`host_state`] (the simulated host of the current run), [`records`] (the records that a test can
//! inspect after a run), [`transfers`] (exports and imports), [`query`], [`state`] (the state between runs),
//! [`buckets`] (signed URLs), `pipe` (streams) and `manifest` (builds and prints the manifest). This file contains the
//! other interfaces.

pub(crate) mod buckets;
pub(crate) mod host_state;
mod manifest;
mod pipe;
pub(crate) mod query;
pub(crate) mod records;
pub(crate) mod state;
pub(crate) mod transfers;

pub(crate) mod backups {
    use std::cmp::Reverse;

    use super::host_state::call;
    use crate::{
        Result,
        backups::{Backup, CopiedObjects, Facts, NewBackup, Verification},
        plugin::Capability,
    };

    pub(crate) fn describe() -> Facts {
        Facts { atlashub_version: "0.0.0".to_owned(), master_key_id: "test-key".to_owned() }
    }

    pub(crate) async fn record(backup: NewBackup) -> Result<String> {
        let target = backup.target.clone();
        call(Capability::Backups, "backups.record", &target, |state| state.record_backup(backup))
    }

    pub(crate) async fn copy_objects(target: &str, manifest_key: &str) -> Result<CopiedObjects> {
        call(Capability::Backups, "backups.copy_objects", target, |state| Ok(state.copy_objects(target, manifest_key)))
    }

    pub(crate) async fn list(target: Option<&str>) -> Result<Vec<Backup>> {
        call(Capability::Backups, "backups.list", target.unwrap_or_default(), |state| {
            let is_wanted = |backup: &&Backup| target.is_none_or(|target| backup.target == target);
            let mut backups: Vec<Backup> = state.backups.iter().filter(is_wanted).cloned().collect();
            backups.sort_by_key(|backup| Reverse(backup.created_at));
            Ok(backups)
        })
    }

    pub(crate) async fn verify(id: &str) -> Result<Verification> {
        call(Capability::Backups, "backups.verify", id, |state| state.verify_backup(id))
    }

    pub(crate) async fn remove(id: &str) -> Result<()> {
        call(Capability::Backups, "backups.remove", id, |state| state.remove_backup(id))
    }
}

pub(crate) mod clock {
    use std::time::Duration;

    use super::host_state::with_state;

    pub(crate) fn now() -> u64 {
        with_state(|state| state.now)
    }

    pub(crate) fn monotonic() -> Duration {
        with_state(|state| Duration::from_millis(state.now))
    }

    pub(crate) async fn sleep(milliseconds: u64) {
        with_state(|state| state.now = state.now.saturating_add(milliseconds));
        // Other futures get a turn, as they do on a real host.
        super::task::yield_now().await;
    }
}

pub(crate) mod config {
    use super::host_state::with_state;

    pub(crate) fn get(name: &str) -> Option<String> {
        with_state(|state| state.config.get(name).cloned())
    }
}

pub(crate) mod databases {
    use super::{
        host_state::{SimulatedDatabase, call},
        stream::Reader,
    };
    use crate::{
        Result,
        databases::{Database, Dump, DumpOptions, Table},
        plugin::Capability,
        stream::{ByteStream, Outcome},
    };

    pub(crate) async fn list() -> Result<Vec<Database>> {
        call(Capability::Databases, "databases.list", "", |state| {
            Ok(state.databases.iter().map(SimulatedDatabase::properties).collect())
        })
    }

    pub(crate) async fn dump(database: &str, _options: DumpOptions) -> Result<Dump> {
        call(Capability::Databases, "databases.dump", database, |state| {
            let (archive, info) = state.database(database)?.dump();
            let outcome = state.take_failure("databases.dump.outcome", database).map_or(Ok(info), Err);
            Ok(Dump {
                archive: ByteStream { reader: Reader::of_bytes(archive) },
                outcome: Outcome::new(async move { outcome }),
            })
        })
    }

    pub(crate) async fn tables(database: &str) -> Result<Vec<Table>> {
        call(Capability::Databases, "databases.tables", database, |state| Ok(state.database(database)?.tables.clone()))
    }
}

pub(crate) mod http {
    use super::{
        host_state::{State, call},
        records::SentRequest,
        stream::Reader,
    };
    use crate::{
        Error, Result,
        http::{BodyInfo, Request, Response, StreamingResponse},
        plugin::Capability,
        stream::{ByteStream, Outcome},
    };

    pub(crate) async fn send(request: Request<'_>) -> Result<Response> {
        let sent = SentRequest::read(request).await?;
        call(Capability::Http, "http.send", &sent.url, |state| respond(state, &sent))
    }

    /// Returns the response of the test's handler, as a stream. The whole body of the request is read first.
    pub(crate) async fn open(request: Request<'_>) -> Result<StreamingResponse> {
        let sent = SentRequest::read(request).await?;
        call(Capability::Http, "http.open", &sent.url, |state| {
            let Response { status, headers, body, truncated } = respond(state, &sent)?;
            let outcome = match state.take_failure("http.open.outcome", &sent.url) {
                Some(error) => Err(error),
                None if truncated => Err(Error::unavailable("the response is incomplete")),
                None => Ok(BodyInfo { size_bytes: body.len() as u64 }),
            };
            let body = ByteStream { reader: Reader::of_bytes(body) };
            Ok(StreamingResponse { status, headers, body, outcome: Outcome::new(async move { outcome }) })
        })
    }

    fn respond(state: &mut State, sent: &SentRequest) -> Result<Response> {
        state.requests.push(sent.clone());
        match &mut state.http_handler {
            Some(handler) => handler(sent),
            None => Err(Error::unavailable("the test has no HTTP handler: add one with TestHost::handle_http")),
        }
    }
}

pub(crate) mod log {
    use serde_json::{Map, Value};

    use super::{host_state::with_state, records::LogLine};
    use crate::log::Level;

    pub(crate) fn write(level: Level, message: &str, fields: &Map<String, Value>) {
        let line = LogLine { level, message: message.to_owned(), fields: Value::Object(fields.clone()) };
        with_state(|state| state.log.push(line));
    }
}

pub(crate) mod maintenance {
    use std::collections::VecDeque;

    use super::host_state::call;
    use crate::{
        Result,
        maintenance::{Report, Sweep},
        plugin::Capability,
    };

    pub(crate) async fn run(sweep: Sweep) -> Result<Report> {
        let name = format!("{sweep:?}");
        call(Capability::Maintenance, "maintenance.run", &name, |state| {
            state.sweeps.push(sweep);
            let report = state.sweep_reports.get_mut(&name).and_then(VecDeque::pop_front);
            Ok(report.unwrap_or(Report { removed: 0, freed_bytes: 0, more: false }))
        })
    }
}

pub(crate) mod migrations {
    use super::host_state::call;
    use crate::{Result, migrations::Migration, plugin::Capability};

    pub(crate) async fn status() -> Result<Vec<Migration>> {
        call(Capability::Migrations, "migrations.status", "", |state| Ok(state.migrations.clone()))
    }

    pub(crate) async fn apply() -> Result<Vec<Migration>> {
        call(Capability::Migrations, "migrations.apply", "", |state| {
            let now = state.now;
            let pending = state.migrations.iter_mut().filter(|migration| !migration.applied);
            Ok(pending
                .map(|migration| {
                    migration.applied = true;
                    migration.applied_at = Some(now);
                    migration.clone()
                })
                .collect())
        })
    }
}

pub(crate) mod notify {
    use super::host_state::call;
    use crate::{Result, plugin::Capability};

    pub(crate) async fn send(title: &str, message: &str) -> Result<()> {
        call(Capability::Notify, "notify.send", title, |state| {
            state.notifications.push((title.to_owned(), message.to_owned()));
            Ok(())
        })
    }
}

pub(crate) mod objects {
    use super::{
        host_state::{PendingObject, call},
        stream::Reader,
    };
    use crate::{
        Result,
        objects::{Download, ObjectMeta, ObjectPage, Upload},
        plugin::Capability,
        stream::{ByteStream, Outcome},
    };

    pub(crate) type UploadHandle = PendingObject;

    pub(crate) async fn commit(upload: UploadHandle) -> Result<ObjectMeta> {
        let key = upload.key.clone();
        call(Capability::Objects, "objects.commit", &key, |state| Ok(state.store_object(upload)))
    }

    pub(crate) async fn put(store: &str, key: &str, content_type: &str, body: ByteStream) -> Result<Upload> {
        call(Capability::Objects, "objects.put", store, |_| Ok(()))?;
        let bytes = body.collect(usize::MAX).await?;
        Ok(Upload { handle: PendingObject::new(store, key, content_type, bytes) })
    }

    pub(crate) async fn put_bytes(store: &str, key: &str, content_type: &str, body: Vec<u8>) -> Result<ObjectMeta> {
        call(Capability::Objects, "objects.put-bytes", store, |state| {
            Ok(state.store_object(PendingObject::new(store, key, content_type, body)))
        })
    }

    pub(crate) async fn get(store: &str, key: &str) -> Result<Download> {
        call(Capability::Objects, "objects.get", store, |state| {
            let object = state.object(store, key)?;
            let outcome = state.take_failure("objects.get.outcome", store).map_or(Ok(()), Err);
            Ok(Download {
                meta: object.meta(key),
                body: ByteStream { reader: Reader::of_bytes(object.bytes) },
                outcome: Outcome::new(async move { outcome }),
            })
        })
    }

    pub(crate) async fn head(store: &str, key: &str) -> Result<ObjectMeta> {
        call(Capability::Objects, "objects.head", store, |state| Ok(state.object(store, key)?.meta(key)))
    }

    pub(crate) async fn list(store: &str, prefix: &str, cursor: Option<String>) -> Result<ObjectPage> {
        call(Capability::Objects, "objects.list", store, |state| {
            Ok(state.list_objects(store, prefix, cursor.as_deref()))
        })
    }

    pub(crate) async fn delete(store: &str, key: &str) -> Result<()> {
        call(Capability::Objects, "objects.delete", store, |state| {
            state.delete_object(store, key);
            Ok(())
        })
    }
}

pub(crate) mod plugin {
    pub(crate) use super::manifest::ManifestBuilder;

    /// Items that only this target adds to the public module `plugin`.
    pub(crate) mod exports {
        pub use super::super::manifest::print_manifest;
    }
}

pub(crate) mod progress {
    use super::{host_state::with_state, records::ProgressReport};

    pub(crate) fn report(done: u64, total: Option<u64>, message: &str) {
        let report = ProgressReport { done, total, message: message.to_owned() };
        with_state(|state| state.progress.push(report));
    }
}

pub(crate) mod secrets {
    use super::host_state::call;
    use crate::{Error, Result, plugin::Capability, secrets::Secret};

    /// The name of the secret. The simulated host stores no values of secrets.
    pub(crate) type SecretHandle = String;

    pub(crate) fn open(name: &str) -> Result<Secret> {
        call(Capability::Secrets, "secrets.open", name, |state| {
            if state.secrets.contains(name) {
                Ok(Secret { handle: name.to_owned() })
            } else {
                Err(Error::not_found(format!("secret `{name}` not found")))
            }
        })
    }
}

pub(crate) mod stream {
    pub(crate) use super::pipe::{Reader, Writer, pipe as new};
}

pub(crate) mod task {
    use std::{future::poll_fn, task::Poll};

    pub(crate) async fn yield_now() {
        let mut yielded = false;
        poll_fn(move |_| if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}
