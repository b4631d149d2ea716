//! What to do if a result has more rows than the page has.

use std::rc::Rc;

use dioxus::prelude::*;

use super::{execution::ResultSet, export::Form, result_panel::leave, run, settings::ROW_LIMITS, workspace::Workspace};
use crate::{text, ui::Dialog};

#[component]
pub(super) fn ExportAll(workspace: Workspace, result: Rc<ResultSet>, on_close: EventHandler<()>) -> Element {
    let shown = text::count(result.rows.len() as i64, "row", "rows");
    let limit = ROW_LIMITS.iter().copied().find(|limit| *limit as usize > result.rows.len());
    let more = limit.map(|limit| text::number(i64::from(limit)));
    let save = {
        let result = result.clone();
        move |form: Form| {
            leave(form, &result);
            on_close.call(());
        }
    };
    let save_json = save.clone();
    rsx! {
        Dialog {
            title: "Export all",
            on_close: move |()| on_close.call(()),
            footer: rsx! {
                button {
                    class: "btn btn-l",
                    r#type: "button",
                    autofocus: true,
                    onclick: move |_| on_close.call(()),
                    "Cancel"
                }
                button {
                    class: "btn btn-l",
                    r#type: "button",
                    onclick: move |_| save(Form::Csv),
                    "Export {shown} as CSV"
                }
                button {
                    class: "btn btn-l",
                    r#type: "button",
                    onclick: move |_| save_json(Form::Json),
                    "Export {shown} as JSON"
                }
                if let (Some(limit), Some(more)) = (limit, &more) {
                    button {
                        class: "btn btn-primary btn-l",
                        r#type: "button",
                        onclick: {
                            let sql = result.sql.clone();
                            move |_| {
                                on_close.call(());
                                run::read_again(workspace, &sql, limit);
                            }
                        },
                        "Run again with {more} rows"
                    }
                }
            },
            p { "The page has the first {shown}. The statement has more, which are not part of an export from here." }
            p { class: "muted",
                if let Some(more) = &more {
                    "Run it again with a limit of {more} rows, or page through it with ORDER BY, LIMIT and OFFSET."
                } else {
                    "Page through it with ORDER BY, LIMIT and OFFSET."
                }
            }
        }
    }
}
