//! The button that takes the columns of the new table from a CSV file.

use dioxus::prelude::*;

use super::{NewColumn, csv::columns_for};
use crate::{
    dom,
    pages::{imports::first_lines_of_csv, storage::upload::chosen_files},
    ui::{CodeText, Icon, IconName, Mark, Shape},
};

const FIELD: &str = "new-table-csv";

#[component]
pub(super) fn FromCsv(
    name: Signal<String>,
    columns: Signal<Vec<NewColumn>>,
    /// Name of the file that the columns are from.
    file: Signal<Option<String>>,
) -> Element {
    let (mut name, mut columns, mut file) = (name, columns, file);
    let mut problem = use_signal(|| None::<String>);
    let on_chosen = move |event: FormEvent| {
        let Some(chosen) = chosen_files(&event).into_iter().next() else { return };
        spawn(async move {
            let lines = first_lines_of_csv(&chosen).await;
            match lines.and_then(|lines| columns_for(&lines)) {
                Ok(found) => {
                    problem.set(None);
                    columns.set(found);
                    if name.peek().trim().is_empty() {
                        name.set(table_name(&chosen.name()));
                    }
                    file.set(Some(chosen.name()));
                }
                Err(why) => problem.set(Some(why)),
            }
        });
    };
    rsx! {
        input {
            id: FIELD,
            class: "sr",
            r#type: "file",
            tabindex: "-1",
            "aria-hidden": "true",
            accept: ".csv,.tsv,.txt,text/csv",
            onchange: on_chosen,
        }
        button {
            class: "btn btn-s btn-ghost",
            r#type: "button",
            onclick: |_| {
                if let Some(field) = dom::find(&format!("#{FIELD}")) {
                    field.click();
                }
            },
            Icon { name: IconName::Upload }
            "Columns of a CSV file…"
        }
        if let Some(problem) = problem() {
            p { class: "error", role: "alert",
                Mark { shape: Shape::Failed }
                span { CodeText { text: problem } }
            }
        } else if let Some(file) = file() {
            p { class: "help", role: "status",
                "Check the columns and types, which are from the first lines of {file}. Once the table is created, you \
                 can import the file."
            }
        }
    }
}

/// Returns a name for the table with the rows of a file: `Our books.csv` becomes `our_books`.
fn table_name(file: &str) -> String {
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let words = stem.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_has_the_name_of_the_file() {
        for (file, expected) in
            [("books.csv", "books"), ("Our books (2).CSV", "our_books_2"), ("Bücher", "bücher"), (".csv", "")]
        {
            assert_eq!(table_name(file), expected, "{file}");
        }
    }
}
