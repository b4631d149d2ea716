//! Tables in the documents that are generated from the code. With `ATLASHUB_WRITE_DOCS=1` the tests update them.

use std::{fmt::Write as _, fs};

use atlashub::{config::VARIABLES, error::TABLE};

use crate::docs::markdown::{read_document as read, workspace_root};

#[test]
fn configuration_lists_every_variable() {
    let mut table = String::from("| variable | default | meaning |\n| --- | --- | --- |\n");
    for variable in VARIABLES {
        let file = if variable.secret { "<br>or `…_FILE`" } else { "" };
        let default = if variable.default.is_empty() { String::new() } else { format!("`{}`", variable.default) };
        writeln!(table, "| `{}`{file} | {default} | {} |", variable.name, variable.meaning).unwrap();
    }
    check_or_write_table("docs/CONFIGURATION.md", &table);
}

#[test]
fn errors_lists_every_code() {
    let mut table = String::from("| status | code | meaning |\n| --- | --- | --- |\n");
    for row in TABLE {
        writeln!(table, "| {} | `{}` | {} |", row.status, row.code.as_str(), row.meaning).unwrap();
    }
    check_or_write_table("docs/ERRORS.md", &table);
}

const START: &str = "<!-- table: written by the test `docs::tables` -->\n";
const END: &str = "<!-- end of table -->\n";

fn check_or_write_table(document: &str, table: &str) {
    let text = read(document);
    let (head, rest) = text.split_once(START).unwrap_or_else(|| panic!("{document} has no line {START}"));
    let (current, tail) = rest.split_once(END).unwrap_or_else(|| panic!("{document} has no line {END}"));
    if std::env::var_os("ATLASHUB_WRITE_DOCS").is_some() {
        fs::write(workspace_root().join(document), format!("{head}{START}{table}{END}{tail}")).unwrap();
    } else {
        assert_eq!(
            current, table,
            "{document} is out of date; update it with: ATLASHUB_WRITE_DOCS=1 cargo test --test it docs::tables"
        );
    }
}
