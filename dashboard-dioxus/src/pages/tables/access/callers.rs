//! The sentences that say what each caller of the API can do.

use api_types::{ApiCaller, CallerAccess, RowAccess, SupportedWrites, TableAccess, TableDetail};
use dioxus::prelude::*;

use super::{
    super::{sql_link::SqlButton, table_page::Shared},
    has_access,
    templates::Template,
};
use crate::ui::{Icon, IconName};

/// The list of each caller's permissions: `Servers with the secret key: everything. Browsers …`.
#[component]
pub(super) fn Callers(project: String, detail: Shared) -> Element {
    rsx! {
        p { class: "callers",
            for access in detail.access.clone() {
                span { key: "{access.caller:?}", class: "caller",
                    Icon { name: icon_of(access.caller) }
                    span { class: "grow",
                        strong { "{name_of(access.caller)}:" }
                        " {permissions_of(&access, detail.supports)}{reason(&access, &detail)}."
                    }
                    if let Some((template, act)) = missing_policy(&access, &detail) {
                        SqlButton { project: project.clone(), sql: template.sql(&detail), "{act}" }
                    }
                }
                " "
            }
        }
    }
}

/// Returns the access that the table's form sets for a caller. The secret key has access to every table.
pub(in crate::pages::tables) fn exposure_of(caller: ApiCaller, detail: &TableDetail) -> TableAccess {
    match caller {
        ApiCaller::SecretKey => TableAccess::Write,
        ApiCaller::Publishable => detail.exposure.publishable,
        ApiCaller::SignedIn => detail.exposure.signed_in,
    }
}

/// Returns whether a caller may change or delete rows, but can't read them. The filters of its requests find no row.
fn finds_nothing(access: &CallerAccess) -> bool {
    access.select == RowAccess::None && [access.update, access.delete].iter().any(|rows| *rows != RowAccess::None)
}

/// Returns whether a caller has access, but finds no row because no policy allows it to read.
fn lacks_policy(access: &CallerAccess, detail: &TableDetail) -> bool {
    let reaches_nothing = !has_access(access) || finds_nothing(access);
    detail.row_level_security && reaches_nothing && exposure_of(access.caller, detail) != TableAccess::None
}

/// Returns the end of the sentence about a caller that has access, but finds no row. Otherwise empty.
fn reason(access: &CallerAccess, detail: &TableDetail) -> &'static str {
    match exposure_of(access.caller, detail) {
        _ if finds_nothing(access) => ", but find no row to change or delete, because they can't read rows",
        _ if !lacks_policy(access, detail) => "",
        TableAccess::Write => ", because row-level security is on and no policy allows reading or writing",
        _ => ", because row-level security is on and no policy allows reading",
    }
}

/// Returns the template of the policy that a caller with access lacks, and the text of its button.
fn missing_policy(access: &CallerAccess, detail: &TableDetail) -> Option<(Template, &'static str)> {
    match access.caller {
        _ if !lacks_policy(access, detail) => None,
        ApiCaller::SignedIn => Some((Template::OwnerReads, "Let users read own rows…")),
        ApiCaller::Publishable => Some((Template::EveryoneReads, "Let everyone read…")),
        ApiCaller::SecretKey => None,
    }
}

fn icon_of(caller: ApiCaller) -> IconName {
    match caller {
        ApiCaller::SecretKey => IconName::Key,
        ApiCaller::Publishable => IconName::Plug,
        ApiCaller::SignedIn => IconName::Account,
    }
}

pub(super) fn name_of(caller: ApiCaller) -> &'static str {
    match caller {
        ApiCaller::SecretKey => "Servers with the secret key",
        ApiCaller::Publishable => "Browsers with the publishable key",
        ApiCaller::SignedIn => "Signed-in users",
    }
}

/// Returns a caller's permissions as text: `read, rows limited by 2 policies`.
fn permissions_of(access: &CallerAccess, supports: SupportedWrites) -> String {
    let supported = |rows, is_supported| if is_supported { rows } else { RowAccess::None };
    let operations = [
        ("read", access.select),
        ("insert", supported(access.insert, supports.insert)),
        ("change", supported(access.update, supports.update)),
        ("delete", supported(access.delete, supports.delete)),
    ];
    let allowed: Vec<&str> =
        operations.iter().filter(|(_, rows)| *rows != RowAccess::None).map(|(word, _)| *word).collect();
    let is_limited = operations.iter().any(|(_, rows)| *rows == RowAccess::Policies);
    let is_all = operations.iter().all(|(_, rows)| *rows == RowAccess::All);
    let limit = match (is_limited, access.policies.len()) {
        (false, _) => String::new(),
        (true, 1) => ", rows limited by 1 policy".to_owned(),
        (true, count) => format!(", rows limited by {count} policies"),
    };
    match allowed.as_slice() {
        [] => "nothing".to_owned(),
        _ if is_all => "everything".to_owned(),
        [one] => format!("{one}{limit}"),
        [first @ .., last] => format!("{} and {last}{limit}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_is_described_for_each_caller() {
        let access = |caller, select, write, policies: &[&str]| CallerAccess {
            caller,
            select,
            insert: write,
            update: write,
            delete: write,
            policies: policies.iter().map(|name| (*name).to_owned()).collect(),
        };
        for (access, expected) in [
            (access(ApiCaller::SecretKey, RowAccess::All, RowAccess::All, &[]), "everything"),
            (
                access(ApiCaller::Publishable, RowAccess::Policies, RowAccess::None, &["a", "b"]),
                "read, rows limited by 2 policies",
            ),
            (
                access(ApiCaller::SignedIn, RowAccess::All, RowAccess::Policies, &["a"]),
                "read, insert, change and delete, rows limited by 1 policy",
            ),
            (access(ApiCaller::SignedIn, RowAccess::None, RowAccess::None, &[]), "nothing"),
        ] {
            assert_eq!(permissions_of(&access, SupportedWrites { insert: true, update: true, delete: true }), expected);
        }
        let view = SupportedWrites { insert: false, update: false, delete: false };
        assert_eq!(permissions_of(&access(ApiCaller::SecretKey, RowAccess::All, RowAccess::All, &[]), view), "read");
    }
}
