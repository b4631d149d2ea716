//! The open queries of a project and their results. They live outside of the router, so that opening other pages keeps
//! them.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use api_types::{DatabaseSchema, SavedQuery, SqlHistoryEntry};
use dioxus::prelude::*;
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use gloo_timers::future::TimeoutFuture;

use super::{
    bindings::Monaco,
    drafts::{self, Draft, Stored},
    execution::Execution,
    run::Pending,
    settings::Settings,
    statement::Parsed,
    wire,
};
use crate::remote::Failure;

/// Time between the last key press and storing the text.
const STORE_DELAY_MS: u32 = 500;

/// A query that is open in a tab.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Tab {
    pub(super) id: String,
    pub(super) name: Option<String>,
    pub(super) text: Rc<str>,
    /// The saved query that it belongs to, and the version of it that was read last.
    pub(super) saved: Option<(String, i64)>,
    /// The last stored revision that this window has seen. Empty if there is none.
    pub(super) revision: String,
    pub(super) stored_at: Option<f64>,
    /// The draft that another window stored meanwhile.
    pub(super) other: Option<Box<Draft>>,
    /// Whether the browser refused to store the text.
    pub(super) is_refused: bool,
}

impl Tab {
    fn new(text: &str) -> Self {
        Self {
            id: drafts::new_id(),
            name: None,
            text: text.into(),
            saved: None,
            revision: String::new(),
            stored_at: None,
            other: None,
            is_refused: false,
        }
    }

    pub(super) fn title(&self) -> String {
        self.name.clone().unwrap_or_else(|| drafts::title_of(&self.text))
    }
}

impl From<Draft> for Tab {
    fn from(draft: Draft) -> Self {
        Self {
            id: draft.id,
            name: draft.name,
            text: draft.text.into(),
            saved: draft.saved,
            revision: draft.revision,
            stored_at: Some(draft.stored_at),
            other: None,
            is_refused: false,
        }
    }
}

/// Data from the server. `None` until it was read.
pub(super) type Loaded<T> = Option<Result<Rc<T>, Failure>>;

/// The cursor and the selection, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) cursor: usize,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The state of the page for one project.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Workspace {
    pub(super) project: Signal<String>,
    pub(super) tabs: Signal<Vec<Tab>>,
    pub(super) active: Signal<String>,
    pub(super) closed: Signal<Vec<Draft>>,
    pub(super) is_loaded: Signal<bool>,
    /// Executions by tab id.
    pub(super) executions: Signal<HashMap<String, Execution>>,
    /// The execution that waits for the owner's confirmation.
    pub(super) pending: Signal<Option<Pending>>,
    pub(super) settings: Signal<Settings>,
    /// Monaco, once it is loaded.
    pub(super) monaco: Signal<Option<Monaco>>,
    pub(super) place: Signal<Place>,
    pub(super) parsed: Signal<Option<Rc<Parsed>>>,
    pub(super) schema: Signal<Loaded<DatabaseSchema>>,
    pub(super) saved: Signal<Loaded<Vec<SavedQuery>>>,
    pub(super) history: Signal<Loaded<Vec<SqlHistoryEntry>>>,
    /// Index of the history entry that the keys for older and newer texts have reached.
    pub(super) history_place: Signal<Option<usize>>,
    changes: Signal<u32>,
}

thread_local! {
    static WORKSPACES: RefCell<HashMap<String, Workspace>> = RefCell::new(HashMap::new());
}

fn signal<T: 'static>(value: T) -> Signal<T> {
    Signal::new_in_scope(value, ScopeId::ROOT)
}

impl Workspace {
    /// Returns the project's workspace. The first call loads it.
    pub(super) fn of(project: &str) -> Self {
        if let Some(known) = WORKSPACES.with(|all| all.borrow().get(project).copied()) {
            return known;
        }
        let workspace = Self {
            project: signal(project.to_owned()),
            tabs: signal(Vec::new()),
            active: signal(String::new()),
            closed: signal(Vec::new()),
            is_loaded: signal(false),
            executions: signal(HashMap::new()),
            pending: signal(None),
            settings: signal(Settings::load()),
            monaco: signal(None),
            place: signal(Place::default()),
            parsed: signal(None),
            schema: signal(None),
            saved: signal(None),
            history: signal(None),
            history_place: signal(None),
            changes: signal(0),
        };
        WORKSPACES.with(|all| all.borrow_mut().insert(project.to_owned(), workspace));
        dioxus::core::spawn_forever(workspace.load());
        workspace
    }

    pub(super) fn project(self) -> String {
        self.project.peek().clone()
    }

    async fn load(mut self) {
        let project = self.project();
        let mut stored = drafts::load(&project).await;
        let mut conflicts = Vec::new();
        for pending in drafts::pending(&project) {
            // A text that was not stored before a reload replaces the draft that it was based on.
            match stored.iter_mut().find(|draft| draft.id == pending.id) {
                Some(draft) if draft.revision == pending.revision => *draft = pending,
                // The page was reloaded between two writes of this window.
                Some(draft) if draft.window == pending.window && draft.stored_at <= pending.stored_at => {
                    *draft = Draft { revision: draft.revision.clone(), ..pending };
                }
                // Another window wrote meanwhile. The owner chooses which text to keep.
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
        // Other pages may have opened tabs before the drafts were read.
        tabs.append(&mut self.tabs.write());
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
            let has_conflict = self.peek_tab(&pending.id).is_some_and(|tab| tab.other.is_some());
            if !has_conflict {
                self.store(&pending.id).await;
            }
        }
        self.follow_other_windows().await;
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

    /// Returns the active tab, and subscribes the component to changes of the tabs.
    pub(super) fn active_tab(self) -> Option<Tab> {
        let active = self.active.read();
        self.tabs.read().iter().find(|tab| tab.id == *active).cloned()
    }

    pub(super) fn peek_tab(self, id: &str) -> Option<Tab> {
        self.tabs.peek().iter().find(|tab| tab.id == id).cloned()
    }

    /// Opens a new tab with a text.
    pub(super) fn open(mut self, name: Option<String>, text: &str, saved: Option<(String, i64)>) {
        let mut tab = Tab::new(text);
        (tab.name, tab.saved) = (name, saved);
        let id = tab.id.clone();
        self.tabs.write().push(tab);
        self.activate(&id);
        if !text.is_empty() {
            self.changed(&id);
        }
    }

    pub(super) fn activate(mut self, id: &str) {
        if *self.active.peek() != id {
            self.active.set(id.to_owned());
            self.history_place.set(None);
        }
        let project = self.project();
        self.settings.write().remember_active(&project, id);
    }

    /// Sets the text of the active tab to what was typed.
    pub(super) fn typed(mut self, text: &str) {
        let id = self.active.peek().clone();
        let is_same = self.peek_tab(&id).is_none_or(|tab| *tab.text == *text);
        if is_same {
            return;
        }
        if let Some(tab) = self.tabs.write().iter_mut().find(|tab| tab.id == id) {
            tab.text = text.into();
        }
        self.changed(&id);
    }

    /// Changes a tab, and stores it.
    pub(super) fn change(mut self, id: &str, change: impl FnOnce(&mut Tab)) {
        if let Some(tab) = self.tabs.write().iter_mut().find(|tab| tab.id == id) {
            change(tab);
        }
        self.changed(id);
    }

    fn changed(mut self, id: &str) {
        if let Some(draft) = self.draft(id) {
            drafts::keep_pending(&draft);
        }
        let change = *self.changes.peek() + 1;
        self.changes.set(change);
        let id = id.to_owned();
        dioxus::core::spawn_forever(async move {
            TimeoutFuture::new(STORE_DELAY_MS).await;
            let is_last = *self.changes.peek() == change;
            let is_active = *self.active.peek() == id;
            if is_last || !is_active {
                self.store(&id).await;
            }
        });
    }

    /// Returns the draft to store for a tab, with the revision that it is based on.
    fn draft(self, id: &str) -> Option<Draft> {
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

    async fn store(mut self, id: &str) {
        let has_conflict = self.peek_tab(id).is_some_and(|tab| tab.other.is_some());
        let Some(mut draft) = self.draft(id).filter(|_| !has_conflict) else { return };
        let mut seen = std::mem::replace(&mut draft.revision, drafts::new_id());
        let mut stored = drafts::store(&draft, &seen).await;
        // The conflict may be with an earlier write of this window.
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
                    drafts::forget_pending(&draft.project, id);
                }
            }
            Stored::Conflict(other) if *other.text == *tab.text => tab.revision = other.revision,
            Stored::Conflict(other) => tab.other = Some(other),
            Stored::Refused => tab.is_refused = true,
        }
    }

    /// Resolves a conflict with another window: takes its text, or keeps the text of this one.
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

    /// Closes a tab. It stays in "Recently closed".
    pub(super) fn close(mut self, id: &str) {
        let Some(mut draft) = self.draft(id) else { return };
        let position = draft.position as usize;
        let seen = std::mem::replace(&mut draft.revision, drafts::new_id());
        draft.closed_at = Some(js_sys::Date::now());
        self.tabs.write().retain(|tab| tab.id != id);
        self.executions.write().remove(id);
        if let Some(monaco) = self.monaco.peek().as_ref() {
            monaco.close(id);
        }
        if !draft.text.trim().is_empty() {
            self.closed.write().insert(0, draft.clone());
        }
        if *self.active.peek() == id {
            let next = {
                let tabs = self.tabs.peek();
                tabs.get(position).or(tabs.last()).map(|tab| tab.id.clone())
            };
            match next {
                Some(next) => self.activate(&next),
                None => self.open(None, "", None),
            }
        }
        dioxus::core::spawn_forever(async move {
            let _ = drafts::store(&draft, &seen).await;
            drafts::forget_pending(&draft.project, &draft.id);
        });
    }

    /// Reopens a closed query.
    pub(super) fn reopen(mut self, id: &str) {
        let draft = self.closed.peek().iter().find(|draft| draft.id == id).cloned();
        let Some(draft) = draft else { return };
        self.closed.write().retain(|other| other.id != id);
        self.tabs.write().push(Tab::from(draft));
        self.activate(id);
        self.changed(id);
    }

    /// Moves a tab to the index `to`.
    pub(super) fn move_tab(mut self, id: &str, to: usize) {
        {
            let mut tabs = self.tabs.write();
            let Some(from) = tabs.iter().position(|tab| tab.id == id) else { return };
            let tab = tabs.remove(from);
            let to = to.min(tabs.len());
            tabs.insert(to, tab);
        }
        let ids: Vec<String> = self.tabs.peek().iter().map(|tab| tab.id.clone()).collect();
        dioxus::core::spawn_forever(async move {
            let all: FuturesUnordered<_> = ids.iter().map(|id| self.store(id)).collect();
            all.collect::<()>().await;
        });
    }

    pub(super) fn refresh_schema(mut self) {
        dioxus::core::spawn_forever(async move {
            let answer = wire::schema(&self.project()).await.map(Rc::new);
            // If reading fails, an older schema stays.
            let is_worse = answer.is_err() && matches!(&*self.schema.peek(), Some(Ok(_)));
            if !is_worse {
                self.schema.set(Some(answer));
            }
        });
    }

    pub(super) fn refresh_saved(mut self) {
        dioxus::core::spawn_forever(async move {
            let answer = wire::saved_queries(&self.project()).await.map(Rc::new);
            self.saved.set(Some(answer));
        });
    }

    pub(super) fn refresh_history(mut self) {
        dioxus::core::spawn_forever(async move {
            let answer = wire::history(&self.project()).await.map(Rc::new);
            self.history.set(Some(answer));
        });
    }
}
