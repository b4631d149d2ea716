use std::{cell::RefCell, rc::Rc};

use serde_json::Value;

use super::{
    Line, Progress, SentRequest, executor,
    state::{self, PendingObject, ScriptedDatabase, State},
};
use crate::{
    Error, Result,
    backups::{Backup, TableDifference},
    databases::TableRows,
    http::Response,
    maintenance::{Report, Sweep},
    migrations::Migration,
    plugin::{Plugin, Run},
};

/// 2026-01-02 03:04:05 UTC: what the clock says at first.
const START: u64 = 1_767_323_045_000;

/// A platform for one plugin, as the test scripts it. It is told what to answer before a run, and asked what happened after it.
pub struct TestHost {
    plugin: Plugin,
    state: Rc<RefCell<State>>,
}

impl TestHost {
    /// An empty platform that grants the plugin what it asks for.
    ///
    /// # Panics
    /// Where the plugin's manifest isn't valid.
    pub fn new(plugin: Plugin) -> Self {
        let asked = plugin.manifest().capabilities.iter().map(|request| request.capability).collect();
        let state = State { asked, now: START, ..State::default() };
        Self { plugin, state: Rc::new(RefCell::new(state)) }
    }

    /// Runs a job to its end, as the host would for its first attempt.
    ///
    /// # Errors
    /// What the job failed with.
    ///
    /// # Panics
    /// Where the job does, or waits for something that never comes.
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

    /// The same with a context of the test's own.
    ///
    /// # Errors
    /// What the job failed with.
    pub fn run_as(&self, run: Run, params: &Value) -> Result<Value> {
        let _entered = state::enter(&self.state);
        let result = executor::block_on(self.plugin.run(run, params.to_string()))?;
        Ok(serde_json::from_str(&result)?)
    }

    /// Milliseconds since 1970 UTC.
    #[must_use]
    pub fn at(self, now: u64) -> Self {
        self.state.borrow_mut().now = now;
        self
    }

    /// A setting.
    #[must_use]
    pub fn config(self, name: &str, value: &str) -> Self {
        self.state.borrow_mut().config.insert(name.to_owned(), value.to_owned());
        self
    }

    /// A secret that can be opened.
    #[must_use]
    pub fn secret(self, name: &str) -> Self {
        self.state.borrow_mut().secrets.insert(name.to_owned());
        self
    }

    /// Answers every request.
    #[must_use]
    pub fn answer_http(self, answer: impl FnMut(&SentRequest) -> Result<Response> + 'static) -> Self {
        self.state.borrow_mut().http = Some(Box::new(answer));
        self
    }

    /// A database whose dump has these bytes.
    #[must_use]
    pub fn database(self, name: &str, title: Option<&str>, archive: &[u8], rows: &[(&str, u64)]) -> Self {
        let rows = rows.iter().map(|(table, rows)| TableRows {
            schema: "public".to_owned(),
            table: (*table).to_owned(),
            rows: *rows,
        });
        self.state.borrow_mut().databases.push(ScriptedDatabase {
            name: name.to_owned(),
            title: title.map(str::to_owned),
            archive: archive.to_vec(),
            rows: rows.collect(),
            tables: Vec::new(),
        });
        self
    }

    /// An object that is there.
    #[must_use]
    pub fn object(self, store: &str, key: &str, bytes: &[u8]) -> Self {
        let object = PendingObject::new(store, key, "application/octet-stream", bytes.to_vec());
        self.state.borrow_mut().store(object);
        self
    }

    /// A backup that is in the catalogue and in the store.
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

    /// What verifying a backup shows of a table in schema `public`.
    #[must_use]
    pub fn difference(self, id: &str, table: &str, expected: Option<u64>, found: Option<u64>) -> Self {
        let difference = TableDifference { schema: "public".to_owned(), table: table.to_owned(), expected, found };
        self.state.borrow_mut().differences.entry(id.to_owned()).or_default().push(difference);
        self
    }

    /// What a sweep reports, call by call; then it finds nothing.
    #[must_use]
    pub fn sweep(self, sweep: Sweep, reports: &[Report]) -> Self {
        self.state.borrow_mut().sweeps.insert(format!("{sweep:?}"), reports.iter().copied().collect());
        self
    }

    /// A migration of the platform.
    #[must_use]
    pub fn migration(self, version: u64, name: &str, applied: bool) -> Self {
        let applied_at = applied.then_some(0);
        self.state.borrow_mut().migrations.push(Migration { version, name: name.to_owned(), applied, applied_at });
        self
    }

    /// Lets the next call of that name fail whose first argument is `argument`; an empty one stands for any. Calls are named
    /// after the WIT: `objects.put`, `databases.dump`; `databases.dump.outcome` and `objects.get.outcome` are the ends of
    /// the streams.
    #[must_use]
    pub fn fail(self, call: &str, argument: &str, error: Error) -> Self {
        self.state.borrow_mut().failures.entry((call.to_owned(), argument.to_owned())).or_default().push_back(error);
        self
    }

    pub fn log(&self) -> Vec<Line> {
        self.state.borrow().lines.clone()
    }

    pub fn progress(&self) -> Vec<Progress> {
        self.state.borrow().progress.clone()
    }

    pub fn requests(&self) -> Vec<SentRequest> {
        self.state.borrow().requests.clone()
    }

    /// Titles and messages.
    pub fn notifications(&self) -> Vec<(String, String)> {
        self.state.borrow().notifications.clone()
    }

    /// Keys of a store's objects, in order.
    pub fn keys(&self, store: &str) -> Vec<String> {
        self.state.borrow().objects.keys().filter(|(of, _)| of == store).map(|(_, key)| key.clone()).collect()
    }

    /// An object's bytes.
    pub fn bytes(&self, store: &str, key: &str) -> Option<Vec<u8>> {
        self.state.borrow().object(store, key).ok().map(|object| object.bytes)
    }

    /// The catalogue.
    pub fn backups(&self) -> Vec<Backup> {
        self.state.borrow().backups.clone()
    }

    /// Every sweep that was run, in order, as its `Debug` form.
    pub fn sweeps(&self) -> Vec<String> {
        self.state.borrow().sweeps_run.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{prelude::*, stream, task};

    #[derive(Deserialize, JsonSchema)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Copy {
        /// Where from.
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
            .asks(Capability::Objects, "To copy.", Scope { stores: vec!["backups".to_owned()], ..Scope::default() })
    }

    #[test]
    fn a_job_runs_against_what_the_test_scripted() {
        let host = TestHost::new(plugin()).object("backups", "a", b"hello world");
        let result = host.run("copy", json!({"from": "a", "to": "b"})).unwrap();
        assert_eq!(result, json!({"bytes": 11}));
        assert_eq!(host.bytes("backups", "b").unwrap(), b"HELLO WORLD");
        assert_eq!(host.log()[0].message, "Copying a");
        assert_eq!(host.log()[0].fields, json!({"to": "b", "attempt": 1}));
    }

    #[test]
    fn a_stream_that_was_cut_short_commits_nothing() {
        let cut = Error::unavailable("the store went away");
        let host = TestHost::new(plugin()).object("backups", "a", b"x").fail("objects.get.outcome", "backups", cut);
        assert_eq!(host.run("copy", json!({"from": "a", "to": "b"})).unwrap_err().code, ErrorCode::Unavailable);
        assert_eq!(host.keys("backups"), ["a"]);
    }

    #[test]
    fn parameters_and_jobs_are_checked() {
        let host = TestHost::new(plugin());
        assert_eq!(host.run("copy", json!({"from": "a", "typo": 1})).unwrap_err().code, ErrorCode::Invalid);
        assert_eq!(host.run("move", json!({})).unwrap_err().code, ErrorCode::NotFound);
    }

    #[test]
    fn a_power_that_was_not_asked_for_is_denied() {
        let silent = Plugin::new("copier", "1.0.0", 1).job("copy", "Copies an object.", copy);
        let error = TestHost::new(silent).run("copy", json!({"from": "a", "to": "b"})).unwrap_err();
        assert_eq!(error.code, ErrorCode::Denied);
    }

    #[test]
    fn the_manifest_has_the_parameters_schema() {
        let manifest = plugin().manifest().clone();
        manifest.check().unwrap();
        let schema = &manifest.jobs[0].params_schema;
        assert_eq!(schema["type"], "object");
        assert_eq!(schema["required"], json!(["from", "to"]));
        assert_eq!(schema["properties"]["from"]["description"], "Where from.");
        assert_eq!(schema["additionalProperties"], false);
    }
}
