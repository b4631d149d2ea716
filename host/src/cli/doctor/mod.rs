//! `atlashub doctor`: checks the installation. Prints one line per check, with a remedy for each problem that has a
//! known one.

mod platform;
mod plugins;
mod postgres;
mod programs;
mod report;
mod secrets;
mod storage;

use std::{process::ExitCode, time::Duration};

use super::{
    error::CommandError,
    logging,
    services::{RunningServices, check_keys},
};
use crate::{
    config::{Config, DatabaseConfig, Role, UnknownVariable, Vars},
    db::server,
};
use report::Report;

const POSTGRES_TIMEOUT: Duration = Duration::from_secs(5);

/// Check configuration, Postgres, object store, keys and plugins
///
/// Prints one line per check to stdout, with a remedy for each problem that has a known one. Exits with 1 if there is a
/// problem.
///
/// In embedded mode, checks the running services. If none are running, starts them for the check, which creates the
/// data folder if it doesn't exist. Stores a small object in the bucket `atlashub-platform` and removes the object
/// again. Creates the bucket if it is missing, and sets its CORS rules. Removes settings that SQL of a project stored
/// for the project's roles. Changes nothing else.
#[derive(Debug, clap::Args)]
pub(super) struct DoctorArguments {}

pub(super) async fn run(_arguments: &DoctorArguments) -> Result<ExitCode, CommandError> {
    let mut report = Report::default();
    match configuration() {
        Ok((config, unknown)) => {
            report.ok("configuration", format!("valid, for {}", config.environment.as_str()));
            for UnknownVariable { name, similar } in unknown {
                let meant = similar.map(|similar| format!("; did you mean {similar}?")).unwrap_or_default();
                report.note("configuration", format!("the variable {name} is not known and has no effect{meant}"));
            }
            check(&config, &mut report).await;
        }
        Err(error) => report.problem("configuration", error.line()),
    }
    Ok(report.close())
}

/// Reads the configuration, and finds unknown environment variables.
fn configuration() -> Result<(Config, Vec<UnknownVariable>), CommandError> {
    let vars = Vars::from_process()?;
    let config = Config::from_vars(&vars, Role::All)?;
    check_keys(&config)?;
    logging::start(&vars, config.log_json, "error")?;
    Ok((config, vars.unknown()))
}

async fn check(config: &Config, report: &mut Report) {
    let running = match RunningServices::for_command(config).await {
        Ok(running) => running,
        Err(error) => return report.problem("embedded services", error.line()),
    };
    if config.embedded() {
        report.ok(
            "embedded services",
            match &running.embedded {
                Some(_) => format!("started on {}; stopped again after the check", config.data_dir.display()),
                None => format!("running on {} in another process", config.data_dir.display()),
            },
        );
    }
    if config.embedded() {
        secrets::check(&config.data_dir.join("secrets"), report);
    }
    let services = &running.services;
    match server::connect_with_retry(services.database_url.expose(), POSTGRES_TIMEOUT).await {
        Ok(mut connection) => {
            let major = postgres::check(&mut connection, config, report).await;
            if platform::check(services, &mut connection, report).await {
                plugins::check(config, services, report).await;
            }
            let bin_dir = match &config.database {
                DatabaseConfig::Embedded { bin_dir, .. } => bin_dir
                    .clone()
                    .or_else(|| running.embedded.as_ref().map(|embedded| embedded.postgres_bin_dir().to_owned())),
                DatabaseConfig::Url(_) => None,
            };
            if let Some(major) = major {
                programs::check(bin_dir.as_deref(), major, report);
            }
        }
        Err(error) => report.problem("postgres", error.to_string()),
    }
    storage::check(&services.storage, report).await;
    running.stop().await;
}
