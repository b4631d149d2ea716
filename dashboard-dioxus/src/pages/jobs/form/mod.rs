//! The form that creates and changes a job.
//!
//! [`draft`] contains the values of the fields and [`header`] those of a header, [`stored`] keeps them in the browser,
//! and [`check`] sends them to the server for validation. The parts of the form are [`fields`], [`request`],
//! [`plugin`], [`schedule`] and [`late`]. [`parameters`] derives fields from a plugin's JSON Schema, and [`changes`]
//! tells what the owner has changed.

mod changes;
mod check;
mod draft;
mod fields;
mod header;
mod late;
mod parameters;
mod plugin;
mod request;
mod schedule;
mod stored;

use std::collections::{BTreeMap, BTreeSet};

use api_types::{Job, JobType, Page as ApiPage, Plugin};
use dioxus::prelude::*;

use super::allowed_hosts::NoHostsNote;
use crate::{
    address, dom,
    pages::submit_key::submit_by_key,
    remote::{self, Failure, Method, use_remote},
    text,
    ui::{FormError, Mark, Shape, messages},
};
use changes::{changed_fields, fill_in, fill_in_parameters, follow, is_changed, rebased};
use check::{Checked, use_check};
use draft::Draft;
use fields::{KindField, ProjectField, TextField};
use late::LateFields;
use parameters::Node;
use plugin::PluginFields;
use request::RequestFields;
pub(super) use schedule::FiveTimes;
use schedule::ScheduleFields;

/// The state that all parts of the form share.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Form {
    draft: Signal<Draft>,
    checked: Signal<Checked>,
    /// Errors of the last attempt to save, by field.
    refused: Signal<BTreeMap<String, String>>,
    /// Fields that the owner has left. Their errors are shown.
    left: Signal<BTreeSet<String>>,
    /// Whether the owner has tried to save. All errors are shown then.
    tried: Signal<bool>,
}

impl Form {
    fn change(self, change: impl FnOnce(&mut Draft)) {
        let mut draft = self.draft;
        draft.with_mut(change);
    }

    fn leave(self, field: &str) {
        let (mut left, mut refused) = (self.left, self.refused);
        if !left.peek().contains(field) {
            left.with_mut(|left| {
                left.insert(field.to_owned());
            });
        }
        if refused.peek().contains_key(field) {
            refused.with_mut(|refused| drop(refused.remove(field)));
        }
    }

    /// Returns the error that a field shows.
    fn error(self, field: &str) -> Option<String> {
        let is_shown = *self.tried.read() || self.left.read().contains(field);
        let refused = self.refused.read().get(field).cloned();
        refused.or_else(|| self.checked.read().errors.get(field).filter(|_| is_shown).cloned())
    }
}

#[component]
pub(super) fn JobForm(#[props(default)] job: Option<Job>) -> Element {
    let job_id = job.as_ref().map(|job| job.id.clone());
    let storage_name = use_hook(|| stored::name(job_id.as_deref()));
    let initial = use_signal(|| job.as_ref().map_or_else(starting_draft, Draft::of));
    let draft = use_signal(|| {
        let initial = initial.peek();
        stored::load(&storage_name, &initial).unwrap_or_else(|| Draft::clone(&initial))
    });
    let has_lost_input = use_hook(|| stored::has_lost_input(&storage_name));
    let plugins = use_remote::<ApiPage<Plugin>>(use_signal(|| "/plugins?limit=200".to_owned()).into());
    let nodes = use_memo(move || {
        let draft = draft.read();
        let plugins = plugins.value().map(|page| page.items).unwrap_or_default();
        schema_of(&plugins, &draft).map(|schema| parameters::nodes(&schema)).unwrap_or_default()
    });
    fill_in_parameters(draft, nodes);
    if let Some(job) = &job {
        follow(draft, initial, nodes, Draft::of(job));
    }
    let checked = use_check(draft, nodes, job_id.clone());
    let form = Form {
        draft,
        checked,
        refused: use_signal(BTreeMap::new),
        left: use_signal(BTreeSet::new),
        tried: use_signal(|| false),
    };
    let mut failure = use_signal(|| None::<Failure>);
    let mut busy = use_signal(|| false);
    let is_dirty = is_changed(&draft.read(), &initial.read());
    let stored_under = storage_name.clone();
    let mut had_unstorable = use_hook(|| CopyValue::new(false));
    use_effect(use_reactive!(|is_dirty| {
        let draft = draft.read();
        let had = std::mem::replace(&mut *had_unstorable.write(), draft.has_unstorable_input());
        if is_dirty {
            stored::save(&stored_under, &draft, &initial.read(), had);
        } else {
            stored::remove(&stored_under);
        }
    }));
    let is_new = job.is_none();
    // The project may be chosen in the form, so the address decides which list opened it.
    let opened_in = use_hook(|| address::parameter("project"));
    let back = job_id.as_ref().map_or_else(|| jobs_of(opened_in.as_deref()), |id| format!("/jobs/{id}"));
    let cancelled_under = storage_name.clone();
    let submit = use_callback(move |()| {
        let (job_id, storage_name) = (job_id.clone(), storage_name.clone());
        let (mut tried, mut refused) = (form.tried, form.refused);
        if *busy.peek() {
            return;
        }
        busy.set(true);
        spawn(async move {
            failure.set(None);
            tried.set(true);
            // Another tab's change may arrive during the requests, and change the signals.
            let (mut now, base, fields) = (draft.peek().clone(), initial.peek().clone(), nodes.peek().clone());
            // Without this, saving would remove stored parameters that are not filled in yet.
            fill_in(&mut now, &fields);
            let result = check::check(&now, &fields, job_id.as_deref()).await;
            let has_errors = !result.errors.is_empty();
            let mut checked = checked;
            checked.set(result);
            if has_errors {
                focus_first_error().await;
            } else {
                match save(&now, &base, &fields, job_id.as_deref()).await {
                    Ok(job) => {
                        stored::remove(&storage_name);
                        remote::forget("/jobs");
                        remote::forget("/backups/protection");
                        messages::show(if is_new { "Job created" } else { "Job saved" });
                        address::go(&format!("/jobs/{}", job.id));
                    }
                    Err(error) => {
                        refused.set(field_errors(&error, &now));
                        failure.set(Some(error));
                        focus_first_error().await;
                    }
                }
            }
            busy.set(false);
        });
    });
    let act = if is_new { "Create job" } else { "Save job" };
    let other_errors = match *form.tried.read() {
        true => errors_without_field(&checked.read().errors, &draft.read(), &nodes.read()),
        false => Vec::new(),
    };
    rsx! {
        form {
            class: "job-form",
            novalidate: true,
            "aria-label": act,
            onsubmit: move |event| {
                event.prevent_default();
                submit.call(());
            },
            onkeydown: |event| submit_by_key(&event),
            div { class: "section",
                div { class: "form",
                    if draft.read().job_type == JobType::Http {
                        NoHostsNote {}
                    }
                    div { class: "pair-2",
                        TextField {
                            form, field: "name", label: "Name", value: draft.read().name.clone(), autofocus: is_new,
                            required: true,
                            oninput: move |text| form.change(|draft| draft.name = text),
                        }
                        ProjectField { form, is_new }
                    }
                    KindField { form, is_new }
                    match draft.read().job_type {
                        JobType::Http => rsx! { RequestFields { form, has_lost_input } },
                        JobType::Platform => rsx! {
                            PluginFields {
                                form, plugins: plugins.value().map(|page| page.items).unwrap_or_default(),
                                nodes: nodes()
                            }
                        },
                    }
                    hr { class: "rule" }
                    ScheduleFields { form }
                    hr { class: "rule" }
                    LateFields { form, is_new }
                    for error in other_errors {
                        FormError { key: "{error}", text: error.clone() }
                    }
                    if let Some(failure) = failure() {
                        FormError { text: failure.message() }
                    }
                }
            }
            div { class: "foot sticky form-foot",
                button { class: "btn btn-primary btn-l", r#type: "submit", "aria-disabled": busy(), "{act}" }
                button {
                    class: "btn btn-ghost btn-l",
                    r#type: "button",
                    onclick: move |_| {
                        let mut draft = draft;
                        draft.set(initial.peek().clone());
                        // Removes the stored values here, because the effect that removes them does not run once
                        // the form is closed.
                        stored::remove(&cancelled_under);
                        if is_new { address::go_back(&back) } else { address::go(&back) }
                    },
                    "Cancel"
                }
                span { class: "push row",
                    span { class: "only-wide row row-1", kbd { "Ctrl" } kbd { "↵" } "saves" }
                    span { class: "badge not-saved", role: "status",
                        if is_dirty {
                            Mark { shape: Shape::Queued }
                            "Not saved"
                        }
                    }
                }
            }
        }
    }
}

fn schema_of(plugins: &[Plugin], draft: &Draft) -> Option<serde_json::Value> {
    let plugin = plugins.iter().find(|plugin| plugin.name == draft.plugin)?;
    let job = plugin.jobs.iter().find(|job| job.name == draft.plugin_job)?;
    Some(job.params_schema.clone())
}

/// Returns a draft with the values in the address: `/jobs/new?kind=plugin&plugin=backup`.
fn starting_draft() -> Draft {
    let mut draft = Draft::new(text::browser_timezone());
    draft.project = address::parameter("project").unwrap_or_default();
    draft.name = address::parameter("name").unwrap_or_default();
    draft.schedule = address::parameter("schedule").unwrap_or_default();
    if address::parameter("kind").as_deref() == Some("plugin") {
        draft.job_type = JobType::Platform;
    }
    draft.plugin = address::parameter("plugin").unwrap_or_default();
    draft.plugin_job = address::parameter("pluginJob").unwrap_or_default();
    if let Some(target) = address::parameter("target") {
        draft.stored_parameters = serde_json::json!({ "target": target });
        draft.stored_for = (draft.plugin.clone(), draft.plugin_job.clone());
    }
    draft
}

/// Returns the address of the list of a project's jobs, or of all jobs.
fn jobs_of(project: Option<&str>) -> String {
    project.map_or_else(|| "/jobs".to_owned(), |id| format!("/projects/{id}/jobs"))
}

/// Creates the job, or saves the owner's changes from the stored job `base`.
async fn save(draft: &Draft, base: &Draft, nodes: &[Node], job: Option<&str>) -> Result<Job, Failure> {
    let fields_of = |draft: &Draft| {
        draft.fields(job.is_none(), nodes).map_err(|_| Failure::unreadable("A field has no valid value."))
    };
    let fields = fields_of(draft)?;
    let Some(job) = job else { return remote::send(Method::Post, "/jobs", &fields).await };
    let path = format!("/jobs/{job}");
    let mut changed = changed_fields(fields, base, nodes);
    if changed.contains("params") || changed.contains("httpHeaders") {
        // The API replaces the parameters as a whole, and the headers too. Another tab may have changed others.
        let newest = Draft::of(&remote::get::<Job>(&path).await?);
        let mut now = rebased(draft, base, &newest);
        fill_in(&mut now, nodes);
        changed = changed_fields(fields_of(&now)?, &newest, nodes);
    }
    remote::send(Method::Patch, &path, &changed).await
}

/// Returns the errors of fields and parameters from the details of a failure, by field.
fn field_errors(failure: &Failure, draft: &Draft) -> BTreeMap<String, String> {
    let problems =
        failure.details().and_then(|details| details.get("problems")?.as_array()).cloned().unwrap_or_default();
    let of_field =
        failure.field().map(|field| (field.to_owned(), check::in_form_words(field, &failure.message(), draft)));
    problems
        .iter()
        .filter_map(|problem| {
            Some((format!("params{}", problem.get("path")?.as_str()?), problem.get("message")?.as_str()?.to_owned()))
        })
        .chain(of_field)
        .collect()
}

/// Returns the errors that no field of the form shows, for example that the project of the address does not exist.
fn errors_without_field(errors: &BTreeMap<String, String>, draft: &Draft, nodes: &[Node]) -> Vec<String> {
    let has_field = |name: &str| match name {
        "name" | "scheduleCron" | "timezone" | "timeoutMs" | "retries" | "retryBackoffMs" => true,
        "httpUrl" => draft.job_type == JobType::Http,
        "httpBody" => draft.job_type == JobType::Http && draft.may_have_body(),
        "plugin" | "pluginJob" | "params" => draft.job_type == JobType::Platform,
        name if name.starts_with("httpHeaders") => draft.job_type == JobType::Http,
        name => name.strip_prefix("params").is_some_and(|pointer| parameters::has_field(nodes, pointer)),
    };
    errors.iter().filter(|(name, _)| !has_field(name)).map(|(_, error)| error.clone()).collect()
}

async fn focus_first_error() {
    // Wait until the errors are drawn.
    gloo_timers::future::TimeoutFuture::new(30).await;
    dom::focus(".job-form [aria-invalid=true]");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_absent_fields_are_shown_for_the_form() {
        let schema = serde_json::json!({ "properties": { "days": { "type": "integer" } } });
        let draft = Draft { job_type: JobType::Platform, ..Draft::new("UTC".to_owned()) };
        let names = ["name", "params/days", "params/old", "projectId", "httpUrl"];
        let errors = names.map(|name| (name.to_owned(), name.to_owned()));
        let shown = errors_without_field(&BTreeMap::from(errors), &draft, &parameters::nodes(&schema));
        assert_eq!(shown, ["httpUrl", "params/old", "projectId"]);
    }

    #[test]
    fn refusal_of_a_field_is_shown_at_the_field() {
        let failure = Failure::Refused {
            status: 400,
            code: "invalid_request".to_owned(),
            message: "`timeoutMs` must be at most 60000: runs are stopped after that time.".to_owned(),
            hint: None,
            request_id: None,
            details: Some(Box::new(serde_json::json!({ "field": "timeoutMs" }))),
            retry_after: None,
        };
        let shown = "The time limit must be at most 60 seconds: runs are stopped after that time.".to_owned();
        let errors = field_errors(&failure, &Draft::new("UTC".to_owned()));
        assert_eq!(errors, BTreeMap::from([("timeoutMs".to_owned(), shown)]));
    }
}
