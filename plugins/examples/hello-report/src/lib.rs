//! Stores a CSV report with the estimated row count of every table in the granted databases.
//!
//! Shows how to list databases, report progress, store an object, and return a result.

use atlashub_plugin_sdk::{databases, objects, prelude::*, progress};

/// The platform's bucket. Keys in this store must start with `backups/`.
const STORE: &str = "backups";

/// Parameters of the job `report`. Doc comments become descriptions in the dashboard's form.
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ReportParams {
    /// Key of the report. An existing object is replaced.
    #[serde(default = "default_key")]
    #[schemars(regex(pattern = r"^backups/.+\.csv$"))]
    key: String,
}

fn default_key() -> String {
    "backups/reports/tables.csv".to_owned()
}

/// Result of the job `report`. It is kept in the run history.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    key: String,
    databases: usize,
    tables: usize,
    size_bytes: u64,
}

async fn report(_run: Run, params: ReportParams) -> Result<Report> {
    let databases = databases::list().await?;
    let total = databases.len() as u64;
    let mut csv = String::from("database,title,schema,table,estimated_rows\n");
    let mut tables = 0;
    for (index, database) in databases.iter().enumerate() {
        progress::report(index as u64, Some(total), &format!("Reading {}", database.name));
        let listed = databases::tables(&database.name).await;
        for table in listed.map_err(|error| error.context(format!("listing the tables of {}", database.name)))? {
            let title = database.title.as_deref().unwrap_or_default();
            let fields = [&database.name, title, &table.schema, &table.name].map(csv_field);
            csv.push_str(&format!("{},{}\n", fields.join(","), table.estimated_rows));
            tables += 1;
        }
    }
    progress::report(total, Some(total), "Done");
    let object = objects::put_bytes(STORE, &params.key, "text/csv; charset=utf-8", csv.into_bytes()).await?;
    info!("Stored {}", params.key; databases = total, tables = tables);
    Ok(Report { key: params.key, databases: databases.len(), tables, size_bytes: object.size_bytes })
}

/// Quotes a field as RFC 4180 requires.
fn csv_field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// Describes the plugin. Increase the serial (the last argument of `new`) with every release.
pub fn plugin() -> Plugin {
    Plugin::new("hello-report", env!("CARGO_PKG_VERSION"), 1)
        .publisher("AtlasHub examples")
        .description("Stores a CSV report with the row count of every table.")
        .job("report", "Stores the report.", report)
        .capability(
            Capability::Databases,
            "To list the databases and their tables.",
            Scope { databases: vec!["*".to_owned()], ..Scope::default() },
        )
        .capability(
            Capability::Objects,
            "To store the report.",
            Scope { stores: vec![STORE.to_owned()], ..Scope::default() },
        )
}

atlashub_plugin_sdk::export!(plugin);

#[cfg(test)]
mod tests {
    use atlashub_plugin_sdk::testing::TestHost;

    use super::*;

    #[test]
    fn report_lists_tables_of_all_databases() {
        let host = TestHost::new(plugin())
            .database("platform", None, b"", &[])
            .table("platform", "projects", 2)
            .database("project:a", Some("Shop, \"new\""), b"", &[])
            .table("project:a", "items", 10)
            .table("project:a", "orders", 32);
        let result = host.run("report", json!({})).unwrap();
        assert_eq!((&result["databases"], &result["tables"]), (&json!(2), &json!(3)));
        let csv = host.object_bytes("backups", "backups/reports/tables.csv").unwrap();
        assert_eq!(
            String::from_utf8(csv).unwrap(),
            "database,title,schema,table,estimated_rows\n\
             platform,,public,projects,2\n\
             project:a,\"Shop, \"\"new\"\"\",public,items,10\n\
             project:a,\"Shop, \"\"new\"\"\",public,orders,32\n"
        );
    }

    #[test]
    fn unreachable_database_fails_run_and_stores_nothing() {
        let host = TestHost::new(plugin()).database("project:a", None, b"", &[]).fail_next(
            "databases.tables",
            "project:a",
            Error::unavailable("the connection was refused"),
        );
        let error = host.run("report", json!({})).unwrap_err();
        assert!(error.is_transient());
        assert_eq!(error.message, "listing the tables of project:a: the connection was refused");
        assert!(host.object_keys("backups").is_empty());
    }
}
