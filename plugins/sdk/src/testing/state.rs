use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
};

use serde_json::Value;

use super::SentRequest;
use crate::{
    Error, ErrorCode, Result,
    backups::{Backup, NewBackup, TableDifference, Verification},
    databases::{Database, DumpInfo, Table, TableRows},
    http::Response,
    log::Level,
    maintenance::Report,
    migrations::Migration,
    objects::{ObjectMeta, ObjectPage},
    plugin::Capability,
};

/// A line of the run's log.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub level: Level,
    pub message: String,
    /// An object.
    pub fields: Value,
}

/// One report of how far the run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    pub done: u64,
    pub total: Option<u64>,
    pub message: String,
}

/// How the test answers requests.
type Answer = Box<dyn FnMut(&SentRequest) -> Result<Response>>;

/// What the capabilities look at while a job runs.
#[derive(Default)]
pub(crate) struct State {
    pub(super) asked: BTreeSet<Capability>,
    pub(crate) now: u64,
    pub(crate) lines: Vec<Line>,
    pub(crate) progress: Vec<Progress>,
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) secrets: BTreeSet<String>,
    pub(crate) notifications: Vec<(String, String)>,
    pub(crate) http: Option<Answer>,
    pub(crate) requests: Vec<SentRequest>,
    pub(crate) databases: Vec<ScriptedDatabase>,
    pub(super) objects: BTreeMap<(String, String), StoredObject>,
    pub(crate) backups: Vec<Backup>,
    /// By the backup's id.
    pub(super) differences: BTreeMap<String, Vec<TableDifference>>,
    pub(crate) sweeps: BTreeMap<String, VecDeque<Report>>,
    pub(crate) sweeps_run: Vec<String>,
    pub(crate) migrations: Vec<Migration>,
    /// By call and its first argument; an empty argument stands for any.
    pub(super) failures: BTreeMap<(String, String), VecDeque<Error>>,
}

pub(crate) struct ScriptedDatabase {
    pub(super) name: String,
    pub(super) title: Option<String>,
    pub(super) archive: Vec<u8>,
    pub(super) rows: Vec<TableRows>,
    pub(crate) tables: Vec<Table>,
}

#[derive(Clone)]
pub(crate) struct StoredObject {
    pub(crate) bytes: Vec<u8>,
    content_type: String,
    last_modified: u64,
}

/// What an upload would make.
pub(crate) struct PendingObject {
    store: String,
    pub(crate) key: String,
    content_type: String,
    bytes: Vec<u8>,
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<RefCell<State>>>> = const { RefCell::new(None) };
}

/// Makes it the platform of this thread until the answer is dropped.
pub(super) fn enter(state: &Rc<RefCell<State>>) -> Entered {
    Entered(CURRENT.replace(Some(Rc::clone(state))))
}

pub(super) struct Entered(Option<Rc<RefCell<State>>>);

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(self.0.take());
    }
}

/// Looks at the platform of the run that goes on.
///
/// # Panics
/// Outside a run.
pub(crate) fn with<T>(look: impl FnOnce(&mut State) -> T) -> T {
    let current = CURRENT.with_borrow(Clone::clone);
    let Some(state) = current else {
        panic!("capabilities work inside a run only: start one with TestHost::run");
    };
    let mut state = state.borrow_mut();
    look(&mut state)
}

/// One call of a capability: refused unless the manifest asks for it, failed where the test says so.
pub(crate) fn call<T>(
    capability: Capability,
    name: &str,
    argument: &str,
    work: impl FnOnce(&mut State) -> Result<T>,
) -> Result<T> {
    with(|state| {
        if !state.asked.contains(&capability) {
            let message = format!("the manifest doesn't ask for `{capability}`: add it with Plugin::asks");
            return Err(Error::new(ErrorCode::Denied, message));
        }
        match state.failure(name, argument) {
            Some(error) => Err(error),
            None => work(state),
        }
    })
}

impl State {
    /// The failure that the test scripted for such a call, once.
    pub(crate) fn failure(&mut self, call: &str, argument: &str) -> Option<Error> {
        [argument, ""].iter().find_map(|argument| {
            self.failures.get_mut(&(call.to_owned(), (*argument).to_owned())).and_then(VecDeque::pop_front)
        })
    }

    pub(crate) fn database(&self, name: &str) -> Result<&ScriptedDatabase> {
        let found = self.databases.iter().find(|database| database.name == name);
        found.ok_or_else(|| Error::not_found(format!("there is no database `{name}`")))
    }

    pub(crate) fn store(&mut self, object: PendingObject) -> ObjectMeta {
        let PendingObject { store, key, content_type, bytes } = object;
        let stored = StoredObject { bytes, content_type, last_modified: self.now };
        let meta = stored.meta(&key);
        self.objects.insert((store, key), stored);
        meta
    }

    pub(crate) fn object(&self, store: &str, key: &str) -> Result<StoredObject> {
        let found = self.objects.get(&(store.to_owned(), key.to_owned())).cloned();
        found.ok_or_else(|| Error::not_found(format!("there is no object `{key}` in `{store}`")))
    }

    pub(crate) fn delete(&mut self, store: &str, key: &str) {
        self.objects.remove(&(store.to_owned(), key.to_owned()));
    }

    pub(crate) fn page(&self, store: &str, prefix: &str, cursor: Option<&str>) -> ObjectPage {
        const MOST: usize = 1000;
        let mut found: Vec<ObjectMeta> = self
            .objects
            .iter()
            .filter(|((of, key), _)| {
                of == store && key.starts_with(prefix) && cursor.is_none_or(|after| key.as_str() > after)
            })
            .take(MOST + 1)
            .map(|((_, key), object)| object.meta(key))
            .collect();
        let more = found.len() > MOST;
        found.truncate(MOST);
        let cursor = if more { found.last().map(|last| last.key.clone()) } else { None };
        ObjectPage { objects: found, cursor }
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

    pub(crate) fn verify_backup(&mut self, id: &str) -> Result<Verification> {
        let Some(backup) = self.backups.iter().find(|backup| backup.id == id) else {
            return Err(Error::not_found(format!("there is no backup `{id}`")));
        };
        let differences = self.differences.get(id).cloned().unwrap_or_default();
        Ok(Verification { tables: 1, rows: 1, differences, size_bytes: backup.size_bytes, duration_ms: 1 })
    }

    pub(crate) fn remove_backup(&mut self, id: &str) -> Result<()> {
        let Some(index) = self.backups.iter().position(|backup| backup.id == id) else {
            return Err(Error::not_found(format!("there is no backup `{id}`")));
        };
        let backup = self.backups.remove(index);
        self.delete("backups", &backup.object_key);
        self.delete("backups", &backup.manifest_key);
        Ok(())
    }
}

impl ScriptedDatabase {
    pub(crate) fn listed(&self) -> Database {
        Database { name: self.name.clone(), title: self.title.clone(), size_bytes: self.archive.len() as u64 }
    }

    pub(crate) fn dumped(&self) -> (Vec<u8>, DumpInfo) {
        let info = DumpInfo {
            server_version: "15.14".to_owned(),
            dump_version: "15.14".to_owned(),
            size_bytes: self.archive.len() as u64,
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
            // A digest that tests can tell apart; the real host computes SHA-256.
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
