//! Invariants of `docs/ARCHITECTURE.md` that can be checked in the source code.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use crate::docs::markdown::{read_document, workspace_root};

/// The floors of `host/src`, lowest first. A module imports only from lower floors.
const FLOORS: &[(u8, &[&str])] = &[
    (1, &["config", "error"]),
    (2, &["db", "disk", "egress", "http", "object_store", "secrets"]),
    (3, &["embedded", "projects"]),
    (4, &["auth", "data", "jobs", "notifications", "sql_editor", "storage", "tables"]),
    (5, &["plugins", "sql_runs", "storage_runs"]),
    (6, &["backups", "transfers"]),
    (7, &["admin", "events"]),
    (8, &["app", "dashboard", "health", "observability", "router"]),
    (9, &["cli", "lib", "main"]),
];

/// From this floor on, modules assemble the slices and may import modules of their own floor.
const ASSEMBLY: u8 = 8;

#[test]
fn modules_import_downward_only() {
    let mut violations = Vec::new();
    for file in sources("host/src") {
        let importer = module_of(&file);
        let text = fs::read_to_string(&file).unwrap();
        for imported in imports(&text) {
            if let Err(problem) = check_import(&importer, &imported) {
                violations.push(format!("{}: {problem}", workspace_path(&file)));
            }
        }
    }
    assert!(violations.is_empty(), "\n{}", violations.join("\n"));
}

#[test]
fn upward_and_sideways_imports_are_rejected() {
    assert!(check_import("data", "projects").is_ok());
    assert!(check_import("data", "data").is_ok());
    assert!(check_import("router", "app").is_ok());
    assert!(check_import("config", "http").unwrap_err().contains("up"));
    assert!(check_import("data", "storage").unwrap_err().contains("sideways"));
    assert!(check_import("new_thing", "config").unwrap_err().contains("floor"));
    assert!(check_import("config", "new_thing").unwrap_err().contains("floor"));
}

#[test]
fn imports_finds_every_form_of_path() {
    let text = "
        use crate::{config::{Config, Secret}, error::ApiError, db};
        use crate::http::ApiJson;
        pub(crate) use crate::projects;
        // use crate::admin::Nothing;
        fn f() { crate::storage::sign(); atlashub::cli::run(); }
        pub(in crate::data) fn g() {}
        use atlashub::plugin::job::Error;
    ";
    let found: Vec<_> = imports(text).into_iter().collect();
    assert_eq!(found, ["cli", "config", "data", "db", "error", "http", "projects", "storage"]);
}

#[test]
fn production_code_does_not_unwrap() {
    let mut violations = Vec::new();
    let folders = ["host/src", "embedded-s3/src", "api-types/src", "plugins"];
    for file in folders.into_iter().flat_map(sources) {
        if workspace_path(&file).ends_with("tests.rs") || file.components().any(|part| part.as_os_str() == "tests") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in production_lines(&text) {
            // The compiler evaluates constants, so they can't panic at run time.
            let constant = line.trim_start().trim_start_matches("pub ").starts_with("const ");
            if !constant && (line.contains(".unwrap()") || line.contains(".expect(")) {
                violations.push(format!("{}:{number}: {}", workspace_path(&file), line.trim()));
            }
        }
    }
    assert!(violations.is_empty(), "unwrap or expect outside tests:\n{}", violations.join("\n"));
}

#[test]
fn production_lines_excludes_tests_and_comments() {
    let text = "fn a() {\n    // x.unwrap()\n    b();\n}\n\n#[cfg(test)]\nmod tests {\n    fn c() { d.unwrap() }\n}\n";
    let lines: Vec<_> = production_lines(text).map(|(_, line)| line.trim()).filter(|line| !line.is_empty()).collect();
    assert_eq!(lines, ["fn a() {", "b();", "}"]);
}

#[test]
fn source_files_have_at_most_400_lines() {
    let mut long = Vec::new();
    for folder in ["host/src", "api-types/src", "embedded-s3/src", "plugins", "xtask/src", "dashboard-dioxus/src"] {
        for file in sources(folder) {
            let lines = fs::read_to_string(&file).unwrap().lines().count();
            if lines > 400 {
                long.push(format!("{}: {lines} lines", workspace_path(&file)));
            }
        }
    }
    assert!(long.is_empty(), "split these:\n{}", long.join("\n"));
}

#[test]
fn source_lines_have_at_most_120_characters() {
    let folders = ["host", "api-types", "embedded-s3", "plugins", "xtask", "benches", "dashboard-dioxus/src"];
    let long: Vec<String> = folders.into_iter().flat_map(sources).flat_map(|file| long_lines(&file)).collect();
    assert!(long.is_empty(), "wrap these lines:\n{}", long.join("\n"));
}

#[test]
fn lines_of_styles_and_scripts_have_at_most_120_characters() {
    let files: Vec<PathBuf> =
        ["css", "js", "mjs"].iter().flat_map(|kind| files_below(&workspace_root(), kind, &is_ignored)).collect();
    for expected in ["dashboard-dioxus/style/main.css", "dashboard-dioxus/tests/support.mjs"] {
        assert!(files.contains(&workspace_root().join(expected)), "{expected} was not checked");
    }
    let long: Vec<String> = files.iter().flat_map(|file| long_lines(file)).collect();
    assert!(long.is_empty(), "wrap these lines:\n{}", long.join("\n"));
}

#[test]
fn prose_lines_of_documents_have_at_most_100_characters() {
    let mut long = Vec::new();
    for file in markdown_files() {
        let text = fs::read_to_string(&file).unwrap();
        for (number, line) in prose_lines(&text).filter(|(_, line)| line.chars().count() > 100) {
            long.push(format!("{}:{number}: {} characters", workspace_path(&file), line.chars().count()));
        }
    }
    assert!(long.is_empty(), "wrap these lines:\n{}", long.join("\n"));
}

#[test]
fn prose_lines_excludes_code_tables_and_links() {
    let text = "a\n```sh\nb\n```\n| c | d |\n  ```text\n  e\n  ```\nf [g](h)\n- https://i\nj\n";
    let lines: Vec<_> = prose_lines(text).collect();
    assert_eq!(lines, [(1, "a"), (9, "f [g](h)"), (11, "j")]);
}

#[test]
fn every_folder_has_a_documented_mod_rs() {
    let folders: BTreeSet<PathBuf> = sources("host/src")
        .iter()
        .filter_map(|file| file.parent().map(Path::to_path_buf))
        .filter(|folder| *folder != workspace_root().join("host/src"))
        .collect();
    assert!(!folders.is_empty());
    for folder in folders {
        let map = folder.join("mod.rs");
        let text = fs::read_to_string(&map).unwrap_or_else(|_| panic!("{} has no mod.rs", workspace_path(&folder)));
        assert!(text.starts_with("//!"), "{} has no module documentation (`//!`)", workspace_path(&map));
    }
}

#[test]
fn architecture_document_mentions_every_module() {
    let text = read_document("docs/ARCHITECTURE.md");
    let modules: BTreeSet<String> = sources("host/src").iter().map(|file| module_of(file)).collect();
    for module in modules.iter().filter(|module| *module != "lib") {
        let named = text.contains(&format!("`{module}`")) || text.contains(&format!("`{module}/`"));
        assert!(named, "docs/ARCHITECTURE.md does not mention `{module}`");
    }
}

#[test]
fn every_test_named_in_the_invariants_exists() {
    let text = read_document("docs/ARCHITECTURE.md");
    let table = text.split_once("| invariant | tests |").unwrap().1.split_once("\n\n").unwrap().0;
    let tests: Vec<(&str, &str)> = table.split('`').filter_map(|word| word.rsplit_once("::")).collect();
    assert!(tests.len() > 20, "{tests:?}");
    for (file, test) in tests {
        let source = read_document(&format!("host/tests/it/{}.rs", file.replace("::", "/")));
        assert!(source.contains(&format!("fn {test}(")), "there is no test `{file}::{test}`");
    }
}

#[test]
fn migrations_are_numbered_without_gaps() {
    let mut names: Vec<String> = fs::read_dir(workspace_root().join("migrations"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(!names.is_empty());
    for (index, name) in names.iter().enumerate() {
        assert!(name.starts_with(&format!("{:04}_", index + 1)), "{name} should have number {:04}", index + 1);
        assert!(name.ends_with(".sql"), "{name}");
    }
}

fn check_import(importer: &str, imported: &str) -> Result<(), String> {
    if importer == imported {
        return Ok(());
    }
    let from = floor(importer).ok_or(format!("`{importer}` has no floor; give it one here and in ARCHITECTURE.md"))?;
    let to = floor(imported).ok_or(format!("`{imported}` has no floor; give it one here and in ARCHITECTURE.md"))?;
    match from.cmp(&to) {
        std::cmp::Ordering::Less => Err(format!("`{importer}` (floor {from}) imports up, from `{imported}` ({to})")),
        std::cmp::Ordering::Equal if from >= ASSEMBLY => Ok(()),
        std::cmp::Ordering::Equal => Err(format!("`{importer}` imports sideways, from `{imported}` (floor {from})")),
        std::cmp::Ordering::Greater => Ok(()),
    }
}

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(_, modules)| modules.contains(&module)).map(|(floor, _)| *floor)
}

/// Returns the top-level modules in paths that start with `crate::` or `atlashub::`, including grouped imports.
fn imports(text: &str) -> BTreeSet<String> {
    let code: String = text.lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n");
    let mut found = BTreeSet::new();
    for root in ["crate::", "atlashub::"] {
        for (at, _) in code.match_indices(root) {
            let before = code[..at].chars().next_back();
            if before.is_some_and(|character| character.is_alphanumeric() || character == '_') {
                continue;
            }
            let rest = &code[at + root.len()..];
            match rest.strip_prefix('{') {
                Some(group) => found.extend(names_in_group(group)),
                None => found.extend(name_at(rest)),
            }
        }
    }
    // `atlashub::plugin` is the WIT package in generated bindings.
    found.remove("plugin");
    found
}

/// Returns the first path segment of each entry in a group, up to the closing brace.
fn names_in_group(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 0_usize;
    let mut at_entry = true;
    for (at, character) in text.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_entry = true,
            other if at_entry && !other.is_whitespace() => {
                names.extend(name_at(&text[at..]));
                at_entry = false;
            }
            _ => {}
        }
    }
    names
}

/// Returns the identifier at the start of the text if it is in lower case, like a module name.
fn name_at(text: &str) -> Option<String> {
    let name: String = text.chars().take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_').collect();
    let continues = text[name.len()..].starts_with(|c: char| c.is_ascii_alphanumeric());
    (!name.is_empty() && !continues).then_some(name)
}

/// Returns numbered lines of code without comments, up to `#[cfg(test)] mod`.
fn production_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let end = text
        .match_indices("#[cfg(test)]")
        .find(|(at, mark)| text[at + mark.len()..].trim_start().starts_with("mod "))
        .map_or(text.len(), |(at, _)| at);
    text[..end].lines().enumerate().map(|(index, line)| (index + 1, line.split("//").next().unwrap_or("")))
}

/// Describes the lines of a file that are too long and can be wrapped.
fn long_lines(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap();
    let long = text.lines().enumerate().filter(|(_, line)| line.chars().count() > 120 && can_wrap(line));
    let describe = |(index, line): (usize, &str)| {
        format!("{}:{}: {} characters", workspace_path(file), index + 1, line.chars().count())
    };
    long.map(describe).collect()
}

/// Returns whether a line can be wrapped. It can't if a single word is too long, such as an encoded key, or if it is
/// the outline of an icon.
fn can_wrap(line: &str) -> bool {
    !line.trim_start().starts_with("r#\"<") && line.split_whitespace().all(|word| word.chars().count() <= 100)
}

/// Returns numbered lines of Markdown without fenced code, tables and lines with an absolute link.
fn prose_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    text.lines().enumerate().map(|(index, line)| (index + 1, line)).filter(move |(_, line)| {
        let trimmed = line.trim_start();
        if trimmed.starts_with("```") {
            in_code = !in_code;
            return false;
        }
        !in_code && !trimmed.starts_with('|') && !trimmed.contains("://")
    })
}

/// Returns every Markdown file of the workspace, without dependencies and build output.
fn markdown_files() -> Vec<PathBuf> {
    files_below(&workspace_root(), "md", &is_ignored)
}

/// Returns whether a folder contains dependencies, build output, generated clients or data.
fn is_ignored(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    ["target", "node_modules", ".atlashub", ".git"].contains(&name) || name.starts_with(".generated-")
}

/// Returns the top-level module: `data` for `host/src/data/plan/mod.rs`, `app` for `host/src/app.rs`.
fn module_of(file: &Path) -> String {
    let below = file.strip_prefix(workspace_root().join("host/src")).unwrap();
    let first = Path::new(below.components().next().unwrap().as_os_str());
    first.file_stem().unwrap().to_str().unwrap().to_owned()
}

/// Returns every `.rs` file below a folder of the workspace, or none if the folder does not exist.
fn sources(folder: &str) -> Vec<PathBuf> {
    files_below(&workspace_root().join(folder), "rs", &|_| false)
}

/// Returns the files with this extension below a folder, sorted, without ignored folders.
fn files_below(folder: &Path, extension: &str, is_ignored: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()).filter(|path| !is_ignored(path)) {
        if path.is_dir() && !path.is_symlink() {
            files.extend(files_below(&path, extension, is_ignored));
        } else if path.extension().is_some_and(|found| found == extension) {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn workspace_path(path: &Path) -> String {
    path.strip_prefix(workspace_root()).unwrap_or(path).display().to_string()
}
