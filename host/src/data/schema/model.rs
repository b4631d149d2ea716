//! The types that describe a schema as one role sees it.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

use api_types::TableKind;

/// The tables, views and columns on which a role has a privilege, and the keys over these columns.
#[derive(Debug, Default)]
pub struct Schema {
    /// Changes whenever anything in the schema might have changed.
    pub version: String,
    /// Whether the role is that of signed-in users.
    pub is_of_user: bool,
    pub(super) tables: HashMap<String, Table>,
    pub foreign_keys: Vec<ForeignKey>,
    /// Schemas that contain the type of a visible column, but on which the role has no USAGE. SQL can't name such a
    /// type.
    pub unusable_schemas: Vec<String>,
    /// Whether no privileges at all are set on schema `public`, or on a table in it that belongs to the schema's owner.
    /// The privileges that a project gets when it is created disappear with the schema. A table that is moved to
    /// `public` never had any.
    pub lacks_privileges: bool,
}

/// A table or view.
#[derive(Debug, Clone)]
pub struct Table {
    pub name: String,
    pub kind: TableKind,
    /// The columns on which the role has a privilege, in the table's order. Columns whose type is nested too deeply are
    /// left out.
    pub columns: Vec<Column>,
    /// Whether there are columns that are not in `columns`.
    pub has_hidden_columns: bool,
    /// Unique keys whose columns are all visible.
    pub unique_keys: Vec<UniqueKey>,
    /// Whether the role may read all columns. May be true of a table without columns.
    pub can_select: bool,
    pub can_insert: bool,
    pub can_update: bool,
    pub can_delete: bool,
    pub accepts: AcceptedWrites,
    pub code: ProjectCode,
}

/// Whether statements on a table may run code of the project: a function that a view, trigger, policy, default,
/// generated column, check, index or type calls. Such code may change the session that it runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProjectCode {
    pub on_read: bool,
    /// Always true if `on_read` is.
    pub on_write: bool,
}

impl ProjectCode {
    pub const NONE: Self = Self { on_read: false, on_write: false };
}

/// The writes that a relation supports for any role. A table supports all writes, a materialized view none. A view or
/// foreign table supports those that its definition or its triggers allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcceptedWrites {
    pub insert: bool,
    pub update: bool,
    pub delete: bool,
}

/// A column on which the role has a privilege.
#[derive(Debug, Clone)]
pub struct Column {
    pub name: String,
    /// The type as Postgres writes it, with its modifier: `numeric(10,2)`.
    pub data_type: String,
    /// The type that parameters are cast to.
    pub base_type: SqlType,
    pub class: TypeClass,
    pub result_form: ResultForm,
    /// The type's own operators, if it is not built in.
    pub operators: TypeOperators,
    /// Whether the column's JSON is a scalar whose text the type's input function accepts.
    pub json_scalar: bool,
    /// Whether `::text` may return a different string than the type's output function.
    pub has_text_cast: bool,
    /// Whether values that compare as equal are known to be identical. Equal values of `citext` and `numeric` may
    /// differ, as `1.0` and `1.00` do.
    pub exact: bool,
    /// Name of the column's collation if it is not deterministic: it treats some different strings as equal.
    pub nondeterministic_collation: Option<String>,
    /// Whether `LIKE` supports the column's collation. `ILIKE` supports no nondeterministic collation.
    pub supports_like: bool,
    pub json_input: JsonInput,
    pub comparable: Comparable,
    pub not_null: bool,
    pub has_default: bool,
    pub generated: Generated,
    pub can_select: bool,
    pub can_insert: bool,
    pub can_update: bool,
}

/// The quoted, schema-qualified name of a type, without modifier. For a domain it is the base type. Created only from
/// the result of `load.sql`.
#[derive(Clone, PartialEq, Eq)]
pub struct SqlType(String);

/// An operator as SQL names it: `=`, or with its schema, `OPERATOR(extensions.=)`. Created only from the result of
/// `load.sql`.
#[derive(Clone, PartialEq, Eq)]
pub struct OperatorName(String);

/// The operators of a type that is not in `pg_catalog`. Their schema may not be on the search path. Empty for built-in
/// types.
#[derive(Debug, Clone, Default)]
pub struct TypeOperators(BTreeMap<String, OperatorName>);

/// The conversion of JSON to a value of a type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonInput {
    /// As `json_to_record` converts it.
    Native,
    /// Any JSON is a value: `json`, `jsonb`.
    Json,
    /// An object becomes an hstore literal.
    Hstore,
    /// An array whose elements Postgres would not convert, or not check.
    Array(Box<Self>),
    /// A composite type, with the conversion of each attribute.
    Composite(Arc<[(String, Self)]>),
}

/// The kind of a column's values, as filters distinguish them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TypeClass {
    Text,
    Boolean,
    Time,
    Json,
    Jsonb,
    TsVector,
    Array,
    /// A range or multirange: `range` is the range type, `element` the type of its bounds.
    Range {
        range: SqlType,
        element: SqlType,
    },
    Composite,
    Hstore,
    Other,
}

/// The form in which a result contains a column, so that JSON can be built from the bytes that Postgres sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultForm {
    /// The column. Its bytes are easily written as JSON.
    Plain,
    /// The text of the column, which is a string in JSON.
    Text,
    /// The text of the column, which is a number in JSON if it is finite, and a string otherwise.
    Number,
    /// The JSON of the column, built by Postgres.
    Json,
}

/// The comparisons that a type supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Comparable {
    No,
    Equality,
    Ordered,
}

/// Whether Postgres generates the values of a column, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Generated {
    /// An ordinary column, or an identity column that accepts a given value.
    No,
    AlwaysIdentity,
    /// Computed from other columns.
    Computed,
}

/// A unique key of a table, from a constraint or a unique index.
#[derive(Debug, Clone)]
pub struct UniqueKey {
    /// Name of the constraint, or of the index if there is no constraint.
    pub name: String,
    /// Positions in `Table::columns`, in key order.
    pub columns: Vec<usize>,
    pub primary: bool,
    /// A deferrable key can't be the conflict target of an upsert.
    pub deferrable: bool,
    /// Whether a read of the table finds at most one row with equal values. False if other tables inherit from it, or
    /// if the index compares values differently from the columns.
    pub identifies: bool,
}

/// A foreign key between two visible tables over visible columns.
#[derive(Debug, Clone)]
pub struct ForeignKey {
    pub name: String,
    pub table: String,
    /// Positions in the columns of `table`.
    pub columns: Vec<usize>,
    pub references_table: String,
    /// Positions in the columns of `references_table`.
    pub references_columns: Vec<usize>,
    /// For each column, the operator that compares the referenced value with the referring one.
    pub operators: Vec<OperatorName>,
}

impl Schema {
    pub fn table(&self, name: &str) -> Option<&Table> {
        self.tables.get(name)
    }

    /// Returns whether the reads or the writes of a table run code of the project, but ran none in `previous`.
    pub(super) fn runs_more_code_than(&self, previous: &Self) -> bool {
        previous.tables.values().any(|table| {
            self.table(&table.name).is_some_and(|current| {
                (current.code.on_read && !table.code.on_read) || (current.code.on_write && !table.code.on_write)
            })
        })
    }

    /// Returns the tables, sorted by name.
    pub fn sorted_tables(&self) -> Vec<&Table> {
        let mut tables: Vec<&Table> = self.tables.values().collect();
        tables.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        tables
    }

    /// Returns the foreign key of a table with this constraint name.
    pub fn foreign_key(&self, table: &str, constraint: &str) -> Option<&ForeignKey> {
        self.foreign_keys.iter().find(|key| key.table == table && key.name == constraint)
    }
}

impl Table {
    pub fn column_position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    pub fn primary_key(&self) -> Option<&UniqueKey> {
        self.unique_keys.iter().find(|key| key.primary)
    }

    /// Returns the names of a constraint's columns, if it is a unique key of this table.
    pub fn key_column_names(&self, constraint: &str) -> Option<Vec<&str>> {
        let key = self.unique_keys.iter().find(|key| key.name == constraint)?;
        Some(self.column_names(&key.columns))
    }

    /// Returns the parameters `onConflict` that an upsert can use: one for each unique key that is not deferrable.
    pub fn conflict_targets(&self) -> Vec<String> {
        self.unique_keys
            .iter()
            .filter(|key| !key.deferrable)
            .map(|key| format!("onConflict={}", self.column_names(&key.columns).join(",")))
            .collect()
    }

    pub fn column_names(&self, positions: &[usize]) -> Vec<&str> {
        positions.iter().map(|position| self.columns[*position].name.as_str()).collect()
    }
}

impl SqlType {
    /// Wraps a name that the catalogue has already quoted.
    pub(super) fn from_catalogue(quoted_name: &str) -> Self {
        Self(quoted_name.to_owned())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl OperatorName {
    /// Wraps an operator that the catalogue has already quoted. An empty string means `=` of `pg_catalog`.
    pub(super) fn from_catalogue(quoted: &str) -> Self {
        Self(if quoted.is_empty() { "=".to_owned() } else { quoted.to_owned() })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether the operator is outside of `pg_catalog`.
    pub fn is_qualified(&self) -> bool {
        self.0.starts_with("OPERATOR(")
    }
}

impl TypeOperators {
    pub(super) fn from_catalogue(operators: &BTreeMap<String, String>) -> Self {
        let wrap = |(name, quoted): (&String, &String)| (name.clone(), OperatorName::from_catalogue(quoted));
        Self(operators.iter().map(wrap).collect())
    }

    /// Returns the type's own variant of the built-in operator `name`.
    pub fn get(&self, name: &str) -> Option<&OperatorName> {
        self.0.get(name)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for OperatorName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for SqlType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
