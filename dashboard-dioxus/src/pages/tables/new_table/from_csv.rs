//! The button that takes the columns of the new table from a CSV file.

use dioxus::prelude::*;
use web_sys::File;

use super::{
    NewColumn,
    csv::{Columns, Found},
};
use crate::{
    dom,
    pages::{
        imports::{first_part_of_csv, part_of},
        storage::upload::chosen_files,
    },
    ui::{CodeText, Icon, IconName, Mark, Shape},
};

const FIELD: &str = "new-table-csv";

/// Maximum number of bytes of a file that are read to find its columns.
const MAX_READ: u32 = 16 << 20;
/// Number of bytes that are read at a time, so that the page can still react.
const PART: u32 = 1 << 20;

/// What was found in a file.
#[derive(Debug, Clone, PartialEq)]
struct Reading {
    found: Found,
    /// Whether the whole file was read.
    is_whole: bool,
}

#[component]
pub(super) fn FromCsv(
    name: Signal<String>,
    columns: Signal<Vec<NewColumn>>,
    /// Name of the file that the columns are from.
    file: Signal<Option<String>>,
) -> Element {
    let (mut name, mut columns, mut file) = (name, columns, file);
    let mut problem = use_signal(|| None::<String>);
    let mut reading = use_signal(|| None::<Reading>);
    let mut has_names = use_signal(|| true);
    let mut is_busy = use_signal(|| false);
    let on_chosen = move |event: FormEvent| {
        let Some(chosen) = chosen_files(&event).into_iter().next().filter(|_| !is_busy()) else { return };
        spawn(async move {
            is_busy.set(true);
            match read_file(&chosen).await {
                Ok(result) => {
                    problem.set(None);
                    has_names.set(result.found.has_names);
                    columns.set(result.found.columns(result.found.has_names));
                    reading.set(Some(result));
                    let is_own_name = !name.peek().trim().is_empty()
                        && file.peek().as_ref().is_none_or(|before| table_name(before) != *name.peek());
                    if !is_own_name {
                        name.set(table_name(&chosen.name()));
                    }
                    file.set(Some(chosen.name()));
                }
                Err(why) => problem.set(Some(why)),
            }
            is_busy.set(false);
        });
    };
    let on_names = move |event: FormEvent| {
        has_names.set(event.checked());
        if let Some(Reading { found, .. }) = &*reading.peek() {
            let is_unchanged = *columns.peek() == found.columns(!event.checked());
            if is_unchanged {
                columns.set(found.columns(event.checked()));
            }
        }
    };
    let is_part = reading.read().as_ref().is_some_and(|reading| !reading.is_whole);
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
            "aria-disabled": is_busy(),
            onclick: |_| {
                if let Some(field) = dom::find(&format!("#{FIELD}")) {
                    field.click();
                }
            },
            Icon { name: IconName::Upload }
            "Columns of a CSV file…"
        }
        if is_busy() {
            p { class: "help", role: "status", "Reading the file…" }
        } else if let Some(problem) = problem() {
            p { class: "error", role: "alert",
                Mark { shape: Shape::Failed }
                span { CodeText { text: problem } }
            }
        } else if let Some(file) = file() {
            if reading.read().is_some() {
                label { class: "check",
                    input { class: "box", r#type: "checkbox", checked: has_names(), onchange: on_names }
                    "The first line contains the names"
                }
            }
            p { class: "help", role: "status",
                "Check the columns and types, which are from {file}. "
                if is_part {
                    "Only its first 16 MiB were read, so later values may not fit. "
                }
                "Once the table is created, you can import the file."
            }
        }
    }
}

/// Reads the columns of a file. The error is a message for the owner.
async fn read_file(file: &File) -> Result<Reading, String> {
    let is_whole = file.size() <= f64::from(MAX_READ);
    let first = first_part_of_csv(file, PART).await?;
    let mut columns = Columns::new(&first, file.size() <= f64::from(PART));
    for start in (PART..MAX_READ).step_by(PART as usize).take_while(|start| f64::from(*start) < file.size()) {
        columns.read(&part_of(file, start, PART).await?);
    }
    Ok(Reading { found: columns.finish(is_whole)?, is_whole })
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
