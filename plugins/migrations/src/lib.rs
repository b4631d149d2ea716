//! Lists and applies the migrations of the platform database, with the same code as `atlashub migrate`.

use atlashub_plugin_sdk::{count, migrations, prelude::*};

/// The parameters of both jobs: none.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NoParams {}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Migration {
    version: u64,
    name: String,
    applied: bool,
    /// Milliseconds since 1970-01-01 UTC. Null if the migration has not been applied.
    applied_at: Option<u64>,
}

impl From<migrations::Migration> for Migration {
    fn from(migration: migrations::Migration) -> Self {
        let migrations::Migration { version, name, applied, applied_at } = migration;
        Self { version, name, applied, applied_at }
    }
}

#[derive(Serialize)]
struct Status {
    applied: usize,
    pending: usize,
    migrations: Vec<Migration>,
}

#[derive(Serialize)]
struct Applied {
    applied: Vec<Migration>,
}

async fn status(_run: Run, _params: NoParams) -> Result<Status> {
    let migrations: Vec<Migration> = migrations::status().await?.into_iter().map(Migration::from).collect();
    let pending = migrations.iter().filter(|migration| !migration.applied).count();
    info!("{}, {pending} pending", count(migrations.len(), "migration", "migrations"));
    Ok(Status { applied: migrations.len() - pending, pending, migrations })
}

async fn apply(_run: Run, _params: NoParams) -> Result<Applied> {
    let applied: Vec<Migration> = migrations::apply().await?.into_iter().map(Migration::from).collect();
    for migration in &applied {
        info!("Applied {}", migration.name; version = migration.version);
    }
    if applied.is_empty() {
        info!("No migration was pending");
    }
    Ok(Applied { applied })
}

/// Describes the plugin.
pub fn plugin() -> Plugin {
    Plugin::new("migrations", env!("CARGO_PKG_VERSION"), 1)
        .publisher("AtlasHub")
        .description("Lists and applies the migrations of the platform database.")
        .job("status", "Lists all migrations and whether they have been applied.", status)
        .job("apply", "Applies the pending migrations.", apply)
        .capability(
            Capability::Migrations,
            "To list and apply the migrations of the platform database.",
            Scope::default(),
        )
        // Concurrent runs wait for each other in Postgres.
        .limits(Limits { memory_mib: 16, cpu_seconds: 10, host_call_mib: 4, concurrent_runs: 32, ..Limits::default() })
}

atlashub_plugin_sdk::export!(plugin);

#[cfg(test)]
mod tests {
    use super::*;
    use atlashub_plugin_sdk::testing::TestHost;

    fn host() -> TestHost {
        TestHost::new(plugin()).migration(1, "create_projects", true).migration(2, "create_jobs", false)
    }

    #[test]
    fn pending_migrations_are_listed_and_applied_once() {
        let host = host();
        assert_eq!(host.run("status", json!({})).unwrap()["pending"], 1);
        let applied = host.run("apply", json!({})).unwrap();
        assert_eq!(applied["applied"][0]["name"], "create_jobs");
        assert_eq!(host.run("apply", json!({})).unwrap(), json!({"applied": []}));
        assert_eq!(host.run("status", json!({})).unwrap()["pending"], 0);
    }

    #[test]
    fn number_of_migrations_is_logged() {
        for (host, expected) in [
            (host(), "2 migrations, 1 pending"),
            (TestHost::new(plugin()).migration(1, "create_projects", true), "1 migration, 0 pending"),
        ] {
            host.run("status", json!({})).unwrap();
            assert_eq!(host.log()[0].message, expected);
        }
    }

    #[test]
    fn failing_migration_fails_run() {
        let host = host().fail_next("migrations.apply", "", Error::failed("0002 failed"));
        assert_eq!(host.run("apply", json!({})).unwrap_err().message, "0002 failed");
    }
}
