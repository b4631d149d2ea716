//! The table of audit actions: the name under which each request of the admin API is recorded.

use std::collections::BTreeSet;

/// Method, path and action of every request that is recorded. `{}` stands for any path parameter. `GET` requests are
/// never recorded, not even those that sign a download: they only read.
const ACTIONS: &[(&str, &str, &str)] = &[
    ("POST", "/admin/v1/session", "admin.sign_in"),
    ("DELETE", "/admin/v1/session", "admin.sign_out"),
    ("DELETE", "/admin/v1/sessions", "admin.end_sessions"),
    ("DELETE", "/admin/v1/sessions/{}", "admin.end_session"),
    ("POST", "/admin/v1/projects", "project.create"),
    ("PATCH", "/admin/v1/projects/{}", "project.update"),
    ("DELETE", "/admin/v1/projects/{}", "project.delete"),
    ("POST", "/admin/v1/projects/{}/keys", "key.create"),
    ("POST", "/admin/v1/projects/{}/keys/{}/rotate", "key.rotate"),
    ("PATCH", "/admin/v1/projects/{}/keys/{}", "key.update"),
    ("DELETE", "/admin/v1/projects/{}/keys/{}", "key.revoke"),
    ("POST", "/admin/v1/projects/{}/tables/{}/rows", "rows.insert"),
    ("PATCH", "/admin/v1/projects/{}/tables/{}/rows", "rows.update"),
    ("DELETE", "/admin/v1/projects/{}/tables/{}/rows", "rows.delete"),
    ("POST", "/admin/v1/projects/{}/tables/{}/changes", "rows.change"),
    ("PUT", "/admin/v1/projects/{}/tables/{}/exposure", "table.expose"),
    ("POST", "/admin/v1/projects/{}/table/changes", "rows.change"),
    ("PUT", "/admin/v1/projects/{}/table/exposure", "table.expose"),
    ("POST", "/admin/v1/projects/{}/sql", "sql.run"),
    ("POST", "/admin/v1/projects/{}/sql/runs", "sql.start_run"),
    ("POST", "/admin/v1/projects/{}/sql/{}/cancel", "sql.cancel"),
    ("POST", "/admin/v1/projects/{}/queries", "query.create"),
    ("PATCH", "/admin/v1/projects/{}/queries/{}", "query.update"),
    ("DELETE", "/admin/v1/projects/{}/queries/{}", "query.delete"),
    ("DELETE", "/admin/v1/projects/{}/queries/history", "query.clear_history"),
    ("POST", "/admin/v1/projects/{}/buckets", "bucket.create"),
    ("PATCH", "/admin/v1/projects/{}/buckets/{}", "bucket.update"),
    ("DELETE", "/admin/v1/projects/{}/buckets/{}", "bucket.delete"),
    ("DELETE", "/admin/v1/projects/{}/buckets/{}/objects", "object.delete"),
    ("POST", "/admin/v1/projects/{}/buckets/{}/objects/delete", "object.delete_many"),
    ("POST", "/admin/v1/projects/{}/buckets/{}/objects/move", "object.move"),
    ("POST", "/admin/v1/projects/{}/buckets/{}/objects/copy", "object.copy"),
    ("POST", "/admin/v1/projects/{}/buckets/{}/signed-upload", "object.sign_upload"),
    ("POST", "/admin/v1/projects/{}/buckets/{}/multipart/parts", "object.sign_upload"),
    ("POST", "/admin/v1/projects/{}/buckets/{}/multipart/complete", "object.complete_upload"),
    ("POST", "/admin/v1/projects/{}/buckets/{}/multipart/abort", "object.abort_upload"),
    ("POST", "/admin/v1/projects/{}/users", "user.create"),
    ("PATCH", "/admin/v1/projects/{}/users/{}", "user.update"),
    ("DELETE", "/admin/v1/projects/{}/users/{}", "user.delete"),
    ("PATCH", "/admin/v1/projects/{}/auth", "auth.update"),
    ("POST", "/admin/v1/projects/{}/auth/rotate-key", "auth.rotate_key"),
    ("POST", "/admin/v1/projects/{}/users/{}/sign-out", "user.sign_out"),
    ("POST", "/admin/v1/projects/{}/users/{}/send-reset-link", "user.send_reset_link"),
    ("DELETE", "/admin/v1/projects/{}/users/{}/second-factor", "user.remove_second_factor"),
    ("POST", "/admin/v1/jobs", "job.create"),
    ("PATCH", "/admin/v1/jobs/{}", "job.update"),
    ("DELETE", "/admin/v1/jobs/{}", "job.delete"),
    ("POST", "/admin/v1/jobs/{}/run", "job.run"),
    ("POST", "/admin/v1/runs/{}/cancel", "run.cancel"),
    ("POST", "/admin/v1/runs/{}/again", "run.again"),
    ("POST", "/admin/v1/migrations/apply", "migration.apply"),
    ("POST", "/admin/v1/backups", "backup.create"),
    ("DELETE", "/admin/v1/backups/{}", "backup.delete"),
    ("POST", "/admin/v1/backups/{}/download", "backup.download"),
    ("POST", "/admin/v1/backups/{}/verify", "backup.verify"),
    ("POST", "/admin/v1/backups/{}/restore", "backup.restore"),
    ("POST", "/admin/v1/restores", "restore.create"),
    ("POST", "/admin/v1/restores/uploads", "restore.sign_upload"),
    ("POST", "/admin/v1/restores/uploads/{}/sign", "restore.sign_upload"),
    ("POST", "/admin/v1/restores/{}/confirm", "restore.confirm"),
    ("POST", "/admin/v1/restores/{}/rollback", "restore.rollback"),
    ("DELETE", "/admin/v1/restores/{}", "restore.delete"),
    ("POST", "/admin/v1/exports", "export.create"),
    ("DELETE", "/admin/v1/exports/{}", "export.delete"),
    ("POST", "/admin/v1/exports/{}/download", "export.download"),
    ("POST", "/admin/v1/imports", "import.create"),
    ("POST", "/admin/v1/imports/{}/upload", "import.sign_upload"),
    ("POST", "/admin/v1/imports/{}/start", "import.start"),
    ("DELETE", "/admin/v1/imports/{}", "import.delete"),
    ("POST", "/admin/v1/plugins/{}/approve", "plugin.approve"),
    ("POST", "/admin/v1/plugins/{}/revoke", "plugin.revoke"),
    ("DELETE", "/admin/v1/plugins/{}", "plugin.remove"),
    ("POST", "/admin/v1/trusted-keys", "trusted_key.add"),
    ("DELETE", "/admin/v1/trusted-keys/{}", "trusted_key.remove"),
    ("POST", "/admin/v1/notifications", "notification.create"),
    ("PATCH", "/admin/v1/notifications/{}", "notification.update"),
    ("DELETE", "/admin/v1/notifications/{}", "notification.delete"),
    ("POST", "/admin/v1/notifications/{}/test", "notification.test"),
    ("POST", "/admin/v1/notifications/test", "notification.test"),
];

/// Method and path of requests that change nothing, although their method allows changes. They are not recorded.
const READS: &[(&str, &str)] = &[
    ("POST", "/admin/v1/cron/preview"),
    ("POST", "/admin/v1/imports/{}/preview"),
    ("POST", "/admin/v1/jobs/check"),
    ("POST", "/admin/v1/projects/{}/sql/parse"),
];

/// Actions that do not come through the admin API.
const OTHER_ACTIONS: &[&str] = &[
    "auth.login",
    "auth.logout",
    "auth.magic_link",
    "auth.magic_link_request",
    "auth.mfa_challenge",
    "auth.mfa_confirm",
    "auth.mfa_enrol",
    "auth.mfa_recovery_codes",
    "auth.mfa_remove",
    "auth.mfa_verify",
    "auth.recover",
    "auth.refresh_reuse",
    "auth.reset",
    "auth.signup",
    "auth.update_user",
    "auth.verify",
    "keys.rotate_master",
    "platform.restore",
    "plugin.denied",
    "plugin.reject",
    "restore.finish",
];

/// Returns whether the method and the path template are listed as a read: a request that changes nothing, although its
/// method allows changes.
pub fn is_read(method: &str, template: &str) -> bool {
    let path_template = without_parameter_names(template);
    READS.contains(&(method, &path_template))
}

/// Returns method and path of every request that has an action or is listed as a read. `{}` stands for any path
/// parameter.
pub fn listed_requests() -> impl Iterator<Item = (&'static str, &'static str)> {
    ACTIONS.iter().map(|(method, path, _)| (*method, *path)).chain(READS.iter().copied())
}

/// Returns every action that the server records, in alphabetical order.
pub(super) fn known_actions() -> BTreeSet<&'static str> {
    ACTIONS.iter().map(|(.., action)| *action).chain(OTHER_ACTIONS.iter().copied()).collect()
}

/// Returns the action of a method and a path template, or `None` if the table of actions has no entry for them.
pub fn action_of(method: &str, template: &str) -> Option<&'static str> {
    let path_template = without_parameter_names(template);
    ACTIONS.iter().find(|(m, path, _)| *m == method && *path == path_template).map(|(.., action)| *action)
}

/// Returns the target of an action whose path names no resource other than the project. Returns `None` if the action
/// has no target, or if its handler reports the target.
pub(super) fn default_target(action: &str, project: Option<&str>) -> Option<String> {
    match action {
        "admin.end_sessions" | "migration.apply" => Some("platform".to_owned()),
        "auth.rotate_key"
        | "auth.update"
        | "project.delete"
        | "project.update"
        | "query.clear_history"
        | "sql.run"
        | "sql.start_run" => project.map(str::to_owned),
        _ => None,
    }
}

/// Replaces parameters by `{}`: `/projects/{project}/keys/{key}` → `/projects/{}/keys/{}`.
pub fn without_parameter_names(template: &str) -> String {
    let segments = template.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn action_is_found_independent_of_parameter_names() {
        assert_eq!(action_of("DELETE", "/admin/v1/projects/{project}/keys/{keyId}"), Some("key.revoke"));
        assert_eq!(action_of("DELETE", "/admin/v1/projects/{p}"), Some("project.delete"));
        assert_eq!(action_of("PUT", "/admin/v1/projects/{p}"), None);
    }

    #[test]
    fn reads_have_no_action() {
        assert!(is_read("POST", "/admin/v1/cron/preview"));
        assert!(!is_read("POST", "/admin/v1/projects/{project}/sql"));
        for (method, path) in READS {
            assert_eq!(action_of(method, path), None, "{method} {path}");
        }
    }

    #[test]
    fn entries_are_unique() {
        for (index, (method, path, _)) in ACTIONS.iter().enumerate() {
            assert!(ACTIONS[..index].iter().all(|(m, p, _)| (m, p) != (method, path)), "{method} {path}");
        }
    }
}
