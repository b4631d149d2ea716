//! The form that assigns fields of the file to columns of the table.

use api_types::{ImportError, TableDetail};
use dioxus::prelude::*;

use super::{
    draft::Draft,
    plan::{Field, Filler, Plan, Refusal, Unfilled, is_always_identity},
    words::problem_in_words,
};
use crate::{
    text,
    ui::{CodeText, Mark, Shape},
    value::short_type,
};

/// Number of sample values shown for a field.
const SHOWN_SAMPLES: usize = 3;

#[component]
pub(super) fn Columns(
    plan: Plan,
    table: TableDetail,
    /// The first errors of the last run.
    errors: Vec<ImportError>,
    /// Number of all errors of the last run.
    error_count: i64,
    /// The reason why the server refused the last request.
    refusal: Option<Refusal>,
    draft: Signal<Draft>,
) -> Element {
    let has_more_errors = error_count > errors.len() as i64;
    rsx! {
        table { class: "table box-table import-columns", "aria-label": "Columns",
            thead {
                tr {
                    th { "Field" }
                    th { class: "hide-800", "Values" }
                    th { "Column" }
                }
            }
            tbody {
                for (index, field) in plan.fields.iter().enumerate() {
                    FieldRow {
                        key: "{field.source}",
                        index,
                        field: field.clone(),
                        table: table.clone(),
                        errors: errors_of(&errors, field),
                        has_more_errors,
                        refused: refusal.as_ref().and_then(|refusal| refusal.of_source(&field.source)),
                        draft,
                    }
                }
            }
        }
        LeftOut { fields: plan.fields.iter().filter(|field| field.target.is_none()).cloned().collect::<Vec<_>>() }
        if let Some(problem) = &plan.problem {
            p { class: "error", role: "alert", Mark { shape: Shape::Failed } "{problem}" }
        }
        UnfilledColumns { unfilled: plan.unfilled.clone() }
    }
}

/// Returns the errors about the column that a field goes into.
fn errors_of(errors: &[ImportError], field: &Field) -> Vec<ImportError> {
    errors.iter().filter(|error| error.column.is_some() && error.column == field.target).cloned().collect()
}

#[component]
fn FieldRow(
    index: usize,
    field: Field,
    table: TableDetail,
    errors: Vec<ImportError>,
    /// Whether the run had more errors, which may be about this field.
    has_more_errors: bool,
    /// The reason why the server refused the column of this field.
    refused: Option<String>,
    draft: Signal<Draft>,
) -> Element {
    let mut draft = draft;
    let samples = field.samples.iter().take(SHOWN_SAMPLES).cloned().collect::<Vec<_>>().join(" · ");
    let problem = field.problem.clone().or(refused).or_else(|| errors_in_words(&errors, has_more_errors));
    let source = field.source.clone();
    rsx! {
        tr {
            td { class: "import-field",
                span { class: "mono strong", "{field.source}" }
                span { class: "mono muted cut import-sample", "{samples}" }
            }
            td { class: "hide-800 import-samples", span { class: "mono muted cut", title: "{samples}", "{samples}" } }
            td {
                select {
                    class: "input m",
                    "aria-label": "Column for {field.source}",
                    "aria-invalid": if problem.is_some() { "true" },
                    "aria-describedby": if problem.is_some() { "import-field-{index}" },
                    onchange: move |event| {
                        let column = Some(event.value()).filter(|column| !column.is_empty());
                        draft.write().mapping.insert(source.clone(), column);
                    },
                    option { value: "", selected: field.target.is_none(), "Leave out" }
                    for column in table.columns.iter() {
                        option {
                            key: "{column.name}",
                            value: "{column.name}",
                            selected: field.target.as_ref() == Some(&column.name),
                            disabled: column.generated.is_some() && field.target.as_ref() != Some(&column.name),
                            "{column.name} · {short_type(&column.data_type)}"
                            if column.generated.is_some() || is_always_identity(column) {
                                ", generated"
                            }
                        }
                    }
                }
                if let Some(problem) = &problem {
                    p { class: "error", id: "import-field-{index}",
                        Mark { shape: Shape::Failed }
                        span { CodeText { text: problem.clone() } }
                    }
                }
            }
        }
    }
}

/// Describes the errors of a column in the last run: `2 rows refused. Line 3: …`. If `has_more`, there may be others.
fn errors_in_words(errors: &[ImportError], has_more: bool) -> Option<String> {
    let first = errors.first()?;
    let count = text::count(errors.len() as i64, "row", "rows");
    let count = if has_more { format!("At least {count}") } else { count };
    Some(format!("{count} refused. Line {}: {}", first.line, problem_in_words(&first.message)))
}

/// The fields of the file that go into no column.
#[component]
fn LeftOut(fields: Vec<Field>) -> Element {
    if fields.is_empty() {
        return rsx! {};
    }
    let count = text::count(fields.len() as i64, "column", "columns");
    let is_one = fields.len() == 1;
    rsx! {
        div { class: "banner t-warning", role: "note",
            Mark { shape: Shape::Attention }
            p {
                "{count} of the file "
                if is_one { "is" } else { "are" }
                " left out: "
                for (index, field) in fields.into_iter().enumerate() {
                    if index > 0 {
                        ", "
                    }
                    span { class: "mono", "{field.source}" }
                }
                "."
            }
        }
    }
}

/// The columns that no field goes into, each with the value that it receives.
#[component]
fn UnfilledColumns(unfilled: Vec<Unfilled>) -> Element {
    let of = |wanted: fn(&Filler) -> bool| -> Vec<Unfilled> {
        unfilled.iter().filter(|unfilled| wanted(&unfilled.value)).cloned().collect()
    };
    let missing = of(|value| *value == Filler::Missing);
    let others = of(|value| *value != Filler::Missing);
    rsx! {
        if !missing.is_empty() {
            div { class: "banner t-warning", role: "note",
                Mark { shape: Shape::Attention }
                p {
                    Names { columns: missing.clone() }
                    if missing.len() == 1 { " needs a value and has" } else { " need a value and have" }
                    " no default. Choose a field, or rows are refused unless a trigger fills the column."
                }
            }
        }
        if !others.is_empty() {
            p { class: "help import-unfilled",
                "In new rows, "
                for (index, unfilled) in others.into_iter().enumerate() {
                    if index > 0 {
                        ", "
                    }
                    span { class: "mono", "{unfilled.column}" }
                    match unfilled.value {
                        Filler::Default(default) => rsx! { " gets " span { class: "mono", "{default}" } },
                        Filler::DefaultOfType => rsx! { " gets the default of its type" },
                        Filler::Generated => rsx! { " is generated" },
                        _ => rsx! { " is NULL" },
                    }
                }
                "."
            }
        }
    }
}

#[component]
fn Names(columns: Vec<Unfilled>) -> Element {
    rsx! {
        for (index, column) in columns.into_iter().enumerate() {
            if index > 0 {
                ", "
            }
            span { class: "mono", "{column.column}" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_a_column_are_counted_as_far_as_they_are_known() {
        let error = |line| ImportError {
            line,
            column: Some("price".to_owned()),
            code: "invalid_value".to_owned(),
            message: "invalid input".to_owned(),
            value: None,
        };
        let words = |errors: &[ImportError], has_more| errors_in_words(errors, has_more).unwrap_or_default();
        assert_eq!(words(&[error(3), error(5)], false), "2 rows refused. Line 3: invalid input");
        assert_eq!(words(&[error(3)], true), "At least 1 row refused. Line 3: invalid input");
        assert_eq!(words(&[], true), "");
    }
}
