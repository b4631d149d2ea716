//! The simulated host of a test.

use std::{cell::RefCell, rc::Rc};

use serde_json::Value;

use super::{LogLine, ProgressReport, SentQuery, SentRequest, executor};
use crate::{
    Error, Result,
    backend::native::{
        host_state::{self, PendingObject, SimulatedDatabase, State},
        transfers::{SimulatedExport, SimulatedImport},
    },
    backups::{Backup, TableDifference},
    databases::{Table, TableRows},
    http::Response,
    maintenance::{Report, Sweep},
    migrations::Migration,
    plugin::{Plugin, Run},
    transfers::{ExportFile, ExportInfo, ImportFile, LoadMethod, StoredExport},
};

/// The initial time: 2026-01-02 03:04:05 UTC, in milliseconds since 1970-01-01 UTC.
const DEFAULT_TIME: u64 = 1_767_323_045_000;

/// A simulated host with one plugin.
///
/// The methods that take `self` set up the host before a run. The methods that take `&self` run jobs and return the
/// records of the runs.
pub struct TestHost {
    plugin: Plugin,
    state: Rc<RefCell<State>>,
}

/// Setting up the host.
impl TestHost {
    /// Creates a host without data that grants every capability that the plugin requests.
    pub fn new(plugin: Plugin) -> Self {
        let granted = plugin.manifest().capabilities.iter().map(|request| request.capability).collect();
        let state = State { granted, now: DEFAULT_TIME, ..State::default() };
        Self { plugin, state: Rc::new(RefCell::new(state)) }
    }

    /// Sets the clock, in milliseconds since 1970-01-01 UTC. The default is 2026-01-02 03:04:05 UTC.
    #[must_use]
    pub fn time(self, now: u64) -> Self {
        self.state.borrow_mut().now = now;
        self
    }

    /// Adds a setting.
    #[must_use]
    pub fn config(self, name: &str, value: &str) -> Self {
        self.state.borrow_mut().config.insert(name.to_owned(), value.to_owned());
        self
    }

    /// Adds a secret.
    #[must_use]
    pub fn secret(self, name: &str) -> Self {
        self.state.borrow_mut().secrets.insert(name.to_owned());
        self
    }

    /// Sets the function that responds to HTTP requests. Without one, requests fail with `Unavailable`.
    #[must_use]
    pub fn handle_http(self, handler: impl FnMut(&SentRequest) -> Result<Response> + 'static) -> Self {
        self.state.borrow_mut().http_handler = Some(Box::new(handler));
        self
    }

    /// Sets the function that returns the rows of queries, as JSON objects. Without one, queries fail with
    /// `Unavailable`.
    #[must_use]
    pub fn handle_queries(self, handler: impl FnMut(&SentQuery) -> Result<Vec<Value>> + 'static) -> Self {
        self.state.borrow_mut().query_handler = Some(Box::new(handler));
        self
    }

    /// Adds a database. Its dump consists of the given bytes and reports the given row counts, for tables in the schema
    /// `public` unless their name contains another one, as in `auth.users`.
    #[must_use]
    pub fn database(self, name: &str, title: Option<&str>, archive: &[u8], rows: &[(&str, u64)]) -> Self {
        let rows = rows.iter().map(|&(name, rows)| {
            let (schema, table) = name.split_once('.').unwrap_or(("public", name));
            TableRows { schema: schema.to_owned(), table: table.to_owned(), rows }
        });
        self.state.borrow_mut().databases.push(SimulatedDatabase {
            name: name.to_owned(),
            title: title.map(str::to_owned),
            archive: archive.to_vec(),
            rows: rows.collect(),
            tables: Vec::new(),
        });
        self
    }

    /// Adds a table without columns to the schema `public` of a database, as listed by
    /// [`databases::tables`](crate::databases::tables).
    ///
    /// # Panics
    /// Panics if the database was not added with [`database`](Self::database).
    #[must_use]
    pub fn table(self, database: &str, name: &str, estimated_rows: u64) -> Self {
        let table = Table { schema: "public".to_owned(), name: name.to_owned(), estimated_rows, columns: Vec::new() };
        let mut state = self.state.borrow_mut();
        match state.databases.iter_mut().find(|existing| existing.name == database) {
            Some(existing) => existing.tables.push(table),
            None => panic!("add the database `{database}` before its tables"),
        }
        drop(state);
        self
    }

    /// Adds an object.
    #[must_use]
    pub fn object(self, store: &str, key: &str, bytes: &[u8]) -> Self {
        let object = PendingObject::new(store, key, "application/octet-stream", bytes.to_vec());
        self.state.borrow_mut().store_object(object);
        self
    }

    /// Adds an entry to the plugin's state.
    #[must_use]
    pub fn state(self, store: &str, key: &str, value: &[u8]) -> Self {
        self.state.borrow_mut().put_plugin_state(store, key, value.to_vec());
        self
    }

    /// Adds an export of one row whose file has this content.
    #[must_use]
    pub fn export(self, id: &str, content: &[u8]) -> Self {
        let file = ExportFile { object_key: format!("exports/{id}.csv"), content_type: "text/csv".to_owned() };
        let export = SimulatedExport { file, content: content.to_vec(), info: ExportInfo { row_count: 1 } };
        self.state.borrow_mut().exports.insert(id.to_owned(), export);
        self
    }

    /// Adds an import whose file has this content. `direct` says whether the direct method succeeds. If it is `None`,
    /// [`ImportFile::direct`] is false, and the plugin must use the staged method.
    #[must_use]
    pub fn import(self, id: &str, content: &[u8], direct: Option<bool>) -> Self {
        let object_key = format!("imports/{id}");
        let host = self.object("imports", &object_key, content);
        let file = ImportFile { object_key, size_bytes: content.len() as u64, direct: direct.is_some() };
        let import = SimulatedImport { file, loads_directly: direct == Some(true) };
        host.state.borrow_mut().imports.insert(id.to_owned(), import);
        host
    }

    /// Adds a backup to the catalogue, with its dump and manifest in the store `backups`.
    #[must_use]
    pub fn backup(self, id: &str, target: &str, created_at: u64) -> Self {
        let (object_key, manifest_key) = (format!("backups/{id}.dump"), format!("backups/{id}.json"));
        let host = self.object("backups", &object_key, b"dump").object("backups", &manifest_key, b"{}");
        host.state.borrow_mut().backups.push(Backup {
            id: id.to_owned(),
            target: target.to_owned(),
            object_key,
            manifest_key,
            size_bytes: 4,
            sha256: String::new(),
            created_at,
        });
        host
    }

    /// Adds a difference that verifying a backup finds in a table of the schema `public`.
    #[must_use]
    pub fn difference(self, id: &str, table: &str, expected: Option<u64>, found: Option<u64>) -> Self {
        let difference = TableDifference { schema: "public".to_owned(), table: table.to_owned(), expected, found };
        self.state.borrow_mut().differences.entry(id.to_owned()).or_default().push(difference);
        self
    }

    /// Sets the reports that consecutive calls of a sweep return. Further calls report that nothing was removed.
    #[must_use]
    pub fn sweep(self, sweep: Sweep, reports: &[Report]) -> Self {
        self.state.borrow_mut().sweep_reports.insert(format!("{sweep:?}"), reports.iter().copied().collect());
        self
    }

    /// Adds a migration of the platform database.
    #[must_use]
    pub fn migration(self, version: u64, name: &str, applied: bool) -> Self {
        let applied_at = applied.then_some(0);
        self.state.borrow_mut().migrations.push(Migration { version, name: name.to_owned(), applied, applied_at });
        self
    }

    /// Makes the next matching call fail.
    ///
    /// `call` is the name of an interface and a function in the WIT, such as `objects.put` or `databases.dump`. Three
    /// names differ from the WIT: `backups.record`, `backups.copy_objects` and `objects.commit`. The names
    /// `databases.dump.outcome`, `http.open.outcome`, `objects.get.outcome`, `query.open.outcome` and
    /// `transfers.export.outcome` stand for the outcomes of streams. `argument` is the first argument of the call. It
    /// is the target for `backups.record`, the key for `objects.commit`, the `Debug` form of the sweep for
    /// `maintenance.run`, and the URL for `http.send` and `http.open`. An empty string matches any argument.
    #[must_use]
    pub fn fail_next(self, call: &str, argument: &str, error: Error) -> Self {
        self.state.borrow_mut().failures.entry((call.to_owned(), argument.to_owned())).or_default().push_back(error);
        self
    }
}

/// Running jobs and inspecting what they did.
impl TestHost {
    /// Runs a job as a first attempt that was started manually.
    ///
    /// # Errors
    /// Returns the error of the job.
    ///
    /// # Panics
    /// Panics if the job panics, or if it waits for something that cannot happen.
    #[expect(clippy::needless_pass_by_value, reason = "tests write `json!` in the call")]
    pub fn run(&self, job: &str, params: Value) -> Result<Value> {
        let run = Run {
            id: "01890000-0000-7000-8000-000000000001".to_owned(),
            job: job.to_owned(),
            attempt: 1,
            scheduled_for: None,
            project: None,
        };
        self.run_as(run, &params)
    }

    /// Runs the job named in `run`.
    ///
    /// # Errors
    /// Returns the error of the job.
    ///
    /// # Panics
    /// Panics if the job panics, or if it waits for something that cannot happen.
    pub fn run_as(&self, run: Run, params: &Value) -> Result<Value> {
        let _guard = host_state::enter(&self.state);
        let result = executor::block_on(self.plugin.run(run, params.to_string()))?;
        Ok(serde_json::from_str(&result)?)
    }

    /// Returns the lines of the log in order.
    pub fn log(&self) -> Vec<LogLine> {
        self.state.borrow().log.clone()
    }

    /// Returns all progress reports in order.
    pub fn progress(&self) -> Vec<ProgressReport> {
        self.state.borrow().progress.clone()
    }

    /// Returns the HTTP requests in order.
    pub fn requests(&self) -> Vec<SentRequest> {
        self.state.borrow().requests.clone()
    }

    /// Returns the queries in order.
    pub fn queries(&self) -> Vec<SentQuery> {
        self.state.borrow().queries.clone()
    }

    /// Returns the titles and messages of the notifications in order.
    pub fn notifications(&self) -> Vec<(String, String)> {
        self.state.borrow().notifications.clone()
    }

    /// Returns the keys of the objects in a store, in order.
    pub fn object_keys(&self, store: &str) -> Vec<String> {
        let state = self.state.borrow();
        state.objects.keys().filter(|(of_store, _)| of_store == store).map(|(_, key)| key.clone()).collect()
    }

    /// Returns the content of an object, or `None` if it does not exist.
    pub fn object_bytes(&self, store: &str, key: &str) -> Option<Vec<u8>> {
        self.state.borrow().object(store, key).ok().map(|object| object.bytes)
    }

    /// Returns a value of the plugin's state, or `None` if the entry does not exist.
    pub fn state_value(&self, store: &str, key: &str) -> Option<Vec<u8>> {
        let id = (store.to_owned(), key.to_owned());
        self.state.borrow().plugin_state.get(&id).map(|entry| entry.value.clone())
    }

    /// Returns the methods and URLs that were signed, in order.
    pub fn signed_urls(&self) -> Vec<(String, String)> {
        self.state.borrow().signed_urls.clone()
    }

    /// Returns the backups in the catalogue.
    pub fn backups(&self) -> Vec<Backup> {
        self.state.borrow().backups.clone()
    }

    /// Returns the exports that were recorded as ready, with their ids, in order.
    pub fn stored_exports(&self) -> Vec<(String, StoredExport)> {
        self.state.borrow().stored_exports.clone()
    }

    /// Returns the attempts to load an import, with their ids and methods, in order.
    pub fn loads(&self) -> Vec<(String, LoadMethod)> {
        self.state.borrow().loads.clone()
    }

    /// Returns the sweeps that were run, in order.
    pub fn sweeps(&self) -> Vec<Sweep> {
        self.state.borrow().sweeps.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{prelude::*, stream, task};

    #[derive(Deserialize, JsonSchema)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Copy {
        /// Key of the source.
        from: String,
        to: String,
    }

    #[derive(Serialize)]
    struct Copied {
        bytes: u64,
    }

    async fn copy(run: Run, copy: Copy) -> Result<Copied> {
        info!("Copying {}", copy.from; to = copy.to, attempt = run.attempt);
        let mut download = crate::objects::get("backups", &copy.from).await?;
        let (mut writer, body) = stream::new();
        let pump = async move {
            let mut buffer = Vec::with_capacity(3);
            while download.body.read_into(&mut buffer).await {
                buffer.iter_mut().for_each(u8::make_ascii_uppercase);
                writer.write(&mut buffer).await?;
            }
            drop(writer);
            download.outcome.wait().await
        };
        let (upload, pumped) = task::join(crate::objects::put("backups", &copy.to, "text/plain", body), pump).await;
        pumped?;
        Ok(Copied { bytes: upload?.commit().await?.size_bytes })
    }

    fn plugin() -> Plugin {
        Plugin::new("copier", "1.0.0", 1)
            .publisher("Someone")
            .description("Copies.")
            .job("copy", "Copies an object.", copy)
            .capability(
                Capability::Objects,
                "To copy.",
                Scope { stores: vec!["backups".to_owned()], ..Scope::default() },
            )
    }

    #[test]
    fn job_runs_against_the_simulated_host() {
        let host = TestHost::new(plugin()).object("backups", "a", b"hello world");
        let result = host.run("copy", json!({"from": "a", "to": "b"})).unwrap();
        assert_eq!(result, json!({"bytes": 11}));
        assert_eq!(host.object_bytes("backups", "b").unwrap(), b"HELLO WORLD");
        assert_eq!(host.log()[0].message, "Copying a");
        assert_eq!(host.log()[0].fields, json!({"to": "b", "attempt": 1}));
    }

    #[test]
    fn truncated_download_stores_no_object() {
        let cut = Error::unavailable("the store closed the connection");
        let host =
            TestHost::new(plugin()).object("backups", "a", b"x").fail_next("objects.get.outcome", "backups", cut);
        assert_eq!(host.run("copy", json!({"from": "a", "to": "b"})).unwrap_err().code, ErrorCode::Unavailable);
        assert_eq!(host.object_keys("backups"), ["a"]);
    }

    #[test]
    fn unknown_parameters_and_jobs_are_rejected() {
        let host = TestHost::new(plugin());
        let unknown = json!({"from": "a", "to": "b", "typo": 1});
        assert_eq!(host.run("copy", unknown).unwrap_err().code, ErrorCode::Invalid);
        assert_eq!(host.run("move", json!({})).unwrap_err().code, ErrorCode::NotFound);
    }

    #[test]
    fn capability_that_is_not_requested_is_denied() {
        let without = Plugin::new("copier", "1.0.0", 1).job("copy", "Copies an object.", copy);
        let error = TestHost::new(without).run("copy", json!({"from": "a", "to": "b"})).unwrap_err();
        assert_eq!(error.code, ErrorCode::Denied);
    }

    #[test]
    fn manifest_contains_schema_of_parameters() {
        let manifest = plugin().manifest().clone();
        manifest.validate().unwrap();
        let schema = &manifest.jobs[0].params_schema;
        assert_eq!(schema["type"], "object");
        assert_eq!(schema["required"], json!(["from", "to"]));
        assert_eq!(schema["properties"]["from"]["description"], "Key of the source.");
        assert_eq!(schema["additionalProperties"], false);
    }
}
