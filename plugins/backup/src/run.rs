//! The jobs `backup` and `prune`.

use std::collections::BTreeSet;

use atlashub_plugin_sdk::{backups, databases, prelude::*, progress};

use crate::{
    backup::{self, Backup, Content},
    retention::Retention,
};

/// The target that stands for every database.
const ALL: &str = "all";
/// The platform's database, which has no objects.
const PLATFORM: &str = "platform";

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct BackupParams {
    /// `platform`, `project:<id>` or `all`.
    #[schemars(regex(pattern = r"^(all|platform|project:[a-z0-9]+)$"))]
    target: String,
    /// Rules for the backups of each database that are kept after the new backup. A backup is kept if any rule keeps
    /// it. Without rules, all backups are kept.
    #[serde(default)]
    retention: Option<Retention>,
    /// Compression level from 0 (none) to 9 (smallest). The default is that of `pg_dump`.
    #[serde(default)]
    #[schemars(range(max = 9))]
    compression: Option<u8>,
    /// Whether the objects of projects are part of their backups. Contents that an earlier backup copied are not copied
    /// again.
    #[serde(default)]
    objects: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PruneParams {
    /// `platform`, `project:<id>` or `all`. `all` includes backups of deleted projects.
    #[schemars(regex(pattern = r"^(all|platform|project:[a-z0-9]+)$"))]
    target: String,
    /// Rules for the backups of each database that are kept.
    retention: Retention,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BackedUp {
    backups: Vec<Backup>,
    /// Number of old backups that the retention policy removed.
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

/// Runs the job `backup`. If a database fails, or its old backups can't be removed, the others are still backed up, and
/// the run fails at the end.
pub(crate) async fn backup(run: Run, params: BackupParams) -> Result<BackedUp> {
    if let Some(retention) = params.retention {
        retention.check()?;
    }
    if params.objects && params.target == PLATFORM {
        return Err(Error::invalid("`objects` is for projects: the platform has no objects"));
    }
    let targets = targets(&params.target).await?;
    let total = targets.len() as u64;
    let mut result = BackedUp { backups: Vec::new(), removed: 0, failed: Vec::new() };
    let mut errors = Vec::new();
    for (index, (target, title)) in targets.iter().enumerate() {
        progress::report(index as u64, Some(total), &format!("Backing up {}", title.as_deref().unwrap_or(target)));
        let backed_up = async {
            let content =
                if params.objects && target != PLATFORM { Content::WithObjects } else { Content::DatabaseOnly };
            let backup = backup::back_up(&run, target, title.as_deref(), params.compression, content).await?;
            result.backups.push(backup);
            if let Some(retention) = params.retention {
                let pruned = prune_target(target, retention).await;
                // The host lists the new backup, so the error must not say that there is none.
                let context = "the backup was made, but the retention policy could not be applied";
                result.removed += pruned.map_err(|error| error.context(context))?.removed;
            }
            Ok(())
        };
        let backed_up: Result<()> = backed_up.await;
        if let Err(error) = backed_up {
            error!("{target} failed: {error}");
            result.failed.push(Failed { target: target.clone(), error: error.message.clone() });
            errors.push(error);
        }
    }
    progress::report(total, Some(total), "Done");
    finish(result, errors, total)
}

/// Returns the result, or an error if any database failed. The error allows a retry if one of the failures does.
fn finish(result: BackedUp, mut errors: Vec<Error>, total: u64) -> Result<BackedUp> {
    if errors.is_empty() {
        return Ok(result);
    }
    let index = errors.iter().position(Error::allows_retry).unwrap_or(0);
    let mut error = errors.swap_remove(index);
    if total > 1 {
        let failed: Vec<&str> = result.failed.iter().map(|failed| failed.target.as_str()).collect();
        error = error.context(format!("{} of {total} databases failed ({})", failed.len(), failed.join(", ")));
    }
    Err(error.with_details(serde_json::to_value(&result)?))
}

/// Returns the names of the databases to back up, with the names of their projects.
async fn targets(target: &str) -> Result<Vec<(String, Option<String>)>> {
    let databases = databases::list().await?;
    let selected = databases.into_iter().filter(|database| target == ALL || database.name == target);
    let targets: Vec<_> = selected.map(|database| (database.name, database.title)).collect();
    if targets.is_empty() {
        return Err(Error::not_found(format!("there is no database `{target}`, or this plugin may not back it up")));
    }
    Ok(targets)
}

/// Runs the job `prune`.
pub(crate) async fn prune(_run: Run, params: PruneParams) -> Result<Pruned> {
    params.retention.check()?;
    if params.target != ALL {
        return prune_target(&params.target, params.retention).await;
    }
    // The list of all targets includes backups that failed their verification. The list of one target does not, so
    // that they never count as one of the backups to keep.
    let targets: BTreeSet<String> = backups::list(None).await?.into_iter().map(|backup| backup.target).collect();
    let mut pruned = Pruned { kept: 0, removed: 0 };
    for target in targets {
        let pruned_target = prune_target(&target, params.retention).await?;
        pruned.kept += pruned_target.kept;
        pruned.removed += pruned_target.removed;
    }
    Ok(pruned)
}

async fn prune_target(target: &str, retention: Retention) -> Result<Pruned> {
    prune_backups(backups::list(Some(target)).await?, retention).await
}

/// Removes the backups of one target that the retention policy does not keep.
async fn prune_backups(backups: Vec<backups::Backup>, retention: Retention) -> Result<Pruned> {
    let times: Vec<u64> = backups.iter().map(|backup| backup.created_at).collect();
    let mut pruned = Pruned { kept: 0, removed: 0 };
    for (backup, keep) in backups.into_iter().zip(retention.select(&times)) {
        if keep {
            pruned.kept += 1;
            continue;
        }
        match backups::remove(&backup.id).await {
            Ok(()) => {
                info!("Removed an old backup of {}", backup.target; object_key = backup.object_key);
                pruned.removed += 1;
            }
            // The backup was removed in the meantime.
            Err(error) if error.code == ErrorCode::NotFound => {}
            Err(error) => return Err(error.context(format!("removing {}", backup.object_key))),
        }
    }
    Ok(pruned)
}

#[cfg(test)]
mod tests;
