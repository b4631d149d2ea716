use std::{process::ExitCode, time::Duration};

use api_types::{Run, RunStatus};
use uuid::Uuid;

use super::list::print_line;
use crate::{
    app::App,
    backups::stored_backups,
    cli::{error::CommandError, services::RunningServices},
    config::Config,
    db::{migrations, server},
    error::ApiError,
};

const POSTGRES_PATIENCE: Duration = Duration::from_secs(10);
/// How often the run is looked at.
const LOOK: Duration = Duration::from_millis(300);
const FLUSH_PATIENCE: Duration = Duration::from_secs(5);

/// Make a backup now, and wait for its end.
///
/// A run of the plugin `backup` like any other, in the history with its log. A server that runs may take it up; where none does,
/// this process does so itself. Ctrl-C cancels it.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct CreateArguments {
    /// `platform`, `project:<id>`, or `all`.
    #[arg(default_value = "all")]
    target: String,
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
    drop(server::reach(database_url, POSTGRES_PATIENCE).await?);
    migrations::apply(database_url).await?;
    let app = App::build(config, &running.services)?;
    app.start_background();
    let outcome = begin_and_follow(&app, &arguments.target).await;
    app.stop_jobs().await;
    app.notifier().flush(FLUSH_PATIENCE).await;
    let outcome = match outcome {
        Ok((id, run)) => report(&app, id, &run).await,
        Err(error) => Err(said(&error)),
    };
    app.platform().close().await;
    outcome
}

async fn begin_and_follow(app: &App, target: &str) -> Result<(Uuid, Run), ApiError> {
    let id = app.backups().begin(target).await?;
    let mut cancelled = false;
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            _ = tokio::signal::ctrl_c(), if !cancelled => {
                cancelled = true;
                // One that has ended meanwhile is seen to have.
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
        let why = run.error_text.as_deref().unwrap_or("its log says why");
        let ended = match run.status {
            RunStatus::Cancelled => "was cancelled",
            RunStatus::Timeout => "took too long",
            _ => "failed",
        };
        return Err(CommandError::failed(format!("The backup {ended} (run {id}): {why}")));
    }
    let of_the_run = id.to_string();
    let stored = stored_backups(app.store()).await.map_err(|error| said(&error.into()))?;
    stored.iter().filter(|backup| backup.manifest.run_id.as_deref() == Some(&of_the_run)).for_each(print_line);
    Ok(ExitCode::SUCCESS)
}

fn said(error: &ApiError) -> CommandError {
    let hint = error.hint().map(|hint| format!(" {hint}")).unwrap_or_default();
    let cause = error.cause().map(|cause| format!(" ({cause:#})")).unwrap_or_default();
    CommandError::failed(format!("{}{hint}{cause}", error.message()))
}
