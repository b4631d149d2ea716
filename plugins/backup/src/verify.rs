//! The job `verify`, which checks that backups can be restored.

use std::collections::BTreeSet;

use atlashub_plugin_sdk::{
    backups::{self, TableDifference},
    count,
    prelude::*,
    progress,
};

/// The target that stands for every database that has a backup.
const ALL: &str = "all";

/// Maximum number of tables named in an error message.
const MAX_NAMED_TABLES: usize = 10;

/// The backups to verify. Exactly one of the two fields must be set.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct VerifyParams {
    /// Id of the backup to verify.
    #[serde(default)]
    backup: Option<String>,
    /// `platform`, `project:<id>` or `all`, to verify the newest backup of each target. `all` includes backups of
    /// deleted projects.
    #[serde(default)]
    #[schemars(regex(pattern = r"^(all|platform|project:[a-z0-9]+)$"))]
    target: Option<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct VerifiedAll {
    verified: Vec<Verified>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failed: Vec<Failed>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Verified {
    id: String,
    target: String,
    tables: u32,
    rows: u64,
    size_bytes: u64,
    duration_ms: u64,
}

#[derive(Debug, Serialize)]
struct Failed {
    id: String,
    target: String,
    error: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    differences: Vec<Difference>,
}

/// A table whose row count differs from the manifest. A count is null if the table does not exist.
#[derive(Debug, Serialize)]
struct Difference {
    schema: String,
    table: String,
    expected: Option<u64>,
    found: Option<u64>,
}

/// Runs the job `verify`. If a backup fails, the others are still verified, and the run fails at the end.
pub(crate) async fn verify(_run: Run, params: VerifyParams) -> Result<VerifiedAll> {
    let selected = match (params.backup, params.target) {
        (Some(id), None) => vec![find_backup(&id).await?],
        (None, Some(target)) => newest_backups(&target).await?,
        _ => return Err(Error::invalid("set exactly one of `backup` and `target`")),
    };
    let total = selected.len() as u64;
    let mut result = VerifiedAll { verified: Vec::new(), failed: Vec::new() };
    let mut errors = Vec::new();
    for (index, backup) in selected.into_iter().enumerate() {
        progress::report(index as u64, Some(total), &format!("Verifying the backup of {}", backup.target));
        let (error, differences) = match backups::verify(&backup.id).await {
            Ok(verification) if verification.differences.is_empty() => {
                info!(
                    "Verified the backup of {}", backup.target;
                    tables = verification.tables,
                    rows = verification.rows,
                    duration_ms = verification.duration_ms,
                );
                result.verified.push(Verified {
                    id: backup.id,
                    target: backup.target,
                    tables: verification.tables,
                    rows: verification.rows,
                    size_bytes: verification.size_bytes,
                    duration_ms: verification.duration_ms,
                });
                continue;
            }
            Ok(verification) => (difference_error(&verification.differences), verification.differences),
            Err(error) => (error, Vec::new()),
        };
        error!("Could not verify the backup of {}: {error}", backup.target; backup = backup.id);
        let difference =
            |TableDifference { schema, table, expected, found }| Difference { schema, table, expected, found };
        result.failed.push(Failed {
            id: backup.id,
            target: backup.target,
            error: error.message.clone(),
            differences: differences.into_iter().map(difference).collect(),
        });
        errors.push(error);
    }
    progress::report(total, Some(total), "Done");
    finish(result, errors, total)
}

/// Returns the result, or an error if any backup failed. The error allows a retry if one of the failures does.
fn finish(result: VerifiedAll, mut errors: Vec<Error>, total: u64) -> Result<VerifiedAll> {
    if errors.is_empty() {
        return Ok(result);
    }
    let index = errors.iter().position(Error::allows_retry).unwrap_or(0);
    let mut error = errors.swap_remove(index);
    let failed: Vec<&str> = result.failed.iter().map(|failed| failed.target.as_str()).collect();
    error = match total {
        1 => error.context(format!("could not verify the backup of {}", failed.join(", "))),
        _ => error.context(format!("could not verify {} of {total} backups ({})", failed.len(), failed.join(", "))),
    };
    Err(error.with_details(serde_json::to_value(&result)?))
}

fn difference_error(differences: &[TableDifference]) -> Error {
    let rows = |rows: Option<u64>| rows.map_or_else(|| "no table".to_owned(), |rows| count(rows, "row", "rows"));
    let named: Vec<String> = differences
        .iter()
        .take(MAX_NAMED_TABLES)
        .map(|difference| {
            let TableDifference { schema, table, expected, found } = difference;
            format!("{schema}.{table}: {} expected, {} found", rows(*expected), rows(*found))
        })
        .collect();
    let more = differences.len() - named.len();
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    let tables = count(differences.len(), "table differs", "tables differ");
    Error::failed(format!("{tables} from the manifest: {}{more}", named.join("; ")))
}

async fn find_backup(id: &str) -> Result<backups::Backup> {
    let backup = backups::list(None).await?.into_iter().find(|backup| backup.id == id);
    backup.ok_or_else(|| Error::not_found(format!("there is no backup `{id}` in storage")))
}

/// Returns the newest backup of each selected target.
async fn newest_backups(target: &str) -> Result<Vec<backups::Backup>> {
    // The list of one target leaves out backups whose last verification failed. With that list, a retry would verify an
    // older backup and succeed.
    let mut listed = backups::list(None).await?;
    listed.retain(|backup| target == ALL || backup.target == target);
    let mut seen = BTreeSet::new();
    let newest: Vec<_> = listed.into_iter().filter(|backup| seen.insert(backup.target.clone())).collect();
    if newest.is_empty() {
        if target != ALL {
            // Fails if the grant does not cover the target.
            backups::list(Some(target)).await?;
        }
        return Err(Error::not_found(format!("there is no backup of `{target}`")));
    }
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use atlashub_plugin_sdk::testing::TestHost;

    use super::*;

    const NOW: u64 = 1_767_323_045_000;

    fn host() -> TestHost {
        TestHost::new(crate::plugin()).backup("old", "platform", NOW - 2).backup("new", "platform", NOW - 1).backup(
            "shop",
            "project:a",
            NOW - 3,
        )
    }

    #[test]
    fn verify_checks_newest_backup_of_each_target_or_one_by_id() {
        let all = host().run("verify", json!({"target": "all"})).unwrap();
        let ids: Vec<_> = all["verified"].as_array().unwrap().iter().map(|verified| verified["id"].clone()).collect();
        assert_eq!(ids, ["new", "shop"]);
        let one = host().run("verify", json!({"backup": "old"})).unwrap();
        assert_eq!(one["verified"][0]["target"], "platform");
    }

    #[test]
    fn target_is_listed_by_itself_only_if_it_has_no_backup() {
        let fail = |target| host().fail_next("backups.list", target, Error::new(ErrorCode::Denied, "not granted"));
        let verified = fail("platform").run("verify", json!({"target": "platform"})).unwrap();
        assert_eq!(verified["verified"][0]["id"], "new");
        let error = fail("project:b").run("verify", json!({"target": "project:b"})).unwrap_err();
        assert_eq!(error.code, ErrorCode::Denied);
    }

    #[test]
    fn differing_backup_fails_run_after_verifying_the_others() {
        let host = host().difference("new", "items", Some(3), Some(2)).difference("new", "gone", Some(0), None);
        let error = host.run("verify", json!({"target": "all"})).unwrap_err();
        assert!(error.message.contains("1 of 2") && error.message.contains("platform"), "{}", error.message);
        assert!(error.message.contains("public.items: 3 rows expected, 2 rows found"), "{}", error.message);
        assert!(error.message.contains("public.gone: 0 rows expected, no table found"), "{}", error.message);
        assert!(error.message.contains("2 tables differ from"), "{}", error.message);
        assert!(!error.is_transient());
        let details = error.details.unwrap();
        assert_eq!(details["verified"][0]["id"], "shop");
        assert_eq!(details["failed"][0]["differences"][0]["table"], "items");
    }

    #[test]
    fn one_table_and_one_row_are_named_in_the_singular() {
        let host = host().difference("new", "items", Some(1), None);
        let error = host.run("verify", json!({"backup": "new"})).unwrap_err();
        let expected = "1 table differs from the manifest: public.items: 1 row expected, no table found";
        assert!(error.message.contains(expected), "{}", error.message);
    }

    #[test]
    fn run_is_retried_if_any_failed_backup_can_be_verified_later() {
        let host = host().fail_next("backups.verify", "new", Error::not_found("the backup was removed")).fail_next(
            "backups.verify",
            "shop",
            Error::failed("pg_restore failed"),
        );
        let error = host.run("verify", json!({"target": "all"})).unwrap_err();
        assert_eq!(error.code, ErrorCode::Failed, "{error}");
    }

    #[test]
    fn transient_failure_is_retryable_and_unknown_backup_is_not_found() {
        let error = host()
            .fail_next("backups.verify", "shop", Error::unavailable("no answer"))
            .run("verify", json!({"target": "all"}))
            .unwrap_err();
        assert!(error.is_transient());
        for params in [json!({"backup": "none"}), json!({"target": "project:b"})] {
            assert_eq!(host().run("verify", params).unwrap_err().code, ErrorCode::NotFound);
        }
        for params in [json!({}), json!({"backup": "new", "target": "all"})] {
            assert_eq!(host().run("verify", params).unwrap_err().code, ErrorCode::Invalid);
        }
    }
}
