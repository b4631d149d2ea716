//! Parameters of jobs, against the JSON Schemas of the plugin's manifest.

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jsonschema::{Draft, PatternOptions, Retrieve, Uri, Validator};
use lru::LruCache;
use plugin_manifest::Manifest;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::{schema_bounds, trust::Refusal};
use crate::jobs::RunRefusal;

/// Most problems that are told at once.
const MAX_PROBLEMS: usize = 20;
/// Checks of one plugin at one time: each takes a thread of the host.
const CHECKS: usize = 2;
/// What a check may take.
const LONGEST: Duration = Duration::from_secs(5);
/// Of one pattern of a schema, compiled, in bytes.
const PATTERN_BYTES: usize = 1 << 20;

/// Parameters that fitted: those of a job are the same at each of its runs.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(256).unwrap();
/// Longer ones, in bytes, are checked each time.
const LONGEST_REMEMBERED: usize = 4 << 10;

/// The schemas of one plugin's jobs, compiled once.
#[derive(Clone)]
pub struct ParamsSchemas {
    plugin: String,
    jobs: Arc<BTreeMap<String, Validator>>,
    places: Arc<Semaphore>,
    /// The job as it was called and its parameters, with the job's name.
    fitted: Arc<Mutex<LruCache<(String, String), String>>>,
}

impl ParamsSchemas {
    pub fn compile(manifest: &Manifest) -> Result<Self, Refusal> {
        let mut jobs = BTreeMap::new();
        for job in &manifest.jobs {
            let validator = compile(&job.params_schema)
                .map_err(|problem| Refusal::ParamsSchema { job: job.name.clone(), problem })?;
            jobs.insert(job.name.clone(), validator);
        }
        Ok(Self {
            plugin: manifest.name.clone(),
            jobs: Arc::new(jobs),
            places: Arc::new(Semaphore::new(CHECKS)),
            fitted: Arc::new(Mutex::new(LruCache::new(REMEMBERED))),
        })
    }

    /// As [`ParamsSchemas::check`], on a thread that may be kept busy, and for a bounded time: whatever author and owner
    /// wrote, the host goes on.
    pub async fn check_in_time(&self, job: &str, params: &Value) -> Result<String, RunRefusal> {
        self.check_within(LONGEST, job, params).await
    }

    async fn check_within(&self, longest: Duration, job: &str, params: &Value) -> Result<String, RunRefusal> {
        let key = (job.to_owned(), params.to_string());
        if let Some(name) = self.fitted.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(name.clone());
        }
        let (schemas, places) = (self.clone(), Arc::clone(&self.places));
        let (job, params) = (job.to_owned(), params.clone());
        let checked = async {
            let place = places.acquire_owned().await.ok()?;
            let checking = tokio::task::spawn_blocking(move || {
                // Given back when it really ends.
                let _place = place;
                schemas.check(&job, &params)
            });
            checking.await.ok()
        };
        let outcome = tokio::time::timeout(longest, checked).await.ok().flatten().unwrap_or_else(|| {
            let problem = format!("checking them took more than {} s and was given up", longest.as_secs());
            Err(RunRefusal::Params { problems: vec![(pointer(""), problem)] })
        });
        if let Ok(name) = &outcome
            && key.1.len() <= LONGEST_REMEMBERED
        {
            self.fitted.lock().unwrap_or_else(PoisonError::into_inner).put(key, name.clone());
        }
        outcome
    }

    /// The job's name, where the parameters fit it. Empty means the plugin's only one, or the one that is called like the plugin.
    fn check(&self, job: &str, params: &Value) -> Result<String, RunRefusal> {
        let found = match self.jobs.iter().next() {
            Some(only) if job.is_empty() && self.jobs.len() == 1 => Some(only),
            _ if job.is_empty() => self.jobs.get_key_value(&self.plugin),
            _ => self.jobs.get_key_value(job),
        };
        let Some((name, validator)) = found else {
            return Err(RunRefusal::UnknownJob {
                plugin: self.plugin.clone(),
                job: job.to_owned(),
                known: self.jobs.keys().cloned().collect(),
            });
        };
        let problems: Vec<(String, String)> = validator
            .iter_errors(params)
            .take(MAX_PROBLEMS)
            // Values may be what an owner would not want in a log.
            .map(|error| (pointer(error.instance_path().as_str()), error.masked().to_string()))
            .collect();
        if problems.is_empty() { Ok(name.clone()) } else { Err(RunRefusal::Params { problems }) }
    }
}

impl std::fmt::Debug for ParamsSchemas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParamsSchemas").field("plugin", &self.plugin).finish_non_exhaustive()
    }
}

/// The parameters themselves have an empty pointer, which nobody would see in a message.
fn pointer(pointer: &str) -> String {
    if pointer.is_empty() { "/".to_owned() } else { pointer.to_owned() }
}

fn compile(schema: &Value) -> Result<Validator, String> {
    schema_bounds::check(schema)?;
    jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_retriever(Nothing)
        // Linear in the input, whatever the pattern: no schema can hold up the host.
        .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_BYTES))
        .build(schema)
        .map_err(|error| error.to_string())
}

/// A schema is whole in itself: no reference leads out of it.
struct Nothing;

impl Retrieve for Nothing {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Err(format!("it refers to `{uri}`, and a schema may refer to nothing outside itself").into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schemas(jobs: &[(&str, Value)]) -> Result<ParamsSchemas, Refusal> {
        let jobs: Vec<_> = jobs
            .iter()
            .map(|(name, schema)| json!({"name": name, "description": "Does it.", "paramsSchema": schema}))
            .collect();
        let manifest = json!({
            "name": "hello", "version": "1", "serial": 1, "publisher": "Someone", "description": "Says hello.",
            "jobs": jobs,
        });
        ParamsSchemas::compile(&Manifest::from_json(manifest.to_string().as_bytes()).unwrap())
    }

    #[test]
    fn problems_name_their_place_and_not_the_value() {
        let schema = json!({"type": "object", "required": ["to"], "additionalProperties": false,
            "properties": {"to": {"type": "string", "pattern": "^[a-z]+$"}, "times": {"type": "array", "items": {"type": "integer"}}}});
        let schemas = schemas(&[("greet", schema)]).unwrap();
        let check = |params: Value, expected: &[&str]| {
            let found = match schemas.check("greet", &params) {
                Ok(job) => vec![job],
                Err(RunRefusal::Params { problems }) => {
                    assert!(problems.iter().all(|(_, what)| !what.contains("hunter2")), "{problems:?}");
                    problems.into_iter().map(|(at, _)| at).collect()
                }
                Err(other) => panic!("{other}"),
            };
            assert_eq!(found, expected, "{params}");
        };
        check(json!({"to": "you"}), &["greet"]);
        check(json!({}), &["/"]);
        check(json!({"to": "hunter2"}), &["/to"]);
        check(json!({"to": "you", "times": [1, "hunter2", 3]}), &["/times/1"]);
        check(json!([]), &["/"]);
    }

    #[tokio::test]
    async fn a_check_is_given_up_when_it_takes_long() {
        let schemas = schemas(&[("greet", json!({"type": "object"}))]).unwrap();
        assert_eq!(schemas.check_in_time("greet", &json!({})).await, Ok("greet".into()));
        // Two that never end hold the places.
        let _places = schemas.places.acquire_many(2).await.unwrap();
        let refused = schemas.check_within(Duration::from_millis(1), "greet", &json!({"a": 1})).await;
        assert!(matches!(refused, Err(RunRefusal::Params { .. })), "{refused:?}");
        // What fitted once fits without a check.
        assert_eq!(schemas.check_in_time("greet", &json!({})).await, Ok("greet".into()));
    }

    #[test]
    fn a_schema_that_explodes_is_refused_before_it_is_compiled() {
        let mut definitions = json!({"a40": {"type": "object"}});
        for level in 0..40 {
            let next = format!("#/$defs/a{}", level + 1);
            definitions[format!("a{level}")] = json!({"allOf": [{"$ref": next}, {"$ref": next, "title": "x"}]});
        }
        let schema = json!({"type": "object", "$ref": "#/$defs/a0", "$defs": definitions});
        assert!(matches!(schemas(&[("greet", schema)]), Err(Refusal::ParamsSchema { .. })));
    }

    #[test]
    fn an_only_job_needs_no_name() {
        let any = json!({"type": "object"});
        assert_eq!(schemas(&[("a-job", any.clone())]).unwrap().check("", &json!({})), Ok("a-job".into()));
        let two = schemas(&[("a-job", any.clone()), ("b-job", any)]).unwrap();
        let known = vec!["a-job".to_owned(), "b-job".to_owned()];
        let refusal = RunRefusal::UnknownJob { plugin: "hello".into(), job: String::new(), known };
        assert_eq!(two.check("", &json!({})), Err(refusal));
    }

    #[test]
    fn a_schema_refers_to_nothing_outside_itself() {
        let inside =
            json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"type": "null"}}});
        assert!(schemas(&[("greet", inside)]).is_ok());
        for uri in ["http://127.0.0.1:1/schema", "https://example.com/s", "file:///etc/passwd", "other.json"] {
            let outside = json!({"type": "object", "properties": {"a": {"$ref": uri}}});
            assert!(matches!(schemas(&[("greet", outside)]), Err(Refusal::ParamsSchema { .. })), "{uri}");
        }
        assert!(schemas(&[("greet", json!({"type": "object", "properties": 3}))]).is_err());
    }
}
