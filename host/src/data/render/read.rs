use std::sync::Arc;

use crate::data::{
    plan::{Cast, EmbedPlan, EmbedShape, OrderTerm, Output, Predicate, ReadPlan, SqlOperator, Test},
    request::{Count, Direction, Nulls},
};

use super::{Alias, Kind, Origin, Rendered, Writer};

/// A skip this long makes Postgres read that many rows.
const LONG_OFFSET: u64 = 1000;

/// Columns of the answer of [`render_read`]'s statement:
/// - a plan that is `single`: each row is one JSON object;
/// - else one row: the JSON array of up to `limit + 1` rows (null for none), their number, then the exact total if
///   wanted, then, when the keyset's members are not all selected, the text of each term in row number `limit`.
pub fn render_read<'p>(plan: &ReadPlan<'p>) -> Rendered<'p> {
    let mut writer = Writer::new();
    if plan.single {
        writer.push("SELECT row_to_json(r.*) FROM (SELECT ");
        writer.outputs(Alias::ROOT, &plan.outputs, &mut 0);
        writer.from(plan);
        writer.where_all(Alias::ROOT, &plan.filter);
        writer.push(") r");
        return writer.finish(Kind::READ);
    }
    let hidden_keys = plan.keyset.as_ref().filter(|keyset| keyset.members.is_none());
    let hidden_terms = hidden_keys.map_or(&[][..], |keyset| &plan.order[..keyset.terms]);
    writer.push("SELECT json_agg(r.");
    writer.push(if hidden_terms.is_empty() { "*), count(*)" } else { "json), count(*)" });
    if plan.count == Count::Exact {
        writer.push(", (SELECT count(*)");
        writer.from(plan);
        writer.where_all(Alias::ROOT, &plan.filter);
        writer.push(")");
    }
    for position in 0..hidden_terms.len() {
        writer.push(", (array_agg(r.k");
        writer.number(position as u64);
        writer.push("))[");
        writer.number(plan.limit);
        writer.push("]");
    }
    writer.push(" FROM (SELECT ");
    if hidden_terms.is_empty() {
        writer.outputs(Alias::ROOT, &plan.outputs, &mut 0);
    } else {
        // The rows' JSON must not have the keys in it, so it is made beside them.
        writer.push("(SELECT row_to_json(r.*) FROM (SELECT ");
        writer.outputs(Alias::ROOT, &plan.outputs, &mut 0);
        writer.push(") r) AS json");
        for (position, term) in hidden_terms.iter().enumerate() {
            writer.push(", ");
            writer.qualified(Alias::ROOT, term.column.ident);
            writer.push("::text AS k");
            writer.number(position as u64);
        }
    }
    writer.page(plan);
    writer.push(") r");
    writer.finish(Kind { heavy: is_heavy(plan), ..Kind::READ })
}

/// The planner's estimate of all pages together, as `EXPLAIN`'s JSON.
pub fn render_estimate<'p>(plan: &ReadPlan<'p>) -> Rendered<'p> {
    let mut writer = Writer::new();
    writer.push("EXPLAIN (FORMAT JSON) SELECT 1");
    writer.from(plan);
    writer.where_all(Alias::ROOT, &plan.filter);
    writer.finish(Kind::READ)
}

fn is_heavy(plan: &ReadPlan<'_>) -> bool {
    fn scans(predicate: &Predicate<'_>) -> bool {
        match predicate {
            Predicate::Group { .. } => true,
            Predicate::Test { negated, test, .. } => {
                *negated
                    || match test {
                        Test::Search { .. } => true,
                        Test::Compare { operator, .. } => !matches!(
                            operator,
                            SqlOperator::Equal
                                | SqlOperator::Less
                                | SqlOperator::LessOrEqual
                                | SqlOperator::Greater
                                | SqlOperator::GreaterOrEqual
                        ),
                        Test::AnyOf { .. } | Test::Is(_) => false,
                    }
            }
        }
    }
    plan.count == Count::Exact
        || plan.offset > LONG_OFFSET
        || plan.filter.iter().any(scans)
        || plan.outputs.iter().any(|output| match output {
            Output::Embed(embed) => matches!(embed.shape, EmbedShape::Array { .. }),
            Output::Column { .. } => false,
        })
}

impl<'p> Writer<'p> {
    fn from(&mut self, plan: &ReadPlan<'p>) {
        self.push(" FROM ");
        self.table(plan.table);
        self.push(" AS t");
    }

    /// From `FROM` to `OFFSET`.
    fn page(&mut self, plan: &ReadPlan<'p>) {
        self.from(plan);
        self.where_all(Alias::ROOT, &plan.filter);
        if let (Some(after), Some(keyset)) = (&plan.after, &plan.keyset) {
            self.push(if plan.filter.is_empty() { " WHERE " } else { " AND " });
            self.keyset(&plan.order[..keyset.terms], after);
        }
        self.order(&plan.order);
        self.push(" LIMIT ");
        // One more tells whether there is a next page.
        self.number(if plan.limit == 0 { 0 } else { plan.limit + 1 });
        if plan.offset > 0 {
            self.push(" OFFSET ");
            self.bare_param(Some(plan.offset.to_string().into()), Origin::Offset);
            self.push("::int8");
        }
    }

    fn order(&mut self, order: &[OrderTerm<'p>]) {
        if order.is_empty() {
            return;
        }
        self.push(" ORDER BY ");
        self.joined(order, ", ", |writer, term| {
            writer.qualified(Alias::ROOT, term.column.ident);
            if term.direction == Direction::Desc {
                writer.push(" DESC");
            }
            // Left out where it changes nothing, for an index of another null order serves all the same.
            if !term.column.column.not_null && term.nulls != term.direction.default_nulls() {
                writer.push(match term.nulls {
                    Nulls::First => " NULLS FIRST",
                    Nulls::Last => " NULLS LAST",
                });
            }
        });
    }

    pub(super) fn outputs(&mut self, alias: Alias, outputs: &[Output<'p>], embeds: &mut usize) {
        self.joined(outputs, ", ", |writer, output| match output {
            Output::Column { column, name } => {
                writer.qualified(alias, column.ident);
                if *name != column.ident {
                    writer.push(" AS ");
                    writer.ident(*name);
                }
            }
            Output::Embed(embed) => writer.embed(alias, embed, embeds),
        });
    }

    /// A subquery for each row.
    fn embed(&mut self, parent: Alias, embed: &EmbedPlan<'p>, embeds: &mut usize) {
        *embeds += 1;
        let alias = Alias(*embeds);
        self.push(match embed.shape {
            EmbedShape::Object => "(SELECT row_to_json(r.*) FROM (SELECT ",
            EmbedShape::Array { .. } => "(SELECT coalesce(json_agg(r.*), '[]') FROM (SELECT ",
        });
        self.outputs(alias, &embed.outputs, embeds);
        self.push(" FROM ");
        self.table(embed.table);
        self.push(" AS ");
        self.alias(alias);
        self.push(" WHERE ");
        self.joined(&embed.on, " AND ", |writer, (own, parents)| {
            writer.qualified(alias, *own);
            writer.push(" = ");
            writer.qualified(parent, *parents);
        });
        match &embed.shape {
            EmbedShape::Object => self.push(" LIMIT 1"),
            EmbedShape::Array { order, limit } => {
                if !order.is_empty() {
                    self.push(" ORDER BY ");
                    self.joined(order, ", ", |writer, column| writer.qualified(alias, *column));
                }
                self.push(" LIMIT ");
                self.number(*limit);
            }
        }
        self.push(") r) AS ");
        self.ident(embed.name);
    }

    /// True for the rows after the one whose key these are.
    fn keyset(&mut self, terms: &[OrderTerm<'p>], values: &[Option<Arc<str>>]) {
        let plain = |term: &OrderTerm<'p>| term.column.column.not_null && term.direction == terms[0].direction;
        if terms.iter().all(plain) {
            let row = terms.len() > 1;
            self.push(if row { "(" } else { "" });
            self.joined(terms, ", ", |writer, term| writer.qualified(Alias::ROOT, term.column.ident));
            self.push(match (row, terms[0].direction) {
                (true, Direction::Asc) => ") > (",
                (true, Direction::Desc) => ") < (",
                (false, Direction::Asc) => " > ",
                (false, Direction::Desc) => " < ",
            });
            self.joined(terms.iter().zip(values), ", ", |writer, (term, value)| writer.key_param(term, value));
            self.push(if row { ")" } else { "" });
            return;
        }
        // One alternative for each term: equal before it, beyond in it.
        self.push("(");
        let mut written = false;
        for (position, (term, value)) in terms.iter().zip(values).enumerate() {
            if value.is_none() && term.nulls == Nulls::Last {
                continue; // Nothing comes after null.
            }
            self.push(if written { " OR (" } else { "(" });
            written = true;
            for (equal_term, equal_value) in terms.iter().zip(values).take(position) {
                self.qualified(Alias::ROOT, equal_term.column.ident);
                match equal_value {
                    Some(_) => {
                        self.push(" = ");
                        self.key_param(equal_term, equal_value);
                    }
                    None => self.push(" IS NULL"),
                }
                self.push(" AND ");
            }
            self.beyond(term, value);
            self.push(")");
        }
        self.push(if written { ")" } else { "false)" });
    }

    fn beyond(&mut self, term: &OrderTerm<'p>, value: &Option<Arc<str>>) {
        if value.is_none() {
            self.qualified(Alias::ROOT, term.column.ident);
            self.push(" IS NOT NULL");
            return;
        }
        let nulls_follow = !term.column.column.not_null && term.nulls == Nulls::Last;
        self.push(if nulls_follow { "(" } else { "" });
        self.qualified(Alias::ROOT, term.column.ident);
        self.push(match term.direction {
            Direction::Asc => " > ",
            Direction::Desc => " < ",
        });
        self.key_param(term, value);
        if nulls_follow {
            self.push(" OR ");
            self.qualified(Alias::ROOT, term.column.ident);
            self.push(" IS NULL)");
        }
    }

    fn key_param(&mut self, term: &OrderTerm<'p>, value: &Option<Arc<str>>) {
        self.param(value.clone(), Cast::To(&term.column.column.base_type), Origin::Cursor);
    }
}
