use crate::data::{
    plan::{IsValue, Predicate, SqlOperator, Test},
    request::Join,
    schema::TypeClass,
};

use super::{Alias, Origin, Writer};

impl<'p> Writer<'p> {
    /// ` WHERE …`, or nothing.
    pub(super) fn where_all(&mut self, alias: Alias, predicates: &[Predicate<'p>]) {
        if predicates.is_empty() {
            return;
        }
        self.push(" WHERE ");
        self.joined(predicates, " AND ", |writer, predicate| writer.predicate(alias, predicate));
    }

    pub(super) fn predicate(&mut self, alias: Alias, predicate: &Predicate<'p>) {
        match predicate {
            Predicate::Group { join, negated, predicates } => {
                self.push(if *negated { "NOT (" } else { "(" });
                let separator = match join {
                    Join::And => " AND ",
                    Join::Or => " OR ",
                };
                self.joined(predicates, separator, |writer, predicate| writer.predicate(alias, predicate));
                self.push(")");
            }
            Predicate::Test { column, negated, test } => {
                if *negated {
                    self.push("NOT (");
                }
                // Only a text column is turned into a tsvector on the way.
                let searched_text = matches!(test, Test::Search { .. }) && column.column.class == TypeClass::Text;
                if searched_text {
                    self.push("to_tsvector(");
                }
                self.qualified(alias, column.ident);
                if searched_text {
                    self.push(")");
                }
                match test {
                    Test::Compare { operator, cast, value } => {
                        self.push(operator.spaced());
                        self.param(Some(value.clone()), *cast, Origin::Column(column.column));
                    }
                    Test::AnyOf { list } => {
                        self.push(" = ANY (");
                        self.bare_param(Some(list.clone()), Origin::Column(column.column));
                        self.push("::");
                        self.sql_type(&column.column.base_type);
                        self.push("[])");
                    }
                    Test::Is(value) => self.push(match value {
                        IsValue::Null => " IS NULL",
                        IsValue::True => " IS TRUE",
                        IsValue::False => " IS FALSE",
                        IsValue::Unknown => " IS UNKNOWN",
                    }),
                    Test::Search { text } => {
                        self.push(" @@ websearch_to_tsquery(");
                        self.bare_param(Some(text.clone()), Origin::Column(column.column));
                        self.push("::text)");
                    }
                }
                if *negated {
                    self.push(")");
                }
            }
        }
    }
}

impl SqlOperator {
    const fn spaced(self) -> &'static str {
        match self {
            Self::Equal => " = ",
            Self::NotEqual => " <> ",
            Self::Less => " < ",
            Self::LessOrEqual => " <= ",
            Self::Greater => " > ",
            Self::GreaterOrEqual => " >= ",
            Self::Like => " LIKE ",
            Self::CaseInsensitiveLike => " ILIKE ",
            Self::Contains => " @> ",
            Self::ContainedBy => " <@ ",
            Self::Overlaps => " && ",
            Self::HasAnyKey => " ?| ",
        }
    }
}
