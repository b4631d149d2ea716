//! `atlashub serve`: starts the server, and stops it on a signal.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

use super::{
    banner::Banner,
    error::CommandError,
    listen::{self, Surface},
    logging,
    services::{self, RunningServices},
};
use crate::{
    admin,
    app::App,
    config::{Config, Role, Vars},
    db::{migrations, server},
    embedded::HeldDataFolder,
    http::{self, ListenerLimits},
    router,
    secrets::Sealer,
};

/// Maximum time to wait for Postgres at start.
const POSTGRES_TIMEOUT: Duration = Duration::from_secs(60);
/// Time to drain requests at shutdown, in addition to the time limits of bodies and requests.
const DRAIN_MARGIN: Duration = Duration::from_secs(3);
/// Maximum time for bodies that are still arriving at shutdown.
const MAX_BODY_DRAIN: Duration = Duration::from_secs(5);
/// Open files for everything except clients, projects' databases and jobs: the platform database, the store, plugins,
/// logs.
const RESERVED_FILES: usize = 128;
/// Files for the connections of the embedded store.
const EMBEDDED_STORE_FILES: usize = 256;
/// Time to store the last notifications at shutdown. Notifications that were stored are delivered after the next start.
const NOTIFICATION_FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
/// Time limit for storing how many requests each API key has made.
const KEY_USAGE_TIMEOUT: Duration = Duration::from_secs(2);
/// Time limit for removing this process from the list of nodes.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);

/// Run the server
///
/// The public listener serves /v1 on ATLASHUB_PUBLIC_LISTEN (default 127.0.0.1:8080). The admin listener serves the
/// dashboard and /admin/v1 on ATLASHUB_ADMIN_LISTEN (default 127.0.0.1:8081).
///
/// Without ATLASHUB_DATABASE_URL and ATLASHUB_S3_ENDPOINT, the server runs a private Postgres and object store with
/// their data in ATLASHUB_DATA_DIR (default ./.atlashub), and prints a URL to sign in.
///
/// SIGTERM, SIGHUP or Ctrl-C stops the server when requests in flight have completed or reached their time limit. A
/// second SIGTERM or Ctrl-C stops it immediately.
#[derive(Debug, clap::Args)]
pub(super) struct ServeArguments {
    /// Whether this process serves the API, runs jobs, or both
    #[arg(long, value_enum, default_value = "all")]
    role: Role,
    /// Start although the master key opens none of the encrypted values, because the key that encrypted them is lost
    #[arg(long)]
    accept_unreadable_values: bool,
}

pub(super) async fn run(arguments: &ServeArguments) -> Result<ExitCode, CommandError> {
    let vars = Vars::from_process()?;
    let config = Config::from_vars(&vars, arguments.role)?;
    services::check_keys(&config)?;
    logging::start(&vars, config.log_json, "info")?;
    let config = fit_connections(config);
    let stop = stop_on_signals()?;

    // Locks the data folder before binding ports, so that the error of a second server names the first server instead
    // of a port that is in use.
    let external = services::external(&config)?;
    let held = if external.is_none() { Some(HeldDataFolder::lock(&config)?) } else { None };
    let (config, surfaces) = bind(config).await?;
    let running = match (external, held) {
        (Some(services), _) => RunningServices { services, embedded: None },
        (None, Some(held)) => {
            tokio::select! {
                running = RunningServices::start(held, &config) => running?,
                // Dropping the future that starts Postgres stops Postgres.
                () = stopped(stop.clone()) => return Ok(ExitCode::SUCCESS),
            }
        }
        (None, None) => return Err(CommandError::failed("No services are configured.")),
    };
    let outcome = serve(arguments, config, surfaces, &running, stop).await;
    running.stop().await;
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Binds the listeners, and updates the configuration with the ports that the system chose for port 0.
async fn bind(mut config: Config) -> Result<(Config, Surfaces), CommandError> {
    let public = match config.role.serves_public() {
        true => Some(Surface::bind("ATLASHUB_PUBLIC_LISTEN", config.public_listen).await?),
        false => None,
    };
    let admin = Surface::bind("ATLASHUB_ADMIN_LISTEN", config.admin_listen).await?;
    if let Some(public) = &public {
        if config.public_url == format!("http://{}", config.public_listen) {
            config.public_url = format!("http://{}", public.address);
        }
        config.public_listen = public.address;
    }
    config.admin_listen = admin.address;
    config.admin_auth.listen = admin.address;
    Ok((config, Surfaces { public, admin }))
}

struct Surfaces {
    /// `None` in a process that only runs jobs.
    public: Option<Surface>,
    admin: Surface,
}

async fn serve(
    arguments: &ServeArguments,
    config: Config,
    surfaces: Surfaces,
    running: &RunningServices,
    stop: watch::Receiver<bool>,
) -> Result<(), CommandError> {
    let database_url = running.services.database_url.expose();
    let connect =
        async { server::connect_with_retry(database_url, POSTGRES_TIMEOUT).await.map_err(CommandError::from) };
    let check_store = async {
        match running.embedded {
            Some(_) => Ok(()),
            None => services::check_store(&running.services.storage).await,
        }
    };
    tokio::select! {
        connected = futures_util::future::try_join(connect, check_store) => drop(connected?),
        () = stopped(stop.clone()) => return Ok(()),
    }
    for migration in migrations::apply(database_url).await? {
        tracing::info!(version = migration.version, name = migration.name, "applied a migration");
    }
    let drain = config.limits.body_timeout.min(MAX_BODY_DRAIN) + config.limits.request_timeout + DRAIN_MARGIN;
    let connections = config.connections.clone();
    let data_dir = config.data_dir.clone();
    let public_url = config.public_url.clone();
    let admin_address = surfaces.admin.address;
    create_plugin_folder(&config.plugin_dir);
    let app = App::build(config, &running.services)?;
    if !arguments.accept_unreadable_values {
        let sealer = Sealer::new(&running.services.master_key, running.services.previous_master_key.as_ref());
        let remedy = "Start with the key that encrypted them. If it is lost, start with --accept-unreadable-values, \
                      and restore each project's backup into a new project.";
        services::check_master_key(app.platform(), &sealer, remedy).await?;
    }
    let mut served = Vec::new();
    if let Some(public) = surfaces.public {
        served.push((public, router::public_router(&app), ListenerLimits::public(&connections)));
    }
    served.push((surfaces.admin, router::admin_router(&app), ListenerLimits::admin(&connections)));
    app.start_background();

    if let Some(embedded) = &running.embedded {
        let code = admin::create_sign_in_code(app.platform()).await?;
        Banner {
            public_url: &public_url,
            admin: admin_address,
            sign_in_code: &code,
            admin_token_file: embedded.services.admin_token_file.as_deref(),
            data_dir: &data_dir.canonicalize().unwrap_or_else(|_| PathBuf::from(&data_dir)),
        }
        .print();
    }
    let stopping_jobs = tokio::spawn({
        let (app, stop) = (app.clone(), stop.clone());
        async move {
            stopped(stop).await;
            app.stop_jobs().await;
        }
    });
    listen::serve(served, stop, drain).await;
    // The task began to stop jobs at the shutdown signal, while requests were drained.
    drop(stopping_jobs.await);
    app.notifier().flush(NOTIFICATION_FLUSH_TIMEOUT).await;
    let _ = tokio::time::timeout(KEY_USAGE_TIMEOUT, app.projects().keys.store_usage()).await;
    let _ = tokio::time::timeout(LEAVE_TIMEOUT, admin::leave_nodes(app.platform(), &app.admin().system)).await;
    app.close().await;
    Ok(())
}

/// Raises the limit on open files, and lowers the limits on connections to fit below it.
fn fit_connections(mut config: Config) -> Config {
    let open_files = http::raise_open_file_limit();
    let wanted = config.connections.clone();
    let store = if config.embedded() { EMBEDDED_STORE_FILES } else { 0 };
    let reserved = RESERVED_FILES + store + config.limits.project_connections + 2 * config.jobs.concurrency;
    config.connections.fit(open_files, reserved);
    if config.connections.public < wanted.public || config.connections.admin < wanted.admin {
        tracing::warn!(
            open_files,
            public = config.connections.public,
            admin = config.connections.admin,
            "fewer connections are accepted than configured, because the limit on open files is too low; \
             raise it (`ulimit -n`)"
        );
    }
    config
}

/// Creates the plugin folder for the owner's convenience. The server works without it.
fn create_plugin_folder(path: &Path) {
    if let Err(error) = std::fs::create_dir_all(path) {
        tracing::warn!(%error, folder = %path.display(), "the plugin folder could not be created");
    }
}

/// Returns a receiver whose value becomes true at the first SIGTERM, SIGINT or SIGHUP. The second SIGTERM or SIGINT
/// ends the process immediately.
///
/// A process receives SIGHUP when its terminal is closed, often twice: from the system and from the shell. If the
/// process was started with `nohup`, it ignores the signal, and this function does not change that.
fn stop_on_signals() -> Result<watch::Receiver<bool>, CommandError> {
    let failed =
        |error: std::io::Error| CommandError::failed(format!("Signal handlers could not be installed: {error}."));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut hang_up = match ignores_hang_up() {
        true => None,
        false => Some(signal(SignalKind::hangup()).map_err(failed)?),
    };
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        let mut signals = 0;
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                // A terminal or service manager often sends another signal with SIGHUP, so SIGHUP does not count.
                Some(()) = async { hang_up.as_mut()?.recv().await } => {
                    tracing::info!("the terminal was closed: shutting down after requests in flight");
                    sender.send_replace(true);
                    continue;
                }
            }
            signals += 1;
            if signals > 1 {
                tracing::warn!("received a second signal, exiting immediately");
                std::process::exit(130);
            }
            tracing::info!("shutting down after requests in flight; a second signal exits immediately");
            sender.send_replace(true);
        }
    });
    Ok(receiver)
}

/// Returns whether the process was started with SIGHUP ignored. Returns false on systems without `/proc`, where this is
/// not known.
fn ignores_hang_up() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored_signals(&status) & 1 != 0
}

/// Reads the set of ignored signals, of which bit 0 is signal 1, SIGHUP.
fn ignored_signals(status: &str) -> u64 {
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok()).unwrap_or(0)
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_status() {
        let status = "Name:\tatlashub\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001001\nSigCgt:\t2\n";
        assert_eq!(ignored_signals(status), 0x1001);
        assert_eq!(ignored_signals("Name:\tatlashub\n"), 0);
    }
}
