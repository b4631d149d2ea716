//! The deletion of a project: the button in its settings, the dialog that counts what is lost, and the message at the
//! end.

use api_types::{DeleteProject, Page as ApiPage, Project, ProjectDetail, ProjectState, Restore};
use chrono::{DateTime, Utc};
use dioxus::prelude::*;
use gloo_timers::future::TimeoutFuture;

use crate::{
    address,
    remote::{self, Method},
    text,
    ui::{Confirm, Link, Mark, Shape, messages},
};

/// Maximum number of users and restores that are counted.
const COUNTED: &str = "200";
/// Interval at which the state of a project is read until it is deleted.
const INTERVAL_MS: u32 = 1_000;

#[component]
pub(super) fn Deletion(project: Project) -> Element {
    let mut asking = use_signal(|| false);
    rsx! {
        section { class: "section", "aria-labelledby": "delete",
            div { class: "section-head", h2 { id: "delete", "Delete this project" } }
            if let Some(run) = &project.delete_after_run {
                p { class: "row mb-3", role: "status",
                    Mark { shape: Shape::Queued }
                    "The project will be deleted after its final backup."
                    Link { to: "/runs/{run}", "Open run" }
                }
            } else {
                if let Some(problem) = &project.delete_problem {
                    p {
                        class: "row mb-3", role: "alert", Mark { shape: Shape::Failed }
                        "The project was not deleted: {problem}"
                    }
                }
                p { class: "muted mb-3",
                    if project.protected {
                        "The project is protected from deletion. Turn off the protection above and save first."
                    } else {
                        "Its tables, objects, keys and jobs will be deleted. Its backups stay."
                    }
                }
                button {
                    class: "btn btn-danger",
                    r#type: "button",
                    disabled: project.protected,
                    onclick: move |_| asking.set(true),
                    "Delete project"
                }
            }
        }
        if asking() {
            DeleteDialog { project: project.clone(), on_close: move |()| asking.set(false) }
        }
    }
}

/// The data that the deletion would remove, read when the dialog opens.
#[derive(Debug, Clone, PartialEq)]
enum Loss {
    Counting,
    Counted(String),
    Unknown(String),
}

#[component]
fn DeleteDialog(project: Project, on_close: EventHandler<()>) -> Element {
    let mut final_backup = use_signal(|| true);
    let mut busy = use_signal(|| false);
    let mut failure = use_signal(|| None::<String>);
    let mut loss = use_signal(|| Loss::Counting);
    let id = project.id.clone();
    use_future(move || {
        let id = id.clone();
        async move {
            loss.set(match count_loss(&id).await {
                Ok(words) => Loss::Counted(words),
                Err(failure) => Loss::Unknown(format!("Its contents could not be counted. {}", failure.message())),
            });
        }
    });
    let description = match loss() {
        Loss::Counting => "Counting what will be lost…".to_owned(),
        Loss::Counted(words) | Loss::Unknown(words) => words,
    };
    let confirm = {
        let project = project.clone();
        move |()| {
            let project = project.clone();
            spawn(async move {
                busy.set(true);
                let request = DeleteProject { confirm: project.name.clone(), final_backup: final_backup() };
                let path = format!("/projects/{}", project.id);
                match remote::send::<_, serde_json::Value>(Method::Delete, &path, &request).await {
                    Ok(_) => {
                        if request.final_backup {
                            messages::show("The project will be deleted after its final backup");
                            follow(project);
                        } else {
                            messages::show("Project deleted");
                        }
                        remote::forget("/projects");
                        remote::forget("/overview");
                        remote::forget("/runs");
                        address::go("/projects");
                    }
                    Err(refused) => failure.set(Some(refused.message())),
                }
                busy.set(false);
            });
        }
    };
    rsx! {
        Confirm {
            act: "Delete project",
            description,
            typed: Some(project.name.clone()),
            busy: busy(),
            closable: !busy(),
            failure: failure(),
            on_confirm: confirm,
            on_close: move |()| on_close.call(()),
            label { class: "check",
                input {
                    class: "switch",
                    r#type: "checkbox",
                    role: "switch",
                    "aria-label": "Make a final backup first",
                    checked: final_backup(),
                    onchange: move |event| final_backup.set(event.checked()),
                }
                "Make a final backup first, with all objects"
            }
        }
    }
}

/// Reads and describes the current contents of a project.
async fn count_loss(id: &str) -> Result<String, remote::Failure> {
    let detail: ProjectDetail = remote::get(&format!("/projects/{id}")).await?;
    let more = Others { users: count_users(id).await?, kept_databases: count_kept_databases(id).await? };
    Ok(loss_in_words(&detail, more, text::now()))
}

/// What the project's totals do not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Others {
    /// Number of users, and whether there are more.
    users: (usize, bool),
    /// Number of databases that restores keep for a rollback.
    kept_databases: usize,
}

async fn count_users(id: &str) -> Result<(usize, bool), remote::Failure> {
    let path = address::with_parameters(&format!("/projects/{id}/users"), &[("limit", Some(COUNTED))]);
    match remote::get::<ApiPage<serde_json::Value>>(&path).await {
        Ok(page) => Ok((page.items.len(), page.next_cursor.is_some())),
        // The project has no end-user login.
        Err(failure) if failure.code() == Some("auth_disabled") => Ok((0, false)),
        Err(failure) => Err(failure),
    }
}

async fn count_kept_databases(id: &str) -> Result<usize, remote::Failure> {
    let path = address::with_parameters("/restores", &[("projectId", Some(id)), ("limit", Some(COUNTED))]);
    let restores: ApiPage<Restore> = remote::get(&path).await?;
    Ok(restores.items.iter().filter(|restore| restore.previous_database.is_some()).count())
}

/// Returns a summary of the loss: `12 tables, 3.4 GB, 218 objects (1.2 GB), 3 keys in use, 4 jobs, 5 users. Its backup
/// stays.`
fn loss_in_words(detail: &ProjectDetail, others: Others, now: DateTime<Utc>) -> String {
    let totals = &detail.totals;
    let used = totals.keys_last_used_at.map(|at| format!(" (last used {})", text::age(at, now))).unwrap_or_default();
    let backups = match totals.backup_count {
        0 => "It has no backups.".to_owned(),
        1 => "Its backup stays.".to_owned(),
        count => format!("Its {} backups stay.", text::number(count)),
    };
    format!(
        "{}, {}, {} ({}), {}{used}, {}{}. {backups}",
        totals.table_count.map_or_else(|| "All tables".to_owned(), |count| text::count(count, "table", "tables")),
        totals.database_bytes.map_or_else(|| "a database of unknown size".to_owned(), text::bytes),
        text::count(totals.object_count, "object", "objects"),
        text::bytes(totals.object_bytes),
        text::count(totals.active_key_count, "key in use", "keys in use"),
        text::count(totals.job_count, "job", "jobs"),
        others_in_words(others),
    )
}

/// Returns the end of a list: `, 5 users, 1 database that a restore keeps`. Empty if there is nothing else.
fn others_in_words(others: Others) -> String {
    let (users, has_more) = others.users;
    let mut words = String::new();
    if users > 0 {
        let more = if has_more { "more than " } else { "" };
        words.push_str(&format!(", {more}{}", text::count(users as i64, "user", "users")));
    }
    if others.kept_databases > 0 {
        let (one, several) = ("database that a restore keeps", "databases that restores keep");
        words.push_str(&format!(", {}", text::count(others.kept_databases as i64, one, several)));
    }
    words
}

/// Waits until the final backup has ended, even while other pages are open. If the project was deleted, says so, with a
/// link to its backups.
fn follow(project: Project) {
    let path = format!("/projects/{}", project.id);
    let backups = address::with_parameters("/backups", &[("target", Some(&format!("project:{}", project.id)))]);
    dioxus::core::spawn_forever(async move {
        loop {
            TimeoutFuture::new(INTERVAL_MS).await;
            while !remote::is_visible() {
                TimeoutFuture::new(INTERVAL_MS).await;
            }
            match remote::get::<Project>(&path).await {
                Err(failure) if failure.is_not_found() => {
                    remote::forget("/projects");
                    remote::forget("/overview");
                    return messages::show_with_link(
                        format!("{} was deleted after its final backup", project.name),
                        backups,
                        "Open backup",
                    );
                }
                // The owner cancelled the deletion, or the backup failed. The list of projects says why.
                Ok(current) if current.state == ProjectState::Ready && current.delete_after_run.is_none() => return,
                Err(failure) if !failure.is_temporary() => return,
                Ok(_) | Err(_) => {}
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_includes_users_and_kept_databases() {
        assert_eq!(others_in_words(Others::default()), "");
        assert_eq!(others_in_words(Others { users: (5, false), kept_databases: 0 }), ", 5 users");
        assert_eq!(
            others_in_words(Others { users: (200, true), kept_databases: 1 }),
            ", more than 200 users, 1 database that a restore keeps"
        );
    }
}
