//! The owner's commands: list, approve, revoke. Running servers apply the changes, because the database notifies them.

use std::{collections::BTreeMap, io::IsTerminal as _, path::PathBuf, process::ExitCode};

use api_types::{
    ApprovePlugin, AuditResult, CapabilityScope, GrantedCapability, MigrationState, Plugin, PluginState,
    RequestedCapability,
};

use super::files;
use crate::{
    cli::{
        POSTGRES_TIMEOUT,
        error::CommandError,
        logging,
        services::{self, RunningServices},
    },
    config::{Config, Role, Vars},
    db::{
        self,
        audit::{self, NewAuditEntry},
        migrations, server,
    },
    plugins::{FirstParty, KeyToTrust, PluginError, PluginFolder, PluginTools},
    secrets::Sealer,
};

const ACTOR: &str = "cli";

/// List all plugins with their state, and the reason if they do not run
#[derive(Debug, clap::Args)]
pub(super) struct ListArguments {
    /// Print all details as JSON
    #[arg(long)]
    json: bool,
}

/// Approve a plugin, with everything that it requests or with less
#[derive(Debug, clap::Args)]
pub(super) struct ApproveArguments {
    /// Name of the plugin, as `atlashub plugin list` prints it
    name: String,
    /// Grant only this capability, with the requested scope (can be repeated)
    #[arg(long = "only", value_name = "CAPABILITY")]
    only: Vec<String>,
    /// Grant no capabilities
    #[arg(long, conflicts_with = "only")]
    nothing: bool,
    /// Setting for the plugin (can be repeated; replaces all previous settings)
    #[arg(long, value_name = "NAME=VALUE", value_parser = parse_pair)]
    config: Vec<(String, String)>,
    /// Secret for the plugin, read from a file without its trailing newline (can be repeated)
    #[arg(long, value_name = "NAME=FILE", value_parser = parse_pair)]
    secret: Vec<(String, String)>,
    /// Public key file to trust together with the approval
    #[arg(long, value_name = "FILE")]
    trust_key: Option<PathBuf>,
    /// Approve only if the file has this SHA-256, in hexadecimal
    #[arg(long, value_name = "HASH")]
    sha256: Option<String>,
    /// Approve without asking for confirmation (required if standard input is not a terminal)
    #[arg(long, short)]
    yes: bool,
}

/// Revoke a plugin, a key or a file, and stop the affected runs
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = true)]
pub(super) struct RevokeArguments {
    /// Name of the plugin
    name: Option<String>,
    /// Id of a key to revoke permanently
    #[arg(long, value_name = "KEY-ID")]
    key: Option<String>,
    /// SHA-256 of a file to revoke, in hexadecimal
    #[arg(long, value_name = "HASH")]
    sha256: Option<String>,
    /// Confirm the revocation of the key that signs AtlasHub's own plugins
    #[arg(long, requires = "key")]
    yes: bool,
}

pub(super) async fn list(arguments: &ListArguments) -> Result<ExitCode, CommandError> {
    with_tools(async |tools| {
        let plugins = tools.list().await?;
        if arguments.json {
            print_stdout!("{:#}", serde_json::to_value(&plugins).unwrap_or_default());
            return Ok(());
        }
        if plugins.is_empty() {
            print_stdout!("No plugins found in {}.", tools.folder.path().display());
        }
        plugins.iter().for_each(print);
        Ok(())
    })
    .await
}

pub(super) async fn approve(arguments: &ApproveArguments) -> Result<ExitCode, CommandError> {
    if !arguments.yes && !std::io::stdin().is_terminal() {
        return Err(CommandError::failed(format!(
            "The approval of plugin `{}` must be confirmed, but standard input is not a terminal. Repeat the command \
             with --yes to confirm it.",
            arguments.name
        )));
    }
    let mut secrets = BTreeMap::new();
    for (name, file) in &arguments.secret {
        let value = files::read_text(file.as_ref())?.trim_end_matches(['\r', '\n']).to_owned();
        secrets.insert(name.clone(), Some(value));
    }
    with_tools(async |tools| {
        if !secrets.is_empty() {
            let remedy = "Set PLATFORM_MASTER_KEY to the key that encrypted them. Nothing was approved.";
            services::check_master_key(&tools.platform, &tools.sealer, remedy).await?;
        }
        let key = match &arguments.trust_key {
            Some(file) => {
                let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                tools.check_key(&name, &files::read_text(file)?).await?
            }
            None => None,
        };
        let plugins = tools.list_with_key(key.as_ref()).await?;
        let current = plugins.into_iter().find(|plugin| plugin.name == arguments.name);
        if let Some(current) = &current {
            print_request(current);
            if !arguments.yes && !ask_for_confirmation(key.as_ref())? {
                return Err(CommandError::failed("Nothing was approved."));
            }
        }
        let requested = current.as_ref().map(|plugin| plugin.requested.as_slice()).unwrap_or_default();
        let request = ApprovePlugin {
            // Approve the file that was printed, not one that has replaced it since.
            sha256: arguments.sha256.clone().or(current.as_ref().map(|plugin| plugin.sha256.clone())),
            granted: select_grants(arguments, requested),
            secrets: (!secrets.is_empty()).then(|| secrets.clone()),
            config: (!arguments.config.is_empty()).then(|| arguments.config.iter().cloned().collect()),
        };
        let details = serde_json::json!({ "sha256": request.sha256 });
        let approval = entry("plugin.approve", Some(&arguments.name), details);
        let approving = record_change(tools, approval, async |entry| {
            let plugin = tools.approve(&arguments.name, &request, key.as_ref(), ACTOR).await?;
            entry.details = serde_json::json!({
                "keyId": plugin.key_id,
                "sha256": plugin.sha256,
                "serial": plugin.serial,
                "granted": plugin.granted,
            });
            Ok(plugin)
        });
        let plugin = match &key {
            Some(key) => {
                let details = serde_json::json!({ "name": key.name() });
                let entry = entry("trusted_key.add", Some(key.id()), details);
                let plugin = record_change(tools, entry, async |_| approving.await).await?;
                print_stdout!("Key {} is now trusted.", key.id());
                plugin
            }
            None => approving.await?,
        };
        print(&plugin);
        Ok(())
    })
    .await
}

pub(super) async fn revoke(arguments: &RevokeArguments) -> Result<ExitCode, CommandError> {
    with_tools(async |tools| {
        if let Some(id) = &arguments.key {
            let entry = entry("trusted_key.remove", Some(id), serde_json::json!({}));
            record_change(tools, entry, async |entry| {
                let name = tools.revoke_key(id, arguments.yes).await?;
                entry.details = serde_json::json!({ "name": name });
                Ok(())
            })
            .await?;
            print_stdout!("Key {id} is revoked.");
        }
        if let Some(hash) = &arguments.sha256 {
            let entry = entry("plugin.revoke", Some(hash), serde_json::json!({ "sha256": hash }));
            record_change(tools, entry, async |_| tools.revoke_file(hash).await).await?;
            print_stdout!("The file {hash} is revoked.");
        }
        if let Some(name) = &arguments.name {
            let entry = entry("plugin.revoke", Some(name), serde_json::json!({}));
            record_change(tools, entry, async |_| tools.revoke(name).await).await?;
            print_stdout!("Plugin {name} is revoked.");
        }
        Ok(())
    })
    .await
}

/// Returns the grants that the options select, or `None` for everything that is requested.
fn select_grants(arguments: &ApproveArguments, requested: &[RequestedCapability]) -> Option<Vec<GrantedCapability>> {
    if arguments.nothing {
        return Some(Vec::new());
    }
    if arguments.only.is_empty() {
        return None;
    }
    let grants = arguments.only.iter().map(|name| {
        let requested = requested.iter().find(|request| request.capability == *name);
        // `PluginTools::approve` rejects capabilities that are not requested, with a better message.
        let scope = requested.map(|request| request.scope.clone()).unwrap_or_default();
        GrantedCapability { capability: name.clone(), scope }
    });
    Some(grants.collect())
}

/// Prints a plugin and the capabilities that it requests. Like the question whether to approve it, this goes to stderr,
/// so that the owner sees it even if stdout is redirected.
fn print_request(plugin: &Plugin) {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    eprintln!(
        "{} {} by {}, signed by key {}",
        plugin.name,
        or_dash(&plugin.version),
        or_dash(&plugin.publisher),
        or_dash(&plugin.key_id)
    );
    eprintln!("SHA-256 {}", plugin.sha256);
    if plugin.requested.is_empty() {
        eprintln!("It requests no capabilities.");
    }
    for request in &plugin.requested {
        eprintln!("It requests {}: {}", request.capability, request.reason);
        let CapabilityScope { databases, stores, hosts, secrets } = &request.scope;
        for (kind, names) in [("databases", databases), ("stores", stores), ("hosts", hosts), ("secrets", secrets)] {
            if !names.is_empty() {
                eprintln!("  {kind}: {}", names.join(", "));
            }
        }
    }
}

/// Asks in the terminal whether to approve, and to trust the given key.
fn ask_for_confirmation(key: Option<&KeyToTrust>) -> Result<bool, CommandError> {
    match key {
        Some(key) => eprintln!("Trust key {} for all plugins that it signs, and approve this one? [y/N]", key.id()),
        None => eprintln!("Approve this plugin? [y/N]"),
    }
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(|error| CommandError::failed(error.to_string()))?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn print(plugin: &Plugin) {
    let state = match plugin.state {
        PluginState::Active => "active",
        PluginState::Pending => "pending",
        PluginState::Rejected => "rejected",
        PluginState::Revoked => "revoked",
    };
    let version = plugin.version.as_deref().unwrap_or("-");
    let reason = plugin.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
    print_stdout!("{state:8} {} {version}{reason}", plugin.name);
    for request in &plugin.requested {
        let granted = plugin.granted.iter().any(|grant| grant.capability == request.capability);
        let status = if granted { "granted" } else { "requests" };
        print_stdout!("         {status} {}: {}", request.capability, request.reason);
    }
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("the `=` after the name is missing")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn entry(action: &str, target: Option<&str>, details: serde_json::Value) -> NewAuditEntry {
    let mut entry = NewAuditEntry::new(ACTOR, action);
    entry.target = target.map(str::to_owned);
    entry.details = details;
    entry
}

/// Writes an audit entry, makes the change, and completes the entry. `change` may add to the entry. The entry
/// of a refused change is removed again.
async fn record_change<T>(
    tools: &PluginTools,
    mut entry: NewAuditEntry,
    change: impl AsyncFnOnce(&mut NewAuditEntry) -> Result<T, PluginError>,
) -> Result<T, PluginError> {
    let intent = audit::begin(&tools.platform, &entry).await?;
    let outcome = change(&mut entry).await;
    match &outcome {
        Ok(_) => intent.complete_or_log(&tools.platform, &entry).await,
        Err(PluginError::Database(_)) => {
            entry.result = AuditResult::Failed;
            intent.complete_or_log(&tools.platform, &entry).await;
        }
        Err(_) => intent.discard(&tools.platform).await?,
    }
    outcome
}

/// Runs an action on the configured platform database, or on the embedded one.
async fn with_tools(act: impl AsyncFnOnce(&PluginTools) -> Result<(), CommandError>) -> Result<ExitCode, CommandError> {
    let vars = Vars::from_process()?;
    let config = Config::from_vars(&vars, Role::All)?;
    logging::start(&vars, config.log_json, "warn")?;
    services::check_data_folder(&config)?;
    let running = RunningServices::for_command(&config).await?;
    let outcome = async {
        let services = &running.services;
        let mut connection = server::connect_with_retry(services.database_url.expose(), POSTGRES_TIMEOUT).await?;
        let migrations = migrations::status(&mut connection).await?;
        drop(connection);
        let is_pending = migrations.iter().any(|migration| migration.state == MigrationState::Pending);
        let tools = PluginTools {
            platform: db::platform::connect(services.database_url.expose(), 2)?,
            sealer: Sealer::new(&services.master_key, services.previous_master_key.as_ref()),
            folder: PluginFolder::new(&config.plugin_dir, config.plugins.max_file_bytes()),
            first_party: FirstParty::of_binary(),
        };
        let outcome = act(&tools).await;
        tools.platform.close().await;
        outcome.map_err(|error| match is_pending {
            true => CommandError::failed(format!(
                "{} The platform database has pending migrations: run `atlashub migrate`, or start the server, which \
                 applies them.",
                error.line()
            )),
            false => error,
        })
    }
    .await;
    running.stop().await;
    outcome.map(|()| ExitCode::SUCCESS)
}

impl From<PluginError> for CommandError {
    fn from(error: PluginError) -> Self {
        match error {
            PluginError::Database(error) => error.into(),
            PluginError::OwnKey(_) => Self::failed(format!(
                "{error} To stop one plugin, revoke the plugin. To revoke the key, repeat the command with --yes."
            )),
            error => Self::failed(error.to_string()),
        }
    }
}
