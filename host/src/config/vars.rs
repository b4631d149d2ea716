//! Reads and parses environment variables and `.env`.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
    fmt,
    ops::RangeInclusive,
    path::Path,
    str::FromStr,
};

use api_types::{ConfigurationSource, ConfigurationVariable};

use super::{
    unknown_variables::{UnknownVariable, known_names, unknown_variables},
    variables::{VARIABLES, Variable},
};

/// A secret. Its `Debug` output does not contain it, and its memory is cleared when it is dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(zeroize::Zeroizing<String>);

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(zeroize::Zeroizing::new(value.into()))
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A missing or invalid variable. Its `Display` output is one line: the variable, the problem, the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} {problem}: {remedy}.")]
pub struct ConfigError {
    pub variable: String,
    pub problem: String,
    pub remedy: String,
}

impl ConfigError {
    pub fn new(variable: &str, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { variable: variable.to_owned(), problem: problem.into(), remedy: remedy.into() }
    }
}

/// The variables of the environment and of `.env`; the environment takes precedence. An empty value counts as not set.
#[derive(Debug, Default, Clone)]
pub struct Vars {
    values: HashMap<String, String>,
    /// The variables whose value is that of `.env`.
    from_dotenv: HashSet<String>,
}

/// Returns the error for a `.env` that can't be read or parsed. For a line that can't be parsed, it contains the line's
/// number, and not its text, which may be a secret.
fn unreadable_line(error: &dotenvy::Error) -> ConfigError {
    let dotenvy::Error::LineParse(line, _) = error else {
        return ConfigError::new(".env", format!("can't be read ({error})"), "correct the file");
    };
    // The file may be in a folder above, too.
    let folder = std::env::current_dir().unwrap_or_default();
    let text = folder.ancestors().find_map(|folder| std::fs::read_to_string(folder.join(".env")).ok());
    let number = text.and_then(|text| number_of_line(&text, line));
    let place = number.map_or_else(String::new, |number| format!(" at line {number}"));
    ConfigError::new(
        ".env",
        format!("can't be read{place}"),
        "write NAME=value, and put a value with spaces, quotes or special characters in single quotes",
    )
}

/// Returns the number of a line, which may continue on the next ones, or end before a comment.
fn number_of_line(text: &str, line: &str) -> Option<usize> {
    let mut rest = text;
    let mut number = 1;
    loop {
        let found = rest.trim_start_matches('\u{feff}').strip_prefix(line);
        if found.is_some_and(|after| after.is_empty() || after.starts_with(['\n', '\r', '#'])) {
            return Some(number);
        }
        rest = rest.split_once('\n')?.1;
        number += 1;
    }
}

impl Vars {
    /// Reads the environment of the process, and `.env` in the working folder or in the nearest folder above that has
    /// one.
    ///
    /// # Errors
    /// Fails if `.env` exists, but can't be read or parsed, or if the value of a known variable is not UTF-8.
    pub fn from_process() -> Result<Self, ConfigError> {
        let mut values = HashMap::new();
        match dotenvy::from_filename_iter(".env") {
            Ok(entries) => {
                for entry in entries {
                    let (name, value) = entry.map_err(|error| unreadable_line(&error))?;
                    values.insert(name, value);
                }
            }
            Err(error) if error.not_found() => {}
            Err(error) => {
                return Err(ConfigError::new(".env", format!("can't be read ({error})"), "correct or remove the file"));
            }
        }
        let from_dotenv = values.keys().cloned().collect();
        let mut vars = Self { values, from_dotenv };
        vars.add_environment(std::env::vars_os())?;
        Ok(vars)
    }

    /// Adds the variables of an environment, which replace those of `.env`. Ignores variables of other programs that
    /// are not UTF-8.
    pub(super) fn add_environment(
        &mut self,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<(), ConfigError> {
        for (name, value) in environment {
            let Ok(name) = name.into_string() else { continue };
            match value.into_string() {
                Ok(value) => {
                    self.from_dotenv.remove(&name);
                    self.values.insert(name, value);
                }
                Err(_) if known_names().contains(&name) => {
                    return Err(ConfigError::new(&name, "is not UTF-8", "correct its value"));
                }
                Err(_) => {}
            }
        }
        Ok(())
    }

    pub fn from_pairs<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        Self {
            values: pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
            from_dotenv: HashSet::new(),
        }
    }

    /// Returns the value, or `None` if it is not set.
    pub fn text(&self, name: &str) -> Result<Option<String>, ConfigError> {
        debug_assert!(VARIABLES.iter().any(|variable| variable.name == name), "{name} is not in `VARIABLES`");
        Ok(self.values.get(name).map(|value| value.trim()).filter(|value| !value.is_empty()).map(str::to_owned))
    }

    /// Returns the value, or the default of [`VARIABLES`].
    pub fn text_or_default(&self, name: &str) -> Result<String, ConfigError> {
        Ok(self.text(name)?.unwrap_or_else(|| default_of(name).to_owned()))
    }

    /// Returns the value, or `default`, which the caller determines.
    pub fn text_or(&self, name: &str, default: &str) -> Result<String, ConfigError> {
        Ok(self.text(name)?.unwrap_or_else(|| default.to_owned()))
    }

    pub fn is_set(&self, name: &str) -> bool {
        self.text(name).is_ok_and(|text| text.is_some())
    }

    /// Returns the value of `NAME`, or the content of the file that `NAME_FILE` names.
    ///
    /// # Errors
    /// Fails if both are set, or if the file can't be read or is empty.
    pub fn secret(&self, name: &str) -> Result<Option<Secret>, ConfigError> {
        let file_name = format!("{name}_FILE");
        let file = self.values.get(&file_name).map(|value| value.trim()).filter(|value| !value.is_empty());
        match (self.text(name)?, file) {
            (Some(_), Some(_)) => {
                Err(ConfigError::new(name, format!("and {file_name} are both set"), "keep one of them"))
            }
            (Some(value), None) => Ok(Some(Secret::new(value))),
            (None, Some(path)) => {
                let content = std::fs::read_to_string(Path::new(path)).map_err(|error| {
                    ConfigError::new(
                        &file_name,
                        format!("names `{path}`, which can't be read ({error})"),
                        "correct the path or the file's mode",
                    )
                })?;
                if content.trim().is_empty() {
                    return Err(ConfigError::new(
                        &file_name,
                        format!("names `{path}`, which is empty"),
                        "write the secret into it",
                    ));
                }
                Ok(Some(Secret::new(content.trim())))
            }
            (None, None) => Ok(None),
        }
    }

    /// Returns the variables that are set, begin with `ATLASHUB_` and are not known.
    pub fn unknown(&self) -> Vec<UnknownVariable> {
        let is_set = |(_, value): &(&String, &String)| !value.trim().is_empty();
        unknown_variables(self.values.iter().filter(is_set).map(|(name, _)| name.as_str()))
    }

    /// Returns every variable with its value and source, without the values of secrets.
    pub fn report(&self) -> Vec<ConfigurationVariable> {
        VARIABLES.iter().map(|variable| self.report_of(variable)).collect()
    }

    fn report_of(&self, variable: &Variable) -> ConfigurationVariable {
        let is_set = |name: &str| self.values.get(name).is_some_and(|value| !value.trim().is_empty());
        let file_name = format!("{}_FILE", variable.name);
        let source = if is_set(variable.name) {
            match self.from_dotenv.contains(variable.name) {
                true => ConfigurationSource::Dotenv,
                false => ConfigurationSource::Environment,
            }
        } else if variable.secret && is_set(&file_name) {
            ConfigurationSource::File
        } else {
            ConfigurationSource::Default
        };
        let default = Some(variable.default).filter(|default| !default.is_empty());
        // A formula is not a value.
        let fixed_default = default.filter(|default| !default.starts_with('<') && !default.contains("<ATLASHUB"));
        let set_value = self.values.get(variable.name).map(|value| value.trim()).filter(|value| !value.is_empty());
        let value = set_value.or(fixed_default).filter(|_| !variable.secret).map(without_password);
        ConfigurationVariable {
            name: variable.name.to_owned(),
            value,
            default: default.map(str::to_owned),
            secret: variable.secret,
            set: source != ConfigurationSource::Default,
            source,
            meaning: variable.meaning.to_owned(),
        }
    }

    /// Parses the value, or returns `None` if it is not set. `expected` completes the sentence "set it to …".
    ///
    /// # Errors
    /// Fails if the value can't be parsed.
    pub fn parsed<T: FromStr>(&self, name: &str, expected: &str) -> Result<Option<T>, ConfigError> {
        self.text(name)?.map(|text| parse(name, &text, expected)).transpose()
    }

    /// Parses the value, or the default of [`VARIABLES`].
    ///
    /// # Errors
    /// Returns the errors of [`Self::parsed`].
    pub fn parsed_or_default<T: FromStr>(&self, name: &str, expected: &str) -> Result<T, ConfigError> {
        parse(name, &self.text_or_default(name)?, expected)
    }

    /// Parses a whole number within the bounds. Falls back to the default of [`VARIABLES`].
    ///
    /// # Errors
    /// Fails if the value is not such a number.
    pub fn number(&self, name: &str, bounds: RangeInclusive<u64>) -> Result<u64, ConfigError> {
        let expected = format!("a whole number from {} to {}", bounds.start(), bounds.end());
        let value: u64 = self.parsed_or_default(name, &expected)?;
        if bounds.contains(&value) {
            Ok(value)
        } else {
            Err(ConfigError::new(name, format!("is `{value}`"), format!("set it to {expected}")))
        }
    }

    /// Parses a whole number from `min` to `max`. Falls back to `default`, which the caller determines.
    ///
    /// # Errors
    /// Returns the errors of [`Self::number`].
    pub fn number_or(&self, name: &str, default: u64, min: u64, max: u64) -> Result<u64, ConfigError> {
        if self.is_set(name) { self.number(name, min..=max) } else { Ok(default) }
    }

    /// Parses a flag: `true`, `1`, `on` or `yes`, or `false`, `0`, `off` or `no`. Falls back to the default of
    /// [`VARIABLES`].
    ///
    /// # Errors
    /// Fails if the value is none of these words.
    pub fn flag(&self, name: &str) -> Result<bool, ConfigError> {
        match self.text_or_default(name)?.as_str() {
            "true" | "1" | "on" | "yes" => Ok(true),
            "false" | "0" | "off" | "no" => Ok(false),
            other => Err(ConfigError::new(name, format!("is `{other}`"), "set it to `true` or `false`")),
        }
    }

    /// Returns an `http` or `https` URL without its trailing slash, or `None` if it is not set.
    ///
    /// # Errors
    /// Fails if the value is not such a URL, or contains a query.
    pub fn url(&self, name: &str) -> Result<Option<String>, ConfigError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let valid = url::Url::parse(&text)
            .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none());
        if valid {
            Ok(Some(text.trim_end_matches('/').to_owned()))
        } else {
            Err(ConfigError::new(name, format!("is `{text}`"), "set it to a URL such as https://api.example.com"))
        }
    }

    /// Returns an `http` or `https` URL that consists of scheme, host and port, or `None` if it is not set. A trailing
    /// slash is removed.
    ///
    /// # Errors
    /// Fails if the value is not such a URL. The error does not contain the value, which may be a password.
    pub fn origin(&self, name: &str) -> Result<Option<String>, ConfigError> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        let origin = text.trim_end_matches('/');
        if is_origin(origin) {
            Ok(Some(origin.to_owned()))
        } else {
            Err(ConfigError::new(
                name,
                "is not a URL of scheme, host and port alone",
                "set it to a URL such as https://s3.example.com, without a path, a query or credentials",
            ))
        }
    }
}

/// Returns whether a text is scheme, host and port of an `http` or `https` URL.
fn is_origin(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && !text.contains('@')
    })
}

/// Removes the user name and password of a URL. Returns other values unchanged.
fn without_password(value: &str) -> String {
    match url::Url::parse(value) {
        Ok(mut url) if !url.username().is_empty() || url.password().is_some() => {
            // These calls fail only for URLs that can't contain a user name or password.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.to_string()
        }
        _ => value.to_owned(),
    }
}

fn parse<T: FromStr>(name: &str, text: &str, expected: &str) -> Result<T, ConfigError> {
    text.parse().map_err(|_| ConfigError::new(name, format!("is `{text}`"), format!("set it to {expected}")))
}

/// Returns the default of a variable; empty if it has none.
fn default_of(name: &str) -> &'static str {
    VARIABLES.iter().find(|variable| variable.name == name).map_or("", |variable| variable.default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_that_cannot_be_parsed_is_numbered_and_not_shown() {
        let text = "# first\nA=1\nA B=secret\nC='open\nD=2\n";
        let unclosed = text.replace("A B=secret\n", "");
        let problem = |text: &str| {
            let entries: Vec<_> = dotenvy::from_read_iter(text.as_bytes()).collect();
            entries.into_iter().find_map(Result::err).unwrap()
        };
        for (text, expected) in [(text, 3), (unclosed.as_str(), 3), ("A B=x # why\r\n", 1)] {
            let dotenvy::Error::LineParse(line, _) = problem(text) else { panic!("a line") };
            assert_eq!(number_of_line(text, &line), Some(expected), "{text}");
        }
        assert!(!unreadable_line(&problem(text)).to_string().contains("secret"));
    }
}
