//! Templates of policies, with the names of the table and of the column that contains a row's owner. They open in SQL,
//! or fill the form of a policy.

use api_types::{ColumnDetail, PolicyCommand, TableDetail};

use super::policy_sql::PolicyFields;
use crate::value::quoted;

/// Usual names of the column that contains the id of a row's owner.
const USUAL_NAMES: [&str; 5] = ["user_id", "owner", "owner_id", "author_id", "created_by"];

/// A policy that opens in SQL, where the owner adapts and runs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Template {
    OwnerReads,
    OwnerWrites,
    EveryoneReads,
    Nobody,
}

impl Template {
    pub(super) const ALL: [Self; 4] = [Self::OwnerReads, Self::OwnerWrites, Self::EveryoneReads, Self::Nobody];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::OwnerReads => "Owner reads own rows",
            Self::OwnerWrites => "Owner writes own rows",
            Self::EveryoneReads => "Everyone reads",
            Self::Nobody => "Nobody",
        }
    }

    /// Returns the SQL for a table.
    pub(super) fn sql(self, detail: &TableDetail) -> String {
        let table = quoted(&detail.name);
        let switch_on = format!("alter table {table} enable row level security;\n");
        match self {
            Self::OwnerReads => {
                let (note, is_own) = ownership(detail);
                format!("{note}{switch_on}create policy owner_reads on {table}\n  for select using ({is_own});\n")
            }
            Self::OwnerWrites => {
                let (note, is_own) = ownership(detail);
                format!(
                    "{note}{switch_on}create policy owner_inserts on {table}\n  for insert with check ({is_own});\n\
                     -- Updates and deletions only find rows that a policy also lets the user read.\n\
                     create policy owner_updates on {table}\n  for update using ({is_own}) with check ({is_own});\n\
                     create policy owner_deletes on {table}\n  for delete using ({is_own});\n"
                )
            }
            Self::EveryoneReads => {
                format!("{switch_on}create policy everyone_reads on {table}\n  for select using (true);\n")
            }
            Self::Nobody => {
                format!("-- Without a policy, only servers with the secret key reach the rows.\n{switch_on}")
            }
        }
    }
}

/// Returns the templates that fill the form of a new policy, with their labels. A policy has one command, so there is
/// one for each command of a row's owner.
pub(super) fn form_templates(detail: &TableDetail) -> [(&'static str, PolicyFields); 5] {
    let (_, is_own) = ownership(detail);
    let fields = |name: &str, command, condition: &str| PolicyFields {
        name: name.to_owned(),
        command,
        using: condition.to_owned(),
        check: condition.to_owned(),
        ..PolicyFields::of(None)
    };
    [
        (Template::OwnerReads.label(), fields("owner_reads", PolicyCommand::Select, &is_own)),
        ("Owner inserts own rows", fields("owner_inserts", PolicyCommand::Insert, &is_own)),
        ("Owner changes own rows", fields("owner_updates", PolicyCommand::Update, &is_own)),
        ("Owner deletes own rows", fields("owner_deletes", PolicyCommand::Delete, &is_own)),
        (Template::EveryoneReads.label(), fields("everyone_reads", PolicyCommand::Select, "true")),
    ]
}

/// Returns the condition that a row belongs to the signed-in user. If the table has no column with the id of a row's
/// owner, also returns a comment that says so. Otherwise the comment is empty.
fn ownership(detail: &TableDetail) -> (String, String) {
    let condition = |column: &str| format!("{column} = (select auth.uid())");
    match owner_column(detail) {
        Some(column) => (String::new(), condition(&quoted(&column.name))),
        None => {
            let table = quoted(&detail.name);
            let note = format!(
                "-- The table has no uuid column for the id of the row's owner. Replace user_id with the name of \
                 yours,\n-- or add the column:\n-- alter table {table} add column user_id uuid default auth.uid();\n"
            );
            (note, condition("user_id"))
        }
    }
}

/// Returns whether templates for a row's owner know the column that contains the owner's id.
pub(super) fn has_owner_column(detail: &TableDetail) -> bool {
    owner_column(detail).is_some()
}

/// Returns the column that contains the id of a row's owner: a `uuid` column with the default `auth.uid()`, one that
/// refers to `auth.users`, or one with a usual name.
fn owner_column(detail: &TableDetail) -> Option<&ColumnDetail> {
    let ids = || detail.columns.iter().filter(|column| column.data_type == "uuid");
    let has_default =
        |column: &&ColumnDetail| column.default.as_ref().is_some_and(|default| default.contains("auth.uid()"));
    let refers_to_users = |column: &&ColumnDetail| {
        detail.foreign_keys.iter().any(|key| {
            key.references_schema == "auth" && key.references_table == "users" && key.columns == [column.name.as_str()]
        })
    };
    let has_name = |name: &str| ids().find(|column| column.name == name);
    ids()
        .find(has_default)
        .or_else(|| ids().find(refers_to_users))
        .or_else(|| USUAL_NAMES.into_iter().find_map(has_name))
}
