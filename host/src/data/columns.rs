//! Reads the columns of results.

use std::{borrow::Cow, error::Error};

use anyhow::Context as _;
use tokio_postgres::{
    Row,
    types::{FromSql, Type},
};

/// JSON as Postgres writes it. The binary and text formats of `json` are the same.
struct JsonText<'a>(&'a str);

impl<'a> FromSql<'a> for JsonText<'a> {
    fn from_sql(_ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(std::str::from_utf8(raw)?))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSON || *ty == Type::TEXT
    }
}

/// The bytes of a value of any type.
struct RawBytes<'a>(&'a [u8]);

impl<'a> FromSql<'a> for RawBytes<'a> {
    fn from_sql(_ty: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(raw))
    }

    fn accepts(_ty: &Type) -> bool {
        true
    }
}

/// Returns the bytes of a value, in Postgres's binary format.
pub(super) fn bytes_column(row: &Row, position: usize) -> anyhow::Result<Option<&[u8]>> {
    let bytes: Option<RawBytes<'_>> = row.try_get(position).context("a result lacks a column")?;
    Ok(bytes.map(|bytes| bytes.0))
}

pub(super) fn json_column(row: &Row, position: usize) -> anyhow::Result<Option<&str>> {
    let json: Option<JsonText<'_>> =
        row.try_get(position).context("a JSON column is missing or has a different type")?;
    Ok(json.map(|json| json.0))
}

pub(super) fn text_column(row: &Row, position: usize) -> anyhow::Result<Option<Cow<'_, str>>> {
    let text: Option<&str> = row.try_get(position).context("a text column is missing or has a different type")?;
    Ok(text.map(Cow::Borrowed))
}

pub(super) fn count_column(row: &Row, position: usize) -> anyhow::Result<u64> {
    let count: i64 = row.try_get(position).context("a count column is missing, null, or of a different type")?;
    Ok(count.unsigned_abs())
}

/// Returns a count, or 0 if it is null.
pub(super) fn optional_count_column(row: &Row, position: usize) -> anyhow::Result<u64> {
    let count: Option<i64> = row.try_get(position).context("a count column is missing or has a different type")?;
    Ok(count.unwrap_or_default().unsigned_abs())
}
