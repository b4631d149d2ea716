//! The columns for the rows of a CSV file, according to its values.
//!
//! [`records`] splits the file, and [`types`] finds a type that all values of a column have.

mod records;
mod types;

use std::collections::BTreeSet;

use super::{NewColumn, first_columns};
use records::{Field, Records, delimiter_of};
use types::{Values, is_value};

/// Maximum number of columns of a table in Postgres.
const MAX_COLUMNS: usize = 1600;
const BYTE_ORDER_MARK: [u8; 3] = [0xef, 0xbb, 0xbf];

/// The columns for the rows of a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    /// The columns if the first line contains their names. An import gives these names to the fields.
    named: Vec<NewColumn>,
    /// The columns if the first line contains values. An import names its fields `column1` and so on.
    numbered: Vec<NewColumn>,
    /// Whether the first line looks like names.
    pub(super) has_names: bool,
}

impl Found {
    /// Returns the columns. `has_names` is whether the first line contains their names.
    pub(super) fn columns(&self, has_names: bool) -> Vec<NewColumn> {
        if has_names { self.named.clone() } else { self.numbered.clone() }
    }
}

/// Finds the columns for the rows of a file whose bytes arrive in parts.
pub(super) struct Columns {
    records: Records,
    rows: Rows,
}

impl Columns {
    /// Reads the first part of a file. `is_whole` is whether it is the whole file.
    pub(super) fn new(part: &[u8], is_whole: bool) -> Self {
        let part = part.strip_prefix(&BYTE_ORDER_MARK).unwrap_or(part);
        let mut columns = Self { records: Records::new(delimiter_of(part, is_whole)), rows: Rows::default() };
        columns.read(part);
        columns
    }

    /// Reads the next part of the file.
    pub(super) fn read(&mut self, part: &[u8]) {
        let Self { records, rows } = self;
        records.read(part, &mut |record: Vec<Field>| rows.add(record));
    }

    /// Returns the columns. `is_whole` is whether the whole file was read, not only its beginning.
    ///
    /// # Errors
    /// Returns a message if the file has no columns, or can't be imported.
    pub(super) fn finish(self, is_whole: bool) -> Result<Found, String> {
        let Self { records, mut rows } = self;
        if is_whole && let Err(line) = records.finish(&mut |record: Vec<Field>| rows.add(record)) {
            return Err(format!("The row that begins in line {line} contains a quote that is never closed."));
        }
        rows.found(is_whole)
    }
}

#[derive(Default)]
struct Rows {
    /// The fields of the first line. Empty before it is read.
    first: Vec<Field>,
    /// Whether an empty line is before the first one.
    begins_blank: bool,
    /// The values of each field in the following lines.
    values: Vec<Values>,
    /// Number of the following lines with as many fields as the first one. An import refuses the others.
    fitting: usize,
    has_others: bool,
}

impl Rows {
    fn add(&mut self, record: Vec<Field>) {
        // As in an import, an empty line is a row only in a file with one column.
        let is_blank = record.len() == 1 && record.iter().all(Field::is_null);
        if self.first.is_empty() {
            self.begins_blank |= is_blank;
            if !is_blank {
                let key = record.iter().position(|field| is_id(&field.text));
                self.values = (0..record.len()).map(|position| Values::new(key == Some(position))).collect();
                self.first = record;
            }
        } else if record.len() == self.first.len() {
            self.fitting += 1;
            for (values, field) in self.values.iter_mut().zip(&record) {
                values.add(field);
            }
        } else if !is_blank {
            self.has_others = true;
        }
    }

    fn found(self, is_whole: bool) -> Result<Found, String> {
        let Self { first, begins_blank, values, fitting, has_others } = self;
        if first.is_empty() && !is_whole {
            return Err("The first line is too long. Is a quote missing?".to_owned());
        }
        if first.is_empty() || (begins_blank && first.len() == 1) {
            return Err("The first line is empty. It must contain the names of the columns.".to_owned());
        }
        if fitting == 0 && has_others {
            let fields = if first.len() == 1 { "field" } else { "fields" };
            return Err(format!(
                "The first line has {} {fields}, and all other lines have another number. It must contain the names of \
                 the columns.",
                first.len()
            ));
        }
        let has_id = first.iter().any(|field| is_id(&field.text));
        if first.len() + usize::from(!has_id) > MAX_COLUMNS {
            return Err(format!("A table has at most {MAX_COLUMNS} columns, and this one would have more."));
        }
        let names = distinct(first.iter().map(|field| field.text.trim().to_owned()).collect());
        let named = with_key(names.into_iter().zip(&values).map(|(name, values)| column(name, values)).collect());
        let numbered = values.into_iter().zip(&first).enumerate().map(|(position, (mut values, field))| {
            values.add(field);
            // Without names, no column is known to be the key.
            NewColumn { primary_key: false, nullable: true, ..column(numbered_name(position), &values) }
        });
        let has_names = !first.iter().any(|field| is_value(&field.text));
        Ok(Found { named, numbered: with_key(numbered.collect()), has_names })
    }
}

fn column(name: String, values: &Values) -> NewColumn {
    let primary_key = values.is_key();
    NewColumn {
        name,
        data_type: values.data_type().to_owned(),
        nullable: !primary_key,
        primary_key,
        ..NewColumn::default()
    }
}

fn is_id(name: &str) -> bool {
    name.trim().eq_ignore_ascii_case("id")
}

/// Adds a column `id` if there is none, because rows of a table without a primary key can't be edited.
fn with_key(mut columns: Vec<NewColumn>) -> Vec<NewColumn> {
    let has_id = columns.iter().any(|column| is_id(&column.name));
    if let Some(key) = first_columns().into_iter().next().filter(|_| !has_id) {
        columns.insert(0, key);
    }
    columns
}

fn numbered_name(position: usize) -> String {
    format!("column{}", position + 1)
}

/// Makes names distinct as an import does: the second `name` becomes `name_2`, or `name_3` if another field has that
/// name.
fn distinct(names: Vec<String>) -> Vec<String> {
    let mut taken: BTreeSet<String> = names.iter().cloned().collect();
    let mut seen = BTreeSet::new();
    let named = names.into_iter().enumerate();
    let named = named.map(|(position, name)| if name.is_empty() { numbered_name(position) } else { name });
    named
        .map(|name| {
            if seen.insert(name.clone()) {
                return name;
            }
            let mut candidates = (2..).map(|number| format!("{name}_{number}"));
            candidates.find(|candidate| taken.insert(candidate.clone())).unwrap_or(name)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what is found in a file that arrives in small parts.
    fn found(text: &str) -> Result<Found, String> {
        let (first, rest) = text.as_bytes().split_at(text.len().min(100));
        let mut columns = Columns::new(first, rest.is_empty());
        rest.chunks(7).for_each(|part| columns.read(part));
        columns.finish(true)
    }

    /// Returns the name and the type of each column. Keys begin with `key:`.
    fn described(columns: &[NewColumn]) -> Vec<String> {
        let key = |column: &NewColumn| if column.primary_key { "key:" } else { "" };
        columns.iter().map(|column| format!("{}{} {}", key(column), column.name, column.data_type)).collect()
    }

    fn columns(text: &str) -> Vec<String> {
        let found = found(text).unwrap();
        described(&found.columns(found.has_names))
    }

    #[test]
    fn columns_have_the_names_of_the_first_line() {
        let text = "\u{feff}ID;\"first; \"\"name\"\"\";\r\n1;a;x\r\n2;\"b\nc\";\r\n\r\n";
        assert_eq!(columns(text), ["key:ID bigint", "first; \"name\" text", "column3 text"]);
        assert_eq!(columns("a,b"), ["key:id bigint", "a text", "b text"]);
        assert_eq!(columns("\n\nFirst Name,\"id \"\nx,1\n"), ["First Name text", "key:id bigint"]);
        assert_eq!(
            columns("id,a,a,,a_2\n1,2,3,4,5"),
            ["key:id bigint", "a bigint", "a_3 bigint", "column4 bigint", "a_2 bigint"]
        );
        assert_eq!(columns("id\r7\r8\r"), ["key:id bigint"]);
    }

    #[test]
    fn types_follow_from_all_rows() {
        let late = |last: &str| format!("id,size\n{}{last}", "1,2\n".repeat(1000));
        assert_eq!(columns(&late("2,3\n")), ["id bigint", "size bigint"]);
        assert_eq!(columns(&late("2,n/a\n")), ["id bigint", "size text"]);
        // An import refuses rows with another number of fields, whatever their values are.
        assert_eq!(columns(&late("2,3,x\n")), ["id bigint", "size bigint"]);
        // Of a file that is not read to its end, the last row may be incomplete.
        let mut part = Columns::new(b"id,size\n1,2\n2,\"a", false);
        assert_eq!(described(&part.finish(false).unwrap().named), ["key:id bigint", "size bigint"]);
        part = Columns::new(b"id\n1\n\n", true);
        assert_eq!(described(&part.finish(true).unwrap().named), ["id bigint"], "an empty line is NULL");
    }

    #[test]
    fn id_that_is_not_unique_is_no_key() {
        for rows in ["1,a\n1,b\n", "1,a\n,b\n", ""] {
            assert!(columns(&format!("id,name\n{rows}")).iter().all(|column| !column.starts_with("key:")), "{rows}");
        }
    }

    #[test]
    fn values_in_the_first_line_are_no_names() {
        let text = "1,Solaris,9.50,1961-01-01\n2,Eden,n/a,1959-01-01\n";
        let numbered = ["key:id bigint", "column1 bigint", "column2 text", "column3 text", "column4 date"];
        assert_eq!(columns(text), numbered);
        let names = found("country,2025,2026\nDE,1,2\n").unwrap();
        assert!(!names.has_names);
        let named = ["key:id bigint", "country text", "2025 bigint", "2026 bigint"];
        assert_eq!(described(&names.columns(true)), named);
        assert_eq!(described(&found("id\na\n").unwrap().columns(false)), ["key:id bigint", "column1 text"]);
    }

    #[test]
    fn unusable_files_are_refused() {
        let wide = ",".repeat(200_000);
        for text in ["", "\nid\n", "a\n\"b\n", "Books of 2026\na,b\n1,2\n", &wide] {
            assert!(found(text).is_err(), "{text:.20}");
        }
        assert!(Columns::new(b"\"a,b\n1,2\n", false).finish(false).is_err());
    }
}
