//! Finds environment variables that AtlasHub does not know, for example misspelt ones.

use super::variables::VARIABLES;

const PREFIX: &str = "ATLASHUB_";
/// Prefixes of the variables of tests and benches.
const TOOL_PREFIXES: [&str; 2] = ["ATLASHUB_TEST_", "ATLASHUB_BENCH_"];
/// Variables of builds, tests and documented apps, which may share an environment with a server.
const OTHER_PROGRAMS: [&str; 8] = [
    "ATLASHUB_ADMIN_TOKEN",
    "ATLASHUB_API_URL",
    "ATLASHUB_FIRST_PARTY_KEY_FILE",
    "ATLASHUB_PLUGINS_FOLDER",
    "ATLASHUB_PUBLISHABLE_KEY",
    "ATLASHUB_SECRET_KEY",
    "ATLASHUB_URL",
    "ATLASHUB_WRITE_DOCS",
];

/// A variable whose name begins with `ATLASHUB_`, but that AtlasHub does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownVariable {
    pub name: String,
    /// The variable that was probably meant.
    pub similar: Option<String>,
}

/// Returns the unknown variables among these names, in alphabetical order.
pub(super) fn unknown_variables<'a>(names: impl Iterator<Item = &'a str>) -> Vec<UnknownVariable> {
    let known = known_names();
    let is_known = |name: &str| {
        known.iter().any(|known| known == name)
            || OTHER_PROGRAMS.contains(&name)
            || TOOL_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    };
    let mut unknown: Vec<&str> = names.filter(|name| name.starts_with(PREFIX) && !is_known(name)).collect();
    unknown.sort_unstable();
    unknown
        .into_iter()
        .map(|name| UnknownVariable { name: name.to_owned(), similar: most_similar(name, &known) })
        .collect()
}

/// Returns the names of all variables, and `NAME_FILE` for each secret.
pub(super) fn known_names() -> Vec<String> {
    let names = VARIABLES.iter().flat_map(|variable| {
        let file = variable.secret.then(|| format!("{}_FILE", variable.name));
        std::iter::once(variable.name.to_owned()).chain(file)
    });
    names.collect()
}

/// Returns the known name that differs from `name` in the fewest characters, if these are at most a third of the part
/// after the prefix.
fn most_similar(name: &str, known: &[String]) -> Option<String> {
    let own = name.strip_prefix(PREFIX)?;
    let distances = known.iter().filter_map(|known| Some((distance(own, known.strip_prefix(PREFIX)?), known)));
    let (distance, known) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= own.chars().count() / 3).then(|| known.clone())
}

/// Returns the number of characters to insert, remove or replace to get from one text to the other.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    // The distances between the part of `left` that was compared so far and each beginning of `right`.
    let mut distances: Vec<usize> = (0..=right.len()).collect();
    for (row, left) in left.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut distances[0], row + 1);
        for (column, right) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = distances[column + 1];
            distances[column + 1] = replaced.min(diagonal + 1).min(distances[column] + 1);
        }
    }
    distances[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_variables_are_found_with_the_most_similar_known_one() {
        let check = |name: &str, expected: Option<Option<&str>>| {
            let found = unknown_variables(std::iter::once(name));
            let similar = found.first().map(|variable| variable.similar.as_deref());
            assert_eq!(similar, expected, "{name}");
        };
        check("ATLASHUB_TYPO", Some(None));
        check("ATLASHUB_MAX_CONECTIONS", Some(Some("ATLASHUB_MAX_CONNECTIONS")));
        check("ATLASHUB_DATABASE_URL_FIEL", Some(Some("ATLASHUB_DATABASE_URL_FILE")));
        // Only secrets can be read from a file.
        check("ATLASHUB_LOG_FILE", Some(None));
        for known in ["ATLASHUB_LOG", "ATLASHUB_DATABASE_URL_FILE", "ATLASHUB_TEST_GARAGE_BIN", "HOME", "atlashub_x"] {
            check(known, None);
        }
    }

    #[test]
    fn distance_counts_inserted_removed_and_replaced_characters() {
        for (left, right, expected) in [("", "ab", 2), ("ab", "ab", 0), ("abc", "ac", 1), ("kitten", "sitting", 3)] {
            assert_eq!((distance(left, right), distance(right, left)), (expected, expected), "{left} {right}");
        }
    }
}
