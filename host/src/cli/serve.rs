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
    router,
};

/// How long an external Postgres may take to come up.
const POSTGRES_PATIENCE: Duration = Duration::from_secs(60);
/// On top of the longest a request may take.
const DRAIN_MARGIN: Duration = Duration::from_secs(3);
/// For writing down the last notifications; what is written down is delivered after the next start.
const FLUSH_PATIENCE: Duration = Duration::from_secs(2);

/// Run the server.
///
/// The public surface (ATLASHUB_PUBLIC_LISTEN, 127.0.0.1:8080) has /v1; the admin surface
/// (ATLASHUB_ADMIN_LISTEN, 127.0.0.1:8081) has the dashboard and /admin/v1. Without ATLASHUB_DATABASE_URL and
/// ATLASHUB_S3_ENDPOINT it runs a Postgres and an object store of its own under ATLASHUB_DATA_DIR and prints
/// where to sign in. SIGTERM or Ctrl-C ends it in order, a second one at once.
#[derive(Debug, clap::Args)]
pub(super) struct ServeArguments {
    /// What this process is: the API and the scheduler, or one of them.
    #[arg(long, value_enum, default_value = "all")]
    role: Role,
}

pub(super) async fn run(arguments: &ServeArguments) -> Result<ExitCode, CommandError> {
    let vars = Vars::from_process()?;
    let config = Config::from_vars(&vars, arguments.role)?;
    services::check_keys(&config)?;
    logging::start(&vars, config.log_json, "info")?;
    let stop = stop_on_signals()?;

    // The data folder before the ports: a second start should hear of the first, not of its port.
    let external = services::external(&config)?;
    let held = if external.is_none() { Some(HeldDataFolder::lock(&config)?) } else { None };
    let (config, surfaces) = bind(config).await?;
    let running = match (external, held) {
        (Some(services), _) => RunningServices { services, embedded: None },
        (None, Some(held)) => {
            tokio::select! {
                running = RunningServices::start(held, &config) => running?,
                // Postgres was told to stop when what starts it was dropped.
                () = stopped(stop.clone()) => return Ok(ExitCode::SUCCESS),
            }
        }
        (None, None) => return Err(CommandError::failed("There are no services to run on.")),
    };
    let outcome = serve(config, surfaces, &running, stop).await;
    running.stop().await;
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Takes the ports, and tells the configuration where the system chose them.
async fn bind(mut config: Config) -> Result<(Config, Surfaces), CommandError> {
    let public = match config.role.serves_public() {
        true => Some(Surface::bind("public", "ATLASHUB_PUBLIC_LISTEN", config.public_listen).await?),
        false => None,
    };
    let admin = Surface::bind("admin", "ATLASHUB_ADMIN_LISTEN", config.admin_listen).await?;
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
    /// None in a process that only runs jobs.
    public: Option<Surface>,
    admin: Surface,
}

async fn serve(
    config: Config,
    surfaces: Surfaces,
    running: &RunningServices,
    stop: watch::Receiver<bool>,
) -> Result<(), CommandError> {
    let database_url = running.services.database_url.expose();
    tokio::select! {
        connection = server::reach(database_url, POSTGRES_PATIENCE) => drop(connection?),
        () = stopped(stop.clone()) => return Ok(()),
    }
    for migration in migrations::apply(database_url).await? {
        tracing::info!(version = migration.version, name = migration.name, "applied a migration");
    }
    let drain = config.limits.request_timeout + DRAIN_MARGIN;
    let data_dir = config.data_dir.clone();
    let public_url = config.public_url.clone();
    let admin_address = surfaces.admin.address;
    offer_plugin_folder(&config.plugin_dir);
    let app = App::build(config, &running.services)?;
    let mut served = Vec::new();
    if let Some(public) = surfaces.public {
        served.push((public, router::public_router(&app)));
    }
    served.push((surfaces.admin, router::admin_router(&app)));
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
    let ended = listen::serve(served, stop, drain).await;
    match &ended {
        // Begun when the end was asked for, beside the requests that were still in flight.
        Ok(()) => drop(stopping_jobs.await),
        Err(_) => app.stop_jobs().await,
    }
    app.notifier().flush(FLUSH_PATIENCE).await;
    app.platform().close().await;
    ended.map_err(|error| CommandError::failed(format!("The server stopped listening: {error}.")))
}

/// So that there is a place to drop plugins into. Nothing depends on it.
fn offer_plugin_folder(path: &Path) {
    if let Err(error) = std::fs::create_dir_all(path) {
        tracing::warn!(%error, folder = %path.display(), "the folder for plugins could not be made");
    }
}

/// True from the first SIGTERM or SIGINT on; the second ends the process at once.
fn stop_on_signals() -> Result<watch::Receiver<bool>, CommandError> {
    let failed = |error: std::io::Error| CommandError::failed(format!("Signals can't be heard: {error}."));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        let mut asked = 0;
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            asked += 1;
            if asked > 1 {
                tracing::warn!("asked twice: ending at once");
                std::process::exit(130);
            }
            tracing::info!("stopping: requests in flight are finished first; a second signal ends at once");
            sender.send_replace(true);
        }
    });
    Ok(receiver)
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}
