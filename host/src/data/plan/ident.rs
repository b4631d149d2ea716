//! The names of tables and columns that may reach SQL.

use std::fmt;

use crate::data::schema::{ProjectCode, Table};

/// A table that the planner found in the schema, and whether using it runs code of the project.
#[derive(Debug, Clone, Copy)]
pub struct TableRef<'p> {
    pub ident: QuotedIdent<'p>,
    pub code: ProjectCode,
}

impl<'p> TableRef<'p> {
    pub(super) fn new(table: &'p Table) -> Self {
        Self { ident: QuotedIdent::new(&table.name), code: table.code }
    }
}

/// A name that the planner found in the schema or accepted as an alias.
///
/// Only the planner can create such a name, and the name reaches SQL only in quotes. So a string from a client can't
/// become anything but a name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct QuotedIdent<'p>(&'p str);

impl<'p> QuotedIdent<'p> {
    pub(super) fn new(name: &'p str) -> Self {
        Self(name)
    }

    /// Returns the unquoted name, for JSON and messages.
    pub fn name(self) -> &'p str {
        self.0
    }

    /// Appends `"name"`; quotes in the name are doubled.
    pub fn push_to(self, sql: &mut String) {
        sql.push('"');
        for (position, part) in self.0.split('"').enumerate() {
            if position > 0 {
                sql.push_str("\"\"");
            }
            sql.push_str(part);
        }
        sql.push('"');
    }
}

impl fmt::Debug for QuotedIdent<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut quoted = String::new();
        self.push_to(&mut quoted);
        formatter.write_str(&quoted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_in_names_are_doubled() {
        let check = |name: &str, expected: &str| assert_eq!(format!("{:?}", QuotedIdent::new(name)), expected);
        check("id", "\"id\"");
        check("select", "\"select\"");
        check("a\"b", "\"a\"\"b\"");
        check("\"", "\"\"\"\"");
        check("x\"; drop table y; --", "\"x\"\"; drop table y; --\"");
    }
}
