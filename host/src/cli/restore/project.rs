//! `atlashub restore project`: restores the database and the objects of a project, or of all projects.

use std::process::ExitCode;

use api_types::ProjectState;
use uuid::Uuid;

use super::{Confirmation, RestoreTools};
use crate::{
    app::App,
    backups::{BackupManifest, RecoveryError, StoredBackup, restore_project},
    cli::{POSTGRES_TIMEOUT, backup::parse_backup_id, error::CommandError},
    config::Config,
    db::{
        migrations,
        restore::{FailedObjects, RestoreError},
        server,
    },
    error::count,
    projects::ProjectRef,
};

/// Restore the database of a project, or of all projects
///
/// Also restores the project's objects if the backup contains them. The project must exist in the platform database.
/// Roles, database and bucket are created if they are missing. A database that is replaced is kept, and the restore can
/// be rolled back.
#[derive(Debug, clap::Args)]
pub(super) struct ProjectArguments {
    /// Id of the project
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    id: Option<String>,
    /// Restore every project from its newest backup that can be restored
    #[arg(long, conflicts_with = "backup")]
    all: bool,
    /// Id of a backup, as `atlashub restore --list` shows it (default: the project's newest)
    #[arg(long, value_parser = parse_backup_id)]
    backup: Option<Uuid>,
    /// Leave out indexes, constraints, triggers and contents of materialized views that can't be created, and list them
    #[arg(long)]
    skip_failed_objects: bool,
    #[command(flatten)]
    confirmation: Confirmation,
}

pub(super) async fn run(arguments: &ProjectArguments, config: Config) -> Result<ExitCode, CommandError> {
    let consequence = match &arguments.id {
        Some(id) => format!("This replaces the database of project {id}."),
        None => "This replaces the databases of all projects.".to_owned(),
    };
    let tools = RestoreTools::begin(&config, &consequence, &arguments.confirmation).await?;
    let outcome = restore_chosen(arguments, &tools, config).await;
    tools.running.stop().await;
    outcome
}

async fn restore_chosen(
    arguments: &ProjectArguments,
    tools: &RestoreTools,
    config: Config,
) -> Result<ExitCode, CommandError> {
    let failed_objects = match arguments.skip_failed_objects {
        true => FailedObjects::LeaveOut,
        false => FailedObjects::Fail,
    };
    let projects = Projects::open(tools, config, failed_objects).await?;
    let outcome = match &arguments.id {
        None => projects.restore_all().await,
        Some(id) => {
            let outcome = async {
                let project = projects.find(id)?;
                let backup = tools.choose(&format!("project:{id}"), arguments.backup)?;
                projects.restore(project, Some(backup)).await
            };
            outcome.await.map(|()| ExitCode::SUCCESS)
        }
    };
    projects.close().await;
    outcome
}

/// The projects of the platform database.
pub(super) struct Projects<'a> {
    tools: &'a RestoreTools,
    app: App,
    all: Vec<ProjectRef>,
    failed_objects: FailedObjects,
}

impl<'a> Projects<'a> {
    pub(super) async fn open(
        tools: &'a RestoreTools,
        config: Config,
        failed_objects: FailedObjects,
    ) -> Result<Self, CommandError> {
        let services = &tools.running.services;
        let database_url = services.database_url.expose();
        drop(server::connect_with_retry(database_url, POSTGRES_TIMEOUT).await?);
        migrations::apply(database_url).await?;
        let app = App::build(config, services)?;
        let all = app.projects().all().await.map_err(anyhow::Error::from)?;
        Ok(Self { tools, app, all, failed_objects })
    }

    pub(super) async fn close(self) {
        self.app.close().await;
    }

    fn find(&self, id: &str) -> Result<&ProjectRef, CommandError> {
        self.all.iter().find(|project| project.id == id).ok_or_else(|| {
            CommandError::failed(format!(
                "The platform database has no project {id}. Restore the platform database first (`atlashub restore \
                 platform`), or restore the backup into another project with `--backup`."
            ))
        })
    }

    /// Restores every project that is ready, and reports those that failed. Tries older backups if the newest can't be
    /// restored, unless the newest needs another master key.
    pub(super) async fn restore_all(&self) -> Result<ExitCode, CommandError> {
        let mut failed = 0;
        for project in self.all.iter().filter(|project| project.state == ProjectState::Ready) {
            let target = format!("project:{}", project.id);
            let mut backups = self.tools.backups.iter().filter(|backup| backup.manifest.target == target).peekable();
            if let Some(Err(error)) = backups.peek().map(|newest| self.check_master_key(project, newest)) {
                eprintln!("{}", error.line());
                failed += 1;
                continue;
            }
            let mut outcome = self.restore(project, backups.next()).await;
            while let Err(error) = &outcome {
                eprintln!("{}", error.line());
                let Some(older) = backups.next() else { break };
                outcome = self.restore(project, Some(older)).await;
            }
            failed += u32::from(outcome.is_err());
        }
        let is_known = |id: &str| self.all.iter().any(|project| project.id == id);
        let mut unknown: Vec<&StoredBackup> = Vec::new();
        for backup in &self.tools.backups {
            let is_listed = unknown.iter().any(|listed| listed.manifest.target == backup.manifest.target);
            if backup.manifest.target.strip_prefix("project:").is_some_and(|id| !is_known(id)) && !is_listed {
                unknown.push(backup);
            }
        }
        for backup in unknown {
            let title = backup.manifest.title.as_deref().unwrap_or("?");
            print_stdout!(
                "{}  ({title}) is not in the platform database; restore its backup into another project",
                backup.manifest.target
            );
        }
        Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn check_master_key(&self, project: &ProjectRef, backup: &StoredBackup) -> Result<(), CommandError> {
        self.tools.check_master_key(backup).map_err(|error| {
            let ProjectRef { id, name, .. } = project;
            CommandError::failed(format!("Project {id} ({name}) was not restored. {}", error.line()))
        })
    }

    /// Restores a project and prints the result. Without a backup, creates the missing parts of the project.
    async fn restore(&self, project: &ProjectRef, backup: Option<&StoredBackup>) -> Result<(), CommandError> {
        let ProjectRef { id, name, .. } = project;
        if let Some(backup) = backup {
            self.check_master_key(project, backup)?;
        }
        if let Some(BackupManifest { target, title, .. }) = backup.map(|backup| &backup.manifest)
            && target.strip_prefix("project:").is_some_and(|source| source != id)
        {
            let title = title.as_ref().map(|title| format!(" ({title})")).unwrap_or_default();
            eprintln!("The backup is of `{target}`{title}. It replaces the data of `project:{id}` ({name}).");
        }
        let (app, identity) = (&self.app, self.tools.identity.as_ref());
        let restored = restore_project(app.backups(), app.projects(), id, backup, identity, self.failed_objects)
            .await
            .map_err(|error| {
                let choice = match &error {
                    RecoveryError::Load(RestoreError::FailedObject { .. }) => {
                        " Repeat `atlashub restore project` with --skip-failed-objects to leave out such objects."
                    }
                    _ => "",
                };
                CommandError::failed(format!("Project {id} ({name}) was not restored: {error}.{choice}"))
            })?;
        let (Some(restored), Some(backup)) = (restored, backup) else {
            print_stdout!(
                "project:{id}  ({name}) has no backup; its database is as it was, or empty if it was missing"
            );
            return Ok(());
        };
        let created_at = backup.manifest.created_at.format("%Y-%m-%d %H:%M:%S UTC");
        print_stdout!(
            "project:{id}  ({name}) restored from the backup of {created_at}: {}, {}",
            count(restored.tables, "table", "tables"),
            count(restored.rows, "row", "rows")
        );
        if let Some(objects) = &restored.objects {
            print_stdout!("  objects: {} written, {} unchanged", objects.written, objects.unchanged);
        }
        if let Some(kept) = &restored.kept {
            print_stdout!("  the previous database is kept as {kept}");
        }
        for left_out in &restored.left_out {
            print_stdout!("  not restored: {left_out}");
        }
        Ok(())
    }
}
