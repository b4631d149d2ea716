//! State that plugins keep between runs. Each plugin has one store for the platform, and one for each project.
//!
//! The entries are in the platform database. So its backups contain them, and entries for a project are deleted with
//! the project. A change is one transaction, which locks the store and the run's lease. So conditions and the quota
//! also hold for simultaneous changes. `queries` contains the fixed SQL.

mod queries;

use plugin_manifest::{Capability, Scope};
use wasmtime::component::Linker;

use self::queries::Store;
use crate::{
    db::DatabaseName,
    error::{count, describe_cause},
    jobs::Runs,
    plugins::guest::{
        Accessor, Call, CallError, Host, RunState, begin_call,
        bindings::{
            state::{self, Condition},
            types::ErrorCode,
        },
        charge_result,
    },
};

const MAX_KEY_BYTES: usize = 256;
const MAX_VALUE_BYTES: usize = 64 << 10;
/// Maximum number of entries in a store.
const MAX_ENTRIES: i64 = 1000;
/// Maximum number of keys in a page.
const MAX_PAGE: usize = 1000;
/// Memory held for a page of keys, as text and as values of the guest's types.
const PAGE_BYTES: usize = 2 * MAX_PAGE * (MAX_KEY_BYTES + 64);

pub(super) fn add_to_linker(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    state::add_to_linker::<_, Host>(linker, |state| state)
}

impl state::Host for RunState {}

impl state::HostWithStore<RunState> for Host {
    async fn get(accessor: &Accessor, store: String, key: String) -> Result<Option<state::Entry>, CallError> {
        let run = begin_call(accessor, store.len() + key.len())?;
        let project = check_scope(&run, &store)?;
        check_key(&key)?;
        let _permit = run.enter().await;
        let _held = run.calls.hold(2 * MAX_VALUE_BYTES)?;
        check_exists(&run, project.as_deref()).await?;
        let entry = queries::entry(&run.services.platform, store_of(&run, project.as_deref()), &key).await;
        let Some(entry) = entry.map_err(|error| platform_error(&error))? else { return Ok(None) };
        charge_result(accessor, entry.value.len())?;
        Ok(Some(state::Entry { value: entry.value, version: entry.version.unsigned_abs() }))
    }

    async fn put(
        accessor: &Accessor,
        store: String,
        key: String,
        value: Vec<u8>,
        condition: Condition,
    ) -> Result<u64, CallError> {
        let run = begin_call(accessor, store.len() + key.len() + value.len())?;
        let project = check_scope(&run, &store)?;
        check_key(&key)?;
        if value.len() > MAX_VALUE_BYTES {
            return Err(CallError::too_large(format!(
                "a value can have at most {} KiB; store larger ones as objects",
                MAX_VALUE_BYTES >> 10
            )));
        }
        let _permit = run.enter().await;
        check_exists(&run, project.as_deref()).await?;
        let mut change = Change::begin(&run, project.as_deref(), &key, condition).await?;
        let version = queries::put(&mut change.transaction, change.store, &key, &value).await;
        let version = version.map_err(|error| platform_error(&error))?;
        let usage =
            queries::usage(&mut change.transaction, change.store).await.map_err(|error| platform_error(&error))?;
        let max_bytes = i64::from(run.services.state_kib) << 10;
        if usage.entries > MAX_ENTRIES || usage.bytes > max_bytes {
            return Err(CallError::too_large(format!(
                "the state of plugin `{}` in `{store}` would have {} and {} bytes; its quota is {MAX_ENTRIES} \
                 entries and {max_bytes} bytes (ATLASHUB_PLUGIN_STATE_KIB)",
                run.plugin,
                count(usage.entries, "entry", "entries"),
                usage.bytes
            )));
        }
        change.commit().await?;
        Ok(version.unsigned_abs())
    }

    async fn delete(accessor: &Accessor, store: String, key: String, condition: Condition) -> Result<(), CallError> {
        let run = begin_call(accessor, store.len() + key.len())?;
        let project = check_scope(&run, &store)?;
        check_key(&key)?;
        let _permit = run.enter().await;
        check_exists(&run, project.as_deref()).await?;
        let mut change = Change::begin(&run, project.as_deref(), &key, condition).await?;
        queries::delete(&mut change.transaction, change.store, &key).await.map_err(|error| platform_error(&error))?;
        change.commit().await
    }

    async fn list(
        accessor: &Accessor,
        store: String,
        prefix: String,
        cursor: Option<String>,
    ) -> Result<state::KeyPage, CallError> {
        let after = cursor.unwrap_or_default();
        let run = begin_call(accessor, store.len() + prefix.len() + after.len())?;
        let project = check_scope(&run, &store)?;
        if prefix.contains('\0') || after.contains('\0') {
            return Err(CallError::invalid("`prefix` and `cursor` must not contain NUL characters"));
        }
        let _permit = run.enter().await;
        let _held = run.calls.hold(PAGE_BYTES)?;
        check_exists(&run, project.as_deref()).await?;
        let own = store_of(&run, project.as_deref());
        let keys = queries::keys(&run.services.platform, own, &prefix, &after, MAX_PAGE as i64 + 1).await;
        let mut keys = keys.map_err(|error| platform_error(&error))?;
        let has_more = keys.len() > MAX_PAGE;
        keys.truncate(MAX_PAGE);
        charge_result(accessor, keys.iter().map(|key| key.len() + 16).sum())?;
        let cursor = if has_more { keys.last().cloned() } else { None };
        Ok(state::KeyPage { keys, cursor })
    }
}

/// A change of an entry that is not committed yet. Dropping this value rolls the change back.
struct Change<'a> {
    transaction: sqlx::Transaction<'static, sqlx::Postgres>,
    store: Store<'a>,
}

impl<'a> Change<'a> {
    /// Begins a change if the run holds its lease and the condition is true.
    async fn begin(
        run: &'a Call,
        project: Option<&'a str>,
        key: &str,
        condition: Condition,
    ) -> Result<Self, CallError> {
        let store = store_of(run, project);
        let mut transaction = run.services.platform.begin().await.map_err(|error| platform_error(&error))?;
        let version = queries::lock(&mut transaction, store, key).await.map_err(|error| platform_error(&error))?;
        let conflict = |message: &str| Err(CallError::new(ErrorCode::Conflict, message));
        match (condition, version) {
            (Condition::Always, _) | (Condition::Absent, None) => {}
            (Condition::Version(expected), Some(version)) if version.unsigned_abs() == expected => {}
            (Condition::Absent, Some(_)) => return conflict("the entry already exists"),
            (Condition::Version(_), Some(_)) => return conflict("the entry has another version"),
            (Condition::Version(_), None) => return conflict("the entry no longer exists"),
        }
        // The lease is locked last. A locked lease can't be renewed, and waiting for the store may take long.
        if !Runs::lock_lease(&mut transaction, run.call.run_id, run.call.lease)
            .await
            .map_err(|error| platform_error(&error))?
        {
            return conflict("the run no longer holds its lease, so nothing was changed");
        }
        Ok(Self { transaction, store })
    }

    async fn commit(self) -> Result<(), CallError> {
        self.transaction.commit().await.map_err(|error| platform_error(&error))
    }
}

/// Returns the plugin's store for a project, or for the platform.
fn store_of<'a>(run: &'a Call, project: Option<&'a str>) -> Store<'a> {
    Store { plugin: &run.plugin, project }
}

/// Checks that the grant includes the store, and returns the id of its project. `None` stands for the platform.
fn check_scope(run: &Call, store: &str) -> Result<Option<String>, CallError> {
    let unknown = |_| CallError::invalid("unknown store; use `platform` or `project:<id>`");
    let name: DatabaseName = store.parse().map_err(unknown)?;
    if !Scope::reaches(&run.scope(Capability::State).databases, store) {
        return Err(run.deny(Capability::State, &format!("the state of `{name}`")));
    }
    Ok(match name {
        DatabaseName::Platform => None,
        DatabaseName::Project(id) => Some(id),
    })
}

/// Checks that the project exists and is ready.
async fn check_exists(run: &Call, project: Option<&str>) -> Result<(), CallError> {
    if let Some(id) = project {
        run.services.databases.title(&DatabaseName::Project(id.to_owned())).await?;
    }
    Ok(())
}

fn check_key(key: &str) -> Result<(), CallError> {
    if (1..=MAX_KEY_BYTES).contains(&key.len()) && !key.contains(char::is_control) {
        return Ok(());
    }
    Err(CallError::invalid(format!("a key must have 1 to {MAX_KEY_BYTES} bytes and no control characters")))
}

fn platform_error(error: &sqlx::Error) -> CallError {
    let is_foreign_key = error.as_database_error().is_some_and(|error| error.is_foreign_key_violation());
    if is_foreign_key {
        return CallError::not_found("project not found");
    }
    CallError::unavailable("the platform database can't be reached or returned an error; see the server's log")
        .caused_by("state", describe_cause(error))
}
