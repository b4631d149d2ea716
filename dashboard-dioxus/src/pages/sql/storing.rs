//! Stores the open queries in the browser, reads them when the page opens, and watches for changes by other windows.

use dioxus::prelude::*;
use futures_util::StreamExt as _;
use gloo_timers::future::TimeoutFuture;

use super::{
    drafts::{self, Draft, Stored},
    tab::Tab,
    workspace::Workspace,
};

/// Milliseconds between the last keystroke and storing the text.
const STORE_DELAY_MS: u32 = 500;

impl Workspace {
    /// Reads the stored queries, and then watches for changes by other windows.
    pub(super) async fn load(mut self) {
        let project = self.project();
        let mut stored = drafts::load(&project).await;
        let mut conflicts = Vec::new();
        for pending in drafts::pending(&project) {
            // A text whose write was interrupted by a reload replaces the stored text that it was based on.
            match stored.iter_mut().find(|draft| draft.id == pending.id) {
                Some(draft) if draft.revision == pending.revision => *draft = pending,
                // The reload came between two writes of this window.
                Some(draft) if draft.window == pending.window && draft.stored_at <= pending.stored_at => {
                    *draft = Draft { revision: draft.revision.clone(), ..pending };
                }
                // Another window stored another text in the meantime, so the owner chooses between the texts.
                Some(draft) if draft.text != pending.text => {
                    let revision = draft.revision.clone();
                    conflicts.push(std::mem::replace(draft, Draft { revision, ..pending }));
                }
                Some(_) => {}
                None => stored.push(pending),
            }
        }
        let (mut closed, mut open): (Vec<_>, Vec<_>) = stored.into_iter().partition(|draft| draft.closed_at.is_some());
        open.sort_by(|a, b| a.position.total_cmp(&b.position));
        closed.sort_by(|a, b| b.closed_at.unwrap_or_default().total_cmp(&a.closed_at.unwrap_or_default()));
        let mut tabs: Vec<Tab> = open.into_iter().map(Tab::from).collect();
        for other in conflicts {
            if let Some(tab) = tabs.iter_mut().find(|tab| tab.id == other.id) {
                tab.other = Some(Box::new(other));
            }
        }
        // Statements that other pages passed to this one are already open, and may also be stored by now.
        let opened = std::mem::take(&mut *self.tabs.write());
        tabs.retain(|tab| opened.iter().all(|other| other.id != tab.id));
        tabs.extend(opened);
        if tabs.is_empty() {
            tabs.push(Tab::new(""));
        }
        let last = self.active.peek().clone();
        let last = if last.is_empty() { self.settings.peek().active(&project) } else { Some(last) };
        let active = tabs.iter().find(|tab| Some(&tab.id) == last.as_ref()).or(tabs.last()).map(|tab| tab.id.clone());
        self.tabs.set(tabs);
        self.closed.set(closed);
        self.active.set(active.unwrap_or_default());
        self.is_loaded.set(true);
        for pending in drafts::pending(&project) {
            if pending.closed_at.is_some() {
                self.store_closed(&pending.id);
                continue;
            }
            let has_conflict = self.peek_tab(&pending.id).is_some_and(|tab| tab.other.is_some());
            if !has_conflict {
                self.store(&pending.id).await;
            }
        }
        self.follow_other_windows().await;
    }

    /// Stores a query that was closed right before a reload.
    fn store_closed(mut self, id: &str) {
        let mut closed = self.closed.write();
        let Some(draft) = closed.iter_mut().find(|draft| draft.id == id) else { return };
        let seen = std::mem::replace(&mut draft.revision, drafts::new_id());
        dioxus::core::spawn_forever(drafts::store_closed(draft.clone(), seen));
    }

    async fn follow_other_windows(mut self) {
        let (sender, mut receiver) = futures_channel::mpsc::unbounded::<Draft>();
        drafts::watch(move |draft| {
            let _ = sender.unbounded_send(draft);
        });
        while let Some(draft) = receiver.next().await {
            if draft.project != *self.project.peek() || draft.closed_at.is_some() {
                continue;
            }
            let mut tabs = self.tabs.write();
            if let Some(tab) = tabs.iter_mut().find(|tab| tab.id == draft.id) {
                if *tab.text == *draft.text {
                    tab.revision = draft.revision;
                    tab.other = None;
                } else {
                    tab.other = Some(Box::new(draft));
                }
            }
        }
    }

    /// Stores a tab after a pause in typing.
    pub(super) fn changed(mut self, id: &str) {
        if let Some(draft) = self.draft(id) {
            drafts::keep_pending(&draft);
        }
        if self.peek_tab(id).is_some_and(|tab| !tab.is_changed) {
            self.set_changed(id);
        }
        let change = self.changes.peek().get(id).map_or(1, |last| last + 1);
        self.changes.write().insert(id.to_owned(), change);
        let id = id.to_owned();
        dioxus::core::spawn_forever(async move {
            TimeoutFuture::new(STORE_DELAY_MS).await;
            let is_last = self.changes.peek().get(&id) == Some(&change);
            if is_last {
                self.store(&id).await;
            }
        });
    }

    fn set_changed(mut self, id: &str) {
        if let Some(tab) = self.tabs.write().iter_mut().find(|tab| tab.id == id) {
            tab.is_changed = true;
        }
    }

    /// Returns the draft to store for a tab, with the revision that it is based on.
    pub(super) fn draft(self, id: &str) -> Option<Draft> {
        let tabs = self.tabs.peek();
        let position = tabs.iter().position(|tab| tab.id == id)?;
        let tab = tabs.get(position)?;
        Some(Draft {
            project: self.project(),
            id: tab.id.clone(),
            revision: tab.revision.clone(),
            name: tab.name.clone(),
            text: tab.text.to_string(),
            saved: tab.saved.clone(),
            position: position as f64,
            stored_at: js_sys::Date::now(),
            closed_at: None,
            window: drafts::window_name(),
        })
    }

    pub(super) async fn store(mut self, id: &str) {
        let has_conflict = self.peek_tab(id).is_some_and(|tab| tab.other.is_some());
        let Some(mut draft) = self.draft(id).filter(|_| !has_conflict) else { return };
        let mut seen = std::mem::replace(&mut draft.revision, drafts::new_id());
        let mut stored = drafts::store(&draft, &seen).await;
        // An earlier write of this window may have ended in the meantime.
        while let (Stored::Conflict(other), Some(tab)) = (&stored, self.peek_tab(id)) {
            if other.revision != tab.revision || other.revision == seen {
                break;
            }
            seen = tab.revision;
            stored = drafts::store(&draft, &seen).await;
        }
        let mut tabs = self.tabs.write();
        let Some(tab) = tabs.iter_mut().find(|tab| tab.id == id) else { return };
        match stored {
            Stored::Done => {
                tab.revision = draft.revision;
                tab.stored_at = Some(draft.stored_at);
                tab.is_refused = false;
                if *tab.text == *draft.text {
                    tab.is_changed = false;
                    drafts::forget_pending(&draft.project, id);
                }
            }
            Stored::Conflict(other) if *other.text == *tab.text => {
                tab.revision = other.revision;
                tab.is_changed = false;
            }
            Stored::Conflict(other) => tab.other = Some(other),
            Stored::Refused => tab.is_refused = true,
        }
    }

    /// Resolves a conflict with the text of the other window, or with the text of this one.
    pub(super) fn resolve_conflict(mut self, id: &str, take_other: bool) {
        let mut text = None;
        if let Some(tab) = self.tabs.write().iter_mut().find(|tab| tab.id == id)
            && let Some(other) = tab.other.take()
        {
            tab.revision = other.revision;
            if take_other {
                tab.text = other.text.as_str().into();
                tab.name = other.name;
                text = Some(other.text);
            }
        }
        if let (Some(text), Some(monaco)) = (text, self.monaco.peek().as_ref()) {
            monaco.open(id, &text);
        }
        self.changed(id);
    }
}
