//! The simulated host and the calls that the current run makes to it.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
};

use super::{
    records::{LogLine, ProgressReport, SentQuery, SentRequest},
    transfers::{SimulatedExport, SimulatedImport},
};
use crate::{
    Error, ErrorCode, Result,
    backups::{Backup, CopiedObjects, NewBackup, TableDifference, Verification},
    databases::{Database, DumpInfo, Table, TableRows},
    http::Response,
    maintenance::{Report, Sweep},
    migrations::Migration,
    objects::{ObjectMeta, ObjectPage},
    plugin::Capability,
    state::Entry,
    transfers::{LoadMethod, StoredExport},
};

/// Maximum number of objects in one page of a list.
const MAX_PAGE: usize = 1000;

/// Responds to the requests of a plugin.
type HttpHandler = Box<dyn FnMut(&SentRequest) -> Result<Response>>;

/// Returns the rows of a plugin's queries.
type QueryHandler = Box<dyn FnMut(&SentQuery) -> Result<Vec<serde_json::Value>>>;

/// The simulated host: the data that a test sets up, and the records of a run.
#[derive(Default)]
pub(crate) struct State {
    /// Capabilities that the manifest requests. All of them are granted.
    pub(crate) granted: BTreeSet<Capability>,
    /// Milliseconds since 1970-01-01 UTC.
    pub(crate) now: u64,
    pub(crate) log: Vec<LogLine>,
    pub(crate) progress: Vec<ProgressReport>,
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) secrets: BTreeSet<String>,
    pub(crate) notifications: Vec<(String, String)>,
    pub(crate) http_handler: Option<HttpHandler>,
    pub(crate) requests: Vec<SentRequest>,
    pub(crate) query_handler: Option<QueryHandler>,
    pub(crate) queries: Vec<SentQuery>,
    pub(crate) databases: Vec<SimulatedDatabase>,
    /// Objects by store and key.
    pub(crate) objects: BTreeMap<(String, String), StoredObject>,
    pub(crate) backups: Vec<Backup>,
    /// Differences that verifying a backup finds, by the backup's id.
    pub(crate) differences: BTreeMap<String, Vec<TableDifference>>,
    /// Reports that the next calls of a sweep return, by the sweep's `Debug` form.
    pub(crate) sweep_reports: BTreeMap<String, VecDeque<Report>>,
    pub(crate) sweeps: Vec<Sweep>,
    pub(crate) migrations: Vec<Migration>,
    /// State between runs, by store and key.
    pub(crate) plugin_state: BTreeMap<(String, String), Entry>,
    /// Methods and URLs that were signed.
    pub(crate) signed_urls: Vec<(String, String)>,
    /// Highest version of an entry so far.
    pub(crate) state_version: u64,
    /// Exports by id.
    pub(crate) exports: BTreeMap<String, SimulatedExport>,
    /// Exports that were recorded as ready.
    pub(crate) stored_exports: Vec<(String, StoredExport)>,
    /// Imports by id.
    pub(crate) imports: BTreeMap<String, SimulatedImport>,
    /// Attempts to load an import: its id and the method.
    pub(crate) loads: Vec<(String, LoadMethod)>,
    /// Errors that the next calls return, by call and first argument. An empty argument matches any.
    pub(crate) failures: BTreeMap<(String, String), VecDeque<Error>>,
}

pub(crate) struct SimulatedDatabase {
    pub(crate) name: String,
    pub(crate) title: Option<String>,
    pub(crate) archive: Vec<u8>,
    pub(crate) rows: Vec<TableRows>,
    pub(crate) tables: Vec<Table>,
}

#[derive(Clone)]
pub(crate) struct StoredObject {
    pub(crate) bytes: Vec<u8>,
    content_type: String,
    last_modified: u64,
}

/// A finished upload that is not committed.
pub(crate) struct PendingObject {
    store: String,
    pub(crate) key: String,
    content_type: String,
    bytes: Vec<u8>,
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<RefCell<State>>>> = const { RefCell::new(None) };
}

/// Makes `state` the simulated host of this thread until the returned guard is dropped.
pub(crate) fn enter(state: &Rc<RefCell<State>>) -> EnterGuard {
    EnterGuard { previous: CURRENT.replace(Some(Rc::clone(state))) }
}

pub(crate) struct EnterGuard {
    previous: Option<Rc<RefCell<State>>>,
}

impl Drop for EnterGuard {
    fn drop(&mut self) {
        CURRENT.set(self.previous.take());
    }
}

/// Calls a function with the simulated host of the current run.
///
/// # Panics
/// Panics outside a run.
pub(crate) fn with_state<T>(work: impl FnOnce(&mut State) -> T) -> T {
    let current = CURRENT.with_borrow(Clone::clone);
    let Some(state) = current else {
        panic!("capabilities only work during a run: start one with TestHost::run");
    };
    let mut state = state.borrow_mut();
    work(&mut state)
}

/// Makes one call of a capability. Fails if the manifest does not request the capability, or if the test set a failure
/// for the call.
pub(crate) fn call<T>(
    capability: Capability,
    name: &str,
    argument: &str,
    work: impl FnOnce(&mut State) -> Result<T>,
) -> Result<T> {
    with_state(|state| {
        if !state.granted.contains(&capability) {
            let message =
                format!("the manifest does not request the capability `{capability}`: add it with Plugin::capability");
            return Err(Error::new(ErrorCode::Denied, message));
        }
        match state.take_failure(name, argument) {
            Some(error) => Err(error),
            None => work(state),
        }
    })
}

impl State {
    /// Removes and returns the next failure that the test set for a call.
    pub(crate) fn take_failure(&mut self, call: &str, argument: &str) -> Option<Error> {
        [argument, ""].iter().find_map(|argument| {
            self.failures.get_mut(&(call.to_owned(), (*argument).to_owned())).and_then(VecDeque::pop_front)
        })
    }

    pub(crate) fn database(&self, name: &str) -> Result<&SimulatedDatabase> {
        let database = self.databases.iter().find(|database| database.name == name);
        database.ok_or_else(|| Error::not_found(format!("database `{name}` not found")))
    }

    pub(crate) fn store_object(&mut self, object: PendingObject) -> ObjectMeta {
        let PendingObject { store, key, content_type, bytes } = object;
        let stored = StoredObject { bytes, content_type, last_modified: self.now };
        let meta = stored.meta(&key);
        self.objects.insert((store, key), stored);
        meta
    }

    pub(crate) fn object(&self, store: &str, key: &str) -> Result<StoredObject> {
        let object = self.objects.get(&(store.to_owned(), key.to_owned())).cloned();
        object.ok_or_else(|| Error::not_found(format!("store `{store}` has no object `{key}`")))
    }

    pub(crate) fn delete_object(&mut self, store: &str, key: &str) {
        self.objects.remove(&(store.to_owned(), key.to_owned()));
    }

    pub(crate) fn list_objects(&self, store: &str, prefix: &str, cursor: Option<&str>) -> ObjectPage {
        let mut objects: Vec<ObjectMeta> = self
            .objects
            .iter()
            .filter(|((of_store, key), _)| {
                of_store == store && key.starts_with(prefix) && cursor.is_none_or(|after| key.as_str() > after)
            })
            .take(MAX_PAGE + 1)
            .map(|((_, key), object)| object.meta(key))
            .collect();
        let has_more = objects.len() > MAX_PAGE;
        objects.truncate(MAX_PAGE);
        let cursor = if has_more { objects.last().map(|last| last.key.clone()) } else { None };
        ObjectPage { objects, cursor }
    }

    pub(crate) fn record_backup(&mut self, backup: NewBackup) -> Result<String> {
        for key in [&backup.object_key, &backup.manifest_key] {
            self.object("backups", key)?;
        }
        let id = format!("backup-{}", self.backups.len() + 1);
        self.backups.push(Backup {
            id: id.clone(),
            target: backup.target,
            object_key: backup.object_key,
            manifest_key: backup.manifest_key,
            size_bytes: backup.size_bytes,
            sha256: backup.sha256,
            created_at: backup.created_at,
        });
        Ok(id)
    }

    /// Counts the objects of a project's store, and stores empty lists of objects and names beside the manifest.
    pub(crate) fn copy_objects(&mut self, target: &str, manifest_key: &str) -> CopiedObjects {
        let of_project = self.objects.iter().filter(|((store, _), _)| store == target);
        let (count, size_bytes) =
            of_project.fold((0, 0), |(count, bytes), (_, object)| (count + 1, bytes + object.bytes.len() as u64));
        for extension in [".names", ".objects"] {
            self.store_object(PendingObject {
                store: "backups".to_owned(),
                key: manifest_key.replace(".json", extension),
                content_type: "application/octet-stream".to_owned(),
                bytes: Vec::new(),
            });
        }
        let list_sha256 = "0".repeat(64);
        CopiedObjects { count, size_bytes, copied: count, copied_bytes: size_bytes, skipped: 0, gone: 0, list_sha256 }
    }

    pub(crate) fn verify_backup(&mut self, id: &str) -> Result<Verification> {
        let Some(backup) = self.backups.iter().find(|backup| backup.id == id) else {
            return Err(Error::not_found(format!("backup `{id}` not found")));
        };
        let differences = self.differences.get(id).cloned().unwrap_or_default();
        Ok(Verification { tables: 1, rows: 1, differences, size_bytes: backup.size_bytes, duration_ms: 1 })
    }

    pub(crate) fn remove_backup(&mut self, id: &str) -> Result<()> {
        let Some(index) = self.backups.iter().position(|backup| backup.id == id) else {
            return Err(Error::not_found(format!("backup `{id}` not found")));
        };
        let backup = self.backups.remove(index);
        self.delete_object("backups", &backup.object_key);
        self.delete_object("backups", &backup.manifest_key);
        Ok(())
    }
}

impl SimulatedDatabase {
    pub(crate) fn properties(&self) -> Database {
        Database { name: self.name.clone(), title: self.title.clone(), size_bytes: self.archive.len() as u64 }
    }

    /// Returns the archive and the properties of its dump.
    pub(crate) fn dump(&self) -> (Vec<u8>, DumpInfo) {
        let info = DumpInfo {
            server_version: "15.14".to_owned(),
            dump_version: "15.14".to_owned(),
            size_bytes: self.archive.len() as u64,
            encrypted: false,
            tables: self.rows.clone(),
        };
        (self.archive.clone(), info)
    }
}

impl StoredObject {
    pub(crate) fn meta(&self, key: &str) -> ObjectMeta {
        ObjectMeta {
            key: key.to_owned(),
            size_bytes: self.bytes.len() as u64,
            // This is not a real hash, but it differs between objects of different sizes.
            sha256: Some(format!("{:064x}", self.bytes.len())),
            content_type: Some(self.content_type.clone()),
            last_modified: Some(self.last_modified),
        }
    }
}

impl PendingObject {
    pub(crate) fn new(store: &str, key: &str, content_type: &str, bytes: Vec<u8>) -> Self {
        Self { store: store.to_owned(), key: key.to_owned(), content_type: content_type.to_owned(), bytes }
    }
}
