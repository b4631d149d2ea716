use std::{collections::HashMap, fmt, path::Path, str::FromStr};

use super::variables::VARIABLES;

/// A value that is never printed.
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

/// One line: the variable, what is wrong with it, and the remedy.
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

/// The variables as given: the environment over `.env`. An empty value counts as not set.
#[derive(Debug, Default, Clone)]
pub struct Vars {
    values: HashMap<String, String>,
}

impl Vars {
    /// The process's environment over a `.env` in the working folder.
    pub fn from_process() -> Result<Self, ConfigError> {
        let mut values = HashMap::new();
        match dotenvy::from_filename_iter(".env") {
            Ok(entries) => {
                for entry in entries {
                    let (name, value) = entry.map_err(|error| {
                        ConfigError::new(".env", format!("can't be read ({error})"), "mend the line")
                    })?;
                    values.insert(name, value);
                }
            }
            Err(error) if error.not_found() => {}
            Err(error) => {
                return Err(ConfigError::new(".env", format!("can't be read ({error})"), "mend or remove the file"));
            }
        }
        values.extend(std::env::vars());
        Ok(Self { values })
    }

    pub fn from_pairs<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        Self { values: pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect() }
    }

    pub fn text(&self, name: &str) -> Result<Option<String>, ConfigError> {
        debug_assert!(VARIABLES.iter().any(|variable| variable.name == name), "{name} is not in the table");
        Ok(self.values.get(name).map(|value| value.trim()).filter(|value| !value.is_empty()).map(str::to_owned))
    }

    pub fn text_or(&self, name: &str, default: &str) -> Result<String, ConfigError> {
        Ok(self.text(name)?.unwrap_or_else(|| default.to_owned()))
    }

    /// `NAME`, or the content of the file that `NAME_FILE` names.
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
                        "mend the path or the file's mode",
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

    pub fn parsed<T: FromStr>(&self, name: &str, expected: &str) -> Result<Option<T>, ConfigError> {
        self.text(name)?
            .map(|text| {
                text.parse()
                    .map_err(|_| ConfigError::new(name, format!("is `{text}`"), format!("set it to {expected}")))
            })
            .transpose()
    }

    pub fn parsed_or<T: FromStr>(&self, name: &str, default: &str, expected: &str) -> Result<T, ConfigError> {
        let text = self.text_or(name, default)?;
        text.parse().map_err(|_| ConfigError::new(name, format!("is `{text}`"), format!("set it to {expected}")))
    }

    /// A whole number within bounds, both included.
    pub fn number_or(&self, name: &str, default: u64, min: u64, max: u64) -> Result<u64, ConfigError> {
        let expected = format!("a whole number from {min} to {max}");
        let value = self.parsed::<u64>(name, &expected)?.unwrap_or(default);
        if (min..=max).contains(&value) {
            Ok(value)
        } else {
            Err(ConfigError::new(name, format!("is `{value}`"), format!("set it to {expected}")))
        }
    }

    pub fn flag_or(&self, name: &str, default: bool) -> Result<bool, ConfigError> {
        match self.text(name)?.as_deref() {
            None => Ok(default),
            Some("true" | "1" | "on" | "yes") => Ok(true),
            Some("false" | "0" | "off" | "no") => Ok(false),
            Some(other) => Err(ConfigError::new(name, format!("is `{other}`"), "set it to `true` or `false`")),
        }
    }

    /// An `http` or `https` URL, without its trailing slash.
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
}
