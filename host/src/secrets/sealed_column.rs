//! The columns of the platform database that hold sealed values: re-seals them when the master key changes, and checks
//! that they can be opened.

use std::fmt::{self, Write as _};

use sqlx::{AssertSqlSafe, PgConnection, PgPool};

use super::{KeyId, SealError, Sealer};

/// Maximum number of rows of a column that one statement re-seals.
const RESEAL_BATCH: usize = 200;

/// A `bytea` column of sealed values. Null means that a row has no value.
///
/// Each slice declares its own columns and seals with their identities; `app` collects them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedColumn {
    pub table: &'static str,
    pub column: &'static str,
    /// Columns that identify a row.
    pub key_columns: &'static [&'static str],
    /// The identity for which a row's value is sealed. `{name}` stands for the value of a key column.
    pub identity: &'static str,
}

/// Result of re-sealing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResealReport {
    /// Values that are now sealed with the current key.
    pub resealed: u64,
    /// Values that were already sealed with the current key.
    pub already_current: u64,
}

/// The reason why the sealed values of a column could not be checked or re-sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealedColumnError {
    #[error("{identity}: {error}")]
    Seal { identity: String, error: SealError },
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl SealedColumn {
    /// Returns the identity for which the value of a row is sealed. `key` holds the values of the key columns, in their
    /// order.
    pub fn identity(&self, key: &[&dyn fmt::Display]) -> String {
        let mut identity = String::new();
        let mut rest = self.identity;
        while let Some((text, (name, after))) =
            rest.split_once('{').and_then(|(text, rest)| Some((text, rest.split_once('}')?)))
        {
            identity.push_str(text);
            if let Some(index) = self.key_columns.iter().position(|column| *column == name)
                && let Some(value) = key.get(index)
            {
                // Writing to a `String` can't fail.
                let _ = write!(identity, "{value}");
            }
            rest = after;
        }
        identity.push_str(rest);
        identity
    }

    /// Returns the identity and the sealed value of every row that has a value.
    async fn values(&self, platform: &PgPool) -> Result<Vec<(String, Vec<u8>)>, sqlx::Error> {
        let Self { table, column, key_columns, .. } = self;
        let keys = key_columns.iter().map(|column| format!("{column}::text")).collect::<Vec<_>>().join(", ");
        // The SQL contains only constants from the source code.
        let sql = format!("SELECT ARRAY[{keys}], {column} FROM {table} WHERE {column} IS NOT NULL");
        let rows: Vec<(Vec<String>, Vec<u8>)> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(platform).await?;
        let with_identity = |(key, sealed): (Vec<String>, _)| {
            let key: Vec<&dyn fmt::Display> = key.iter().map(|value| value as &dyn fmt::Display).collect();
            (self.identity(&key), sealed)
        };
        Ok(rows.into_iter().map(with_identity).collect())
    }

    /// Returns the ids of the keys that sealed the values.
    async fn keys(&self, connection: &mut PgConnection) -> Result<Vec<KeyId>, sqlx::Error> {
        let Self { table, column, .. } = self;
        let sql = format!(
            "SELECT DISTINCT substring({column} FROM 1 FOR {}) FROM {table} WHERE {column} IS NOT NULL",
            KeyId::HEADER_BYTES
        );
        let headers: Vec<Vec<u8>> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(connection).await?;
        Ok(headers.iter().filter_map(|header| KeyId::of_header(header)).collect())
    }

    /// Replaces sealed values. A value that was changed in the meantime stays: a running node sealed it with the
    /// current key.
    async fn replace(&self, platform: &PgPool, old: &[Vec<u8>], new: &[Vec<u8>]) -> Result<(), sqlx::Error> {
        let Self { table, column, .. } = self;
        // The sealed value identifies its row: each contains a random nonce.
        let sql = format!(
            "UPDATE {table} SET {column} = replacement.new
             FROM unnest($1::bytea[], $2::bytea[]) AS replacement (old, new)
             WHERE {table}.{column} = replacement.old"
        );
        sqlx::query(AssertSqlSafe(sql)).bind(old).bind(new).execute(platform).await.map(drop)
    }
}

/// Re-seals, with the current key, every value that another key sealed, while nodes run with both keys.
///
/// Can be interrupted and run again.
///
/// # Errors
/// Fails at the first value that no key can open, or if the database can't be accessed. Values that were re-sealed
/// before stay so; the others are not changed.
pub async fn reseal(
    platform: &PgPool,
    sealer: &Sealer,
    columns: &[SealedColumn],
) -> Result<ResealReport, SealedColumnError> {
    let mut report = ResealReport::default();
    for column in columns {
        let values = column.values(platform).await?;
        let (current, outdated): (Vec<_>, Vec<_>) =
            values.into_iter().partition(|(_, sealed)| sealer.is_current(sealed));
        report.already_current += current.len() as u64;
        for batch in outdated.chunks(RESEAL_BATCH) {
            let reseal_one = |(identity, sealed): &(String, Vec<u8>)| {
                let resealed = sealer.open(sealed, identity).and_then(|plain| sealer.seal(&plain, identity));
                resealed.map_err(|error| SealedColumnError::Seal { identity: identity.clone(), error })
            };
            let new = batch.iter().map(reseal_one).collect::<Result<Vec<_>, _>>()?;
            let old: Vec<_> = batch.iter().map(|(_, sealed)| sealed.clone()).collect();
            column.replace(platform, &old, &new).await?;
            report.resealed += batch.len() as u64;
        }
    }
    Ok(report)
}

/// Returns the error of a sealed value if no sealed value can be opened. Returns `None` if one can be opened, or if
/// there are no sealed values.
///
/// # Errors
/// Fails if the database can't be accessed.
pub async fn find_reason_why_none_opens(
    platform: &PgPool,
    sealer: &Sealer,
    columns: &[SealedColumn],
) -> Result<Option<SealError>, sqlx::Error> {
    let mut reason = None;
    for column in columns {
        for (identity, sealed) in column.values(platform).await? {
            match sealer.open(&sealed, &identity) {
                Ok(_) => return Ok(None),
                Err(error) => reason = Some(error),
            }
        }
    }
    Ok(reason)
}

/// Returns the ids of the master keys that sealed the values of a platform database.
///
/// # Errors
/// Fails if the database can't be accessed.
pub async fn find_keys(connection: &mut PgConnection, columns: &[SealedColumn]) -> Result<Vec<KeyId>, sqlx::Error> {
    let mut found = Vec::new();
    for column in columns {
        for key in column.keys(&mut *connection).await? {
            if !found.contains(&key) {
                found.push(key);
            }
        }
    }
    Ok(found)
}

/// Returns the id of the master key that a dump of the platform database needs: the previous one while values are still
/// sealed with it, otherwise the current one.
///
/// # Errors
/// Fails if the database can't be accessed.
pub async fn find_needed_key(
    platform: &PgPool,
    sealer: &Sealer,
    columns: &[SealedColumn],
) -> Result<KeyId, sqlx::Error> {
    let previous: Vec<KeyId> = sealer.previous_keys().collect();
    if previous.is_empty() {
        return Ok(sealer.current_key());
    }
    let found = find_keys(&mut *platform.acquire().await?, columns).await?;
    Ok(previous.into_iter().find(|key| found.contains(key)).unwrap_or(sealer.current_key()))
}

/// Opens every sealed value and returns their number.
///
/// # Errors
/// Fails at the first value that can't be opened, or if the database can't be accessed.
pub async fn check_sealed(
    platform: &PgPool,
    sealer: &Sealer,
    columns: &[SealedColumn],
) -> Result<u64, SealedColumnError> {
    let mut opened = 0;
    for column in columns {
        for (identity, sealed) in column.values(platform).await? {
            sealer.open(&sealed, &identity).map_err(|error| SealedColumnError::Seal { identity, error })?;
            opened += 1;
        }
    }
    Ok(opened)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identity_contains_the_key_values() {
        let column = SealedColumn {
            table: "t",
            column: "sealed",
            key_columns: &["plugin", "name"],
            identity: "t/{plugin}/{name}/end",
        };
        assert_eq!(column.identity(&[&"{name}", &7]), "t/{name}/7/end");
        assert_eq!(SealedColumn { identity: "{name}{plugin}", ..column }.identity(&[&"a", &"b"]), "ba");
        assert_eq!(SealedColumn { identity: "plain", ..column }.identity(&[&"a", &"b"]), "plain");
    }
}
