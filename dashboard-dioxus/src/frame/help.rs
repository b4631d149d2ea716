//! Explanations of what the lists contain. `?help=keys` opens one beside the page; empty lists link to theirs.

use dioxus::prelude::*;

use crate::{address, lazy, ui::Sheet};

struct Topic {
    /// Value of the parameter `help`.
    name: &'static str,
    title: &'static str,
    paragraphs: &'static [&'static str],
    example: &'static str,
}

/// The explanation that the address asks for.
#[component]
pub(super) fn Help() -> Element {
    match address::use_parameter("help") {
        None => rsx! {},
        Some(name) => rsx! { lazy::HelpSheet { name } },
    }
}

#[component]
pub fn HelpSheet(name: String) -> Element {
    let Some(topic) = TOPICS.iter().find(|topic| topic.name == name) else { return rsx! {} };
    rsx! {
        Sheet { title: topic.title, on_close: |()| address::replace_parameter("help", None),
            for (index, paragraph) in topic.paragraphs.iter().enumerate() {
                p { key: "{index}", "{paragraph}" }
            }
            if !topic.example.is_empty() {
                div { class: "code", pre { tabindex: "0", "{topic.example}" } }
            }
        }
    }
}

const TOPICS: &[Topic] = &[
    Topic {
        name: "projects",
        title: "About projects",
        paragraphs: &[
            "A project is one Postgres database with its buckets, API keys and jobs. Projects share nothing: a key \
             of one project reaches nothing of another.",
            "A new project has two keys, which are shown once. Put them into the environment of your app. The page \
             of the project has examples for curl and Next.js.",
            "Backups of a project stay when the project is deleted.",
        ],
        example: "",
    },
    Topic {
        name: "tables",
        title: "About tables",
        paragraphs: &[
            "A table in the schema public has a REST address as soon as it exists. With a secret key, an app reads \
             and writes all of its rows.",
            "Publishable keys and signed-in users reach a table only after you open it on its tab Access. Policies \
             of row-level security then decide about each row.",
        ],
        example: "curl \"$ATLASHUB_API_URL/v1/db/books?gte.price=10\" \\\n  -H \"x-api-key: $ATLASHUB_SECRET_KEY\"",
    },
    Topic {
        name: "storage",
        title: "About storage",
        paragraphs: &[
            "A bucket holds objects: files with a name, a size and a type. Slashes in names make folders.",
            "Apps ask for a signed address and then send or fetch the file there, so large files do not pass \
             through your server. Only a secret key reaches a new bucket, until you open it for publishable keys.",
        ],
        example: "",
    },
    Topic {
        name: "keys",
        title: "About API keys",
        paragraphs: &[
            "Every request of an app has a key in the header x-api-key. The key says which project it is for, and \
             what the request may do.",
            "A secret key reads and writes everything in the project. Use it on servers only. A publishable key may \
             be in a browser: it reaches only the tables and buckets that you open.",
            "To replace a key without breaking the app, rotate it. The old key works until the time that you \
             choose, and the list says whether anything still uses it. A revoked key fails within a second.",
        ],
        example: "curl \"$ATLASHUB_API_URL/v1/db/tables\" \\\n  -H \"x-api-key: $ATLASHUB_SECRET_KEY\"",
    },
    Topic {
        name: "users",
        title: "About users",
        paragraphs: &[
            "People sign up and sign in to your app with an e-mail address and a password. The app gets an access \
             token and sends it with each request, beside its API key.",
            "Requests with a token reach only tables that are open to signed-in users, and only the rows that your \
             policies allow. In a policy, auth.uid() is the user's id.",
            "You can change a role, sign a user out everywhere, or disable a user. Users are in the table auth.users \
             of the project's database, so backups contain them.",
        ],
        example: "curl \"$ATLASHUB_API_URL/v1/auth/login\" \\\n  -H \"x-api-key: $ATLASHUB_PUBLISHABLE_KEY\" \\\n  \
                  -d '{\"email\":\"ann@example.com\",\"password\":\"…\"}'",
    },
    Topic {
        name: "jobs",
        title: "About jobs",
        paragraphs: &[
            "A job sends an HTTP request or runs a plugin, on a schedule or when you start it. The schedule is a \
             cron expression in the time zone that you choose.",
            "Each execution is a run, with its log and its result. Failed runs are tried again if the job has \
             retries, and channels can tell you about them.",
        ],
        example: "",
    },
    Topic {
        name: "runs",
        title: "About runs",
        paragraphs: &[
            "A run is one execution of a job, of a backup or of SQL in the background. It keeps its log, its result \
             and, if it failed, the reason.",
            "A run that is skipped was due while the previous one was still running. A retry is a run of its own.",
        ],
        example: "",
    },
    Topic {
        name: "backups",
        title: "About backups",
        paragraphs: &[
            "A backup is a dump of one database in the object store. Verifying it restores it into a database of \
             its own, compares every table, and drops that database again.",
            "Backups contain neither objects nor secrets. If the object store is on the same machine, also copy \
             backups to another place.",
            "A job of the plugin backup makes them on a schedule, and removes old ones by the rules that you set.",
        ],
        example: "",
    },
    Topic {
        name: "notifications",
        title: "About notifications",
        paragraphs: &[
            "A channel sends a message when something happens that you chose, for example a failed run, a failed \
             backup or a full disk. It can be a webhook, Discord or e-mail.",
            "Deliveries that fail are tried again. The list says why the last one failed.",
        ],
        example: "",
    },
];
