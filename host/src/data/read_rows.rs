//! Writes the rows of a read into the response as they arrive.
//!
//! The text between rows is that of `json_agg`. If Postgres built the JSON of a row ([`ReadPlan::json_rows`]), this
//! module copies it unchanged. Otherwise, it builds the row from the bytes of its columns. Both ways produce the same
//! text. The tests compare them.

use std::fmt::Write as _;

use anyhow::Context as _;
use serde_json::value::RawValue;
use tokio_postgres::Row;

use super::{
    columns::{bytes_column, count_column, json_column, optional_count_column, text_column},
    cursor, cut_values,
    json_values::{ValueWriter, write_string},
    plan::{CutForm, Keyset, Output, ReadPlan},
    request::Count,
    respond::RespondError,
    schema::ResultForm,
};
use crate::{
    db::{DbError, RowSink},
    http::ResponseBuffer,
};

/// The text before the first row. [`SEPARATOR`] is the text between two rows.
const BEGIN: &[u8] = b"{\"rows\":[";
const SEPARATOR: &[u8] = b", \n ";

/// The beginning of a read's response: `{"rows":[…`, without the closing bracket.
///
/// Receives the rows that [`render_read`](super::render::render_read) documents, and leaves out the row beyond the
/// limit.
pub(super) struct ReadRows<'p> {
    plan: &'p ReadPlan<'p>,
    response: ResponseBuffer,
    /// The members of a row, known from the first row on. Empty if Postgres builds the JSON of the rows.
    members: Vec<Member>,
    /// Number of rows in the response.
    count: u64,
    has_more: bool,
    total: Option<u64>,
    /// A bit for each embedded array that was cut.
    cut: u64,
    /// The last row of a full page, if the page may need a cursor.
    last: Option<Row>,
    /// The values that were cut, as members of a JSON array.
    cut_values: String,
}

/// A member of a row's JSON object, built from one column of the result.
struct Member {
    /// The text before the value: `{"name":` or `,"name":`.
    name: Vec<u8>,
    writer: MemberWriter,
}

/// Converts the value of a member to JSON.
#[derive(Clone, Copy)]
enum MemberWriter {
    Whole(ValueWriter),
    /// The value may be cut.
    Cut(CutForm),
}

/// A page of rows.
pub(super) struct Page {
    /// The response up to the last row, without the end of the array.
    pub(super) response: ResponseBuffer,
    pub(super) row_count: u64,
    pub(super) has_more: bool,
    /// The exact total, if requested.
    pub(super) total: Option<u64>,
    /// A bit for each embedded array that was cut. Its position is that of the array in [`ReadPlan::lists`].
    pub(super) cut: u64,
    pub(super) next_cursor: Option<String>,
    /// With `max_cell_bytes`, a JSON array of the values that were cut: `[[row,"member",bytes],…]`. Rows are counted
    /// from 0, and `bytes` is the size of the whole value.
    pub(super) cut_values: Option<String>,
}

impl<'p> ReadRows<'p> {
    pub(super) fn new(plan: &'p ReadPlan<'p>, response: ResponseBuffer) -> Self {
        Self {
            plan,
            response,
            members: Vec::new(),
            count: 0,
            has_more: false,
            total: None,
            cut: 0,
            last: None,
            cut_values: String::new(),
        }
    }

    fn add_row(&mut self, row: Row) -> Result<(), RespondError> {
        let mut cut = 0;
        if self.plan.json_rows() {
            let mut column = 1 + self.plan.separate_terms().len();
            if !self.plan.lists.is_empty() {
                cut = optional_count_column(&row, column)?;
                column += 1;
            }
            if self.plan.counts_rows() {
                self.total = Some(count_column(&row, column)?);
            }
            // With `count=exact`, the query returns one row with the total even if the page is empty. The JSON of that
            // row is null.
            if bytes_column(&row, 0)?.is_none() {
                return Ok(());
            }
        }
        if self.count == self.plan.limit {
            self.has_more = true;
            return Ok(());
        }
        self.response.push(if self.count == 0 { BEGIN } else { SEPARATOR })?;
        if self.plan.json_rows() {
            self.response.push(json_column(&row, 0)?.unwrap_or("null").as_bytes())?;
            self.cut |= cut;
        } else {
            if self.count == 0 {
                self.members = members(self.plan, &row)?;
            }
            self.write_members(&row)?;
        }
        self.count += 1;
        if self.count == self.plan.limit && self.plan.keyset.is_some() {
            self.last = Some(row);
        }
        Ok(())
    }

    fn write_members(&mut self, row: &Row) -> Result<(), RespondError> {
        let response = &mut self.response;
        let max_cell_bytes = self.plan.max_cell_bytes.unwrap_or(u64::MAX) as usize;
        if self.members.is_empty() {
            response.push(b"{")?;
        }
        for (position, member) in self.members.iter().enumerate() {
            response.push(&member.name)?;
            let mut push = |json: &[u8]| Ok::<_, RespondError>(response.push(json)?);
            match (bytes_column(row, position)?, member.writer) {
                (None, _) => push(b"null")?,
                (Some(value), MemberWriter::Whole(writer)) => writer.write(value, &mut push)?,
                (Some(value), MemberWriter::Cut(form)) => {
                    if let Some(whole_bytes) = cut_values::write(form, value, max_cell_bytes, &mut push)? {
                        let comma = if self.cut_values.is_empty() { "" } else { "," };
                        let name = serde_json::Value::from(self.plan.outputs[position].name());
                        // Writing to a String can't fail.
                        let _ = write!(self.cut_values, "{comma}[{},{name},{whole_bytes}]", self.count);
                    }
                }
            }
        }
        response.push(b"}")?;
        Ok(())
    }

    /// Returns the page. Call this function after the last row was added.
    pub(super) fn finish(mut self) -> Result<Page, RespondError> {
        if self.count == 0 {
            self.response.push(BEGIN)?;
        }
        let next_cursor = match (&self.plan.keyset, &self.last) {
            (Some(keyset), Some(last)) if self.has_more => self.next_cursor(keyset, last)?,
            _ => None,
        };
        let total = match (self.plan.count, self.plan.single) {
            (Count::Exact, true) => Some(self.count),
            _ => self.total,
        };
        let cut_values = self.plan.max_cell_bytes.is_some().then(|| format!("[{}]", self.cut_values));
        let Self { response, count: row_count, has_more, cut, .. } = self;
        Ok(Page { response, row_count, has_more, total, cut, next_cursor, cut_values })
    }

    /// Builds the cursor of a row.
    fn next_cursor(&self, keyset: &Keyset<'_>, row: &Row) -> Result<Option<String>, RespondError> {
        let Some(members) = &keyset.members else {
            let first = if self.plan.json_rows() { 1 } else { self.plan.outputs.len() };
            let columns = first..first + keyset.terms;
            let texts = columns.map(|column| text_column(row, column)).collect::<anyhow::Result<Vec<_>>>()?;
            return Ok(cursor::encode_texts(&keyset.signature, texts));
        };
        let values = members.iter().map(|member| self.member_value(row, member)).collect::<Result<Vec<_>, _>>()?;
        let values: Vec<&RawValue> = values.iter().map(Box::as_ref).collect();
        let cursor = cursor::encode(&keyset.signature, &values);
        Ok(Some(cursor.context("a value of the key is not a scalar")?))
    }

    /// Returns the JSON of a row's member.
    fn member_value(&self, row: &Row, name: &str) -> Result<Box<RawValue>, RespondError> {
        if self.plan.json_rows() {
            let json = json_column(row, 0)?.context("a row is null")?;
            let members: std::collections::HashMap<String, &RawValue> =
                serde_json::from_str(json).context("a row is not a JSON object")?;
            return Ok((*members.get(name).context("a row lacks a selected member")?).to_owned());
        }
        let position = self.plan.outputs.iter().position(|output| output.name() == name);
        let position = position.context("a row lacks a selected member")?;
        let mut json = Vec::new();
        match (bytes_column(row, position)?, self.members.get(position).map(|member| member.writer)) {
            (Some(value), Some(MemberWriter::Whole(writer))) => writer.write(value, &mut |piece| {
                json.extend_from_slice(piece);
                Ok::<_, RespondError>(())
            })?,
            // The members of a keyset are never cut.
            _ => json.extend_from_slice(b"null"),
        }
        let json = String::from_utf8(json).context("a value is not UTF-8")?;
        Ok(RawValue::from_string(json).context("a value is not JSON")?)
    }
}

/// Returns the members of the rows of a result.
fn members(plan: &ReadPlan<'_>, row: &Row) -> Result<Vec<Member>, RespondError> {
    let member = |(position, output): (usize, &Output<'_>)| {
        let form = match output {
            Output::Column { column, .. } => column.column.result_form,
            Output::Embed(_) => ResultForm::Json,
        };
        let column = row.columns().get(position).context("a result lacks a column")?;
        let writer = match output.cut_form().filter(|_| plan.max_cell_bytes.is_some()) {
            Some(form) => MemberWriter::Cut(form),
            None => MemberWriter::Whole(ValueWriter::new(form, column.type_()).ok_or(RespondError::Stale)?),
        };
        let mut name = vec![if position == 0 { b'{' } else { b',' }];
        write_string(output.name().as_bytes(), &mut |piece| {
            name.extend_from_slice(piece);
            Ok::<_, RespondError>(())
        })?;
        name.push(b':');
        Ok(Member { name, writer })
    };
    plan.outputs.iter().enumerate().map(member).collect()
}

impl RowSink for ReadRows<'_> {
    fn clear(&mut self) {
        self.response.clear();
        (self.count, self.has_more, self.total, self.cut, self.last) = (0, false, None, 0, None);
        self.cut_values.clear();
    }

    fn add(&mut self, row: Row) -> Result<(), DbError> {
        self.add_row(row).map_err(|error| match error {
            RespondError::Stale => DbError::Stale,
            error => DbError::Refused(error.into()),
        })
    }
}
