//! Tells what the owner has changed in the form. Fields without changes follow the stored job, because saving must not
//! take back what another client has changed in the meantime.

use std::collections::BTreeMap;

use dioxus::prelude::*;
use serde_json::Value;

use super::{
    draft::{Draft, Fields},
    header::{self, Header},
    parameters::{self, Node},
};
use crate::draft::rebase;

/// Fills in the parameters of the stored job or of the address once the schema is known. Does so again when the owner
/// has chosen another job of a plugin, which clears the parameters.
pub(super) fn fill_in_parameters(draft: Signal<Draft>, nodes: Memo<Vec<Node>>) {
    let mut draft = draft;
    // The schema does not show that another job was chosen, because two jobs may have the same schema.
    let job = use_memo(move || {
        let draft = draft.read();
        (draft.plugin.clone(), draft.plugin_job.clone())
    });
    use_effect(move || {
        let _ = job.read();
        let mut filled = draft.peek().clone();
        fill_in(&mut filled, &nodes.read());
        if *draft.peek() != filled {
            draft.set(filled);
        }
    });
}

/// Fills in stored parameters that are absent, unless they are for another plugin or another of its jobs. A parameter
/// that the owner has removed is present, with an empty text.
pub(super) fn fill_in(draft: &mut Draft, nodes: &[Node]) {
    if draft.stored_for.0 != draft.plugin || draft.stored_for.1 != draft.plugin_job {
        return;
    }
    for (pointer, text) in parameters::read(nodes, &draft.stored_parameters) {
        draft.parameters.entry(pointer).or_insert(text);
    }
}

/// Shows the values of the stored job after it has changed, except in fields that the owner has changed.
pub(super) fn follow(draft: Signal<Draft>, initial: Signal<Draft>, nodes: Memo<Vec<Node>>, stored: Draft) {
    let (mut draft, mut initial) = (draft, initial);
    if *initial.peek() == stored {
        return;
    }
    let mut followed = rebased(&draft.peek(), &initial.peek(), &stored);
    fill_in(&mut followed, &nodes.peek());
    draft.set(followed);
    initial.set(stored);
}

/// Returns `saved` with those fields of `draft` that the owner has changed since `base`. Parameters without changes are
/// absent.
pub(super) fn rebased(draft: &Draft, base: &Draft, saved: &Draft) -> Draft {
    let job_of = |draft: &Draft| (draft.plugin.clone(), draft.plugin_job.clone());
    let has_chosen_job = job_of(draft) != job_of(base);
    // The plugin and its job are merged as one value, because another plugin does not have this job.
    let (plugin, plugin_job) = job_of(if has_chosen_job { draft } else { saved });
    let parameters = match has_chosen_job {
        true => draft.parameters.clone(),
        false if job_of(saved) == job_of(base) => changed_parameters(draft, base),
        // The parameters were typed for another job.
        false => BTreeMap::new(),
    };
    Draft {
        plugin,
        plugin_job,
        parameters,
        headers: header::rebased(&draft.headers, &base.headers, &saved.headers),
        // The body is no part of the JSON that `rebase` compares.
        body: draft.body.clone(),
        body_changed: draft.body_changed,
        stored_parameters: saved.stored_parameters.clone(),
        stored_for: saved.stored_for.clone(),
        ..rebase(draft, base, saved)
    }
}

/// Returns whether the owner has changed the form. Parameters that the form itself filled in don't count, nor does the
/// order of headers.
pub(super) fn is_changed(draft: &Draft, initial: &Draft) -> bool {
    let compared = |draft: &Draft| {
        let mut draft = Draft { parameters: BTreeMap::new(), ..draft.clone() };
        draft.headers.sort_by_key(Header::key);
        draft
    };
    compared(draft) != compared(initial) || !changed_parameters(draft, initial).is_empty()
}

/// Returns the parameters whose texts differ from the stored values.
fn changed_parameters(draft: &Draft, base: &Draft) -> BTreeMap<String, String> {
    let value = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_else(|_| text.into());
    let is_stored = |pointer: &str, text: &str| match base.stored_parameters.pointer(pointer) {
        None | Some(Value::Null) => text.is_empty(),
        Some(Value::String(stored)) if stored == text => true,
        Some(Value::Array(lines)) if lines.iter().map(parameters::as_text).collect::<Vec<_>>().join("\n") == text => {
            true
        }
        Some(stored) => *stored == value(text),
    };
    let changed = draft.parameters.iter().filter(|(pointer, text)| !is_stored(pointer, text));
    changed.map(|(pointer, text)| (pointer.clone(), text.clone())).collect()
}

/// Returns those of the fields that differ from the stored job `initial`.
pub(super) fn changed_fields(fields: Fields, initial: &Draft, nodes: &[Node]) -> Fields {
    let parameters = parameters::read(nodes, &initial.stored_parameters);
    match (Draft { parameters, ..initial.clone() }).fields(false, nodes) {
        Ok(initial) => fields.without(&initial),
        // The fields can't show a stored value, for example a parameter that the schema no longer allows.
        Err(_) => fields,
    }
}

#[cfg(test)]
mod tests {
    use api_types::JobType;
    use serde_json::json;

    use super::*;

    fn nodes() -> Vec<Node> {
        parameters::nodes(&json!({ "properties": {
            "days": { "type": "integer" }, "hosts": { "type": "array", "items": { "type": "string" } },
            "target": { "type": "string" },
        } }))
    }

    fn stored(parameters: Value) -> Draft {
        let job = ("backup".to_owned(), "backup".to_owned());
        Draft {
            name: "Nightly".to_owned(),
            job_type: JobType::Platform,
            plugin: job.0.clone(),
            plugin_job: job.1.clone(),
            stored_parameters: parameters,
            stored_for: job,
            time_limit: "60".to_owned(),
            retry_wait: "1".to_owned(),
            ..Draft::new("UTC".to_owned())
        }
    }

    fn filled(draft: &Draft) -> Draft {
        let mut draft = draft.clone();
        fill_in(&mut draft, &nodes());
        draft
    }

    fn sent(draft: &Draft, saved: &Draft) -> Value {
        let fields = draft.fields(false, &nodes()).map(|fields| changed_fields(fields, saved, &nodes()));
        fields.ok().and_then(|fields| serde_json::to_value(fields).ok()).unwrap_or_default()
    }

    #[test]
    fn only_changes_of_the_owner_are_kept_and_sent() {
        let base = stored(json!({ "days": 7, "hosts": ["a", "b"], "target": "all" }));
        let mut typed = filled(&base);
        assert!(!is_changed(&typed, &base));
        assert_eq!(sent(&typed, &base), json!({}));
        typed.retries = "3".to_owned();
        typed.parameters.insert("/days".to_owned(), "8".to_owned());
        let saved =
            Draft { name: "Renamed".to_owned(), ..stored(json!({ "days": 7, "hosts": ["c"], "target": "platform" })) };
        let typed = filled(&rebased(&typed, &base, &saved));
        assert_eq!((typed.name.as_str(), typed.retries.as_str()), ("Renamed", "3"));
        let parameters = json!({ "days": 8, "hosts": ["c"], "target": "platform" });
        assert_eq!(sent(&typed, &saved), json!({ "retries": 3, "params": parameters }));
    }

    #[test]
    fn stored_parameters_are_kept_if_they_were_cleared_with_the_choice_of_another_job() {
        let base = stored(json!({ "days": 7, "target": "all" }));
        let mut typed = filled(&base);
        typed.parameters.clear();
        assert!(!is_changed(&typed, &base));
        assert_eq!(sent(&filled(&typed), &base), json!({}));
        // In contrast, a field that the owner has emptied stays empty.
        typed.parameters.insert("/days".to_owned(), String::new());
        assert!(is_changed(&typed, &base));
        assert_eq!(sent(&filled(&typed), &base), json!({ "params": { "target": "all" } }));
    }

    #[test]
    fn stored_parameters_are_not_filled_into_another_job() {
        let base = stored(json!({ "target": "all" }));
        let typed = Draft { plugin_job: "verify".to_owned(), ..base.clone() };
        assert_eq!(filled(&typed).parameters, BTreeMap::new());
        let chosen_again = Draft { plugin_job: base.plugin_job.clone(), ..typed };
        assert_eq!(filled(&chosen_again).parameters, BTreeMap::from([("/target".to_owned(), "all".to_owned())]));
    }

    #[test]
    fn line_that_is_replaced_is_a_change() {
        let base = stored(json!({ "hosts": ["a", "b"] }));
        let mut typed = filled(&base);
        typed.parameters.insert("/hosts".to_owned(), "a\nc".to_owned());
        assert!(is_changed(&typed, &base));
    }

    #[test]
    fn typed_header_values_and_bodies_are_kept() {
        let header = |value: &str| Header { name: "X-Key".to_owned(), value: value.to_owned(), ..Header::default() };
        let base = Draft { headers: vec![header("")], ..Draft::new("UTC".to_owned()) };
        let typed =
            Draft { headers: vec![header("typed")], body: "typed".to_owned(), body_changed: true, ..base.clone() };
        let saved = Draft { url: "https://b.example".to_owned(), ..base.clone() };
        assert_eq!(rebased(&typed, &base, &saved), Draft { url: saved.url.clone(), ..typed.clone() });
        assert_eq!(rebased(&base, &base, &saved), saved);
    }

    #[test]
    fn plugin_and_its_job_are_merged_as_one_field() {
        let of = |plugin: &str, job: &str| {
            let job = (plugin.to_owned(), job.to_owned());
            Draft { plugin: job.0.clone(), plugin_job: job.1.clone(), stored_for: job, ..stored(json!({ "days": 7 })) }
        };
        let job = |draft: &Draft| (draft.plugin.clone(), draft.plugin_job.clone());
        let (base, typed, saved) = (of("backup", "backup"), of("backup", "verify"), of("cleanup", "backup"));
        assert_eq!(job(&rebased(&typed, &base, &saved)), job(&typed));
        let mut typed = filled(&base);
        typed.parameters.insert("/days".to_owned(), "8".to_owned());
        let followed = rebased(&typed, &base, &saved);
        assert_eq!((job(&followed), followed.parameters), (job(&saved), BTreeMap::new()));
    }

    #[test]
    fn job_of_another_plugin_is_sent_with_its_name_and_parameters() {
        let base = stored(json!({ "target": "all" }));
        let typed = Draft { plugin: "copy".to_owned(), ..filled(&base) };
        let expected =
            json!({ "plugin": "copy", "pluginJob": "backup", "params": { "target": "all" }, "timeoutMs": 60_000 });
        assert_eq!(sent(&typed, &base), expected);
    }
}
