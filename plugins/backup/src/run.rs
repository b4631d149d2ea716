//! All that one run was asked for.

use std::collections::BTreeMap;

use atlashub_plugin_sdk::{backups, databases, prelude::*, progress};

use crate::{
    backup::{self, Backup},
    retention::Retention,
};

/// Every database that there is.
const ALL: &str = "all";

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct BackupParams {
    /// `platform`, `project:<id>` or `all`.
    #[schemars(regex(pattern = r"^(all|platform|project:[a-z0-9]+)$"))]
    target: String,
    /// What to keep of the backups of each database, once its new one is there. Without it nothing is removed.
    #[serde(default)]
    retention: Option<Retention>,
    /// 0, none, to 9, smallest; without it, what `pg_dump` does by itself.
    #[serde(default)]
    #[schemars(range(max = 9))]
    compression: Option<u8>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PruneParams {
    /// `platform`, `project:<id>` or `all`, which includes projects that are gone.
    #[schemars(regex(pattern = r"^(all|platform|project:[a-z0-9]+)$"))]
    target: String,
    retention: Retention,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BackedUp {
    backups: Vec<Backup>,
    /// Old backups that the retention did not keep.
    removed: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<Failed>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Failed {
    target: String,
    error: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct Pruned {
    kept: u64,
    removed: u64,
}

/// The job `backup`. A database that fails stops no other, and fails the run at its end.
pub(crate) async fn backup(run: Run, params: BackupParams) -> Result<BackedUp> {
    if let Some(retention) = params.retention {
        retention.check()?;
    }
    let targets = targets(&params.target).await?;
    let total = targets.len() as u64;
    let mut done = BackedUp { backups: Vec::new(), removed: 0, failed: Vec::new() };
    let mut errors = Vec::new();
    for (index, (target, title)) in targets.iter().enumerate() {
        progress::report(index as u64, Some(total), &format!("Backing up {}", title.as_deref().unwrap_or(target)));
        let backed_up = async {
            done.backups.push(backup::back_up(&run, target, title.as_deref(), params.compression).await?);
            if let Some(retention) = params.retention {
                done.removed += prune_target(target, retention).await?.removed;
            }
            Ok(())
        };
        let backed_up: Result<()> = backed_up.await;
        if let Err(error) = backed_up {
            error!("The backup of {target} failed: {error}");
            done.failed.push(Failed { target: target.clone(), error: error.message.clone() });
            errors.push(error);
        }
    }
    progress::report(total, Some(total), "Done");
    outcome(done, errors, total)
}

/// A retry is worth it when any of the failures may go away.
fn outcome(done: BackedUp, mut errors: Vec<Error>, total: u64) -> Result<BackedUp> {
    if errors.is_empty() {
        return Ok(done);
    }
    let index = errors.iter().position(Error::is_transient).unwrap_or(0);
    let mut error = errors.swap_remove(index);
    if total > 1 {
        let failed: Vec<&str> = done.failed.iter().map(|failed| failed.target.as_str()).collect();
        error = error.context(format!("{} of {total} databases failed ({})", failed.len(), failed.join(", ")));
    }
    Err(error.with_details(serde_json::to_value(&done)?))
}

/// Names of databases, and the projects' names.
async fn targets(target: &str) -> Result<Vec<(String, Option<String>)>> {
    let databases = databases::list().await?;
    let wanted = databases.into_iter().filter(|database| target == ALL || database.name == target);
    let targets: Vec<_> = wanted.map(|database| (database.name, database.title)).collect();
    if targets.is_empty() {
        return Err(Error::not_found(format!("there is no database `{target}` that this plugin may back up")));
    }
    Ok(targets)
}

/// The job `prune`.
pub(crate) async fn prune(_run: Run, params: PruneParams) -> Result<Pruned> {
    params.retention.check()?;
    if params.target != ALL {
        return prune_target(&params.target, params.retention).await;
    }
    let mut by_target: BTreeMap<String, Vec<backups::Backup>> = BTreeMap::new();
    for backup in backups::list(None).await? {
        by_target.entry(backup.target.clone()).or_default().push(backup);
    }
    let mut pruned = Pruned { kept: 0, removed: 0 };
    for of_target in by_target.into_values() {
        let one = prune_backups(of_target, params.retention).await?;
        pruned.kept += one.kept;
        pruned.removed += one.removed;
    }
    Ok(pruned)
}

async fn prune_target(target: &str, retention: Retention) -> Result<Pruned> {
    prune_backups(backups::list(Some(target)).await?, retention).await
}

/// Of one target.
async fn prune_backups(backups: Vec<backups::Backup>, retention: Retention) -> Result<Pruned> {
    let times: Vec<u64> = backups.iter().map(|backup| backup.created_at).collect();
    let mut pruned = Pruned { kept: 0, removed: 0 };
    for (backup, keep) in backups.into_iter().zip(retention.keeps(&times)) {
        if keep {
            pruned.kept += 1;
            continue;
        }
        match backups::remove(&backup.id).await {
            Ok(()) => info!("Removed an old backup of {}", backup.target; object_key = backup.object_key),
            // Somebody else was faster.
            Err(error) if error.code == ErrorCode::NotFound => {}
            Err(error) => return Err(error.context(format!("removing {}", backup.object_key))),
        }
        pruned.removed += 1;
    }
    Ok(pruned)
}

#[cfg(test)]
mod tests;
