//! Parses the request for several changes of rows in one transaction.

use api_types::ChangeOperation;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;

use crate::{
    data::message::shortened,
    error::{ApiError, ApiResult, Code},
    http::json_syntax_error,
};

use super::{
    filter::{Condition, Filter, Operator},
    read::{Count, ReadRequest},
    row::Row,
    select::SelectItem,
    write::{DeleteRequest, InsertRequest, Returning, UpdateRequest},
};

/// Maximum number of changes in a request.
const MAX_CHANGES: usize = 1000;

/// Maximum number of bytes of a value in the error for a changed row.
const MAX_SHOWN_BYTES: u64 = 4096;

/// A `POST` of several changes.
#[derive(Debug)]
pub struct ChangesRequest<'b> {
    pub changes: Vec<ChangeRequest<'b>>,
    pub dry_run: bool,
}

/// One change of one row.
#[derive(Debug)]
pub enum ChangeRequest<'b> {
    Insert(InsertRequest<'b>),
    Update { request: UpdateRequest<'b>, was: Row<'b> },
    Delete { request: DeleteRequest, was: Row<'b> },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawChanges<'b> {
    #[serde(borrow)]
    changes: Vec<&'b RawValue>,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawChange<'b> {
    op: ChangeOperation,
    #[serde(borrow, default)]
    key: Option<&'b RawValue>,
    #[serde(borrow, default)]
    set: Option<&'b RawValue>,
    #[serde(borrow, default)]
    was: Option<&'b RawValue>,
}

impl<'b> ChangesRequest<'b> {
    /// Parses the body, an [`api_types::ChangeRows`]. Values stay unparsed JSON.
    ///
    /// # Errors
    /// Returns `invalid_json` if the body or a change does not have this form, `invalid_request` for an invalid
    /// combination of members or number of changes, and `invalid_value` if a key can't identify a row.
    pub fn parse(body: &'b [u8]) -> ApiResult<Self> {
        // serde accepts an array for a struct.
        let is_object = body.trim_ascii_start().starts_with(b"{");
        let raw: Option<RawChanges<'b>> = serde_json::from_slice(body).ok().filter(|_| is_object);
        let raw = raw.ok_or_else(|| invalid_body(body))?;
        if raw.changes.is_empty() || raw.changes.len() > MAX_CHANGES {
            return Err(ApiError::invalid(format!(
                "`changes` contains {} changes. Send 1 to {MAX_CHANGES}.",
                raw.changes.len()
            )));
        }
        let changes = raw
            .changes
            .iter()
            .enumerate()
            .map(|(index, json)| {
                let change = raw_change(json, index);
                change
                    .and_then(|change| ChangeRequest::parse(&change, index))
                    .map_err(|error| error.with_detail("change", index.into()))
            })
            .collect::<ApiResult<Vec<_>>>()?;
        Ok(Self { changes, dry_run: raw.dry_run })
    }
}

/// Returns the error for an invalid body: the position of the syntax error, or the expected form.
fn invalid_body(body: &[u8]) -> ApiError {
    let message = match serde_json::from_slice::<IgnoredAny>(body) {
        Ok(_) => "The body must be an object of the form {\"changes\":[{\"op\":…}],\"dryRun\":false}.".to_owned(),
        Err(error) => format!("The body is not valid JSON: {}.", json_syntax_error(&error)),
    };
    ApiError::new(Code::InvalidJson, message)
}

fn raw_change<'b>(json: &'b RawValue, index: usize) -> ApiResult<RawChange<'b>> {
    let json = json.get();
    let change = if json.starts_with('{') { serde_json::from_str(json).ok() } else { None };
    change.ok_or_else(|| {
        ApiError::new(
            Code::InvalidJson,
            format!(
                "changes[{index}] must be an object with `op`, which is insert, update or delete, and any of the \
                 objects `key`, `set` and `was`."
            ),
        )
    })
}

impl<'b> ChangeRequest<'b> {
    fn parse(raw: &RawChange<'b>, index: usize) -> ApiResult<Self> {
        let member = |name: &str, json: Option<&'b RawValue>| {
            Row::parse(json.map_or("{}", RawValue::get), format_args!("changes[{index}].{name}"))
        };
        let (key, set, was) = (member("key", raw.key)?, member("set", raw.set)?, member("was", raw.was)?);
        let reject = |name: &str, reason: &str| Err(ApiError::invalid(format!("changes[{index}].{name} {reason}.")));
        match raw.op {
            ChangeOperation::Insert if !key.cells.is_empty() => reject("key", "is not supported for an insert"),
            ChangeOperation::Insert if !was.cells.is_empty() => reject("was", "is not supported for an insert"),
            ChangeOperation::Update | ChangeOperation::Delete if key.cells.is_empty() => {
                reject("key", "is empty: send the columns of a unique key")
            }
            ChangeOperation::Update if set.cells.is_empty() => {
                reject("set", "is empty: send at least one column to change")
            }
            ChangeOperation::Delete if !set.cells.is_empty() => reject("set", "is not supported for a delete"),
            ChangeOperation::Insert => Ok(Self::Insert(InsertRequest {
                // Only requests with several rows use `rows_json`.
                rows_json: "",
                rows: vec![set],
                select: Vec::new(),
                returning: Some(Returning::Minimal),
                on_conflict: Vec::new(),
                resolution: None,
            })),
            ChangeOperation::Update => Ok(Self::Update {
                request: UpdateRequest {
                    values: set,
                    conditions: key_conditions(&key, index)?,
                    select: Vec::new(),
                    returning: Some(Returning::Minimal),
                    max_affected: None,
                },
                was,
            }),
            ChangeOperation::Delete => Ok(Self::Delete {
                request: DeleteRequest {
                    conditions: key_conditions(&key, index)?,
                    select: Vec::new(),
                    returning: Some(Returning::Minimal),
                    max_affected: None,
                },
                was,
            }),
        }
    }

    pub fn operation(&self) -> ChangeOperation {
        match self {
            Self::Insert(_) => ChangeOperation::Insert,
            Self::Update { .. } => ChangeOperation::Update,
            Self::Delete { .. } => ChangeOperation::Delete,
        }
    }

    /// Returns the values that the row must still have, and a request that reads its current values. `None` for an
    /// insert.
    pub fn read_of_present_values(&self) -> Option<(&Row<'b>, ReadRequest)> {
        let (conditions, was) = match self {
            Self::Insert(_) => return None,
            Self::Update { request, was } => (&request.conditions, was),
            Self::Delete { request, was } => (&request.conditions, was),
        };
        let mut select: Vec<SelectItem> = was
            .cells
            .iter()
            .map(|(column, _)| SelectItem::Column { column: column.clone().into_owned(), alias: None })
            .collect();
        if select.is_empty() {
            let first = conditions.iter().find_map(|condition| match condition {
                Condition::Filter(filter) => Some(filter.column.clone()),
                Condition::Group(_) => None,
            });
            select.extend(first.map(|column| SelectItem::Column { column, alias: None }));
        }
        let request = ReadRequest {
            select,
            conditions: conditions.clone(),
            order: Vec::new(),
            limit: Some(1),
            offset: 0,
            count: Count::None,
            after: None,
            max_cell_bytes: Some(MAX_SHOWN_BYTES),
        };
        Some((was, request))
    }
}

/// Returns the conditions that a row has this key.
fn key_conditions(key: &Row<'_>, index: usize) -> ApiResult<Vec<Condition>> {
    key.cells
        .iter()
        .map(|(column, value)| {
            let json = value.get();
            let text = match json.as_bytes().first() {
                Some(b'"') => serde_json::from_str::<String>(json).ok().filter(|text| !text.contains('\0')),
                Some(b'n' | b'[' | b'{') => None,
                _ => Some(json.to_owned()),
            };
            let text = text.ok_or_else(|| {
                ApiError::new(
                    Code::InvalidValue,
                    format!(
                        "changes[{index}].key: the value of `{}` can't identify a row. Send a string without NUL \
                         characters, a number or a boolean.",
                        shortened(column)
                    ),
                )
            })?;
            Ok(Condition::Filter(Filter {
                negated: false,
                operator: Operator::Eq,
                column: column.clone().into_owned(),
                value: text.into(),
            }))
        })
        .collect()
}
