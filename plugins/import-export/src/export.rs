//! The job `export`.

use atlashub_plugin_sdk::{
    count, objects,
    prelude::*,
    progress,
    transfers::{self, StoredExport},
};

use crate::watch::watch;

/// The store for the files of exports.
pub(crate) const STORE: &str = "exports";

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct ExportParams {
    /// Id of the export.
    #[schemars(length(equal = 36))]
    export: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Exported {
    size_bytes: u64,
    sha256: String,
    row_count: u64,
}

/// Runs the job `export`. If a step fails, the file is not stored, or is removed if possible.
pub(crate) async fn export(_run: Run, params: ExportParams) -> Result<Exported> {
    let export = transfers::open_export(&params.export).await?;
    let key = export.file.object_key;
    let upload = watch("Exporting", objects::put(STORE, &key, &export.file.content_type, export.content)).await?;
    // The end of the stream alone does not mean that the content is complete.
    let info = export.outcome.wait().await?;
    let object = upload.commit().await?;
    let exported = Exported {
        size_bytes: object.size_bytes,
        sha256: object.sha256.ok_or_else(|| Error::failed("the store returned no hash of the file"))?,
        row_count: info.row_count,
    };
    let stored = StoredExport {
        size_bytes: exported.size_bytes,
        sha256: exported.sha256.clone(),
        row_count: exported.row_count,
    };
    if let Err(error) = transfers::record_export(&params.export, stored).await {
        // Otherwise the file would stay until a sweep removes it.
        if let Err(error) = objects::delete(STORE, &key).await {
            warn!("Could not remove {key}: {error}");
        }
        return Err(error);
    }
    progress::report(info.row_count, Some(info.row_count), "Done");
    info!("Exported {}", count(info.row_count, "row", "rows"); bytes = exported.size_bytes);
    Ok(exported)
}

#[cfg(test)]
mod tests {
    use super::*;
    use atlashub_plugin_sdk::testing::TestHost;

    const ID: &str = "0198c0de-0000-7000-8000-000000000001";

    fn host() -> TestHost {
        TestHost::new(crate::plugin()).export(ID, b"id\n1\n")
    }

    #[test]
    fn export_is_stored_and_recorded() {
        let host = host();
        let exported = host.run("export", json!({ "export": ID })).unwrap();
        assert_eq!((&exported["sizeBytes"], &exported["rowCount"]), (&json!(5), &json!(1)));
        let stored = host.stored_exports();
        assert_eq!((stored[0].0.as_str(), stored[0].1.size_bytes, stored[0].1.row_count), (ID, 5, 1));
        assert!(host.object_bytes(STORE, &format!("exports/{ID}.csv")).is_some());
        assert!(host.log().iter().any(|line| line.message == "Exported 1 row"), "{:?}", host.log());
    }

    #[test]
    fn incomplete_content_is_not_stored() {
        let host = host().fail_next("transfers.export.outcome", ID, Error::failed("division by zero"));
        let error = host.run("export", json!({ "export": ID })).unwrap_err();
        assert_eq!(error.message, "division by zero");
        assert!(host.stored_exports().is_empty());
        assert!(host.object_bytes(STORE, &format!("exports/{ID}.csv")).is_none());
    }

    #[test]
    fn file_that_is_not_recorded_is_removed() {
        let host = host().fail_next("transfers.record-export", ID, Error::new(ErrorCode::Conflict, "no lease"));
        assert_eq!(host.run("export", json!({ "export": ID })).unwrap_err().code, ErrorCode::Conflict);
        assert!(host.object_bytes(STORE, &format!("exports/{ID}.csv")).is_none());
    }
}
