//! Finding the column that a value did not fit, after Postgres refused a write without naming it.
//!
//! Runs on the error path only, and reads nothing but the values that the client sent.

use std::sync::Arc;

use serde_json::Value;

use crate::{db::DbError, error::ApiError};

use super::{
    errors,
    execute::{DataService, Identity},
    plan::{ColumnRef, GroupRows, InsertPlan, UpdatePlan},
    render::{MAX_AFFECTED_MARKER, render_value_check},
    request::{InsertRequest, Row, UpdateRequest},
};

/// A value was refused, and not one that stood alone in a parameter.
pub(super) fn is_unnamed_value(error: &DbError) -> bool {
    error.as_db_error().is_some_and(|refusal| {
        refusal.code().code().starts_with("22")
            && errors::unreadable_parameter(error).is_none()
            && !refusal.message().contains(MAX_AFFECTED_MARKER)
    })
}

impl DataService {
    pub(super) async fn find_bad_insert(
        &self,
        identity: Identity<'_>,
        plan: &InsertPlan<'_>,
        request: &InsertRequest<'_>,
    ) -> Option<ApiError> {
        if let Some(named) = plan.groups.iter().find_map(|group| {
            group.positions.iter().find_map(|place| unstorable_text(&group.columns, &request.rows[*place]))
        }) {
            return Some(named);
        }
        for group in &plan.groups {
            let rows = match (&group.rows, group.positions.first()) {
                (GroupRows::Many(json), _) => json.clone(),
                (GroupRows::One(_), Some(place)) => format!("[{}]", request.rows[*place].json).into(),
                (GroupRows::One(_) | GroupRows::Defaults { .. }, _) => continue,
            };
            if let Some(named) = self.find_bad_column(identity, &group.columns, &rows).await {
                return Some(named);
            }
        }
        None
    }

    pub(super) async fn find_bad_update(
        &self,
        identity: Identity<'_>,
        plan: &UpdatePlan<'_>,
        request: &UpdateRequest<'_>,
    ) -> Option<ApiError> {
        let columns: Vec<ColumnRef<'_>> = plan.values.iter().map(|(column, _)| *column).collect();
        match unstorable_text(&columns, &request.values) {
            Some(named) => Some(named),
            None => self.find_bad_column(identity, &columns, &format!("[{}]", request.values.json).into()).await,
        }
    }

    /// Halves the columns until one is left.
    async fn find_bad_column(
        &self,
        identity: Identity<'_>,
        columns: &[ColumnRef<'_>],
        rows: &Arc<str>,
    ) -> Option<ApiError> {
        let mut suspects = columns;
        let mut refusal = self.refusal_of(identity, suspects, rows).await?;
        while suspects.len() > 1 {
            let (first, second) = suspects.split_at(suspects.len() / 2);
            match self.refusal_of(identity, first, rows).await {
                Some(found) => (suspects, refusal) = (first, found),
                None => (suspects, refusal) = (second, self.refusal_of(identity, second, rows).await?),
            }
        }
        let column = suspects.first()?.column;
        Some(errors::bad_value(&refusal, &column.name, &column.data_type))
    }

    /// What Postgres says to the values of these columns alone, if it refuses them.
    async fn refusal_of(&self, identity: Identity<'_>, columns: &[ColumnRef<'_>], rows: &Arc<str>) -> Option<String> {
        let check = render_value_check(columns, rows.clone());
        match self.fetch(identity, &check.statement).await {
            Ok(_) => None,
            Err(error) => {
                let refusal = error.as_db_error()?;
                let is_value = refusal.code().code().starts_with("22");
                is_value.then(|| refusal.message().to_owned())
            }
        }
    }
}

/// JSON may hold a NUL, or half a surrogate pair; Postgres refuses the whole text of rows for it.
fn unstorable_text(columns: &[ColumnRef<'_>], row: &Row<'_>) -> Option<ApiError> {
    let is_bad = |json: &str| {
        json.contains("\\u") && serde_json::from_str::<Value>(json).map_or(true, |value| contains_nul(&value))
    };
    let (key, _) = row.cells.iter().find(|(_, value)| is_bad(value.get()))?;
    let column = columns.iter().find(|column| column.column.name == *key)?.column;
    let refusal = "it can't hold a NUL character or half a surrogate pair";
    Some(errors::bad_value(refusal, &column.name, &column.data_type))
}

fn contains_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(contains_nul),
        Value::Object(members) => members.iter().any(|(key, value)| key.contains('\0') || contains_nul(value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
