//! Tables in the documents that repeat what the code knows. With `ATLASHUB_WRITE_DOCS=1` the test writes them.

use std::{fmt::Write as _, fs};

use atlashub::{config::VARIABLES, error::TABLE};

use crate::docs::markdown::{document as read, workspace};

#[test]
fn configuration_lists_every_variable() {
    let mut table = String::from("| variable | default | meaning |\n| --- | --- | --- |\n");
    for variable in VARIABLES {
        let file = if variable.secret { "<br>or `…_FILE`" } else { "" };
        let default = if variable.default.is_empty() { String::new() } else { format!("`{}`", variable.default) };
        writeln!(table, "| `{}`{file} | {default} | {} |", variable.name, variable.meaning).unwrap();
    }
    holds("docs/CONFIGURATION.md", &table);
}

#[test]
fn errors_lists_every_code() {
    let mut table = String::from("| status | code | meaning |\n| --- | --- | --- |\n");
    for row in TABLE {
        writeln!(table, "| {} | `{}` | {} |", row.status, row.code.as_str(), row.meaning).unwrap();
    }
    holds("docs/ERRORS.md", &table);
}

const START: &str = "<!-- table: written by the test `docs::tables` -->\n";
const END: &str = "<!-- end of table -->\n";

fn holds(document: &str, table: &str) {
    let text = read(document);
    let (before, rest) = text.split_once(START).unwrap_or_else(|| panic!("{document} has no line {START}"));
    let (written, after) = rest.split_once(END).unwrap_or_else(|| panic!("{document} has no line {END}"));
    if std::env::var_os("ATLASHUB_WRITE_DOCS").is_some() {
        fs::write(workspace().join(document), format!("{before}{START}{table}{END}{after}")).unwrap();
    } else {
        assert_eq!(written, table, "{document} is behind the code: ATLASHUB_WRITE_DOCS=1 cargo test --test it docs::tables");
    }
}
