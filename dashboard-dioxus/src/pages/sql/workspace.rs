//! The open queries of a project and their results. They are stored outside of the router, so that they stay when
//! another page is opened.

use std::{cell::RefCell, collections::HashMap, rc::Rc};

use api_types::{DatabaseSchema, SavedQuery, SqlHistoryEntry, TableDetail};
use dioxus::prelude::*;
use futures_util::{StreamExt as _, stream::FuturesUnordered};

use super::{
    bindings::Monaco,
    drafts::{self, Draft},
    execution::Execution,
    run::{self, Pending},
    settings::Settings,
    statement::Parsed,
    tab::Tab,
};
use crate::remote::Failure;

/// Data of the server, which is read again when it has changed. `None` until the first response.
pub(super) type Loaded<T> = Option<Result<Rc<T>, Failure>>;

/// The cursor and the selection, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct EditorSelection {
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
    pub(super) editor_selection: Signal<EditorSelection>,
    pub(super) parsed: Signal<Option<Rc<Parsed>>>,
    pub(super) schema: Signal<Loaded<DatabaseSchema>>,
    /// Estimated numbers of rows of the tables of `public`.
    pub(super) estimates: Signal<HashMap<String, i64>>,
    /// Columns and keys of the tables of `public` that a part of the page needed. `None` until they are read, or if
    /// that failed.
    pub(super) details: Signal<HashMap<String, Option<Rc<TableDetail>>>>,
    /// Number of the latest read of each table's details. The response to an earlier read is outdated.
    pub(super) detail_reads: Signal<HashMap<String, u32>>,
    pub(super) saved: Signal<Loaded<Vec<SavedQuery>>>,
    pub(super) history: Signal<Loaded<Vec<SqlHistoryEntry>>>,
    /// Texts that entries of the history have replaced in the editor, newest first, by tab id.
    pub(super) replaced: Signal<HashMap<String, Vec<Rc<str>>>>,
    /// Number of changes of each tab, so that only its last change is stored.
    pub(super) changes: Signal<HashMap<String, u32>>,
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
            editor_selection: signal(EditorSelection::default()),
            parsed: signal(None),
            schema: signal(None),
            estimates: signal(HashMap::new()),
            details: signal(HashMap::new()),
            detail_reads: signal(HashMap::new()),
            saved: signal(None),
            history: signal(None),
            replaced: signal(HashMap::new()),
            changes: signal(HashMap::new()),
        };
        WORKSPACES.with(|all| all.borrow_mut().insert(project.to_owned(), workspace));
        dioxus::core::spawn_forever(workspace.load());
        workspace
    }

    pub(super) fn project(self) -> String {
        self.project.peek().clone()
    }

    /// Returns the open tab. Subscribes to changes of the tabs.
    pub(super) fn active_tab(self) -> Option<Tab> {
        let active = self.active.read();
        self.tabs.read().iter().find(|tab| tab.id == *active).cloned()
    }

    pub(super) fn peek_tab(self, id: &str) -> Option<Tab> {
        self.tabs.peek().iter().find(|tab| tab.id == id).cloned()
    }

    /// Opens a new tab with `text`.
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
        }
        let project = self.project();
        self.settings.write().remember_active(&project, id);
    }

    /// Sets the text of the active tab to the text in the editor.
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

    /// Closes a tab and cancels its query, if one is running. A query with text stays in "Recently closed".
    pub(super) fn close(mut self, id: &str) {
        let Some(mut draft) = self.draft(id) else { return };
        let position = draft.position as usize;
        let seen = std::mem::replace(&mut draft.revision, drafts::new_id());
        draft.closed_at = Some(js_sys::Date::now());
        // A background run continues.
        if self.executions.peek().get(id).is_some_and(|execution| execution.background.is_none()) {
            run::cancel(self, id);
        }
        self.tabs.write().retain(|tab| tab.id != id);
        self.executions.write().remove(id);
        self.replaced.write().remove(id);
        self.changes.write().remove(id);
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
        // Until the write ends, a reload finds the closed query in `sessionStorage`.
        drafts::keep_pending(&Draft { revision: seen.clone(), ..draft.clone() });
        dioxus::core::spawn_forever(drafts::store_closed(draft, seen));
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
}
