//! The list of an archive's entries, as `pg_restore --list` prints it.

use crate::db::is_project_id;

/// Kinds of entries that are never restored: they refer to things outside the database, or need a superuser.
const LEFT_OUT: [&str; 6] =
    ["EVENT TRIGGER", "PUBLICATION", "SUBSCRIPTION", "SECURITY LABEL", "DATABASE", "PROCEDURAL LANGUAGE"];
/// Kinds of entries that are restored after `pg_restore` has ended. Most name roles, which are translated to those of
/// the project. `pg_restore` could not fill materialized views if their tables already forced row-level security.
const LATE_KINDS: [&str; 4] = ["POLICY", "ROW SECURITY", "ACL", "DEFAULT ACL"];

/// Tables in schema `public` that together show that an archive is a dump of a platform database.
const PLATFORM_TABLES: [&str; 3] = ["platform_migrations", "api_keys", "admin_sessions"];

/// The contents of an archive. The author of the archive may have chosen any of these values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArchiveContents {
    /// Name of the dumped database.
    pub database: Option<String>,
    /// Version of the dumped server, for example `15.14`.
    pub server_version: Option<String>,
    /// Version of `pg_dump`.
    pub dump_version: Option<String>,
    /// Schema and name of every table whose rows were dumped, even if it had none.
    pub tables: Vec<(String, String)>,
    /// Names of the extensions.
    pub extensions: Vec<String>,
    /// Entries that are never restored, for example `EVENT TRIGGER noticed`.
    pub left_out: Vec<String>,
    pub(super) has_schema_auth: bool,
    has_privileges: bool,
    is_custom_format: bool,
}

/// The privileges of a restored database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Privileges {
    /// The privileges of the dumped project, which has this id.
    OfProject(String),
    /// The privileges of a new project, because the archive contains no privileges or is not a dump of a project.
    Standard,
}

/// The way in which an entry is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By `pg_restore`.
    Loaded,
    /// By a translated statement, at the end.
    Translated,
    /// Not at all.
    LeftOut,
}

impl ArchiveContents {
    /// Parses a list. Returns `None` if it is not the list of an archive in custom format.
    pub(super) fn parse(list: &str) -> Option<Self> {
        let mut contents = Self::default();
        let schemas = schemas(list);
        contents.has_schema_auth = schemas.contains(&"auth");
        for line in list.lines() {
            if let Some(header) = line.strip_prefix(';') {
                contents.read_header(header);
            } else if let Some(entry) = entry(line) {
                contents.read_entry(entry, &schemas);
            }
        }
        contents.is_custom_format.then_some(contents)
    }

    fn read_header(&mut self, header: &str) {
        let header = header.trim_start();
        let first_word = |text: &str| text.split_whitespace().next().map(str::to_owned);
        if let Some(name) = header.strip_prefix("dbname: ") {
            self.database = Some(name.trim_end().to_owned());
        } else if let Some(version) = header.strip_prefix("Dumped from database version: ") {
            self.server_version = first_word(version);
        } else if let Some(version) = header.strip_prefix("Dumped by pg_dump version: ") {
            self.dump_version = first_word(version);
        } else if header.trim_end() == "Format: CUSTOM" {
            self.is_custom_format = true;
        }
    }

    fn read_entry(&mut self, entry: &str, schemas: &[&str]) {
        if let Some(table) = entry.strip_prefix("TABLE DATA ") {
            self.tables.extend(split_schema(without_owner(table), schemas));
        } else if let Some(extension) = entry.strip_prefix("EXTENSION - ") {
            self.extensions.push(without_owner(extension).to_owned());
        } else if ["ACL ", "DEFAULT ACL "].iter().any(|kind| entry.starts_with(kind)) {
            self.has_privileges = true;
        } else if way(entry) == Way::LeftOut
            // Such entries are not reported: schema `public` exists in the target, the settings of a database are not
            // part of its contents, and comments belong to other entries that are left out.
            && !["SCHEMA ", "DATABASE ", "COMMENT "].iter().any(|kind| entry.starts_with(kind))
        {
            self.left_out.push(without_owner(entry).replacen(" - ", " ", 1));
        }
    }

    /// Returns the id of the project that was dumped, if the archive is a dump of one.
    pub fn project(&self) -> Option<&str> {
        self.database.as_deref()?.strip_prefix("proj_").filter(|id| is_project_id(id))
    }

    /// Returns whether the archive is a dump of a platform database, which contains key hashes and sessions.
    pub(super) fn is_of_platform(&self) -> bool {
        let is_dumped = |name: &&str| self.tables.iter().any(|(schema, table)| schema == "public" && table == *name);
        PLATFORM_TABLES.iter().all(is_dumped)
    }

    /// Returns the privileges of a database that is restored from the archive.
    pub fn privileges(&self) -> Privileges {
        match self.project() {
            Some(project) if self.has_privileges => Privileges::OfProject(project.to_owned()),
            _ => Privileges::Standard,
        }
    }
}

/// The parts of a list that are restored in different ways.
pub(super) struct Lists {
    /// Entries for `pg_restore`.
    pub(super) loaded: String,
    /// Entries whose statements are translated.
    pub(super) translated: String,
}

impl Lists {
    /// Divides a list. Leaves out its header and the entries that are never restored.
    pub(super) fn of(list: &str) -> Self {
        let mut lists = Self { loaded: String::with_capacity(list.len()), translated: String::new() };
        for line in list.lines() {
            let target = match entry(line).map(way) {
                Some(Way::Loaded) => &mut lists.loaded,
                Some(Way::Translated) => &mut lists.translated,
                Some(Way::LeftOut) | None => continue,
            };
            target.push_str(line);
            target.push('\n');
        }
        lists
    }
}

/// Returns the kind, schema, name and owner from a line such as `3456; 0 16401 POLICY public items mine proj_x_owner`.
pub(super) fn entry(line: &str) -> Option<&str> {
    if line.starts_with(';') {
        return None;
    }
    line.split_once("; ").and_then(|(_, entry)| entry.splitn(3, ' ').nth(2))
}

fn way(entry: &str) -> Way {
    if is_of(entry, &LEFT_OUT) || entry.starts_with("SCHEMA - public ") {
        return Way::LeftOut;
    }
    if is_of(entry, &LATE_KINDS) {
        return Way::Translated;
    }
    match entry.strip_prefix("COMMENT ") {
        Some(object) if object.strip_prefix("- ").is_some_and(|object| is_of(object, &LEFT_OUT)) => Way::LeftOut,
        // A comment on a policy needs the policy. Other comments that happen to contain ` POLICY ` can be created at
        // the end as well.
        Some(object) if object.contains(" POLICY ") => Way::Translated,
        _ => Way::Loaded,
    }
}

/// Returns the names of the schemas in a list.
pub(super) fn schemas(list: &str) -> Vec<&str> {
    list.lines().filter_map(|line| entry(line)?.strip_prefix("SCHEMA - ")).map(without_owner).collect()
}

/// Returns whether the text starts with one of the kinds.
pub(super) fn is_of(text: &str, kinds: &[&str]) -> bool {
    kinds.iter().any(|kind| text.strip_prefix(kind).is_some_and(|rest| rest.starts_with(' ')))
}

/// Removes the owner, the last word. Names of owners with spaces are rare, and only matter for display.
pub(super) fn without_owner(entry: &str) -> &str {
    entry.rsplit_once(' ').map_or(entry, |(entry, _)| entry)
}

/// Splits `schema name`, both of which may contain spaces.
pub(super) fn split_schema(text: &str, schemas: &[&str]) -> Option<(String, String)> {
    let known = schemas.iter().filter_map(|schema| {
        let table = text.strip_prefix(*schema)?.strip_prefix(' ')?;
        Some((schema.len(), table))
    });
    let (length, table) = known.max_by_key(|(length, _)| *length).or_else(|| {
        let (schema, table) = text.split_once(' ')?;
        Some((schema.len(), table))
    })?;
    Some((text[..length].to_owned(), table.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = ";\n; Archive created at 2026-11-28 19:05:37 UTC\n;     dbname: proj_abcdefgh\n\
        ;     Format: CUSTOM\n;     Dumped from database version: 15.18 (Debian 15.18-0+deb12u1)\n\
        ;     Dumped by pg_dump version: 16.2\n;\n\
        7; 2615 16390 SCHEMA - auth proj_abcdefgh_owner\n\
        6; 2615 2200 SCHEMA - public proj_abcdefgh_owner\n\
        8; 2615 16391 SCHEMA - My Schema proj_abcdefgh_owner\n\
        3460; 0 0 ACL - SCHEMA public proj_abcdefgh_owner\n\
        2; 3079 16392 EXTENSION - citext \n\
        216; 1259 16497 TABLE public items proj_abcdefgh_owner\n\
        3447; 0 16497 TABLE DATA public items proj_abcdefgh_owner\n\
        3448; 0 16504 TABLE DATA My Schema my table proj_abcdefgh_owner\n\
        3443; 0 16497 ROW SECURITY public items proj_abcdefgh_owner\n\
        3444; 3256 16507 POLICY public items mine proj_abcdefgh_owner\n\
        3466; 0 0 COMMENT public POLICY mine ON items proj_abcdefgh_owner\n\
        3467; 0 0 COMMENT - PUBLICATION p proj_abcdefgh_owner\n\
        3445; 6104 16509 PUBLICATION - p proj_abcdefgh_owner\n\
        3446; 6106 16510 PUBLICATION TABLE public p items proj_abcdefgh_owner\n\
        2127; 826 16389 DEFAULT ACL public DEFAULT PRIVILEGES FOR TABLES proj_abcdefgh_owner\n";

    #[test]
    fn contents_list_versions_tables_and_skipped_entries() {
        let contents = ArchiveContents::parse(LIST).unwrap();
        let owned = |schema: &str, table: &str| (schema.to_owned(), table.to_owned());
        assert_eq!(contents.tables, [owned("public", "items"), owned("My Schema", "my table")]);
        assert_eq!(contents.server_version.as_deref(), Some("15.18"));
        assert_eq!(contents.dump_version.as_deref(), Some("16.2"));
        assert_eq!(contents.extensions, ["citext"]);
        assert_eq!(contents.left_out, ["PUBLICATION p", "PUBLICATION TABLE public p items"]);
        assert_eq!(contents.privileges(), Privileges::OfProject("abcdefgh".to_owned()));
        assert!(contents.has_schema_auth);
    }

    #[test]
    fn archive_of_another_database_has_standard_privileges() {
        for (name, expected) in [("shop", Privileges::Standard), ("proj_../x", Privileges::Standard)] {
            let list = LIST.replace("proj_abcdefgh\n;     Format", &format!("{name}\n;     Format"));
            assert_eq!(ArchiveContents::parse(&list).unwrap().privileges(), expected, "{name}");
        }
    }

    #[test]
    fn list_of_an_archive_in_another_format_is_rejected() {
        assert_eq!(ArchiveContents::parse(&LIST.replace("CUSTOM", "TAR")), None);
    }

    #[test]
    fn dump_with_the_platforms_tables_is_of_a_platform_database() {
        let data = |table: &str| format!("9; 0 1 TABLE DATA public {table} atlashub\n");
        let of_platform = format!("{LIST}{}", PLATFORM_TABLES.map(data).concat());
        assert!(ArchiveContents::parse(&of_platform).unwrap().is_of_platform());
        // A project may have a table with one of these names.
        assert!(!ArchiveContents::parse(&format!("{LIST}{}", data("api_keys"))).unwrap().is_of_platform());
    }

    #[test]
    fn entries_with_roles_are_translated_and_publications_left_out() {
        let lists = Lists::of(LIST);
        let kinds = |list: &str| list.lines().filter_map(entry).map(str::to_owned).collect::<Vec<_>>().join("|");
        assert_eq!(
            kinds(&lists.translated),
            "ACL - SCHEMA public proj_abcdefgh_owner|ROW SECURITY public items proj_abcdefgh_owner|POLICY public items \
             mine proj_abcdefgh_owner|COMMENT public POLICY mine ON items proj_abcdefgh_owner|DEFAULT ACL public \
             DEFAULT PRIVILEGES FOR TABLES proj_abcdefgh_owner"
        );
        assert!(lists.loaded.contains("EXTENSION"));
        assert!(!lists.loaded.contains("PUBLICATION") && !lists.loaded.contains("SCHEMA - public"));
    }
}
