//! Runs SQL that may take longer than a request.

use api_types::{RunSql, RunStatus};
use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;

use super::{
    execution::Shown,
    failure::failed,
    progress::{finish, finish_with},
    run::RunPlan,
    wire,
    workspace::Workspace,
};
use crate::remote::is_visible;

pub(super) async fn run_in_background(mut workspace: Workspace, plan: &RunPlan, mut request: RunSql) {
    request.transaction = Some(plan.transaction);
    let started = match wire::run_in_background(&workspace.project(), &request).await {
        Ok(started) => started,
        Err(failure) => {
            return finish_with(workspace, &plan.tab, failed(&failure, &plan.text, plan.range.start, 1), None);
        }
    };
    loop {
        if let Ok(run) = wire::run_state(&started.run_id).await {
            let is_over = !matches!(run.status, RunStatus::Queued | RunStatus::Running);
            let mut executions = workspace.executions.write();
            let Some(execution) = executions.get_mut(&plan.tab) else { return };
            execution.background = Some(run);
            execution.shown = Shown::Background;
            if is_over {
                break;
            }
        }
        TimeoutFuture::new(1_000).await;
        while !is_visible() {
            TimeoutFuture::new(1_000).await;
        }
    }
    finish(workspace, &plan.tab, |_| {});
    workspace.refresh_after_run(true);
    workspace.refresh_history();
}
