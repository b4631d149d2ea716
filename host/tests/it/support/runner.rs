//! A runner of the tests' own: its jobs do what their parameters say, and it keeps a record of what ran.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use atlashub::{
    config::JobsConfig,
    db,
    jobs::{
        JobRunner, JobsState, LineLevel, RunCall, RunEnded, RunFailure, RunObserver, RunOutput, RunRefusal, RunReport,
        Scheduler,
    },
    projects::Projects,
};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::TestApp;

/// One attempt as the runner saw it.
#[derive(Debug, Clone)]
pub struct Ran {
    pub call: RunCall,
    /// Which node ran it.
    pub node: &'static str,
}

/// What its nodes ran, and a gate that jobs can be told to wait at.
#[derive(Default)]
pub struct TestRunner {
    ran: Mutex<Vec<Ran>>,
    ended: Mutex<Vec<RunEnded>>,
    left: Mutex<Vec<(Uuid, DateTime<Utc>)>>,
    open: Mutex<bool>,
    gate: Notify,
}

impl TestRunner {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// The runner of one node.
    pub fn node(self: &Arc<Self>, node: &'static str) -> Arc<dyn JobRunner> {
        Arc::new(NodeRunner { node, record: self.clone() })
    }

    pub fn ran(&self) -> Vec<Ran> {
        self.ran.lock().expect("lock").clone()
    }

    pub fn ran_of(&self, job: &str) -> Vec<Ran> {
        self.ran().into_iter().filter(|ran| ran.call.job_id.is_some_and(|id| id.to_string() == job)).collect()
    }

    /// What observers were told.
    pub fn ended(&self) -> Vec<RunEnded> {
        self.ended.lock().expect("lock").clone()
    }

    /// When a run was last left, of itself or not: nothing of it goes on since.
    pub fn left(&self, run: Uuid) -> Option<DateTime<Utc>> {
        self.left.lock().expect("lock").iter().rev().find(|(left, _)| *left == run).map(|(_, at)| *at)
    }

    /// Lets jobs that wait go on, now and later.
    pub fn open(&self) {
        *self.open.lock().expect("lock") = true;
        self.gate.notify_waiters();
    }

    async fn wait(&self) {
        loop {
            let opened = self.gate.notified();
            if *self.open.lock().expect("lock") {
                return;
            }
            opened.await;
        }
    }
}

impl RunObserver for TestRunner {
    fn run_ended(&self, ended: &RunEnded) {
        self.ended.lock().expect("lock").push(ended.clone());
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
        self.record.ran.lock().expect("lock").push(Ran { call: call.clone(), node: self.node });
        let _leaving = Leaving { record: &self.record, run: call.run_id };
        if call.params["late"] == true {
            // As one that waits for another run of its plugin to end.
            self.record.wait().await;
        }
        output.begun();
        tokio::select! {
            result = self.work(&call, &*output) => result,
            () = cancel.cancelled(), if call.params["stubborn"] != true => Err(RunFailure::Cancelled),
            () = tokio::time::sleep(call.timeout), if call.params["stubborn"] != true => Err(RunFailure::TimedOut),
        }
    }
}

/// Dropped with the run.
struct Leaving<'a> {
    record: &'a TestRunner,
    run: Uuid,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.record.left.lock().expect("lock").push((self.run, Utc::now()));
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
        if params["tellSecrets"] == true {
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
            self.record.wait().await;
        }
        if params["hang"] == true {
            std::future::pending::<()>().await;
        }
        assert!(params["panic"] != true, "as the job was told to");
        let failing = params["failTimes"].as_u64().is_some_and(|times| u64::from(call.attempt) <= times);
        if failing || params["fail"].is_string() {
            return Err(RunFailure::Failed {
                message: params["fail"].as_str().unwrap_or("not yet").to_owned(),
                details: params.get("details").cloned(),
                retryable: params["final"] != true,
            });
        }
        let secrets: Vec<&String> = call.secrets.keys().collect();
        let told: Vec<&str> = call.secrets.values().map(|secret| secret.expose()).collect();
        Ok(RunReport {
            result: match params["url"].is_string() {
                true => json!({ "httpStatus": 200, "params": params, "secrets": secrets, "told": told }),
                false => params.get("result").cloned().unwrap_or(json!({ "attempt": call.attempt })),
            },
        })
    }
}

/// A scheduler of its own on an app's database, as another node would be.
pub struct JobsNode {
    scheduler: Option<Scheduler>,
}

impl JobsNode {
    pub async fn start(app: &TestApp, runner: &Arc<TestRunner>, node: &'static str, lease: Duration) -> Self {
        Self::start_on(app, app.services.database_url.expose(), runner, node, lease).await
    }

    /// With another way to the database.
    pub async fn start_on(
        app: &TestApp,
        database_url: &str,
        runner: &Arc<TestRunner>,
        node: &'static str,
        lease: Duration,
    ) -> Self {
        let platform = db::platform::connect(database_url, 12).expect("a pool");
        let config = JobsConfig { lease, ..app.app.config().jobs.clone() };
        let state = JobsState::new(
            platform.clone(),
            app.app.projects().sealer.clone(),
            app.app.store().clone(),
            Projects::new(platform),
            runner.node(node),
            config,
        );
        let scheduler = Scheduler::start(state, Some(runner.clone())).await;
        Self { scheduler: Some(scheduler) }
    }

    /// In order.
    pub async fn stop(mut self, grace: Duration) {
        self.scheduler.take().expect("a scheduler").stop(grace).await;
    }

    /// As `kill -9` does: nothing is written any more.
    pub fn kill(mut self) {
        drop(self.scheduler.take());
    }
}

/// Asks again until there is an answer.
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}

impl TestApp {
    /// Makes a job of the tests' plugin, with a schedule that is far away; answers its id.
    pub async fn create_job(&self, extra: Value) -> String {
        let mut job = json!({
            "name": "job", "type": "platform", "plugin": "test", "scheduleCron": "0 0 1 1 *", "retryBackoffMs": 1,
        });
        job.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
        let (status, body) = self.admin().post("/admin/v1/jobs", job).await;
        assert_eq!(status, reqwest::StatusCode::CREATED, "{body}");
        body["id"].as_str().expect("an id").to_owned()
    }

    /// Runs a job by hand; answers the run's id.
    pub async fn run_job(&self, job: &str) -> String {
        let (status, body) = self.admin().post(&format!("/admin/v1/jobs/{job}/run"), json!({})).await;
        assert_eq!(status, reqwest::StatusCode::ACCEPTED, "{body}");
        body["runId"].as_str().expect("an id").to_owned()
    }

    pub async fn run(&self, run: &str) -> Value {
        let (status, body) = self.admin().get(&format!("/admin/v1/runs/{run}")).await;
        assert_eq!(status, reqwest::StatusCode::OK, "{body}");
        body
    }

    /// The run, once it has this status.
    pub async fn until_run(&self, run: &str, status: &str) -> Value {
        until(&format!("run {run} is {status}"), async || {
            let run = self.run(run).await;
            (run["status"] == status).then_some(run)
        })
        .await
    }

    /// The newest run first.
    pub async fn runs_of(&self, job: &str) -> Vec<Value> {
        let (_, body) = self.admin().get(&format!("/admin/v1/jobs/{job}/runs?limit=200")).await;
        body["items"].as_array().expect("runs").clone()
    }

    /// Moves a job's schedule back, as if it had last been handled then.
    pub async fn pretend_handled(&self, job: &str, ago: &str) {
        sqlx::query(
            "UPDATE cron_jobs SET scheduled_until = now() - $2::text::interval, next_run_at = now() - $2::text::interval
             WHERE id = $1",
        )
        .bind(job.parse::<Uuid>().expect("an id"))
        .bind(ago)
        .execute(self.app.platform())
        .await
        .expect("the job is changed");
    }
}
