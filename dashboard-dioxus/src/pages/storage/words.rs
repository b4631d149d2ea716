//! Texts for the access of buckets and the properties of objects.

use api_types::{BucketAccess, BucketExposure};

use crate::ui::IconName;

/// Returns the name of an access level.
pub(super) fn access_in_words(access: BucketAccess) -> &'static str {
    match access {
        BucketAccess::None => "Nothing",
        BucketAccess::Download => "Download",
        BucketAccess::Upload => "Upload",
        BucketAccess::Both => "Download and upload",
    }
}

/// Returns who can reach the objects of a bucket without the secret key, as a sentence without its capital letter and
/// full stop. A request with a user's access token has only the access of signed-in users, so each sentence says what
/// both visitors and signed-in users may do.
pub(super) fn exposure_in_words(exposure: BucketExposure) -> String {
    const VISITORS: &str = "visitors with the publishable key";
    let act = |access| match access {
        BucketAccess::None => None,
        BucketAccess::Download => Some("download"),
        BucketAccess::Upload => Some("upload"),
        BucketAccess::Both => Some("download and upload"),
    };
    match (act(exposure.publishable), act(exposure.signed_in)) {
        (None, None) => "only the secret key can reach the objects".to_owned(),
        (Some(visitors), None) => format!("{VISITORS} may {visitors}, signed-in users may not"),
        (None, Some(users)) => format!("signed-in users may {users}, {VISITORS} may not"),
        (Some(visitors), Some(users)) if visitors == users => format!("{VISITORS} and signed-in users may {users}"),
        (Some(visitors), Some(users)) => {
            let only = if exposure.publishable == BucketAccess::Both { "only " } else { "" };
            format!("{VISITORS} may {visitors}, signed-in users may {only}{users}")
        }
    }
}

/// Returns who sent an object, or who began an upload.
pub(super) fn uploader_in_words(by: &str) -> String {
    match by {
        "secret" => "a server with the secret key".to_owned(),
        "publishable" => "a client with the publishable key".to_owned(),
        "admin" => "the owner".to_owned(),
        "store" => "not through AtlasHub".to_owned(),
        by => by.strip_prefix("plugin:").map_or_else(|| format!("user {by}"), |plugin| format!("plugin {plugin}")),
    }
}

/// Returns the icon for the content type of an object.
pub(super) fn object_icon(content_type: Option<&str>) -> IconName {
    match content_type.and_then(|content_type| content_type.split('/').next()) {
        Some("image") => IconName::Image,
        Some("video" | "audio") => IconName::Play,
        _ => IconName::File,
    }
}

/// Returns the last segment of a path. A folder keeps its slash: `notes/`.
pub(super) fn name_of(path: &str) -> &str {
    let end = path.strip_suffix('/').unwrap_or(path);
    let start = end.rfind('/').map_or(0, |slash| slash + 1);
    path.get(start..).unwrap_or(path)
}

/// Returns the folder of a path: everything up to its last slash. `notes/2025/a` is in `notes/2025/`.
pub(super) fn folder_of(path: &str) -> &str {
    let end = path.rfind('/').map_or(0, |slash| slash + 1);
    path.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split_into_folder_and_name() {
        for (path, name, folder) in [
            ("a.png", "a.png", ""),
            ("notes/a.png", "a.png", "notes/"),
            ("notes/2025/", "2025/", "notes/2025/"),
            ("", "", ""),
        ] {
            assert_eq!((name_of(path), folder_of(path)), (name, folder), "{path}");
        }
    }

    #[test]
    fn exposure_is_one_sentence() {
        use BucketAccess::{Both, Download, None as Closed, Upload};
        for (publishable, signed_in, expected) in [
            (Closed, Closed, "only the secret key can reach the objects"),
            (Download, Closed, "visitors with the publishable key may download, signed-in users may not"),
            (Closed, Upload, "signed-in users may upload, visitors with the publishable key may not"),
            (Download, Download, "visitors with the publishable key and signed-in users may download"),
            (Download, Both, "visitors with the publishable key may download, signed-in users may download and upload"),
            (
                Both,
                Download,
                "visitors with the publishable key may download and upload, signed-in users may only download",
            ),
        ] {
            assert_eq!(exposure_in_words(BucketExposure { publishable, signed_in }), expected);
        }
    }
}
