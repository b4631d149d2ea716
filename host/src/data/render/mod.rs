//! Third stage: a plan → one SQL statement. The only place of the public API that makes SQL.
//!
//! Names enter as [`QuotedIdent`], types as [`SqlType`], values only as parameters; numbers that shape the plan
//! (`LIMIT`) are the one thing written out. So requests of one shape have one text, whatever their values.

mod filter;
mod read;
mod write;

use std::sync::Arc;

use crate::db::Statement;

use super::{
    plan::{Cast, ColumnRef, QuotedIdent},
    schema::{Column, SqlType},
};

pub use read::{render_estimate, render_read};
pub use write::{
    AnswerForm, MAX_AFFECTED_MARKER, MAX_RETURNED_ROWS, render_delete, render_insert, render_update, render_value_check,
};

/// A statement, and where each of its parameters came from.
#[derive(Debug, Clone)]
pub struct Rendered<'p> {
    pub statement: Statement,
    /// By parameter number, from `$1`.
    pub origins: Vec<Origin<'p>>,
}

/// What a parameter holds, for messages about it.
#[derive(Debug, Clone, Copy)]
pub enum Origin<'p> {
    /// A value for, or to compare with, this column.
    Column(&'p Column),
    /// A value of the cursor.
    Cursor,
    Offset,
    MaxAffected,
    /// Rows as one JSON text.
    Rows,
}

/// How the connections should treat a statement.
#[derive(Debug, Clone, Copy)]
struct Kind {
    cacheable: bool,
    writes: bool,
    heavy: bool,
}

impl Kind {
    const READ: Self = Self { cacheable: true, writes: false, heavy: false };
    const WRITE: Self = Self { cacheable: true, writes: true, heavy: false };
}

/// SQL on its way, with its parameters.
struct Writer<'p> {
    sql: String,
    params: Vec<Option<Arc<str>>>,
    origins: Vec<Origin<'p>>,
}

impl<'p> Writer<'p> {
    fn new() -> Self {
        Self { sql: String::with_capacity(512), params: Vec::new(), origins: Vec::new() }
    }

    fn finish(self, kind: Kind) -> Rendered<'p> {
        let Kind { cacheable, writes, heavy } = kind;
        Rendered {
            statement: Statement { text: self.sql.into(), params: self.params, cacheable, writes, heavy },
            origins: self.origins,
        }
    }

    /// Fixed SQL.
    fn push(&mut self, sql: &'static str) {
        self.sql.push_str(sql);
    }

    fn ident(&mut self, name: QuotedIdent<'_>) {
        name.push_to(&mut self.sql);
    }

    /// `"public"."name"`
    fn table(&mut self, name: QuotedIdent<'_>) {
        self.push("\"public\".");
        self.ident(name);
    }

    /// `alias."name"`
    fn qualified(&mut self, alias: Alias, name: QuotedIdent<'_>) {
        self.alias(alias);
        self.sql.push('.');
        self.ident(name);
    }

    fn alias(&mut self, alias: Alias) {
        self.sql.push('t');
        if alias.0 > 0 {
            self.number(alias.0 as u64);
        }
    }

    fn number(&mut self, number: u64) {
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

    fn sql_type(&mut self, sql_type: &SqlType) {
        self.sql.push_str(sql_type.as_str());
    }

    /// The column's type with its modifier and domain, as `format_type` wrote it.
    fn declared_type(&mut self, column: ColumnRef<'_>) {
        self.sql.push_str(&column.column.data_type);
    }

    /// `$n`
    fn bare_param(&mut self, value: Option<Arc<str>>, origin: Origin<'p>) {
        self.params.push(value);
        self.origins.push(origin);
        self.sql.push('$');
        self.number(self.params.len() as u64);
    }

    /// `$n::type`
    fn param(&mut self, value: Option<Arc<str>>, cast: Cast<'_>, origin: Origin<'p>) {
        self.bare_param(value, origin);
        self.push("::");
        match cast {
            Cast::To(sql_type) => self.sql_type(sql_type),
            Cast::Text => self.push("text"),
            Cast::TextArray => self.push("text[]"),
        }
    }

    /// Writes the items with `separator` between them.
    fn joined<T>(
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

/// Of a table in one statement: `t`, `t1`, `t2`, ….
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Alias(usize);

impl Alias {
    const ROOT: Self = Self(0);
}
