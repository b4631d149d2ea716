//! The SQL and the errors of exports.

use super::{code_and_message, export, sql_and_params};
use crate::data::RowSelection;

const ALL: RowSelection<'_> = RowSelection { filter: None, order: None, select: None };

#[test]
fn exports_are_rendered_as_sql_that_reads_values_from_settings() {
    let check = |table: &str, selection: RowSelection<'_>, expected: &str| {
        assert_eq!(sql_and_params(&export(table, selection).unwrap()), expected, "{selection:?}");
    };
    check("authors", ALL, "SELECT t.\"id\", t.\"name\", t.\"boss_id\" FROM \"public\".\"authors\" AS t");
    check(
        "books",
        RowSelection {
            filter: Some("gte.price=1.50&in.id=1,2&or=(like.title:a%25,is.mood:null)"),
            order: Some("price.desc.nullslast,id"),
            select: Some("id,label:title"),
        },
        "SELECT t.\"id\", t.\"title\" AS \"label\" FROM \"public\".\"books\" AS t \
         WHERE t.\"price\" >= pg_catalog.current_setting('atlashub.value_1')::pg_catalog.\"numeric\" \
         AND t.\"id\" = ANY (pg_catalog.current_setting('atlashub.value_2')::pg_catalog.int8[]) \
         AND (t.\"title\" LIKE pg_catalog.current_setting('atlashub.value_3')::text OR t.\"mood\" IS NULL) \
         ORDER BY t.\"price\" DESC NULLS LAST, t.\"id\" -- 1.50 | {\"1\",\"2\"} | a%",
    );
}

#[test]
fn error_of_an_export_names_its_field() {
    let check = |table: &str, selection: RowSelection<'_>, field: &str, message: &str| {
        let error = export(table, selection).unwrap_err();
        assert_eq!(error.details().unwrap()["field"], field, "{}", error.message());
        assert!(code_and_message(&error).starts_with(message), "{}", code_and_message(&error));
    };
    check("books", RowSelection { filter: Some("eq.x=1"), ..ALL }, "source.filter", "unknown_column: ");
    check("books", RowSelection { filter: Some("is.id=true"), ..ALL }, "source.filter", "invalid_request: ");
    check("books", RowSelection { order: Some("place"), ..ALL }, "source.order", "invalid_request: ");
    check("books", RowSelection { select: Some("id,x"), ..ALL }, "source.select", "unknown_column: ");
    check(
        "books",
        RowSelection { select: Some("id,authors!author_id(name)"), ..ALL },
        "source.select",
        "invalid_request: `authors` can't be embedded in an export",
    );
}
