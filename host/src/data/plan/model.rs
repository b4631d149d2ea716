//! The plans of reads, writes and exports. All their names, except aliases, exist, and the role may use them.

use std::sync::Arc;

use crate::data::{
    cursor::OrderSignature,
    request::{Count, Direction, Join, Nulls, Resolution},
    schema::{Column, OperatorName, ResultForm, SqlType},
};

use super::ident::{QuotedIdent, TableRef};

/// A column with its quoted name.
#[derive(Debug, Clone, Copy)]
pub struct ColumnRef<'p> {
    pub ident: QuotedIdent<'p>,
    pub column: &'p Column,
}

/// A planned `GET`.
#[derive(Debug)]
pub struct ReadPlan<'p> {
    pub table: TableRef<'p>,
    pub outputs: Vec<Output<'p>>,
    /// The paths of the embedded arrays, for example `kid.toys`.
    pub lists: Vec<String>,
    /// Joined by AND.
    pub filter: Vec<Predicate<'p>>,
    pub order: Vec<OrderTerm<'p>>,
    /// Set if the order contains a unique key, so that a cursor can mark the end of a page.
    pub keyset: Option<Keyset<'p>>,
    /// Values of the keyset's columns in the last row of the previous page.
    pub after: Option<Vec<Option<Arc<str>>>>,
    pub limit: u64,
    /// Whether the request asked for more than the maximum limit.
    pub limit_capped: bool,
    pub offset: u64,
    pub count: Count,
    /// Whether the page consists of the only row that can match, if there is one: the filter fixes a unique key, the
    /// limit is not 0, and there is no offset and no cursor.
    pub single: bool,
    /// Whether the read is a lookup that can share a statement with others of the same shape.
    pub lookup: bool,
    /// Number of bytes above which a value is cut.
    pub max_cell_bytes: Option<u64>,
}

impl<'p> ReadPlan<'p> {
    /// Returns whether Postgres builds the JSON of the rows. Otherwise the result contains a column for each member.
    ///
    /// Postgres does so if the plan has embedded arrays, which are JSON in any case, or if the statement counts all
    /// matching rows, which takes long anyway. With a count, an empty page has one row, whose object is null.
    pub fn json_rows(&self) -> bool {
        self.counts_rows() || !self.lists.is_empty()
    }

    /// Returns whether the statement counts all matching rows.
    pub fn counts_rows(&self) -> bool {
        self.count == Count::Exact && !self.single && self.max_cell_bytes.is_none()
    }

    /// Returns whether the exact total needs a statement of its own.
    pub fn counts_separately(&self) -> bool {
        self.count == Count::Exact && !self.single && self.max_cell_bytes.is_some()
    }

    /// Returns the terms of the keyset if the result must contain a separate column for each, because the members of a
    /// row do not provide all of them. Otherwise, returns no terms.
    pub fn separate_terms(&self) -> &[OrderTerm<'p>] {
        match &self.keyset {
            Some(keyset) if keyset.members.is_none() && !self.single => &self.order[..keyset.terms],
            _ => &[],
        }
    }
}

/// One member of each returned row.
#[derive(Debug, Clone)]
pub enum Output<'p> {
    Column { column: ColumnRef<'p>, name: QuotedIdent<'p> },
    Embed(EmbedPlan<'p>),
}

impl<'p> EmbedPlan<'p> {
    /// Returns whether the embedded table is an array, or contains one.
    pub fn has_lists(&self) -> bool {
        matches!(self.shape, EmbedShape::Array(_)) || self.outputs.iter().any(Output::has_lists)
    }
}

impl<'p> Output<'p> {
    /// Returns whether the member is an array of rows, or contains one.
    pub fn has_lists(&self) -> bool {
        match self {
            Self::Column { .. } => false,
            Self::Embed(embed) => embed.has_lists(),
        }
    }

    /// Returns the name of the member in the JSON.
    pub fn name(&self) -> &'p str {
        match self {
            Self::Column { name, .. } => name.name(),
            Self::Embed(embed) => embed.name.name(),
        }
    }

    /// Returns the form in which a result contains the value if it may have to be cut. `None` if it is always short.
    pub fn cut_form(&self) -> Option<CutForm> {
        let column = match self {
            Self::Column { column, .. } => column.column,
            Self::Embed(_) => return Some(CutForm::Json),
        };
        let builtin = column.base_type.as_str().strip_prefix("pg_catalog.").map(|name| name.trim_matches('"'));
        match (column.result_form, builtin) {
            (_, Some("text" | "varchar")) => Some(CutForm::Text),
            (_, Some("bytea")) => Some(CutForm::Bytes),
            (_, Some("numeric")) => Some(CutForm::Number),
            (_, Some("json" | "jsonb")) => Some(CutForm::Document),
            (_, Some("bpchar")) | (ResultForm::Json, _) => Some(CutForm::Json),
            (ResultForm::Plain | ResultForm::Text | ResultForm::Number, _) => None,
        }
    }
}

/// The form in which a result contains a value that may have to be cut. It is a string: `=` and the text of the value,
/// or the size of the whole text in bytes, `:` and the beginning of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutForm {
    /// A string.
    Text,
    /// A string of hexadecimal digits. If the string is cut, its beginning lacks the prefix `\x`.
    Bytes,
    /// The text of a number.
    Number,
    /// A value of type `json` or `jsonb`.
    Document,
    /// JSON that Postgres builds from the value.
    Json,
}

/// A planned `GET` of one value.
#[derive(Debug)]
pub struct CellPlan<'p> {
    pub table: TableRef<'p>,
    pub column: ColumnRef<'p>,
    /// Joined by AND.
    pub filter: Vec<Predicate<'p>>,
}

/// A planned export: all rows that match the filter.
#[derive(Debug)]
pub struct ExportPlan<'p> {
    pub table: TableRef<'p>,
    /// Columns only.
    pub outputs: Vec<Output<'p>>,
    /// Joined by AND.
    pub filter: Vec<Predicate<'p>>,
    pub order: Vec<OrderTerm<'p>>,
}

/// A table embedded along a foreign key.
#[derive(Debug, Clone)]
pub struct EmbedPlan<'p> {
    pub name: QuotedIdent<'p>,
    pub table: TableRef<'p>,
    pub outputs: Vec<Output<'p>>,
    pub on: Vec<JoinColumns<'p>>,
    /// Joined by AND.
    pub filter: Vec<Predicate<'p>>,
    pub shape: EmbedShape<'p>,
}

/// A column of the embedded table that must equal one of the embedding table.
#[derive(Debug, Clone, Copy)]
pub struct JoinColumns<'p> {
    pub embedded: QuotedIdent<'p>,
    pub parent: QuotedIdent<'p>,
    /// The operator that compares the two columns. Its left operand is the referenced column.
    pub operator: &'p OperatorName,
    pub embedded_is_referenced: bool,
}

/// The form of an embedded table in the response.
#[derive(Debug, Clone)]
pub enum EmbedShape<'p> {
    /// At most one row: an object or null.
    Object,
    /// An array of rows.
    Array(ListPlan<'p>),
}

/// The rows of an embedded array.
#[derive(Debug, Clone)]
pub struct ListPlan<'p> {
    /// Contains every readable column of the primary key. Those that the request does not name come last.
    pub order: Vec<OrderTerm<'p>>,
    pub limit: u64,
    pub offset: u64,
    /// Position of the array's path in [`ReadPlan::lists`].
    pub number: usize,
}

/// One column of the order. Postgres's defaults are made explicit.
#[derive(Debug, Clone, Copy)]
pub struct OrderTerm<'p> {
    pub column: ColumnRef<'p>,
    pub direction: Direction,
    pub nulls: Nulls,
}

/// The data for encoding and decoding the cursors of an order.
#[derive(Debug)]
pub struct Keyset<'p> {
    /// The number of leading order terms that contain a unique key.
    pub terms: usize,
    pub signature: OrderSignature,
    /// The members of a row's JSON that contain the terms. `None` if a term is not selected or may be cut, or its JSON
    /// is not a scalar.
    pub members: Option<Vec<&'p str>>,
}

/// A condition. Its comparison is supported by the type of its column.
#[derive(Debug, Clone)]
pub enum Predicate<'p> {
    Test { column: ColumnRef<'p>, negated: bool, test: Test<'p> },
    Group { join: Join, negated: bool, predicates: Vec<Predicate<'p>> },
}

/// A test of a column's value.
#[derive(Debug, Clone)]
pub enum Test<'p> {
    /// `column operator $n::type`
    Compare {
        operator: SqlOperator,
        cast: Cast<'p>,
        value: Arc<str>,
    },
    /// `column = ANY ($n::type[])`
    AnyOf {
        list: Arc<str>,
    },
    Is(IsValue),
    /// The column still has this value, which was read before.
    Unchanged(CellValue),
    /// `column @@ websearch_to_tsquery($n)`, or `to_tsvector(column) @@ …` for a text column
    Search {
        text: Arc<str>,
    },
}

/// The type that a parameter is cast to.
#[derive(Debug, Clone, Copy)]
pub enum Cast<'p> {
    To(&'p SqlType),
    Text,
    TextArray,
}

/// The operators of Postgres that filters use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SqlOperator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Like,
    CaseInsensitiveLike,
    Contains,
    ContainedBy,
    Overlaps,
    HasAnyKey,
}

impl SqlOperator {
    /// Returns the operator's name in the catalogue.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Like => "~~",
            Self::CaseInsensitiveLike => "~~*",
            Self::Contains => "@>",
            Self::ContainedBy => "<@",
            Self::Overlaps => "&&",
            Self::HasAnyKey => "?|",
        }
    }
}

/// The value of an `IS` test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IsValue {
    Null,
    True,
    False,
    Unknown,
}

/// A planned insert.
#[derive(Debug)]
pub struct InsertPlan<'p> {
    pub table: TableRef<'p>,
    /// The rows. Rows of different groups are inserted in the order of the groups.
    pub groups: Vec<InsertGroup<'p>>,
    pub conflict: Option<Conflict<'p>>,
    pub output: WriteOutput<'p>,
    pub row_count: usize,
}

/// Rows that one `INSERT` writes.
#[derive(Debug)]
pub struct InsertGroup<'p> {
    /// In the table's order. Empty if the rows are `{}`.
    pub columns: Vec<ColumnRef<'p>>,
    pub rows: GroupRows,
    /// Positions of the rows in the request.
    pub positions: Vec<usize>,
}

/// The values of a group's rows.
#[derive(Debug)]
pub enum GroupRows {
    /// `count` rows of defaults.
    Defaults { count: usize },
    /// One row; each value is a parameter.
    One(Vec<CellValue>),
    /// A JSON array of rows that have the same keys; one parameter.
    Many(Arc<str>),
    /// Rows that have different keys; each value is a parameter. `None` stands for a column that the row omits.
    Listed(Vec<Vec<Option<CellValue>>>),
}

/// The `ON CONFLICT` clause of an insert.
#[derive(Debug)]
pub struct Conflict<'p> {
    /// Empty means any unique key.
    pub columns: Vec<ColumnRef<'p>>,
    pub resolution: Resolution,
}

/// A planned update.
#[derive(Debug)]
pub struct UpdatePlan<'p> {
    pub table: TableRef<'p>,
    pub values: Vec<(ColumnRef<'p>, CellValue)>,
    pub change: ChangePlan<'p>,
}

/// A planned delete.
#[derive(Debug)]
pub struct DeletePlan<'p> {
    pub table: TableRef<'p>,
    pub change: ChangePlan<'p>,
}

/// The parts that updates and deletes share: the affected rows and the output.
#[derive(Debug)]
pub struct ChangePlan<'p> {
    pub filter: Vec<Predicate<'p>>,
    /// Whether at most one row can match, because the filter fixes a unique key.
    pub single: bool,
    pub max_affected: Option<u64>,
    pub output: WriteOutput<'p>,
}

/// A value as a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CellValue {
    Null,
    /// Text for the type's input function.
    Text(Arc<str>),
    /// A JSON object whose member `v` Postgres must convert to an array or composite.
    Json(Arc<str>),
}

/// The output of a write.
#[derive(Debug)]
pub enum WriteOutput<'p> {
    /// Only the number of rows. `unreadable` is true if the request did not ask for this, but the role can't read the
    /// rows.
    Count {
        unreadable: bool,
    },
    Rows(ReturnedRows<'p>),
}

/// The members of each returned row.
#[derive(Debug)]
pub struct ReturnedRows<'p> {
    pub outputs: Vec<Output<'p>>,
    /// Whether the outputs are all columns of the table under their own names.
    pub whole_row: bool,
}
