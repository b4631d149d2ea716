use std::sync::Arc;

use crate::data::{
    plan::{
        Answer, Answered, Cast, CellValue, ColumnRef, Conflict, DeletePlan, GroupRows, InsertGroup, InsertPlan, Output,
        QuotedIdent, Target, UpdatePlan,
    },
    request::Resolution,
};

use super::{Alias, Kind, Origin, Rendered, Writer};

/// In the message by which a statement says that it met too many rows, before their number.
pub const MAX_AFFECTED_MARKER: &str = "atlashub_max_affected:";

/// Most rows that an update or delete answers; the count is of all.
pub const MAX_RETURNED_ROWS: u64 = 10_000;

/// Inserts with more rows than this run on a connection of their own.
const BULK_ROWS: usize = 100;

/// How a write's answer comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerForm {
    /// One row for each row written: its JSON object, or a number where none is wanted.
    RowEach,
    /// One row with, for each group of rows, a JSON array (null for none, or none wanted) and the number written.
    Groups,
}

impl InsertPlan<'_> {
    pub fn answer_form(&self) -> AnswerForm {
        match self.groups.as_slice() {
            [InsertGroup { rows: GroupRows::One(_) | GroupRows::Defaults { count: 1, .. }, .. }] => AnswerForm::RowEach,
            _ => AnswerForm::Groups,
        }
    }
}

impl Target<'_> {
    pub fn answer_form(&self) -> AnswerForm {
        match (self.single, self.max_affected) {
            (true, None | Some(1..)) => AnswerForm::RowEach,
            _ => AnswerForm::Groups,
        }
    }
}

/// The statement of an insert; all groups in one, so that all or nothing happens.
pub fn render_insert<'p>(plan: &InsertPlan<'p>) -> Rendered<'p> {
    let mut writer = Writer::new();
    let one_shape = plan.groups.len() == 1;
    if plan.answer_form() == AnswerForm::RowEach {
        writer.joined(&plan.groups, "", |writer, group| writer.insert(plan, group));
        writer.returning_rows(&plan.returning);
        return writer.finish(Kind::WRITE);
    }
    writer.push("WITH ");
    writer.joined(plan.groups.iter().enumerate(), ", ", |writer, (number, group)| {
        writer.group_name(number);
        writer.push(" AS (");
        writer.insert(plan, group);
        writer.returning_columns(&plan.returning);
        writer.push(")");
    });
    writer.push(" SELECT ");
    writer.joined(0..plan.groups.len(), ", ", |writer, number| {
        match plan.returning {
            Answer::Rows(_) => {
                writer.push("(SELECT json_agg(");
                writer.group_name(number);
                writer.push(".*) FROM ");
                writer.group_name(number);
                writer.push(")");
            }
            Answer::Count { .. } => writer.push("NULL::json"),
        }
        writer.push(", (SELECT count(*) FROM ");
        writer.group_name(number);
        writer.push(")");
    });
    // Many rows of defaults are written out one by one.
    let repeatable = one_shape && !matches!(plan.groups[0].rows, GroupRows::Defaults { .. });
    writer.finish(Kind { cacheable: repeatable, heavy: plan.row_count > BULK_ROWS, ..Kind::WRITE })
}

/// The statement of an update.
pub fn render_update<'p>(plan: &UpdatePlan<'p>) -> Rendered<'p> {
    let mut writer = Writer::new();
    writer.change(&plan.target, |writer| {
        writer.push("UPDATE ");
        writer.table(plan.table);
        writer.push(" AS t SET ");
        writer.joined(&plan.values, ", ", |writer, (column, value)| {
            writer.ident(column.ident);
            writer.push(" = ");
            writer.cell(*column, value);
        });
    });
    writer.finish(Kind { heavy: !plan.target.single, ..Kind::WRITE })
}

/// The statement of a delete.
pub fn render_delete<'p>(plan: &DeletePlan<'p>) -> Rendered<'p> {
    let mut writer = Writer::new();
    writer.change(&plan.target, |writer| {
        writer.push("DELETE FROM ");
        writer.table(plan.table);
        writer.push(" AS t");
    });
    writer.finish(Kind { heavy: !plan.target.single, ..Kind::WRITE })
}

/// Reads the rows' values of these columns as the table declares them, and writes nothing.
pub fn render_value_check<'p>(columns: &[ColumnRef<'p>], rows: Arc<str>) -> Rendered<'p> {
    let mut writer = Writer::new();
    writer.push("SELECT ");
    writer.joined(columns, ", ", |writer, column| {
        writer.push("count(x.");
        writer.ident(column.ident);
        writer.push(")");
    });
    writer.push(" FROM json_to_recordset(");
    writer.bare_param(Some(rows), Origin::Rows);
    writer.push("::json) AS x(");
    writer.joined(columns, ", ", |writer, column| {
        writer.ident(column.ident);
        writer.push(" ");
        writer.declared_type(*column);
    });
    writer.push(")");
    writer.finish(Kind { cacheable: false, ..Kind::READ })
}

impl<'p> Writer<'p> {
    /// `g0`, `g1`, …
    fn group_name(&mut self, number: usize) {
        self.push("g");
        self.number(number as u64);
    }

    /// An update or delete up to its `WHERE`, completed as its target wants it.
    fn change(&mut self, target: &Target<'p>, statement: impl FnOnce(&mut Self)) {
        if target.answer_form() == AnswerForm::RowEach {
            statement(self);
            self.where_all(Alias::ROOT, &target.filter);
            self.returning_rows(&target.returning);
            return;
        }
        self.push("WITH g0 AS (");
        statement(self);
        self.where_all(Alias::ROOT, &target.filter);
        self.returning_columns(&target.returning);
        self.push(") SELECT ");
        if let Answer::Rows(_) = target.returning {
            self.push("(SELECT json_agg(r.*) FROM (SELECT * FROM g0 LIMIT ");
            self.number(MAX_RETURNED_ROWS);
            self.push(") r)");
        } else {
            self.push("NULL::json");
        }
        self.push(", count(*)");
        if let Some(max_affected) = target.max_affected {
            // The cast of a text that is no number fails, and with it the whole statement.
            self.push(", CASE WHEN count(*) > ");
            self.bare_param(Some(max_affected.to_string().into()), Origin::MaxAffected);
            self.push("::int8 THEN ('");
            self.push(MAX_AFFECTED_MARKER);
            self.push("' || count(*))::int4 END");
        }
        self.push(" FROM g0");
    }

    /// ` RETURNING` one value for each row.
    fn returning_rows(&mut self, answer: &Answer<'p>) {
        self.push(" RETURNING ");
        match answer {
            Answer::Count { .. } => self.push("1"),
            Answer::Rows(Answered { whole_row: true, .. }) => self.push("row_to_json(t.*)"),
            Answer::Rows(Answered { outputs, .. }) => {
                self.push("(SELECT row_to_json(r.*) FROM (SELECT ");
                self.returned(outputs);
                self.push(") r)");
            }
        }
    }

    /// ` RETURNING` the columns, for a query around it.
    fn returning_columns(&mut self, answer: &Answer<'p>) {
        self.push(" RETURNING ");
        match answer {
            Answer::Count { .. } => self.push("1"),
            Answer::Rows(answered) => self.returned(&answered.outputs),
        }
    }

    fn returned(&mut self, outputs: &[Output<'p>]) {
        self.outputs(Alias::ROOT, outputs, &mut 0);
    }

    fn insert(&mut self, plan: &InsertPlan<'p>, group: &InsertGroup<'p>) {
        self.push("INSERT INTO ");
        self.table(plan.table);
        self.push(" AS t ");
        match &group.rows {
            GroupRows::Defaults { count: 1, .. } | GroupRows::Defaults { column: None, .. } => {
                self.push("DEFAULT VALUES");
            }
            GroupRows::Defaults { count, column: Some(column) } => {
                self.push("(");
                self.ident(column.ident);
                self.push(") VALUES ");
                self.joined(0..*count, ", ", |writer, _| writer.push("(DEFAULT)"));
            }
            GroupRows::One(values) => {
                self.column_list(&group.columns);
                self.push(" VALUES (");
                self.joined(group.columns.iter().zip(values), ", ", |writer, (column, value)| {
                    writer.cell(*column, value);
                });
                self.push(")");
            }
            GroupRows::Many(json) => {
                self.column_list(&group.columns);
                self.push(" SELECT ");
                self.joined(&group.columns, ", ", |writer, column| {
                    writer.push("x.");
                    writer.ident(column.ident);
                });
                self.push(" FROM json_to_recordset(");
                self.bare_param(Some(json.clone()), Origin::Rows);
                self.push("::json) AS x(");
                self.joined(&group.columns, ", ", |writer, column| {
                    writer.ident(column.ident);
                    writer.push(" ");
                    writer.sql_type(&column.column.base_type);
                });
                self.push(")");
            }
        }
        if let Some(conflict) = &plan.conflict {
            self.conflict(conflict, &group.columns);
        }
    }

    fn column_list(&mut self, columns: &[ColumnRef<'p>]) {
        self.push("(");
        self.joined(columns, ", ", |writer, column| writer.ident(column.ident));
        self.push(")");
    }

    fn conflict(&mut self, conflict: &Conflict<'p>, columns: &[ColumnRef<'p>]) {
        self.push(" ON CONFLICT ");
        if !conflict.columns.is_empty() {
            self.column_list(&conflict.columns);
        }
        if conflict.resolution == Resolution::Ignore {
            self.push(" DO NOTHING");
            return;
        }
        self.push(" DO UPDATE SET ");
        let in_key = |column: &ColumnRef<'p>| conflict.columns.iter().any(|key| key.ident == column.ident);
        let mut changed: Vec<QuotedIdent<'p>> =
            columns.iter().filter(|column| !in_key(column)).map(|column| column.ident).collect();
        if changed.is_empty() {
            // Nothing to change, and the row is to be answered all the same.
            changed.extend(conflict.columns.first().map(|column| column.ident));
        }
        self.joined(changed, ", ", |writer, column| {
            writer.ident(column);
            writer.push(" = EXCLUDED.");
            writer.ident(column);
        });
    }

    fn cell(&mut self, column: ColumnRef<'p>, value: &CellValue) {
        let origin = Origin::Column(column.column);
        let to_column = Cast::To(&column.column.base_type);
        match value {
            CellValue::Null => self.param(None::<Arc<str>>, to_column, origin),
            CellValue::Text(text) => self.param(Some(text.clone()), to_column, origin),
            CellValue::Json(json) => {
                self.push("(SELECT x.v FROM json_to_record(");
                self.bare_param(Some(json.clone()), origin);
                self.push("::json) AS x(v ");
                self.sql_type(&column.column.base_type);
                self.push("))");
            }
        }
    }
}
