//! Explanations of what lists contain. `?help=keys` opens the explanation of API keys beside the page. An empty list
//! links to its explanation.

use dioxus::prelude::*;

use crate::{
    address, lazy,
    ui::{CopyButton, Sheet},
};

struct Topic {
    /// Value of the parameter `help`.
    name: &'static str,
    title: &'static str,
    paragraphs: &'static [&'static str],
    example: &'static str,
}

/// Shows the explanation that the parameter `help` of the address selects.
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
                div { class: "code",
                    pre { tabindex: "0", "{topic.example}" }
                }
                div { CopyButton { name: "Copy example", label: "Copy", text: topic.example } }
            }
        }
    }
}

const TOPICS: &[Topic] = &[
    Topic {
        name: "projects",
        title: "About projects",
        paragraphs: &[
            "A project is one Postgres database with its buckets, API keys and jobs. Projects share nothing: a key of \
             one project gives no access to another.",
            "A new project has two keys, which are shown once. Put them into the environment of your app. The \
             project's page has examples for curl and Next.js.",
            "The backups of a project are kept when the project is deleted.",
        ],
        example: "",
    },
    Topic {
        name: "tables",
        title: "About tables",
        paragraphs: &[
            "A table in the schema public has a REST endpoint as soon as it exists. With a secret key, an app can read \
             and write all of its rows.",
            "Publishable keys and signed-in users reach a table only after you open it on its Access tab. Row-level \
             security policies then decide which rows they reach.",
        ],
        example: "curl \"$ATLASHUB_API_URL/v1/db/books?gte.price=10\" \\\n  -H \"x-api-key: $ATLASHUB_SECRET_KEY\"",
    },
    Topic {
        name: "storage",
        title: "About storage",
        paragraphs: &[
            "A bucket holds objects: files with a name, a size and a type. Slashes in names create folders.",
            "Apps request a signed URL, and upload or download the file at that URL, so files do not pass through the \
             API. Only secret keys can reach a new bucket until you open it for publishable keys or signed-in users.",
        ],
        example: "",
    },
    Topic {
        name: "keys",
        title: "About API keys",
        paragraphs: &[
            "Every request from an app has a key in the header x-api-key. The key determines the project, and what the \
             request may do.",
            "A secret key can read and write everything in the project. Use it on servers only. A publishable key may \
             be in a browser: it reaches only the tables and buckets that you open.",
            "To replace a key without breaking the app, rotate it. The old key keeps working until the time that you \
             choose, and the list shows whether anything still uses it. A revoked key stops working within a second.",
        ],
        example: "curl \"$ATLASHUB_API_URL/v1/db/tables\" \\\n  -H \"x-api-key: $ATLASHUB_SECRET_KEY\"",
    },
    Topic {
        name: "users",
        title: "About users",
        paragraphs: &[
            "People sign up and sign in to your app with an e-mail address and a password. The app gets an access \
             token, and sends it with each request in the header Authorization, in addition to its API key.",
            "Requests with a token reach only tables that are open to signed-in users, and only the rows that your \
             policies allow. In a policy, auth.uid() is the user's id.",
            "You can change a user's role, sign a user out everywhere, or disable a user. Users are in the table \
             auth.users of the project's database, so backups contain them.",
        ],
        example: "# Sign in. /v1/auth/signup creates a user with the same body:\n\
                  curl \"$ATLASHUB_API_URL/v1/auth/login\" \\\n  -H \"x-api-key: $ATLASHUB_PUBLISHABLE_KEY\" \\\n  \
                  -H 'content-type: application/json' \\\n  \
                  -d '{\"email\":\"ann@example.com\",\"password\":\"…\"}'\n\n\
                  # Then read a table, with session.accessToken of the response:\n\
                  curl \"$ATLASHUB_API_URL/v1/db/books\" \\\n  -H \"x-api-key: $ATLASHUB_PUBLISHABLE_KEY\" \\\n  \
                  -H \"authorization: Bearer $ACCESS_TOKEN\"\n\n\
                  # Get new tokens before the access token expires, with session.refreshToken:\n\
                  curl \"$ATLASHUB_API_URL/v1/auth/refresh\" \\\n  -H \"x-api-key: $ATLASHUB_PUBLISHABLE_KEY\" \\\n  \
                  -H 'content-type: application/json' \\\n  -d \"{\\\"refreshToken\\\":\\\"$REFRESH_TOKEN\\\"}\"\n\n\
                  # Sign out:\n\
                  curl -X POST \"$ATLASHUB_API_URL/v1/auth/logout\" \\\n  \
                  -H \"x-api-key: $ATLASHUB_PUBLISHABLE_KEY\" \\\n  -H \"authorization: Bearer $ACCESS_TOKEN\"",
    },
    Topic {
        name: "jobs",
        title: "About jobs",
        paragraphs: &[
            "A job sends an HTTP request or runs a plugin, on a schedule or when you start it. The schedule is a \
             cron expression in the time zone that you choose.",
            "Each execution is a run, with its log and its result. Failed runs are retried if the job allows retries. \
             Notification channels can report failed runs.",
        ],
        example: "",
    },
    Topic {
        name: "runs",
        title: "About runs",
        paragraphs: &[
            "A run is one execution of a job or of another task in the background, such as a backup, a restore, an \
             import or a script. It keeps its log, its result and, if it failed, the reason.",
            "A run that is due before the previous one has ended is skipped, unless its job lets it wait or run at \
             the same time. A run is also skipped while too many runs of its job are queued. A retry is a separate \
             run.",
        ],
        example: "",
    },
    Topic {
        name: "backups",
        title: "About backups",
        paragraphs: &[
            "A backup is a dump of one database in the object store. To verify a backup, the server restores it into \
             a temporary database, compares the number of rows of every table with the number recorded in the backup, \
             and drops the database.",
            "With “Include objects”, a backup also contains the objects in the project's buckets. Keep the master key \
             elsewhere: encrypted values in a backup need it. If the object store is on the same machine, also copy \
             backups to another location.",
            "A job of the plugin “backup” creates backups on a schedule and removes old ones according to your rules.",
        ],
        example: "",
    },
    Topic {
        name: "notifications",
        title: "About notifications",
        paragraphs: &[
            "A channel sends a message when an event that you chose occurs, for example a failed run, a failed backup \
             or a nearly full disk. It can be a webhook, Discord or e-mail.",
            "Failed deliveries are retried. If the last message of a channel was not delivered, the list shows why.",
        ],
        example: "",
    },
];
