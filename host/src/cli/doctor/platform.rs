//! The platform's own data: tables up to date, sealed values that open, projects that are neither here nor gone.

use api_types::MigrationState;
use sqlx::PgConnection;

use super::report::Report;
use crate::{
    app::{self, Services},
    db::{self, migrations},
    projects,
    secrets::Sealer,
};

/// True where the platform's tables can be used.
pub(super) async fn check(services: &Services, connection: &mut PgConnection, report: &mut Report) -> bool {
    if !check_migrations(connection, report).await {
        return false;
    }
    let pool = match db::platform::connect(services.database_url.expose(), 1) {
        Ok(pool) => pool,
        Err(error) => {
            report.problem("platform database", format!("it can't be used ({error})."));
            return false;
        }
    };
    let sealer = Sealer::new(&services.master_key, services.previous_master_key.as_ref());
    match app::check_all_sealed(&pool, &sealer).await {
        Ok(0) => report.ok("master key", format!("{}; nothing is sealed yet", sealer.current_key())),
        Ok(opened) => report.ok("master key", format!("{} opens all {opened} sealed values", sealer.current_key())),
        Err(error) => report.problem(
            "master key",
            format!("{error}: put back the key that the values were sealed with; without it they are lost."),
        ),
    }
    match projects::unfinished_projects(&pool).await {
        Ok(unfinished) if unfinished.is_empty() => report.ok("projects", "none is half made or half removed"),
        Ok(unfinished) => {
            let list: Vec<String> = unfinished
                .iter()
                .map(|project| format!("{} ({:?})", project.name, project.state).to_lowercase())
                .collect();
            report.note(
                "projects",
                format!(
                    "{} — `serve` finishes these at its next start, unless it is at work on them now",
                    list.join(", ")
                ),
            );
        }
        Err(error) => report.problem("projects", format!("they can't be read ({error}).")),
    }
    pool.close().await;
    true
}

/// True where the platform's tables are all there.
async fn check_migrations(connection: &mut PgConnection, report: &mut Report) -> bool {
    let all = match migrations::status(connection).await {
        Ok(all) => all,
        Err(error) => {
            report.problem("migrations", format!("they can't be read ({error})."));
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
                "{} had another text when applied: start the version that applied them, or restore a backup.",
                names(MigrationState::Changed)
            ),
        );
    } else if pending > 0 {
        report
            .note("migrations", format!("{pending} to apply; `serve` does it at its start, or run `atlashub migrate`"));
    } else if in_state(MigrationState::Unknown).next().is_some() {
        report.note(
            "migrations",
            format!("{} came from a newer version: upgrade this one soon", names(MigrationState::Unknown)),
        );
    } else {
        report.ok("migrations", format!("all {} applied", all.len()));
    }
    pending == 0
}
