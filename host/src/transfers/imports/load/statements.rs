//! The SQL of an import. Every name is quoted; types and defaults are as Postgres printed them.

use api_types::ImportMode;
use postgres_protocol::escape::{escape_identifier as ident, escape_literal};

use crate::transfers::imports::{
    plan::Plan,
    target::{Column, Target},
};

/// Creates the temporary table.
pub(super) const CREATE_STAGING: &str = "CREATE TEMPORARY TABLE atlashub_import \
     (row_number bigint NOT NULL, line bigint NOT NULL, doc text NOT NULL) ON COMMIT DROP";
pub(super) const COPY_STAGING: &str = "COPY pg_temp.atlashub_import (row_number, line, doc) FROM STDIN";
/// Creates the index of the row numbers. It is only needed if the rows are moved in several statements.
pub(super) const INDEX_STAGING: &str = "CREATE INDEX ON pg_temp.atlashub_import (row_number)";

/// The statements of an import.
pub(super) struct Statements {
    /// Copies rows directly into the table.
    pub(super) copy: String,
    /// Moves the rows with numbers from `$1` to `$2` from the temporary table.
    pub(super) move_range: String,
    /// Moves the rows whose numbers are in the array `$1`.
    pub(super) move_set: String,
    /// For an upsert, compares the keys of waiting rows, whose numbers are in the array `$1`, with those of all rows. A
    /// row waits if it may need other rows to be moved first.
    pub(super) same_keys: Option<String>,
    /// For each column, statements that read its values in the file.
    pub(super) probes: Vec<Probe>,
    pub(super) mode: ImportMode,
}

/// Reads the values of one column in the temporary table.
pub(super) struct Probe {
    pub(super) column: String,
    /// Evaluates the value in the row with the number `$1`, so that it fails if Postgres refuses the value. Returns a
    /// count instead of the value.
    pub(super) one: String,
    /// Reads the values in all rows, as `value`.
    pub(super) all: String,
    /// The value's key in the object.
    pub(super) key: String,
}

impl Statements {
    pub(super) fn new(target: &Target, plan: &Plan) -> Self {
        let columns: Vec<Source<'_>> = plan
            .columns
            .iter()
            .enumerate()
            .filter_map(|(index, planned)| {
                let column = target.column(&planned.target)?;
                let key = if plan.csv.is_some() { index.to_string() } else { planned.source.clone() };
                Some(Source { column, key, is_csv: plan.csv.is_some() })
            })
            .collect();
        let names: Vec<String> = columns.iter().map(|source| ident(&source.column.name)).collect();
        let copy = format!("COPY {} ({}) FROM STDIN", target.quoted, names.join(", "));
        let probes = columns.iter().map(|source| Probe {
            column: source.column.name.clone(),
            one: format!("SELECT pg_catalog.count({}) {} WHERE s.row_number = $1", source.value(), from(&[source])),
            all: format!("SELECT {} AS value {}", source.value_in_file(), from(&[source])),
            key: source.key.clone(),
        });
        let probes = probes.collect();
        let move_rows = |rows: &str| match plan.mode {
            ImportMode::Insert => insert(target, plan, &columns, &names, rows),
            ImportMode::Upsert => upsert(target, plan, &columns, &names, rows),
        };
        let same_keys = (plan.mode == ImportMode::Upsert).then(|| same_keys(target, plan, &columns));
        Self { copy, move_range: move_rows(RANGE), move_set: move_rows(SET), same_keys, probes, mode: plan.mode }
    }
}

/// A value of the temporary table, and its column.
struct Source<'t> {
    column: &'t Column,
    key: String,
    is_csv: bool,
}

impl Source<'_> {
    /// Returns the column's definition for `json_to_record`.
    fn definition(&self) -> String {
        // A CSV field that contains JSON is read as text and then parsed. Read as `json`, it would be a JSON string.
        let data_type = match self.is_csv {
            true if self.column.is_json => "text",
            false if self.column.is_hstore => "json",
            _ => &self.column.data_type,
        };
        format!("{} {data_type}", ident(&self.key))
    }

    fn value(&self) -> String {
        match (&self.column.default, self.is_default()) {
            (Some(default), Some(is_default)) => {
                format!("CASE WHEN {is_default} THEN {default} ELSE {} END", self.value_in_file())
            }
            _ => self.value_in_file(),
        }
    }

    /// Returns the condition under which the value is the column's default: the object does not have the key. Returns
    /// `None` if the value never is the default.
    fn is_default(&self) -> Option<String> {
        let can_be_default = self.column.default.is_some() && !self.is_csv;
        can_be_default.then(|| format!("s.doc::json -> {} IS NULL", escape_literal(&self.key)))
    }

    /// Returns the value without the column's default. It is NULL if an object does not have the key.
    fn value_in_file(&self) -> String {
        let name = ident(&self.key);
        if self.is_csv && self.column.is_json {
            format!("r.{name}::{}", self.column.data_type)
        } else if !self.is_csv && self.column.is_hstore {
            format!("{}::{}", hstore_text(&format!("r.{name}")), self.column.data_type)
        } else {
            format!("r.{name}")
        }
    }
}

/// Returns the text of an hstore for the JSON in `json`: an object, as `row_to_json` makes it of an hstore, or a string
/// with the text. An object with other values than `/v1/db` accepts becomes a text that hstore refuses.
fn hstore_text(json: &str) -> String {
    let quoted = |text: &str| {
        format!("'\"' || pg_catalog.replace(pg_catalog.replace({text}, E'\\\\', E'\\\\\\\\'), '\"', E'\\\\\"') || '\"'")
    };
    format!(
        "(CASE pg_catalog.json_typeof({json}) WHEN 'object' THEN (
             SELECT CASE
                 WHEN pg_catalog.bool_or(pg_catalog.json_typeof(m.value) IN ('object', 'array')) THEN '='
                 ELSE coalesce(pg_catalog.string_agg(
                     {key} || '=>' || coalesce({value}, 'NULL'), ','), '') END
             FROM pg_catalog.json_each({json}) AS m (key, value))
         ELSE {json} #>> '{{}}' END)",
        key = quoted("m.key"),
        value = quoted("(m.value #>> '{}')"),
    )
}

fn from(columns: &[&Source<'_>]) -> String {
    let definitions: Vec<String> = columns.iter().map(|source| source.definition()).collect();
    format!(
        "FROM pg_temp.atlashub_import s CROSS JOIN LATERAL pg_catalog.json_to_record(s.doc::json) AS r ({})",
        definitions.join(", ")
    )
}

const RANGE: &str = "WHERE s.row_number BETWEEN $1 AND $2";
const SET: &str = "WHERE s.row_number = ANY ($1)";

fn overriding(plan: &Plan) -> &'static str {
    if plan.override_identity { "OVERRIDING SYSTEM VALUE" } else { "" }
}

fn insert(target: &Target, plan: &Plan, columns: &[Source<'_>], names: &[String], rows: &str) -> String {
    let values: Vec<String> = columns.iter().map(Source::value).collect();
    let all: Vec<&Source<'_>> = columns.iter().collect();
    format!(
        "INSERT INTO {} ({}) {} SELECT {} {} {rows}",
        target.quoted,
        names.join(", "),
        overriding(plan),
        values.join(", "),
        from(&all)
    )
}

/// Returns a statement that upserts rows. Its result has four numbers: the rows inserted, the rows written, the rows of
/// the file, and the rows of the file that no later row replaces.
fn upsert(target: &Target, plan: &Plan, columns: &[Source<'_>], names: &[String], rows: &str) -> String {
    let all: Vec<&Source<'_>> = columns.iter().collect();
    let values: Vec<String> =
        columns.iter().enumerate().map(|(index, source)| format!("{} AS v{index}", source.value())).collect();
    let position = |name: &String| columns.iter().position(|source| source.column.name == *name).unwrap_or_default();
    let keys: Vec<String> = plan.conflict.iter().map(|name| format!("v{}", position(name))).collect();
    // `DISTINCT ON` treats NULLs as equal.
    let own_group = if target.nulls_are_equal(&plan.conflict) {
        String::new()
    } else {
        format!(", CASE WHEN {} THEN row_number END", any_null(&keys))
    };
    let moved: Vec<String> = (0..columns.len()).map(|index| format!("v{index}")).collect();
    let conflict: Vec<String> = plan.conflict.iter().map(|name| ident(name)).collect();
    let (returned, is_inserted) = is_inserted(target, plan);
    format!(
        "WITH source AS (SELECT s.row_number, {values} {from} {rows}),
         last AS (
             SELECT DISTINCT ON ({keys}{own_group}) * FROM source ORDER BY {keys}{own_group}, row_number DESC),
         written AS (
             INSERT INTO {table} ({names}) {overriding} SELECT {moved} FROM last ORDER BY row_number
             ON CONFLICT ({conflict}) {action} RETURNING {returned})
         SELECT pg_catalog.count(*) FILTER (WHERE {is_inserted}), pg_catalog.count(*),
             (SELECT pg_catalog.count(*) FROM source), (SELECT pg_catalog.count(*) FROM last) FROM written",
        values = values.join(", "),
        from = from(&all),
        keys = keys.join(", "),
        table = target.quoted,
        names = names.join(", "),
        overriding = overriding(plan),
        moved = moved.join(", "),
        conflict = conflict.join(", "),
        action = conflict_action(plan, columns),
    )
}

/// Returns the condition that a value of a key is NULL.
fn any_null(keys: &[String]) -> String {
    keys.iter().map(|key| format!("{key} IS NULL")).collect::<Vec<_>>().join(" OR ")
}

/// Returns a statement that compares the keys of the waiting rows of an upsert with those of all rows. Its result has,
/// for each waiting row, its number, a number that all rows with its key have, and whether a later row with this key
/// was moved.
///
/// A row whose key is a default equals no other. The default could be the next value of a sequence, which would differ
/// from the value in the table.
fn same_keys(target: &Target, plan: &Plan, columns: &[Source<'_>]) -> String {
    let is_key = |source: &&Source<'_>| plan.conflict.contains(&source.column.name);
    let keys: Vec<&Source<'_>> = columns.iter().filter(is_key).collect();
    let values = keys.iter().enumerate().map(|(index, source)| format!("{} AS v{index}", source.value_in_file()));
    let names: Vec<String> = (0..keys.len()).map(|index| format!("v{index}")).collect();
    let defaults: Vec<String> = keys.iter().filter_map(|source| source.is_default()).collect();
    let equals_no_other = match target.nulls_are_equal(&plan.conflict) {
        true => "is_default".to_owned(),
        // This includes defaults, for which the file has no value.
        false => any_null(&names),
    };
    format!(
        "WITH source AS (SELECT s.row_number, {is_default} AS is_default, {values} {from}),
         keyed AS (
             SELECT row_number, w.number IS NOT NULL AS is_waiting, pg_catalog.min(row_number) OVER same_key AS key,
                 pg_catalog.max(row_number) FILTER (WHERE w.number IS NULL) OVER same_key AS last_moved
             FROM source LEFT JOIN pg_catalog.unnest($1::bigint[]) AS w (number) ON w.number = row_number
             WINDOW same_key AS (PARTITION BY {names}, CASE WHEN {equals_no_other} THEN row_number END))
         SELECT row_number, key, coalesce(last_moved > row_number, false) FROM keyed WHERE is_waiting
         ORDER BY row_number",
        is_default = if defaults.is_empty() { "false".to_owned() } else { defaults.join(" OR ") },
        values = values.collect::<Vec<_>>().join(", "),
        from = from(&keys),
        names = names.join(", "),
    )
}

/// Returns the values that an upsert returns for each row that it wrote, and a condition on them that is true if the
/// row was inserted, not updated.
fn is_inserted(target: &Target, plan: &Plan) -> (String, String) {
    let key = target.keys.iter().find(|key| key.columns == plan.conflict);
    let ("p", Some(key)) = (target.kind.as_str(), key) else {
        return ("xmax = 0 AS is_inserted".to_owned(), "is_inserted".to_owned());
    };
    // Partitioned tables do not return system columns. But a statement reads the table as it was before it wrote to it,
    // so it finds the key of an updated row there, and not that of an inserted one. If another transaction inserted the
    // key in between, the row counts as inserted. Two NULLs are equal only if the key treats them as equal.
    let nulls_are_equal = target.nulls_are_equal(&plan.conflict);
    let (mut returned, mut conditions) = (Vec::new(), Vec::new());
    for (index, (name, equality)) in key.columns.iter().zip(&key.equalities).enumerate() {
        let name = ident(name);
        returned.push(format!("{name} AS k{index}"));
        let is_equal = format!("t.{name} {equality} written.k{index}");
        conditions.push(match nulls_are_equal {
            // `IS NOT DISTINCT FROM`, with the key's operator.
            true => format!("({is_equal} OR t.{name} IS NULL AND written.k{index} IS NULL)"),
            false => is_equal,
        });
    }
    let same_key = format!("SELECT FROM {} t WHERE {}", target.quoted, conditions.join(" AND "));
    (returned.join(", "), format!("NOT EXISTS ({same_key})"))
}

/// Returns the action of an upsert for a row that exists. An identity that is always generated can't be changed.
fn conflict_action(plan: &Plan, columns: &[Source<'_>]) -> String {
    let changeable: Vec<&Column> =
        columns.iter().map(|source| source.column).filter(|column| !column.is_always_identity).collect();
    // A key of an exact type is the same in both rows. Not assigning it takes a weaker lock.
    let is_unchanged = |column: &&Column| column.is_exact && plan.conflict.contains(&column.name);
    let mut changed: Vec<&Column> = changeable.iter().copied().filter(|column| !is_unchanged(column)).collect();
    if changed.is_empty() {
        // There is nothing to change, but the row counts as updated.
        changed = changeable;
    }
    if changed.is_empty() {
        return "DO NOTHING".to_owned();
    }
    let changes = changed.iter().map(|column| format!("{0} = EXCLUDED.{0}", ident(&column.name)));
    format!("DO UPDATE SET {}", changes.collect::<Vec<_>>().join(", "))
}
