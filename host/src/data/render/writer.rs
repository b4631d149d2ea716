//! Builds the SQL text of a statement and collects its values.

use std::sync::Arc;

use crate::{
    data::{
        plan::{Cast, ColumnRef, QuotedIdent, SqlOperator, TableRef},
        schema::{Column, OperatorName, ProjectCode, SqlType, TypeClass},
    },
    db::Statement,
};

/// Prefix of the names of the settings that contain an export's values. The value that would be parameter `$n` is in
/// `atlashub.value_n`.
pub const VALUE_SETTINGS: &str = "atlashub.value_";

/// A statement, and the origins of its parameters.
#[derive(Debug, Clone)]
pub struct Rendered<'p> {
    pub statement: Statement,
    /// The origin of parameter `$n` is at index n - 1.
    pub origins: Vec<Origin<'p>>,
}

impl Rendered<'static> {
    /// Creates a statement of fixed SQL without parameters. It may run code of the project.
    pub fn fixed(sql: &'static str) -> Self {
        Self { statement: Statement::new(sql), origins: Vec::new() }
    }
}

/// The part of a request that a parameter comes from. Error messages name it.
#[derive(Debug, Clone, Copy)]
pub enum Origin<'p> {
    /// A value to store in this column, or to compare it with.
    Column(&'p Column),
    /// A value of the cursor.
    Cursor,
    Offset,
    MaxAffected,
    /// The rows of an insert as one JSON array, or their number.
    Rows,
}

/// Properties of a statement that determine its execution; see the fields of [`Statement`].
#[derive(Debug, Clone, Copy)]
pub(super) struct StatementKind {
    pub(super) cacheable: bool,
    pub(super) writes: bool,
    pub(super) heavy: bool,
}

impl StatementKind {
    pub(super) const READ: Self = Self { cacheable: true, writes: false, heavy: false };
    pub(super) const WRITE: Self = Self { cacheable: true, writes: true, heavy: false };
}

/// The alias of a table in one statement: `t`, `t1`, `t2`, ….
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Alias(pub(super) usize);

impl Alias {
    pub(super) const ROOT: Self = Self(0);
}

/// Builds the SQL and the parameters of a statement.
pub(super) struct SqlWriter<'p> {
    sql: String,
    params: Vec<Option<Arc<str>>>,
    origins: Vec<Origin<'p>>,
    /// Whether the tables written so far may run code of the project.
    code: ProjectCode,
    values: Values,
}

/// The way in which a statement receives its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Values {
    Parameters,
    /// As text, in settings of the session.
    Settings,
}

impl<'p> SqlWriter<'p> {
    pub(super) fn new() -> Self {
        Self::with(Values::Parameters)
    }

    /// Creates a writer for a statement that can't have parameters.
    pub(super) fn reading_settings() -> Self {
        Self::with(Values::Settings)
    }

    fn with(values: Values) -> Self {
        Self {
            sql: String::with_capacity(512),
            params: Vec::new(),
            origins: Vec::new(),
            code: ProjectCode::NONE,
            values,
        }
    }

    pub(super) fn finish(self, kind: StatementKind) -> Rendered<'p> {
        let StatementKind { cacheable, writes, heavy } = kind;
        let runs_project_code = if writes { self.code.on_write } else { self.code.on_read };
        let text = self.sql.into();
        Rendered {
            statement: Statement { text, params: self.params, cacheable, writes, heavy, runs_project_code },
            origins: self.origins,
        }
    }

    /// Writes fixed SQL.
    pub(super) fn push(&mut self, sql: &'static str) {
        self.sql.push_str(sql);
    }

    /// Writes `"name"`.
    pub(super) fn ident(&mut self, name: QuotedIdent<'_>) {
        name.push_to(&mut self.sql);
    }

    /// Writes `"public"."name"`.
    pub(super) fn table(&mut self, table: TableRef<'_>) {
        self.code.on_read |= table.code.on_read;
        self.code.on_write |= table.code.on_write;
        self.push("\"public\".");
        self.ident(table.ident);
    }

    /// Writes `alias."name"`.
    pub(super) fn qualified(&mut self, alias: Alias, name: QuotedIdent<'_>) {
        self.alias(alias);
        self.sql.push('.');
        self.ident(name);
    }

    pub(super) fn alias(&mut self, alias: Alias) {
        self.sql.push('t');
        if alias.0 > 0 {
            self.number(alias.0 as u64);
        }
    }

    /// Writes a number without allocating.
    pub(super) fn number(&mut self, number: u64) {
        let mut buffer = [0_u8; 20];
        let mut start = buffer.len();
        let mut rest = number;
        loop {
            start -= 1;
            buffer[start] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.sql.extend(buffer[start..].iter().map(|digit| char::from(*digit)));
    }

    pub(super) fn sql_type(&mut self, sql_type: &SqlType) {
        self.sql.push_str(sql_type.as_str());
    }

    /// Writes the column's type with its modifier and domain, as the catalogue's `format_type` returned it.
    pub(super) fn declared_type(&mut self, column: ColumnRef<'_>) {
        self.sql.push_str(&column.column.data_type);
    }

    /// Writes ` operator `. For a type that is not built in, writes the type's own operator with its schema.
    pub(super) fn operator(&mut self, column: &Column, operator: SqlOperator) {
        self.push(" ");
        match (column.operators.get(operator.name()), operator) {
            (Some(own), _) => self.sql.push_str(own.as_str()),
            (None, SqlOperator::Like) => self.push("LIKE"),
            (None, SqlOperator::CaseInsensitiveLike) => self.push("ILIKE"),
            (None, other) => self.push(other.name()),
        }
        self.push(" ");
    }

    /// Writes ` operator ` as the catalogue names it.
    pub(super) fn named_operator(&mut self, operator: &OperatorName) {
        self.push(" ");
        self.sql.push_str(operator.as_str());
        self.push(" ");
    }

    /// Writes the condition that a column is null, or is not. For a composite type, avoids `IS NULL`, which also holds
    /// for a value whose fields are all null.
    pub(super) fn null_test(&mut self, column: &Column, is_null: bool) {
        self.push(match (&column.class, is_null) {
            (TypeClass::Composite, true) => " IS NOT DISTINCT FROM NULL",
            (TypeClass::Composite, false) => " IS DISTINCT FROM NULL",
            (_, true) => " IS NULL",
            (_, false) => " IS NOT NULL",
        });
    }

    /// Adds a bind parameter and writes `$n`, or the expression that reads the setting with the value.
    pub(super) fn untyped_param(&mut self, value: Option<Arc<str>>, origin: Origin<'p>) {
        self.params.push(value);
        self.origins.push(origin);
        let number = self.params.len() as u64;
        match self.values {
            Values::Parameters => {
                self.sql.push('$');
                self.number(number);
            }
            Values::Settings => {
                self.push("pg_catalog.current_setting('");
                self.push(VALUE_SETTINGS);
                self.number(number);
                self.push("')");
            }
        }
    }

    /// Adds a bind parameter and writes `$n::type`.
    pub(super) fn param(&mut self, value: Option<Arc<str>>, cast: Cast<'_>, origin: Origin<'p>) {
        self.untyped_param(value, origin);
        self.push("::");
        self.cast(cast);
    }

    /// Writes the type of a cast.
    pub(super) fn cast(&mut self, cast: Cast<'_>) {
        match cast {
            Cast::To(sql_type) => self.sql_type(sql_type),
            Cast::Text => self.push("text"),
            Cast::TextArray => self.push("text[]"),
        }
    }

    /// Writes items with `separator` between them.
    pub(super) fn joined<T>(
        &mut self,
        items: impl IntoIterator<Item = T>,
        separator: &'static str,
        mut write: impl FnMut(&mut Self, T),
    ) {
        for (position, item) in items.into_iter().enumerate() {
            if position > 0 {
                self.push(separator);
            }
            write(self, item);
        }
    }
}
