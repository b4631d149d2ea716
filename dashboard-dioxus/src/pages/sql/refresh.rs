//! Reads the schema, saved queries and the history from the server.

use std::{collections::HashMap, rc::Rc};

use api_types::{DatabaseSchema, TableDetail};
use dioxus::prelude::*;

use super::{wire, workspace::Workspace};
use crate::remote;

/// Returns whether `public` contains a table or view with this name.
fn has_table(schema: &DatabaseSchema, name: &str) -> bool {
    let public = schema.schemas.iter().filter(|schema| schema.name == "public");
    public.flat_map(|schema| &schema.tables).any(|table| table.name == name)
}

impl Workspace {
    pub(super) fn refresh_schema(mut self) {
        dioxus::core::spawn_forever(async move {
            let response = wire::schema(&self.project()).await.map(Rc::new);
            // An older schema is better than none.
            let is_worse = response.is_err() && matches!(&*self.schema.peek(), Some(Ok(_)));
            if !is_worse {
                self.schema.set(Some(response));
            }
            self.refresh_details();
        });
        self.refresh_estimates();
    }

    /// Reads the known details of tables again. Clears those of tables that the schema no longer contains.
    fn refresh_details(mut self) {
        let schema = match &*self.schema.peek() {
            Some(Ok(schema)) => Some(schema.clone()),
            _ => None,
        };
        let tables: Vec<String> = self.details.peek().keys().cloned().collect();
        for table in tables {
            if schema.as_ref().is_none_or(|schema| has_table(schema, &table)) {
                self.read_detail(table);
            } else {
                self.begin_detail_read(&table);
                self.details.write().insert(table, None);
            }
        }
    }

    /// Reads again the data that a run may have changed. `names` is true if the run may have changed names in the
    /// schema.
    pub(super) fn refresh_after_run(self, names: bool) {
        // Makes other pages read their tables again.
        remote::forget(&format!("/projects/{}", self.project()));
        if names { self.refresh_schema() } else { self.refresh_estimates() }
    }

    fn refresh_estimates(mut self) {
        dioxus::core::spawn_forever(async move {
            // The tree works without estimates.
            let Ok(tables) = wire::table_summaries(&self.project(), "").await else { return };
            let estimates: HashMap<String, i64> =
                tables.into_iter().filter_map(|table| Some((table.name, table.estimated_rows?))).collect();
            if *self.estimates.peek() != estimates {
                self.estimates.set(estimates);
            }
        });
    }

    /// Returns the columns and keys of a table of `public`, once they are read. Subscribes to changes.
    pub(super) fn detail(self, table: &str) -> Option<Rc<TableDetail>> {
        self.details.read().get(table).cloned().flatten()
    }

    /// Reads the columns and keys of a table of `public`, unless they are known or being read.
    pub(super) fn need_detail(mut self, table: &str) {
        if !self.details.peek().contains_key(table) {
            self.details.write().insert(table.to_owned(), None);
            self.read_detail(table.to_owned());
        }
    }

    fn read_detail(mut self, table: String) {
        let read = self.begin_detail_read(&table);
        dioxus::core::spawn_forever(async move {
            let detail = wire::table_detail(&self.project(), &table).await.ok().map(Rc::new);
            // A later read may have had its response already, for example after a column was added.
            if self.detail_reads.peek().get(&table) == Some(&read) {
                self.details.write().insert(table, detail);
            }
        });
    }

    /// Makes earlier reads of a table's details outdated. Returns the number of the new read.
    fn begin_detail_read(mut self, table: &str) -> u32 {
        let mut reads = self.detail_reads.write();
        let read = reads.entry(table.to_owned()).or_default();
        *read += 1;
        *read
    }

    pub(super) fn refresh_saved(mut self) {
        dioxus::core::spawn_forever(async move {
            let response = wire::saved_queries(&self.project()).await.map(Rc::new);
            self.saved.set(Some(response));
        });
    }

    pub(super) fn refresh_history(mut self) {
        dioxus::core::spawn_forever(async move {
            let response = wire::history(&self.project()).await.map(Rc::new);
            self.history.set(Some(response));
        });
    }
}
