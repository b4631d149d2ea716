//! Checks the platform database: migrations, sealed values, projects that are partly created or removed, and the
//! databases of projects.

use api_types::MigrationState;
use sqlx::PgConnection;

use super::report::Report;
use crate::{
    app::{self, Services},
    backups,
    db::{self, migrations},
    projects::{self, DatabaseDifferences},
    secrets::Sealer,
};

/// Reports the state of the platform database. Returns whether its tables can be used.
pub(super) async fn check(services: &Services, connection: &mut PgConnection, report: &mut Report) -> bool {
    if !check_migrations(connection, report).await {
        return false;
    }
    let pool = match db::platform::connect(services.database_url.expose(), 1) {
        Ok(pool) => pool,
        Err(error) => {
            report.problem("platform database", format!("can't connect ({error})."));
            return false;
        }
    };
    let sealer = Sealer::new(&services.master_key, services.previous_master_key.as_ref());
    match app::check_all_sealed(&pool, &sealer).await {
        Ok(0) => report.ok("master key", format!("{}; no value is encrypted yet", sealer.current_key())),
        Ok(opened) => {
            report.ok("master key", format!("{} decrypts all {opened} encrypted values", sealer.current_key()));
        }
        Err(error) => report.problem(
            "master key",
            format!("{error}: restore the master key that encrypted the values; without it they are lost."),
        ),
    }
    match projects::unfinished_projects(&pool).await {
        Ok(unfinished) if unfinished.is_empty() => report.ok("projects", "none is partly created or removed"),
        Ok(unfinished) => {
            let list: Vec<String> = unfinished
                .iter()
                .map(|project| format!("{} ({:?})", project.name, project.state).to_lowercase())
                .collect();
            report.note(
                "projects",
                format!(
                    "{}: `serve` removes these unless it is working on them; if no server is running, start one",
                    list.join(", ")
                ),
            );
        }
        Err(error) => report.problem("projects", format!("can't read them ({error}).")),
    }
    match projects::compare_databases(&pool).await {
        Ok(differences) => report_databases(&differences, report),
        Err(error) => report.problem("project databases", format!("can't list them ({error}).")),
    }
    match backups::unlisted_databases(&pool).await {
        Ok(names) if names.is_empty() => {}
        Ok(names) => report.note(
            "project databases",
            format!(
                "{}: kept when a project was restored, but listed nowhere, because the platform database was restored \
                 since; when you no longer need them, remove them with DROP DATABASE",
                names.join(", ")
            ),
        ),
        Err(error) => report.problem("project databases", format!("can't list those that were kept ({error}).")),
    }
    pool.close().await;
    true
}

fn report_databases(differences: &DatabaseDifferences, report: &mut Report) {
    for (id, name) in &differences.missing {
        report.problem(
            "project databases",
            format!("project {id} ({name}) has no database: stop the servers and run `atlashub restore project {id}`."),
        );
    }
    if differences.missing.is_empty() {
        report.ok("project databases", "every project has one");
    }
    if !differences.unknown.is_empty() {
        let names = differences.unknown.join(", ");
        report.note("project databases", format!("no project of this installation has these: {names}"));
    }
}

/// Reports the state of the migrations. Returns whether none is pending.
async fn check_migrations(connection: &mut PgConnection, report: &mut Report) -> bool {
    let all = match migrations::status(connection).await {
        Ok(all) => all,
        Err(error) => {
            report.problem("migrations", format!("can't read their state ({error})."));
            return false;
        }
    };
    let in_state = |state| all.iter().filter(move |migration| migration.state == state);
    let names = |state| in_state(state).map(|migration| migration.version.to_string()).collect::<Vec<_>>().join(", ");
    let pending = in_state(MigrationState::Pending).count();
    if in_state(MigrationState::Changed).next().is_some() {
        report.problem(
            "migrations",
            format!(
                "applied with different SQL: number {}. Start the version that applied this SQL, or restore a backup.",
                names(MigrationState::Changed)
            ),
        );
    } else if pending > 0 {
        report
            .note("migrations", format!("{pending} pending; `serve` applies them at start, or run `atlashub migrate`"));
    } else if in_state(MigrationState::Unknown).next().is_some() {
        report.note(
            "migrations",
            format!("applied by a newer version: number {}; upgrade this one soon", names(MigrationState::Unknown)),
        );
    } else {
        report.ok("migrations", format!("all {} applied", all.len()));
    }
    pending == 0
}
