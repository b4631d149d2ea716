//! `atlashub backup create`: starts a run that creates a backup, and waits for its end.

use std::{process::ExitCode, time::Duration};

use api_types::{Run, RunStatus};
use uuid::Uuid;

use super::list::print_line;
use crate::{
    app::App,
    backups::{BackupContent, list_stored_backups},
    cli::{POSTGRES_TIMEOUT, error::CommandError, services::RunningServices},
    config::Config,
    db::{
        audit::{self, NewAuditEntry},
        migrations, server,
    },
    error::ApiError,
};

const POLL_INTERVAL: Duration = Duration::from_millis(300);
const NOTIFICATION_FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Create a backup and wait until it is complete
///
/// Starts a run of the plugin `backup`, which appears in the run history. A running server may execute it; otherwise
/// this process does, but no other runs. Ctrl-C cancels the run.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct CreateArguments {
    /// What to back up: `platform`, `project:<id>`, or `all`
    #[arg(default_value = "all")]
    target: String,
    /// Back up the objects of projects too
    #[arg(long)]
    objects: bool,
}

pub(super) async fn run(arguments: &CreateArguments, config: Config) -> Result<ExitCode, CommandError> {
    let running = RunningServices::for_command(&config).await?;
    let outcome = create(arguments, config, &running).await;
    running.stop().await;
    outcome
}

async fn create(
    arguments: &CreateArguments,
    config: Config,
    running: &RunningServices,
) -> Result<ExitCode, CommandError> {
    let database_url = running.services.database_url.expose();
    drop(server::connect_with_retry(database_url, POSTGRES_TIMEOUT).await?);
    migrations::apply(database_url).await?;
    let app = App::build(config, &running.services)?;
    app.start_for_command();
    let outcome = start_and_wait(&app, arguments).await;
    app.stop_jobs().await;
    app.notifier().flush(NOTIFICATION_FLUSH_TIMEOUT).await;
    let outcome = match outcome {
        Ok((id, run)) => report(&app, id, &run).await,
        Err(error) => Err(command_error(&error)),
    };
    app.close().await;
    outcome
}

async fn start_and_wait(app: &App, arguments: &CreateArguments) -> Result<(Uuid, Run), ApiError> {
    let CreateArguments { target, objects } = arguments;
    let content = if *objects { BackupContent::WithObjects } else { BackupContent::DatabaseOnly };
    let mut entry = NewAuditEntry::new("cli", "backup.create");
    entry.target = Some(target.clone());
    let id = audit::recorded(app.platform(), entry, async |entry| {
        let (id, name) = app.backups().start_backup(target, content).await?;
        entry.details = serde_json::json!({ "name": name, "objects": objects, "runId": id });
        Ok::<_, ApiError>(id)
    })
    .await?;
    app.execute_run(id).await;
    let mut cancelled = false;
    loop {
        tokio::select! {
            () = tokio::time::sleep(POLL_INTERVAL) => {}
            _ = tokio::signal::ctrl_c(), if !cancelled => {
                cancelled = true;
                // The call fails if the run has ended in the meantime. The next poll detects that.
                drop(app.jobs().runs().cancel_run(id).await);
            }
        }
        let run = app.jobs().runs().get_run(id).await?;
        if !matches!(run.status, RunStatus::Queued | RunStatus::Running) {
            return Ok((id, run));
        }
    }
}

async fn report(app: &App, id: Uuid, run: &Run) -> Result<ExitCode, CommandError> {
    if run.status != RunStatus::Success {
        let cause = run.error_text.as_deref().unwrap_or("see the run's log");
        let ending = match run.status {
            RunStatus::Cancelled => "was cancelled",
            RunStatus::Timeout => "exceeded its time limit",
            _ => "failed",
        };
        return Err(CommandError::failed(format!("The backup {ending} (run {id}): {cause}")));
    }
    let run_id = id.to_string();
    let stored = list_stored_backups(app.store()).await.map_err(|error| command_error(&error.into()))?;
    stored.iter().filter(|backup| backup.manifest.run_id.as_deref() == Some(&run_id)).for_each(print_line);
    Ok(ExitCode::SUCCESS)
}

fn command_error(error: &ApiError) -> CommandError {
    let hint = error.hint().map(|hint| format!(" {hint}")).unwrap_or_default();
    let cause = error.cause().map(|cause| format!(" ({cause})")).unwrap_or_default();
    CommandError::failed(format!("{}{hint}{cause}", error.message()))
}
