//! The job `import`.

use atlashub_plugin_sdk::{
    count, objects,
    prelude::*,
    progress,
    transfers::{self, ImportFile, ImportResult, LoadMethod},
};

use crate::watch::watch;

/// The store for uploaded files.
pub(crate) const STORE: &str = "imports";

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ImportParams {
    /// Id of the import.
    #[schemars(length(equal = 36))]
    import: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Imported {
    dry_run: bool,
    rows_read: u64,
    rows_inserted: u64,
    rows_updated: u64,
    rows_skipped: u64,
    error_count: u64,
}

/// Runs the job `import`. If a step fails, nothing was imported.
pub(crate) async fn import(_run: Run, params: ImportParams) -> Result<Imported> {
    let file = transfers::open_import(&params.import).await?;
    let result = load(&params.import, &file).await?;
    progress::report(file.size_bytes, Some(file.size_bytes), "Done");
    let ImportResult { dry_run, rows_read, rows_inserted, rows_updated, rows_skipped, error_count } = result;
    let inserted = count(rows_inserted, "row", "rows");
    if dry_run {
        info!(
            "Dry run: {inserted} would be inserted and {rows_updated} updated";
            rows_skipped = rows_skipped,
        );
    } else {
        info!("Inserted {inserted} and updated {rows_updated}"; rows_skipped = rows_skipped);
        // The rows are in the table, so the file is no longer needed.
        if let Err(error) = objects::delete(STORE, &file.object_key).await {
            warn!("Could not remove {}: {error}", file.object_key);
        }
    }
    Ok(Imported { dry_run, rows_read, rows_inserted, rows_updated, rows_skipped, error_count })
}

/// Loads the file, with the direct method if the host offers it. That method does not report a row that Postgres
/// refuses. So in this case, the file is loaded again with its rows staged.
async fn load(id: &str, file: &ImportFile) -> Result<ImportResult> {
    if file.direct {
        let body = objects::get(STORE, &file.object_key).await?.body;
        if let Some(result) = watch("Importing", transfers::load_import(id, body, LoadMethod::Direct)).await? {
            return Ok(result);
        }
        info!("The file can't be loaded directly; staging its rows to find the reason");
    }
    let body = objects::get(STORE, &file.object_key).await?.body;
    let result = watch("Importing", transfers::load_import(id, body, LoadMethod::Staged)).await?;
    result.ok_or_else(|| Error::failed("the host did not load the file"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use atlashub_plugin_sdk::testing::TestHost;

    const ID: &str = "0198c0de-0000-7000-8000-000000000002";

    fn check(direct: Option<bool>, methods: &[LoadMethod]) {
        let host = TestHost::new(crate::plugin()).import(ID, b"1\n2\n", direct);
        let imported = host.run("import", json!({ "import": ID })).unwrap();
        assert_eq!((&imported["rowsRead"], &imported["rowsInserted"]), (&json!(2), &json!(2)));
        let expected: Vec<_> = methods.iter().map(|method| (ID.to_owned(), *method)).collect();
        assert_eq!(host.loads(), expected);
        assert!(host.object_bytes(STORE, &format!("imports/{ID}")).is_none());
        assert!(host.log().iter().any(|line| line.message == "Inserted 2 rows and updated 0"), "{:?}", host.log());
    }

    #[test]
    fn file_is_staged_if_it_cannot_be_loaded_directly() {
        check(Some(true), &[LoadMethod::Direct]);
        check(Some(false), &[LoadMethod::Direct, LoadMethod::Staged]);
        check(None, &[LoadMethod::Staged]);
    }

    #[test]
    fn file_of_a_failed_import_is_kept() {
        let host = TestHost::new(crate::plugin()).import(ID, b"1\n", None).fail_next(
            "transfers.load-import",
            ID,
            Error::failed("line 1: no"),
        );
        assert_eq!(host.run("import", json!({ "import": ID })).unwrap_err().message, "line 1: no");
        assert!(host.object_bytes(STORE, &format!("imports/{ID}")).is_some());
    }
}
