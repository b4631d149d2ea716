//! Checks plugins: that the folder is readable, and that no plugin is rejected or pending.

use api_types::PluginState;

use super::report::Report;
use crate::{
    app::Services,
    config::Config,
    db,
    error::count,
    plugins::{FirstParty, PluginError, PluginFolder, PluginTools},
    secrets::Sealer,
};

const CHECK: &str = "plugins";

pub(super) async fn check(config: &Config, services: &Services, report: &mut Report) {
    let platform = match db::platform::connect(services.database_url.expose(), 1) {
        Ok(pool) => pool,
        Err(error) => return report.problem(CHECK, format!("the platform database can't be used ({error}).")),
    };
    let tools = PluginTools {
        platform,
        sealer: Sealer::new(&services.master_key, services.previous_master_key.as_ref()),
        folder: PluginFolder::new(&config.plugin_dir, config.plugins.max_file_bytes()),
        first_party: FirstParty::of_binary(),
    };
    let plugins = tools.list().await;
    tools.platform.close().await;
    let plugins = match plugins {
        Ok(plugins) => plugins,
        Err(PluginError::Database(error)) => {
            return report.problem(CHECK, format!("can't read their approvals ({error})."));
        }
        Err(error) => {
            return report.problem(CHECK, format!("{error} Check the folder's mode and ATLASHUB_PLUGIN_DIR."));
        }
    };
    let folder = config.plugin_dir.display();
    let found = count(plugins.len(), "plugin", "plugins");
    if config.plugin_dir.is_dir() {
        report.ok(CHECK, format!("{folder} is readable; {found}"));
    } else {
        report.ok(CHECK, format!("{found}; the folder {folder} does not exist"));
    }
    for plugin in plugins {
        let reason = plugin.reason.as_deref().unwrap_or("unknown reason");
        match plugin.state {
            PluginState::Active => {}
            PluginState::Rejected => report.problem(CHECK, format!("{} is rejected: {reason}.", plugin.name)),
            PluginState::Pending if plugin.first_party => {
                report.note(CHECK, format!("{}: {reason}; `serve` approves it when it starts", plugin.name));
            }
            PluginState::Pending => report.note(
                CHECK,
                format!(
                    "{}: {reason}; run `atlashub plugin approve {}` or use the dashboard",
                    plugin.name, plugin.name
                ),
            ),
            PluginState::Revoked => report.note(CHECK, format!("{}: {reason}", plugin.name)),
        }
    }
}
