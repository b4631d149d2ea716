//! Checks job parameters against the JSON Schemas in the plugin's manifest.

use std::{collections::BTreeMap, num::NonZeroUsize, sync::Arc, time::Duration};

use jsonschema::{Draft, PatternOptions, Retrieve, Uri, Validator};
use lru::LruCache;
use parking_lot::Mutex;
use plugin_manifest::Manifest;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::{Refusal, problems::problems, schema_bounds};
use crate::jobs::RunRefusal;

/// Maximum number of concurrent checks of one plugin. Each takes a blocking thread.
const MAX_CONCURRENT_CHECKS: usize = 2;
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum size of one compiled `pattern`, in bytes.
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// Maximum number of cached parameter sets that are known to be valid. A job's parameters are the same in all of its
/// runs.
const MAX_CACHED_PARAMS: NonZeroUsize = NonZeroUsize::new(256).unwrap();
/// Maximum length, in bytes, of parameters that are cached.
const MAX_CACHED_BYTES: usize = 4 << 10;

/// The schema of a job's parameters.
struct CompiledSchema {
    source: Value,
    validator: Validator,
}

/// The compiled schemas of one plugin's jobs.
#[derive(Clone)]
pub struct ParamsSchemas {
    plugin: String,
    jobs: Arc<BTreeMap<String, CompiledSchema>>,
    permits: Arc<Semaphore>,
    /// Names of jobs, by the requested name and the parameters. Contains only valid parameters.
    valid: Arc<Mutex<LruCache<(String, String), String>>>,
}

impl ParamsSchemas {
    /// Compiles the schemas of a manifest.
    ///
    /// # Errors
    /// Returns [`Refusal::ParamsSchema`] for the first schema that is invalid or may need unbounded work.
    pub fn compile(manifest: &Manifest) -> Result<Self, Refusal> {
        let mut jobs = BTreeMap::new();
        for job in &manifest.jobs {
            let schema = compile(&job.params_schema)
                .map_err(|problem| Refusal::ParamsSchema { job: job.name.clone(), problem })?;
            jobs.insert(job.name.clone(), schema);
        }
        Ok(Self {
            plugin: manifest.name.clone(),
            jobs: Arc::new(jobs),
            permits: Arc::new(Semaphore::new(MAX_CONCURRENT_CHECKS)),
            valid: Arc::new(Mutex::new(LruCache::new(MAX_CACHED_PARAMS))),
        })
    }

    /// Checks parameters on a blocking thread and returns the job's name.
    ///
    /// An empty `job` means the plugin's only job, or the job named like the plugin.
    ///
    /// # Errors
    /// Returns [`RunRefusal::UnknownJob`] or [`RunRefusal::Params`]. The latter is also returned if the check times
    /// out.
    pub async fn check_async(&self, job: &str, params: &Value) -> Result<String, RunRefusal> {
        self.check_within(CHECK_TIMEOUT, job, params).await
    }

    async fn check_within(&self, timeout: Duration, job: &str, params: &Value) -> Result<String, RunRefusal> {
        let key = (job.to_owned(), params.to_string());
        if let Some(name) = self.valid.lock().get(&key) {
            return Ok(name.clone());
        }
        let (schemas, permits) = (self.clone(), Arc::clone(&self.permits));
        let (job, params) = (job.to_owned(), params.clone());
        let check = async {
            let permit = permits.acquire_owned().await.ok()?;
            let checking = tokio::task::spawn_blocking(move || {
                // A check that timed out keeps its permit until its thread has finished.
                let _permit = permit;
                schemas.check(&job, &params)
            });
            checking.await.ok()
        };
        let outcome = tokio::time::timeout(timeout, check).await.ok().flatten().unwrap_or_else(|| {
            let problem = format!("checking the parameters exceeded the timeout of {} s", timeout.as_secs());
            Err(RunRefusal::Params { problems: vec![(String::new(), problem)] })
        });
        if let Ok(name) = &outcome
            && key.1.len() <= MAX_CACHED_BYTES
        {
            self.valid.lock().put(key, name.clone());
        }
        outcome
    }

    fn check(&self, job: &str, params: &Value) -> Result<String, RunRefusal> {
        let entry = match self.jobs.iter().next() {
            Some(only) if job.is_empty() && self.jobs.len() == 1 => Some(only),
            _ if job.is_empty() => self.jobs.get_key_value(&self.plugin),
            _ => self.jobs.get_key_value(job),
        };
        let Some((name, schema)) = entry else {
            return Err(RunRefusal::UnknownJob {
                plugin: self.plugin.clone(),
                job: job.to_owned(),
                known: self.jobs.keys().cloned().collect(),
            });
        };
        let problems = problems(&schema.validator, &schema.source, &sorted(params));
        if problems.is_empty() { Ok(name.clone()) } else { Err(RunRefusal::Params { problems }) }
    }
}

impl std::fmt::Debug for ParamsSchemas {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParamsSchemas").field("plugin", &self.plugin).finish_non_exhaustive()
    }
}

fn compile(schema: &Value) -> Result<CompiledSchema, String> {
    schema_bounds::check(schema)?;
    let source = sorted(schema);
    let validator = jsonschema::options()
        .with_draft(Draft::Draft202012)
        .with_retriever(NoRetriever)
        // The regex crate matches every pattern in linear time.
        .with_pattern_options(PatternOptions::regex().size_limit(MAX_PATTERN_BYTES))
        .build(&source)
        .map_err(|error| error.to_string())?;
    Ok(CompiledSchema { source, validator })
}

/// Returns the value with the members of all objects in the order of their names. The validator's comparison of objects
/// depends on the order of their members, and the database stores parameters in another order than the client sends
/// them.
fn sorted(value: &Value) -> Value {
    let mut value = value.clone();
    value.sort_all_objects();
    value
}

/// Rejects references to other documents.
struct NoRetriever;

impl Retrieve for NoRetriever {
    fn retrieve(&self, uri: &Uri<String>) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
        Err(format!("it refers to `{uri}`; references to other documents are not supported").into())
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
    fn order_of_members_does_not_affect_validation() {
        let schema = json!({"type": "object", "properties": {
            "one": {"enum": [{"b": 1, "a": 2}]},
            "set": {"type": "array", "uniqueItems": true},
        }});
        let schemas = schemas(&[("greet", schema)]).unwrap();
        for one in [json!({"a": 2, "b": 1}), json!({"b": 1, "a": 2})] {
            assert_eq!(schemas.check("greet", &json!({"one": one})), Ok("greet".into()));
        }
        let same_items = json!({"set": [{"a": 1, "b": 2}, {"b": 2, "a": 1}]});
        assert!(schemas.check("greet", &same_items).is_err());
    }

    #[test]
    fn problems_contain_pointers_but_no_values() {
        let schema = json!({"type": "object", "required": ["to"], "additionalProperties": false,
        "properties": {
            "to": {"type": "string", "pattern": "^[a-z]+$"},
            "times": {"type": "array", "items": {"type": "integer"}},
        }});
        let schemas = schemas(&[("greet", schema)]).unwrap();
        let check = |params: Value, expected: &[&str]| {
            let outcome = match schemas.check("greet", &params) {
                Ok(job) => vec![job],
                Err(RunRefusal::Params { problems }) => {
                    assert!(problems.iter().all(|(_, what)| !what.contains("hunter2")), "{problems:?}");
                    problems.into_iter().map(|(at, _)| at).collect()
                }
                Err(other) => panic!("{other}"),
            };
            assert_eq!(outcome, expected, "{params}");
        };
        check(json!({"to": "you"}), &["greet"]);
        check(json!({}), &["/"]);
        check(json!({"to": "hunter2"}), &["/to"]);
        check(json!({"to": "you", "times": [1, "hunter2", 3]}), &["/times/1"]);
        check(json!([]), &["/"]);
    }

    #[test]
    fn problems_of_optional_values_name_the_wrong_member_and_what_is_valid() {
        let policy = json!({"type": "object", "additionalProperties": false,
            "properties": {"daily": {"type": "integer", "minimum": 0}, "last": {"type": "integer", "minimum": 0}},
            "not": {"type": "object", "description": "set `daily` or `last`",
                "properties": {"daily": {"const": 0}, "last": {"const": 0}}}});
        for alternatives in ["anyOf", "oneOf"] {
            let optional = json!({alternatives: [{"$ref": "#/$defs/Policy"}, {"type": "null"}]});
            let schema = json!({"type": "object", "properties": {"keep": optional}, "$defs": {"Policy": policy}});
            let schemas = schemas(&[("greet", schema)]).unwrap();
            let problems = |keep: Value| match schemas.check("greet", &json!({"keep": keep})) {
                Ok(_) => Vec::new(),
                Err(RunRefusal::Params { problems }) => problems,
                Err(other) => panic!("{other}"),
            };
            let at = |pointer: &str, problem: &str| (pointer.to_owned(), problem.to_owned());
            for valid in [Value::Null, json!({"daily": 1}), json!({"daily": 0, "last": 2})] {
                assert!(problems(valid.clone()).is_empty(), "{valid}");
            }
            for empty in [json!({}), json!({"last": 0}), json!({"daily": 0, "last": 0})] {
                assert_eq!(problems(empty.clone()), [at("/keep", "set `daily` or `last`")], "{empty}");
            }
            let negative = problems(json!({"daily": -1}));
            assert_eq!(negative, [at("/keep/daily", "value is less than the minimum of 0")]);
            let unknown = problems(json!({"dayly": 3, "daily": 1}));
            let [(pointer, problem)] = unknown.as_slice() else { panic!("{unknown:?}") };
            assert_eq!(pointer, "/keep");
            assert!(problem.contains("'dayly'") && problem.ends_with("names are `daily`, `last`"), "{problem}");
            assert_eq!(problems(json!(3)), [at("/keep", "value is not of type \"object\"")]);
        }
    }

    #[tokio::test]
    async fn slow_check_times_out() {
        let schemas = schemas(&[("greet", json!({"type": "object"}))]).unwrap();
        assert_eq!(schemas.check_async("greet", &json!({})).await, Ok("greet".into()));
        // Stands for two checks that never end.
        let _permits = schemas.permits.acquire_many(2).await.unwrap();
        let refused = schemas.check_within(Duration::from_millis(1), "greet", &json!({"a": 1})).await;
        let message = "checking the parameters exceeded the timeout of 0 s";
        assert_eq!(refused.unwrap_err().to_string(), message);
        // Cached parameters need no check.
        assert_eq!(schemas.check_async("greet", &json!({})).await, Ok("greet".into()));
    }

    #[test]
    fn exponential_schema_is_rejected_before_compilation() {
        let mut definitions = json!({"a40": {"type": "object"}});
        for level in 0..40 {
            let next = format!("#/$defs/a{}", level + 1);
            definitions[format!("a{level}")] = json!({"allOf": [{"$ref": next}, {"$ref": next, "title": "x"}]});
        }
        let schema = json!({"type": "object", "$ref": "#/$defs/a0", "$defs": definitions});
        assert!(matches!(schemas(&[("greet", schema)]), Err(Refusal::ParamsSchema { .. })));
    }

    #[test]
    fn job_name_is_optional_for_a_single_job() {
        let any = json!({"type": "object"});
        assert_eq!(schemas(&[("a-job", any.clone())]).unwrap().check("", &json!({})), Ok("a-job".into()));
        let two = schemas(&[("a-job", any.clone()), ("b-job", any)]).unwrap();
        let known = vec!["a-job".to_owned(), "b-job".to_owned()];
        let refusal = RunRefusal::UnknownJob { plugin: "hello".into(), job: String::new(), known };
        assert_eq!(two.check("", &json!({})), Err(refusal));
    }

    #[test]
    fn references_to_other_documents_are_rejected() {
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
