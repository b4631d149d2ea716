//! A job runner for tests. A job's parameters determine what its runs do, and the runner records all runs.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use atlashub::{
    config::JobsConfig,
    db,
    jobs::{
        JobRunner, Jobs, LineLevel, RunCall, RunEnded, RunFailure, RunObserver, RunOutput, RunRefusal, RunReport, Runs,
        Scheduler,
    },
    projects::Projects,
};
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{TestApp, eventually};

/// A run that the runner executed. Each retry is a run of its own.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub call: RunCall,
    /// The node that executed the run.
    pub node: &'static str,
}

/// A runner that records the runs of all nodes. Runs of jobs with the parameter `wait` or `late` wait at its gate.
#[derive(Default)]
pub struct TestRunner {
    attempts: Mutex<Vec<Attempt>>,
    ended: Mutex<Vec<RunEnded>>,
    dropped: Mutex<Vec<(Uuid, DateTime<Utc>)>>,
    is_open: Mutex<bool>,
    gate: Notify,
}

impl TestRunner {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Returns the runner of one node.
    pub fn node(self: &Arc<Self>, node: &'static str) -> Arc<dyn JobRunner> {
        Arc::new(NodeRunner { node, record: self.clone() })
    }

    pub fn attempts(&self) -> Vec<Attempt> {
        self.attempts.lock().clone()
    }

    pub fn attempts_of(&self, job: &str) -> Vec<Attempt> {
        self.attempts()
            .into_iter()
            .filter(|attempt| attempt.call.job_id.is_some_and(|id| id.to_string() == job))
            .collect()
    }

    /// Returns the ended runs that observers were notified of.
    pub fn ended(&self) -> Vec<RunEnded> {
        self.ended.lock().clone()
    }

    /// Returns the time at which the future of a run was last dropped. No part of the run continues after that.
    pub fn dropped_at(&self, run: Uuid) -> Option<DateTime<Utc>> {
        self.dropped.lock().iter().rev().find(|(dropped, _)| *dropped == run).map(|(_, at)| *at)
    }

    /// Opens the gate, for waiting and future runs.
    pub fn open_gate(&self) {
        *self.is_open.lock() = true;
        self.gate.notify_waiters();
    }

    async fn wait_at_gate(&self) {
        loop {
            let opened = self.gate.notified();
            if *self.is_open.lock() {
                return;
            }
            opened.await;
        }
    }
}

impl RunObserver for TestRunner {
    fn run_ended(&self, ended: &RunEnded) {
        self.ended.lock().push(ended.clone());
    }
}

struct NodeRunner {
    node: &'static str,
    record: Arc<TestRunner>,
}

#[async_trait]
impl JobRunner for NodeRunner {
    async fn check(&self, plugin: &str, job: &str, params: &Value) -> Result<String, RunRefusal> {
        match (plugin, job) {
            ("http-job", job) => Ok(job.to_owned()),
            ("test", "" | "work") if params["bad"] == true => {
                Err(RunRefusal::Params { problems: vec![("/bad".to_owned(), "must not be true".to_owned())] })
            }
            ("test", "" | "work") => Ok("work".to_owned()),
            ("test", job) => Err(RunRefusal::UnknownJob {
                plugin: "test".to_owned(),
                job: job.to_owned(),
                known: vec!["work".to_owned()],
            }),
            (plugin, _) => Err(RunRefusal::UnknownPlugin { name: plugin.to_owned(), hint: None }),
        }
    }

    async fn run(
        &self,
        call: RunCall,
        output: Arc<dyn RunOutput>,
        cancel: CancellationToken,
    ) -> Result<RunReport, RunFailure> {
        self.record.attempts.lock().push(Attempt { call: call.clone(), node: self.node });
        let _drop_record = DropRecord { record: &self.record, run: call.run_id };
        if call.params["late"] == true {
            // The run is recorded but waits before it starts, like a run that waits for another run of its plugin.
            self.record.wait_at_gate().await;
        }
        output.started();
        tokio::select! {
            result = self.work(&call, &*output) => result,
            () = cancel.cancelled(), if call.params["stubborn"] != true => Err(RunFailure::Cancelled),
            () = tokio::time::sleep(call.timeout), if call.params["stubborn"] != true => Err(RunFailure::TimedOut),
        }
    }
}

/// A guard that records when a run's future is dropped.
struct DropRecord<'a> {
    record: &'a TestRunner,
    run: Uuid,
}

impl Drop for DropRecord<'_> {
    fn drop(&mut self) {
        self.record.dropped.lock().push((self.run, Utc::now()));
    }
}

impl NodeRunner {
    async fn work(&self, call: &RunCall, output: &dyn RunOutput) -> Result<RunReport, RunFailure> {
        let params = &call.params;
        for line in params["log"].as_array().into_iter().flatten() {
            output.log(LineLevel::Info, line.as_str().expect("text"), json!({ "attempt": call.attempt }));
        }
        for line in 0..params["lines"].as_u64().unwrap_or(0) {
            output.log(LineLevel::Debug, &format!("line {line} {}", "x".repeat(200)), Value::Null);
        }
        if params["logSecrets"] == true {
            for (name, secret) in &call.secrets {
                output.log(LineLevel::Warn, &format!("{name} is {}", secret.expose()), json!({ "v": secret.expose() }));
                output.progress(1, Some(2), secret.expose());
            }
        }
        if let Some(done) = params["progress"].as_u64() {
            output.progress(done, Some(10), "things");
        }
        if params["chatter"] == true {
            loop {
                output.log(LineLevel::Info, "still here", Value::Null);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        if params["wait"] == true {
            self.record.wait_at_gate().await;
        }
        if params["hang"] == true {
            std::future::pending::<()>().await;
        }
        assert!(params["panic"] != true, "requested by the parameters");
        let failing = params["failTimes"].as_u64().is_some_and(|times| u64::from(call.attempt) <= times);
        if failing || params["fail"].is_string() {
            return Err(RunFailure::Failed {
                message: params["fail"].as_str().unwrap_or("not yet").to_owned(),
                details: params.get("details").cloned(),
                retryable: params["final"] != true,
            });
        }
        let secrets: Vec<&String> = call.secrets.keys().collect();
        let values: Vec<&str> = call.secrets.values().map(|secret| secret.expose()).collect();
        Ok(RunReport {
            result: match params["url"].is_string() {
                true => json!({ "httpStatus": 200, "params": params, "secrets": secrets, "secretValues": values }),
                false => params.get("result").cloned().unwrap_or(json!({ "attempt": call.attempt })),
            },
        })
    }
}

/// A second node: a separate scheduler on the database of an app.
pub struct JobsNode {
    scheduler: Option<Scheduler>,
}

impl JobsNode {
    pub async fn start(app: &TestApp, runner: &Arc<TestRunner>, node: &'static str, lease: Duration) -> Self {
        Self::start_on(app, app.services.database_url.expose(), runner, node, lease).await
    }

    /// Does the same as [`Self::start`] with another database URL.
    pub async fn start_on(
        app: &TestApp,
        database_url: &str,
        runner: &Arc<TestRunner>,
        node: &'static str,
        lease: Duration,
    ) -> Self {
        let platform = db::platform::connect(database_url, 12).expect("a pool");
        let config = JobsConfig { lease, ..app.app.config().jobs.clone() };
        let runs = Runs::new(platform.clone(), app.app.store().clone(), config);
        let sealer = app.app.projects().sealer.clone();
        let jobs = Jobs::new(runs, sealer, Projects::new(platform), runner.node(node));
        let scheduler = Scheduler::start(jobs, Some(runner.clone())).await;
        Self { scheduler: Some(scheduler) }
    }

    /// Shuts the node down.
    pub async fn stop(mut self, grace: Duration) {
        self.scheduler.take().expect("a scheduler").stop(grace).await;
    }

    /// Kills the node, so that it writes nothing after this call.
    pub fn kill(mut self) {
        drop(self.scheduler.take());
    }
}

impl TestApp {
    /// Creates a job of the test plugin with a distant fire time, and returns its id.
    pub async fn create_job(&self, extra: Value) -> String {
        let mut job = json!({
            "name": "job", "type": "platform", "plugin": "test", "scheduleCron": "0 0 1 1 *", "retryBackoffMs": 1,
        });
        job.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
        let (status, body) = self.admin().post("/admin/v1/jobs", job).await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
        body["id"].as_str().expect("an id").to_owned()
    }

    /// Starts a run of a job, and returns the run's id.
    pub async fn run_job(&self, job: &str) -> String {
        let (status, body) = self.admin().post(&format!("/admin/v1/jobs/{job}/run"), json!({})).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
        body["runId"].as_str().expect("an id").to_owned()
    }

    pub async fn run(&self, run: &str) -> Value {
        let (status, body) = self.admin().get(&format!("/admin/v1/runs/{run}")).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }

    /// Waits until a run has this status, and returns the run.
    pub async fn until_run(&self, run: &str, status: &str) -> Value {
        eventually(&format!("run {run} is {status}"), async || {
            let (response, run) = self.admin().get(&format!("/admin/v1/runs/{run}")).await;
            // On a busy machine, the platform database may be slow for a moment.
            assert!([StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE].contains(&response), "{run}");
            (run["status"] == status).then_some(run)
        })
        .await
    }

    /// Returns the runs of a job, newest first.
    pub async fn runs_of(&self, job: &str) -> Vec<Value> {
        let (_, body) = self.admin().get(&format!("/admin/v1/jobs/{job}/runs?limit=200")).await;
        body["items"].as_array().expect("runs").clone()
    }

    /// Moves a job's position in its schedule to the time `ago` before now, as if no scheduler had run since.
    pub async fn rewind_schedule(&self, job: &str, ago: &str) {
        sqlx::query(
            "UPDATE cron_jobs SET scheduled_until = now() - $2::text::interval, next_run_at = now() - $2::text::interval
             WHERE id = $1",
        )
        .bind(job.parse::<Uuid>().expect("an id"))
        .bind(ago)
        .execute(self.app.platform())
        .await
        .expect("the job should be changed");
    }
}
