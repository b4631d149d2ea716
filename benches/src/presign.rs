//! Measures how many upload URLs are signed per second, one after the other and without requests to a store.

use std::time::{Duration, Instant};

use anyhow::Result;
use atlashub::{
    config::{ExternalStorageConfig, Secret},
    object_store::{IfExists, ObjectStore, PutConditions},
};

pub async fn signatures_per_second(length: Duration) -> Result<f64> {
    let store = ObjectStore::new(&ExternalStorageConfig {
        endpoint: "http://127.0.0.1:3900".into(),
        public_endpoint: "https://files.example.com".into(),
        region: "us-east-1".into(),
        access_key_id: Secret::new("access-key"),
        secret_access_key: Secret::new("secret-key"),
        max_object_bytes: 5 << 30,
    });
    let begin = Instant::now();
    let mut signed = 0u32;
    while begin.elapsed() < length {
        for number in 0..100 {
            let key = format!("uploads/notes/{number}.png");
            let conditions =
                PutConditions { content_type: "image/png", content_length: None, if_exists: IfExists::Replace };
            store.presign_put("proj-bench", &key, conditions, Duration::from_secs(3600)).await?;
        }
        signed += 100;
    }
    Ok(f64::from(signed) / begin.elapsed().as_secs_f64())
}
