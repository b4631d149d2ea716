//! Assigns fields of the file to columns, and checks the assignment.

use std::collections::BTreeMap;

use api_types::{
    ColumnDetail, IdentityKind, ImportFormat, ImportMode, ImportPreview, StartImport, TableDetail, TableUniqueKey,
};

use super::draft::Draft;
use crate::remote::Failure;

/// A field of the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub(super) source: String,
    pub(super) samples: Vec<String>,
    /// The column that the field goes into. `None` leaves the field out.
    pub(super) target: Option<String>,
    /// The reason why the field can't go into `target`.
    pub(super) problem: Option<String>,
}

/// A column of the table that no field goes into.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Unfilled {
    pub(super) column: String,
    pub(super) value: Filler,
}

/// The value of a column that no field goes into.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Filler {
    Generated,
    Default(String),
    /// The default of the column's type, which is a domain.
    DefaultOfType,
    Null,
    /// The column requires a value, and has no default.
    Missing,
}

/// The server's refusal of the owner's choices.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Refusal {
    pub(super) message: String,
    /// Path of the request's field that was refused, if it was a single field.
    pub(super) field: Option<String>,
    /// The field of the file that was refused, if it was a single field.
    pub(super) source: Option<String>,
}

impl Refusal {
    pub(super) fn new(failure: &Failure) -> Self {
        let source = failure.details().and_then(|details| details.get("source")?.as_str());
        Self {
            message: failure.message(),
            field: failure.field().map(str::to_owned),
            source: source.map(str::to_owned),
        }
    }

    /// Returns the message if it is about this field of the file.
    pub(super) fn of_source(&self, source: &str) -> Option<String> {
        (self.source.as_deref() == Some(source)).then(|| self.message.clone())
    }

    /// Returns the message if it is about the key of an upsert.
    pub(super) fn of_key(&self) -> Option<String> {
        (self.field.as_deref() == Some("conflict")).then(|| self.message.clone())
    }
}

/// The import that the owner's choices describe, and its problems.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Plan {
    pub(super) fields: Vec<Field>,
    pub(super) unfilled: Vec<Unfilled>,
    /// Columns of the key by which an upsert finds rows.
    pub(super) key: Option<Vec<String>>,
    /// The reason why an upsert can't find rows.
    pub(super) key_problem: Option<String>,
    /// The reason why there is nothing to import.
    pub(super) problem: Option<String>,
    /// Identity columns that are always generated, and have a field in the file.
    pub(super) always_identities: Vec<String>,
}

impl Plan {
    pub(super) fn new(preview: &ImportPreview, draft: &Draft, table: &TableDetail) -> Self {
        let mut fields = fields(preview, draft, table);
        check(&mut fields, draft, table);
        let is_filled = |name: &str| fields.iter().any(|field| field.target.as_deref() == Some(name));
        let unfilled =
            table.columns.iter().filter(|column| !is_filled(&column.name)).map(Unfilled::new).collect::<Vec<_>>();
        let key = key_of(draft, table).map(|key| key.columns.clone());
        let key_problem = (draft.mode == ImportMode::Upsert).then(|| match &key {
            None => Some("The table has no primary key and no unique key. Add one, or choose Insert.".to_owned()),
            Some(key) => {
                let missing = key.iter().find(|column| !is_filled(column))?;
                Some(format!("No field is assigned to `{missing}`, which is part of the key."))
            }
        });
        let problem = (!fields.iter().any(|field| field.target.is_some()))
            .then(|| "Choose a column for at least one field.".to_owned());
        let always_identities = table
            .columns
            .iter()
            .filter(|column| is_always_identity(column))
            .filter(|column| preview.columns.iter().any(|field| is_similar(&field.source, &column.name)))
            .map(|column| column.name.clone())
            .collect();
        Self { fields, unfilled, key, key_problem: key_problem.flatten(), problem, always_identities }
    }

    pub(super) fn is_valid(&self) -> bool {
        self.problem.is_none() && self.key_problem.is_none() && self.fields.iter().all(|field| field.problem.is_none())
    }

    /// Returns the request. In the mode `insert`, fields of a JSON file that first appear after the preview go into the
    /// columns of the same name.
    pub(super) fn request(
        &self,
        draft: &Draft,
        format: ImportFormat,
        table: &TableDetail,
        dry_run: bool,
    ) -> StartImport {
        let mut mapping: BTreeMap<String, Option<String>> =
            self.fields.iter().map(|field| (field.source.clone(), field.target.clone())).collect();
        if format != ImportFormat::Csv && draft.mode == ImportMode::Insert {
            for unfilled in &self.unfilled {
                let column = table.columns.iter().find(|column| column.name == unfilled.column);
                if column.is_some_and(|column| is_writable(column, draft)) && !mapping.contains_key(&unfilled.column) {
                    mapping.insert(unfilled.column.clone(), Some(unfilled.column.clone()));
                }
            }
        }
        let hints = draft.hints();
        StartImport {
            mapping: Some(mapping),
            mode: draft.mode,
            conflict: self.key.clone().filter(|_| draft.mode == ImportMode::Upsert),
            on_error: draft.on_error,
            dry_run,
            override_identity: draft.override_identity,
            header: hints.header,
            delimiter: hints.delimiter,
            null_text: hints.null_text,
        }
    }
}

impl Unfilled {
    fn new(column: &ColumnDetail) -> Self {
        let value = if column.generated.is_some() || column.identity.is_some() {
            Filler::Generated
        } else if let Some(default) = &column.default {
            Filler::Default(default.clone())
        } else if column.has_default {
            Filler::DefaultOfType
        } else if column.nullable {
            Filler::Null
        } else {
            Filler::Missing
        };
        Self { column: column.name.clone(), value }
    }
}

/// Returns the key by which an upsert finds rows.
fn key_of<'t>(draft: &Draft, table: &'t TableDetail) -> Option<&'t TableUniqueKey> {
    let chosen =
        draft.conflict.as_ref().and_then(|columns| table.unique_keys.iter().find(|key| key.columns == *columns));
    chosen.or_else(|| table.unique_keys.iter().find(|key| key.primary)).or_else(|| table.unique_keys.first())
}

pub(super) fn is_always_identity(column: &ColumnDetail) -> bool {
    column.identity == Some(IdentityKind::Always)
}

/// Returns whether values can be imported into a column.
fn is_writable(column: &ColumnDetail, draft: &Draft) -> bool {
    column.generated.is_none() && (draft.override_identity || !is_always_identity(column))
}

/// Returns whether names have the same letters and digits in any case, like `First name` and `first_name`.
fn is_similar(one: &str, other: &str) -> bool {
    let letters =
        |name: &str| -> String { name.chars().filter(|one| one.is_alphanumeric()).collect::<String>().to_lowercase() };
    let (one, other) = (letters(one), letters(other));
    !one.is_empty() && one == other
}

/// Returns the fields, each with the column that the owner chose, or else a column of the same or a similar name.
fn fields(preview: &ImportPreview, draft: &Draft, table: &TableDetail) -> Vec<Field> {
    let mut fields: Vec<Field> = preview
        .columns
        .iter()
        .map(|field| Field {
            source: field.source.clone(),
            samples: field.samples.clone(),
            target: draft.mapping.get(&field.source).cloned().unwrap_or_else(|| field.target.clone()),
            problem: None,
        })
        .collect();
    for index in 0..fields.len() {
        let Some(field) = fields.get(index) else { break };
        if field.target.is_some() || draft.mapping.contains_key(&field.source) {
            continue;
        }
        let is_free = |column: &&ColumnDetail| {
            is_writable(column, draft) && !fields.iter().any(|other| other.target.as_ref() == Some(&column.name))
        };
        let similar = table.columns.iter().filter(|column| is_similar(&field.source, &column.name)).find(is_free);
        let similar = similar.map(|column| column.name.clone());
        if let Some(field) = fields.get_mut(index) {
            field.target = similar;
        }
    }
    fields
}

/// Sets the problem of each field that can't go into its column.
fn check(fields: &mut [Field], draft: &Draft, table: &TableDetail) {
    for index in 0..fields.len() {
        let Some(target) = fields.get(index).and_then(|field| field.target.clone()) else { continue };
        let column = table.columns.iter().find(|column| column.name == target);
        let other = fields.iter().take(index).find(|other| other.target.as_ref() == Some(&target));
        let problem = match column {
            None => Some(format!("The table has no column `{target}`.")),
            Some(column) if column.generated.is_some() => {
                Some(format!("`{target}` is generated: Postgres computes its values. Leave the field out."))
            }
            Some(column) if !is_writable(column, draft) => Some(format!(
                "`{target}` is an identity that is always generated. Turn on “Import identity values” below, or leave \
                 the field out."
            )),
            Some(_) => other.map(|other| format!("`{}` is already assigned to `{target}`.", other.source)),
        };
        if let Some(field) = fields.get_mut(index) {
            field.problem = problem;
        }
    }
}

#[cfg(test)]
mod tests {
    use api_types::{PreviewColumn, TableDetail};
    use serde_json::json;

    use super::*;

    fn table() -> TableDetail {
        let column = |name: &str, nullable: bool, identity: Option<&str>, default: Option<&str>| {
            json!({
                "name": name, "type": "text", "nullable": nullable,
                "hasDefault": identity.is_some() || default.is_some(),
                "default": default, "identity": identity, "generated": null, "primaryKey": name == "id",
                "enumValues": null, "comment": null
            })
        };
        let detail = json!({
            "name": "books", "kind": "table", "comment": null,
            "exposure": { "publishable": "none", "signedIn": "none" },
            "access": [], "rowLevelSecurity": false, "forceRowLevelSecurity": false, "securityInvoker": null,
            "supports": { "insert": true, "update": true, "delete": true }, "estimatedRows": null, "totalBytes": 0,
            "indexBytes": 0, "primaryKey": ["id"],
            "uniqueKeys": [{ "name": "books_pkey", "columns": ["id"], "primary": true }],
            "columns": [
                column("id", false, Some("always"), None), column("first_name", false, None, None),
                column("note", true, None, None), column("at", false, None, Some("now()")),
            ],
            "constraints": [], "foreignKeys": [], "referencedBy": [], "indexes": [], "triggers": [], "policies": [],
            "definition": ""
        });
        serde_json::from_value(detail).expect("the detail of a table")
    }

    fn preview(sources: &[(&str, Option<&str>)]) -> ImportPreview {
        let columns = sources.iter().map(|(source, target)| PreviewColumn {
            source: (*source).to_owned(),
            target: target.map(str::to_owned),
            data_type: None,
            samples: Vec::new(),
        });
        ImportPreview {
            columns: columns.collect(),
            rows: Vec::new(),
            delimiter: None,
            header: None,
            warnings: Vec::new(),
        }
    }

    fn targets(plan: &Plan) -> Vec<Option<&str>> {
        plan.fields.iter().map(|field| field.target.as_deref()).collect()
    }

    #[test]
    fn fields_with_similar_names_find_their_columns() {
        let plan = Plan::new(&preview(&[("First Name", None), ("other", None)]), &Draft::default(), &table());
        assert_eq!(targets(&plan), [Some("first_name"), None]);
        assert!(plan.is_valid());
        assert_eq!(
            plan.unfilled.iter().map(|unfilled| &unfilled.value).collect::<Vec<_>>(),
            [&Filler::Generated, &Filler::Null, &Filler::Default("now()".to_owned())]
        );
    }

    #[test]
    fn column_whose_domain_has_a_default_gets_it() {
        let mut table = table();
        for column in &mut table.columns {
            column.has_default |= ["note", "first_name"].contains(&column.name.as_str());
        }
        let plan = Plan::new(&preview(&[("other", None)]), &Draft::default(), &table);
        for name in ["note", "first_name"] {
            let expected = Unfilled { column: name.to_owned(), value: Filler::DefaultOfType };
            assert!(plan.unfilled.contains(&expected), "{name}: {:?}", plan.unfilled);
        }
    }

    #[test]
    fn choices_of_the_owner_take_precedence() {
        let mut draft = Draft::default();
        draft.mapping.insert("note".to_owned(), None);
        draft.mapping.insert("x".to_owned(), Some("note".to_owned()));
        let plan = Plan::new(&preview(&[("note", Some("note")), ("x", None)]), &draft, &table());
        assert_eq!(targets(&plan), [None, Some("note")]);
        let missing = Unfilled { column: "first_name".to_owned(), value: Filler::Missing };
        assert!(plan.unfilled.contains(&missing));
    }

    #[test]
    fn column_with_two_fields_is_a_problem_of_the_second() {
        let plan = Plan::new(&preview(&[("note", Some("note")), ("n", Some("note"))]), &Draft::default(), &table());
        let problems: Vec<_> = plan.fields.iter().map(|field| field.problem.as_deref()).collect();
        assert_eq!(problems, [None, Some("`note` is already assigned to `note`.")]);
        assert!(!plan.is_valid());
    }

    #[test]
    fn identity_is_imported_only_if_the_owner_allows_it() {
        let preview = preview(&[("id", None), ("note", Some("note"))]);
        let plan = Plan::new(&preview, &Draft::default(), &table());
        assert_eq!((targets(&plan), plan.always_identities.len()), (vec![None, Some("note")], 1));
        let plan = Plan::new(&preview, &Draft { override_identity: true, ..Draft::default() }, &table());
        assert_eq!(targets(&plan), [Some("id"), Some("note")]);
    }

    #[test]
    fn upsert_needs_a_field_for_its_key() {
        let draft = Draft { mode: ImportMode::Upsert, ..Draft::default() };
        let plan = Plan::new(&preview(&[("note", Some("note"))]), &draft, &table());
        assert_eq!(plan.key_problem.as_deref(), Some("No field is assigned to `id`, which is part of the key."));
    }

    #[test]
    fn refusal_is_about_the_field_that_the_server_names() {
        let refusal = |details: serde_json::Value| {
            Refusal::new(&Failure::Refused {
                status: 400,
                code: "invalid_request".to_owned(),
                message: "No.".to_owned(),
                hint: None,
                request_id: None,
                details: Some(Box::new(details)),
                retry_after: None,
            })
        };
        let mapping = refusal(json!({ "field": "mapping", "source": "note" }));
        assert_eq!(mapping.of_source("note").as_deref(), Some("No."));
        assert_eq!((mapping.of_source("other"), mapping.of_key()), (None, None));
        let key = refusal(json!({ "field": "conflict" }));
        assert_eq!((key.of_key().as_deref(), key.of_source("note")), (Some("No."), None));
        assert_eq!(refusal(json!(null)).of_key(), None);
    }

    #[test]
    fn later_keys_of_a_json_file_go_into_their_columns() {
        let plan = Plan::new(&preview(&[("note", Some("note"))]), &Draft::default(), &table());
        let mapping = plan.request(&Draft::default(), ImportFormat::Ndjson, &table(), true).mapping.unwrap_or_default();
        assert_eq!(mapping.keys().collect::<Vec<_>>(), ["at", "first_name", "note"]);
    }
}
