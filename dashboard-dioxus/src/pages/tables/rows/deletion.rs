//! The dialog that deletes rows. It first counts the other rows that the deletion would delete or change.

use api_types::{ChangedRows, ReferenceAction};
use dioxus::prelude::*;

use super::{
    View,
    data::RowKey,
    save::{self, Change},
    staged,
};
use crate::{
    address,
    remote::Failure,
    text,
    ui::{CodeText, Confirm, messages},
};

/// Maximum number of keys that the dialog lists.
const MAX_LISTED_KEYS: usize = 5;

#[component]
pub(super) fn DeleteRows(view: View) -> Element {
    let mut deleting = view.deleting;
    let keys = deleting.read().clone();
    let count = keys.len();
    let mut busy = use_signal(|| false);
    let mut failure = use_signal(|| None::<String>);
    let mut effects = use_signal(|| None::<Result<ChangedRows, Failure>>);
    use_hook({
        let keys = keys.clone();
        move || {
            spawn(async move {
                let changes: Vec<Change> = keys.iter().map(|key| Change::delete(key, &view.detail.peek().0)).collect();
                effects.set(Some(save::send(view, &changes, true).await));
            });
        }
    });
    let act = if count == 1 { "Delete 1 row".to_owned() } else { format!("Delete {count} rows") };
    let consequences = match &*effects.read() {
        None => vec!["Counting what else changes…".to_owned()],
        Some(Ok(counted)) => consequences(counted, &view.table.read(), count),
        Some(Err(refused)) => vec![refused.message()],
    };
    rsx! {
        Confirm {
            act,
            description: named(&keys),
            busy: busy() || effects.read().is_none(),
            // Closing the dialog would end the request's task, and the page would still show the deleted rows.
            closable: !busy(),
            failure: failure(),
            on_confirm: move |()| {
                let keys = keys.clone();
                spawn(async move {
                    busy.set(true);
                    let change = |key: &RowKey| Change::delete(key, &view.detail.peek().0);
                    let changes: Vec<Change> = keys.iter().map(change).collect();
                    match save::send(view, &changes, false).await {
                        Ok(_) => {
                            let mut selected = view.selected;
                            for key in &keys {
                                staged::discard_row(&view.staged.peek(), key);
                                selected.write().remove(&key.to_parameter());
                            }
                            messages::show(text::count(keys.len() as i64, "row deleted", "rows deleted"));
                            if address::parameter("row").is_some() {
                                address::replace_parameter("row", None);
                            }
                            view.refresh();
                            deleting.set(Vec::new());
                        }
                        Err(refused) if refused.is_outcome_unknown() => {
                            let message = "The server did not respond, so it is not known whether the rows were \
                                           deleted. Try again: no row is deleted twice.";
                            failure.set(Some(message.to_owned()));
                            view.refresh();
                        }
                        Err(refused) => failure.set(Some(refused.message())),
                    }
                    busy.set(false);
                });
            },
            on_close: move |()| deleting.set(Vec::new()),
            ul { class: "stack stack-1", "aria-label": "What else changes",
                // Tables of several schemas can have the same name, and so the same line.
                for (index, line) in consequences.into_iter().enumerate() {
                    li { key: "{index}", CodeText { text: line } }
                }
            }
        }
    }
}

fn named(keys: &[RowKey]) -> String {
    let names: Vec<String> = keys.iter().take(MAX_LISTED_KEYS).map(RowKey::words).collect();
    match keys.len().checked_sub(MAX_LISTED_KEYS) {
        Some(more) if more > 0 => format!("{} and {} more.", names.join("; "), text::number(more as i64)),
        _ => format!("{}.", names.join("; ")),
    }
}

/// Returns a line for each table in which the deletion changes other rows. If there is none, returns a line that says
/// so.
fn consequences(counted: &ChangedRows, table: &str, count: usize) -> Vec<String> {
    let others = counted.effects.iter().cloned().filter_map(|mut effect| {
        if effect.schema == "public" && effect.table == table {
            effect.deleted -= i64::try_from(count).unwrap_or_default();
        }
        (effect.deleted > 0 || effect.updated > 0 || effect.inserted > 0).then_some(effect)
    });
    let mut lines: Vec<String> = others
        .map(|effect| {
            let is_own = effect.schema == "public" && effect.table == table;
            let action = match effect.on_delete {
                Some(ReferenceAction::Cascade) => " (ON DELETE CASCADE)",
                Some(ReferenceAction::SetNull) => " (ON DELETE SET NULL)",
                Some(ReferenceAction::SetDefault) => " (ON DELETE SET DEFAULT)",
                _ => "",
            };
            let mut parts = Vec::new();
            if effect.deleted > 0 {
                parts.push(match is_own {
                    true => format!("{} deleted", text::count(effect.deleted, "more row", "more rows")),
                    false => format!("{} deleted", text::count(effect.deleted, "row", "rows")),
                });
            }
            if effect.updated > 0 {
                parts.push(format!("{} changed", text::count(effect.updated, "row", "rows")));
            }
            if effect.inserted > 0 {
                parts.push(format!("{} inserted", text::count(effect.inserted, "row", "rows")));
            }
            format!("{}: {}{action}", effect.table, parts.join(", "))
        })
        .collect();
    if lines.is_empty() {
        lines.push("Nothing else changes.".to_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use api_types::ChangeEffect;

    use super::*;

    #[test]
    fn rows_deleted_by_foreign_keys_are_named_by_table() {
        let effect = |table: &str, deleted, on_delete| ChangeEffect {
            schema: "public".to_owned(),
            table: table.to_owned(),
            inserted: 0,
            updated: 0,
            deleted,
            on_delete,
        };
        let cascade = Some(ReferenceAction::Cascade);
        for (effects, expected) in [
            (vec![effect("folders", 1, None)], vec!["Nothing else changes."]),
            (vec![effect("folders", 3, None)], vec!["folders: 2 more rows deleted"]),
            (
                vec![effect("folders", 1, None), effect("files", 2, cascade)],
                vec!["files: 2 rows deleted (ON DELETE CASCADE)"],
            ),
        ] {
            let counted = ChangedRows { dry_run: true, results: Vec::new(), effects };
            assert_eq!(consequences(&counted, "folders", 1), expected);
        }
    }
}
