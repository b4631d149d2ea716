//! Checks the Postgres server: version, privileges of the platform's role, connection limit, and access to the shared
//! databases. Also removes settings that a project's SQL stored for the project's roles.

use sqlx::{PgConnection, Row};

use super::report::Report;
use crate::{app::other_connections, config::Config, db::server};

/// Minimum value of `ATLASHUB_PROJECT_CONNECTIONS`.
const MIN_PROJECT_CONNECTIONS: usize = 5;

/// The pattern of the names of projects' roles.
macro_rules! project_roles {
    () => {
        "^proj_[a-z][a-z0-9]{7,23}_(owner|app|anon|user|backup|auth|query)$"
    };
}

/// Reports the state of the server. Returns its major version, if it could be read.
pub(super) async fn check(connection: &mut PgConnection, config: &Config, report: &mut Report) -> Option<u32> {
    let major = match server::major(connection).await {
        Ok(major) => major,
        Err(error) => {
            report.problem("postgres", format!("can't read its version ({error}): see the server's log."));
            return None;
        }
    };
    report.ok("postgres", format!("version {major} responds"));
    if let Err(error) = check_role(connection, major, report).await {
        report.problem("postgres role", format!("can't read its attributes ({error})."));
    }
    if let Err(error) = check_connections(connection, config, report).await {
        report.problem("postgres connections", format!("can't read the settings ({error})."));
    }
    if let Err(error) = remove_stored_settings(connection, report).await {
        report.problem("project roles", format!("can't remove the settings that are stored for them ({error})."));
    }
    if let Err(error) = check_shared_databases(connection, report).await {
        report.problem("postgres databases", format!("can't read their privileges ({error})."));
    }
    Some(major)
}

async fn check_role(connection: &mut PgConnection, major: u32, report: &mut Report) -> Result<(), sqlx::Error> {
    let row = sqlx::query(
        "SELECT quote_ident(rolname) AS role, rolsuper, rolcreatedb, rolcreaterole, rolbypassrls
         FROM pg_roles WHERE rolname = current_user",
    )
    .fetch_one(connection)
    .await?;
    let role: String = row.try_get("role")?;
    if row.try_get("rolsuper")? {
        report.ok("postgres role", format!("{role} is a superuser"));
        return Ok(());
    }
    let attributes = [
        ("CREATEDB", row.try_get("rolcreatedb")?),
        ("CREATEROLE", row.try_get("rolcreaterole")?),
        ("BYPASSRLS", row.try_get("rolbypassrls")?),
    ];
    match missing_attributes(major, attributes) {
        None => report.ok("postgres role", format!("{role} has CREATEDB, CREATEROLE and BYPASSRLS")),
        Some(missing) => report.problem(
            "postgres role",
            format!(
                "{role} can't create projects on Postgres {major}: run `ALTER ROLE {role} {missing}` as a superuser."
            ),
        ),
    }
    Ok(())
}

/// Returns the attributes to add to a role that is not a superuser. Before Postgres 16, CREATEROLE isn't enough to set
/// up a project's roles.
fn missing_attributes(major: u32, attributes: [(&'static str, bool); 3]) -> Option<String> {
    if major < 16 {
        return Some("SUPERUSER".to_owned());
    }
    let missing: Vec<_> = attributes.into_iter().filter(|(_, has)| !has).map(|(attribute, _)| attribute).collect();
    (!missing.is_empty()).then(|| missing.join(" "))
}

async fn check_connections(
    connection: &mut PgConnection,
    config: &Config,
    report: &mut Report,
) -> Result<(), sqlx::Error> {
    // `reserved_connections` exists since Postgres 16.
    let row = sqlx::query(
        "SELECT current_setting('max_connections')::int AS max,
                current_setting('superuser_reserved_connections')::int
                    + coalesce(current_setting('reserved_connections', true), '0')::int AS reserved",
    )
    .fetch_one(connection)
    .await?;
    let (max, reserved): (i32, i32) = (row.try_get("max")?, row.try_get("reserved")?);
    let (max, reserved) = (max.unsigned_abs() as usize, reserved.unsigned_abs() as usize);
    let projects = config.limits.project_connections;
    match connections_problem(max, reserved, projects, other_connections(config)) {
        None => report.ok("postgres connections", format!("up to {max}, of which {projects} for projects")),
        Some(problem) => report.problem("postgres connections", problem),
    }
    Ok(())
}

/// Returns the problem if Postgres allows fewer connections than one process can need that runs jobs.
fn connections_problem(max: usize, reserved: usize, projects: usize, others: usize) -> Option<String> {
    let needed = projects + others + reserved;
    if needed <= max {
        return None;
    }
    let lower = match max.saturating_sub(others + reserved) {
        0..MIN_PROJECT_CONNECTIONS => String::new(),
        lower => format!(", or ATLASHUB_PROJECT_CONNECTIONS to {lower} or less"),
    };
    Some(format!(
        "max_connections is {max}, but a process that runs jobs can need {needed}: {projects} for projects \
         (ATLASHUB_PROJECT_CONNECTIONS), {others} for the platform, jobs and plugins, and {reserved} that Postgres \
         reserves: set max_connections to {needed} or more{lower}. Each further process needs connections of its own."
    ))
}

/// Checks that projects' roles can't connect to the databases that they share with the platform. `serve` revokes this
/// access at its start, if the platform's role may. Until a project exists, access does no harm.
async fn check_shared_databases(connection: &mut PgConnection, report: &mut Report) -> Result<(), sqlx::Error> {
    let open: Vec<(String, bool)> = sqlx::query_as(
        "SELECT quote_ident(datname), pg_has_role(current_user, datdba, 'USAGE') FROM pg_database
         WHERE (datname = current_database() OR datname IN ('postgres', 'template1'))
           AND datallowconn AND has_database_privilege('public', oid, 'CONNECT')
         ORDER BY datname",
    )
    .fetch_all(&mut *connection)
    .await?;
    if open.is_empty() {
        report
            .ok("postgres databases", "projects' roles can't connect to the platform database, postgres or template1");
        return Ok(());
    }
    let has_projects: bool =
        sqlx::query_scalar(concat!("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname ~ '", project_roles!(), "')"))
            .fetch_one(connection)
            .await?;
    let may_revoke = open.iter().all(|(_, may_revoke)| *may_revoke);
    let open = open.into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(", ");
    let revoke = format!("`REVOKE CONNECT ON DATABASE {open} FROM PUBLIC`");
    match (may_revoke, has_projects) {
        (true, false) => report.note(
            "postgres databases",
            format!("every role of the server may connect to {open}; `serve` runs {revoke} at its next start"),
        ),
        (true, true) => report.problem(
            "postgres databases",
            format!(
                "every role of the server, including projects' roles, may connect to {open}: start `serve` again, \
                 which runs {revoke}, or run it yourself."
            ),
        ),
        (false, _) => report.problem(
            "postgres databases",
            format!(
                "every role of the server, including projects' roles, may connect to {open}: run {revoke} as a \
                 superuser."
            ),
        ),
    }
    Ok(())
}

/// Removes the settings that projects' SQL stored for the projects' roles (`ALTER ROLE … SET`). `serve` removes them
/// too, when it connects as one of these roles.
async fn remove_stored_settings(connection: &mut PgConnection, report: &mut Report) -> Result<(), sqlx::Error> {
    let stored: Vec<(String, Option<String>, String)> = sqlx::query_as(concat!(
        "SELECT quote_ident(rolname), quote_ident(datname),
                (SELECT string_agg(split_part(setting, '=', 1), ', ') FROM unnest(setconfig) AS setting)
         FROM pg_db_role_setting JOIN pg_roles ON pg_roles.oid = setrole
              LEFT JOIN pg_database ON pg_database.oid = setdatabase
         WHERE rolname ~ '",
        project_roles!(),
        "' ORDER BY 1, 2"
    ))
    .fetch_all(&mut *connection)
    .await?;
    if stored.is_empty() {
        report.ok("project roles", "none has settings of its own");
    }
    for (role, database, settings) in stored {
        let scope = database.map(|database| format!("IN DATABASE {database} ")).unwrap_or_default();
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("ALTER ROLE {role} {scope}RESET ALL")))
            .execute(&mut *connection)
            .await?;
        report.note("project roles", format!("removed settings that a project stored for {role}: {settings}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_connections_are_a_problem_with_a_remedy() {
        let check = |max, projects, expected: Option<&str>| {
            let problem = connections_problem(max, 3, projects, 49);
            match expected {
                None => assert_eq!(problem, None, "{max} {projects}"),
                Some(expected) => assert!(problem.as_ref().is_some_and(|text| text.contains(expected)), "{problem:?}"),
            }
        };
        check(132, 80, None);
        check(131, 80, Some("set max_connections to 132 or more, or ATLASHUB_PROJECT_CONNECTIONS to 79 or less."));
        check(100, 80, Some("set max_connections to 132 or more, or ATLASHUB_PROJECT_CONNECTIONS to 48 or less."));
        // With fewer than five connections for projects, the configuration would be invalid.
        check(56, 5, Some("set max_connections to 57 or more. Each"));
    }

    #[test]
    fn missing_attributes_depend_on_the_server_version() {
        let check = |major, attributes: [bool; 3], expected: Option<&str>| {
            let [createdb, createrole, bypassrls] = attributes;
            let attributes = [("CREATEDB", createdb), ("CREATEROLE", createrole), ("BYPASSRLS", bypassrls)];
            assert_eq!(missing_attributes(major, attributes).as_deref(), expected, "{major} {attributes:?}");
        };
        check(15, [true, true, true], Some("SUPERUSER"));
        check(16, [true, true, true], None);
        check(17, [true, false, false], Some("CREATEROLE BYPASSRLS"));
    }
}
