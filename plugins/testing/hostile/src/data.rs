//! Jobs that use the capabilities `query`, `state` and `buckets`.

use std::time::Duration;

use atlashub_plugin_sdk::{
    buckets::{self, UploadOptions},
    objects,
    prelude::*,
    query::{self, Query},
    state::{self, Condition},
};
use serde_json::Value;

pub(crate) fn jobs(plugin: Plugin) -> Plugin {
    plugin
        .job("query", "Runs a query and returns its rows, or stores them.", run_query)
        .job("state", "Reads or changes an entry of its state.", use_state)
        .job("buckets", "Lists buckets, or signs an upload or a download.", use_buckets)
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RunQuery {
    database: String,
    sql: String,
    #[serde(default)]
    parameters: Vec<Option<String>>,
    #[serde(default)]
    timeout_ms: Option<u64>,
    /// Key of the object in which the rows are stored without being read. If null, they are returned.
    #[serde(default)]
    key: Option<String>,
}

async fn run_query(_run: Run, params: RunQuery) -> Result<Value> {
    let mut query = Query::new(&params.database, params.sql);
    for parameter in params.parameters {
        query = query.bind(parameter);
    }
    if let Some(timeout) = params.timeout_ms {
        query = query.timeout(Duration::from_millis(timeout));
    }
    let mut rows = query.rows().await?;
    let names = |column: &query::Column| json!([column.name, column.data_type]);
    let columns: Vec<Value> = rows.columns.iter().map(names).collect();
    if let Some(key) = params.key {
        let (stream, outcome) = rows.into_stream()?;
        let upload = objects::put(&params.database, &key, "application/x-ndjson", stream).await?;
        let info = outcome.wait().await?;
        let meta = upload.commit().await?;
        return Ok(json!({"rowCount": info.row_count, "bytes": meta.size_bytes}));
    }
    let mut all: Vec<Value> = Vec::new();
    while let Some(row) = rows.next().await? {
        all.push(row);
    }
    Ok(json!({"columns": columns, "rows": all}))
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UseState {
    act: StateAct,
    store: String,
    /// Key of the entry, or prefix of the listed keys.
    #[serde(default)]
    key: String,
    #[serde(default)]
    value: String,
    /// `absent`, or the version that the entry must have. Null for no condition.
    #[serde(default)]
    condition: Value,
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum StateAct {
    Get,
    Put,
    Delete,
    List,
}

async fn use_state(_run: Run, params: UseState) -> Result<Value> {
    let UseState { act, store, key, value, condition } = params;
    let condition = match condition.as_u64() {
        Some(version) => Condition::Version(version),
        None if condition == "absent" => Condition::Absent,
        None => Condition::Always,
    };
    Ok(match act {
        StateAct::Get => match state::get(&store, &key).await? {
            Some(entry) => json!({"value": String::from_utf8(entry.value)?, "version": entry.version}),
            None => Value::Null,
        },
        StateAct::Put => json!(state::put_if(&store, &key, value, condition).await?),
        StateAct::Delete => json!(state::delete_if(&store, &key, condition).await?),
        StateAct::List => {
            let (mut keys, mut cursor, mut pages) = (Vec::new(), None, 0);
            loop {
                let page = state::list(&store, &key, cursor).await?;
                keys.extend(page.keys);
                cursor = page.cursor;
                pages += 1;
                if cursor.is_none() {
                    break json!({"keys": keys, "pages": pages});
                }
            }
        }
    })
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UseBuckets {
    act: BucketAct,
    store: String,
    #[serde(default)]
    key: String,
    #[serde(default)]
    file_name: Option<String>,
    #[serde(default)]
    size_bytes: Option<u64>,
    #[serde(default)]
    max_size_bytes: Option<u64>,
    #[serde(default)]
    replace: bool,
    /// Number of URLs to sign, one after the other. The last one is returned.
    #[serde(default = "one")]
    count: u32,
}

fn one() -> u32 {
    1
}

#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum BucketAct {
    List,
    SignDownload,
    SignUpload,
}

async fn use_buckets(_run: Run, params: UseBuckets) -> Result<Value> {
    let UseBuckets { act, store, key, file_name, size_bytes, max_size_bytes, replace, count } = params;
    let mut signed = None;
    for _ in 0..count {
        signed = Some(match act {
            BucketAct::List => {
                let buckets = buckets::list(&store).await?;
                let bucket = |it: &buckets::Bucket| json!([it.name, it.object_count, it.object_bytes]);
                return Ok(buckets.iter().map(bucket).collect());
            }
            BucketAct::SignDownload => buckets::sign_download(&store, &key, file_name.as_deref()).await?,
            BucketAct::SignUpload => {
                let content_type = "text/plain".to_owned();
                let options = UploadOptions { content_type, size_bytes, max_size_bytes, replace };
                buckets::sign_upload(&store, &key, options).await?
            }
        });
    }
    let Some(signed) = signed else { return Ok(Value::Null) };
    Ok(json!({
        "url": signed.url, "method": signed.method, "headers": signed.headers, "expiresIn": signed.expires_in,
    }))
}
