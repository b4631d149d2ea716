//! Signs POST policies. A store accepts a browser form if its policy is signed and has not expired, its fields have the
//! values that the policy requires, and the length of its file is in the range that the policy allows.
//!
//! The SDK does not support POST policies. The signature follows AWS Signature Version 4, "Authenticating Requests:
//! Browser-Based Uploads Using POST".

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use chrono::{DateTime, SecondsFormat, Utc};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::ObjectStore;

/// The object that a form may upload.
#[derive(Debug, Clone)]
pub struct PostPolicy<'a> {
    pub bucket: &'a str,
    pub key: &'a str,
    pub content_type: &'a str,
    /// Allowed length in bytes.
    pub length: RangeInclusive<i64>,
    pub expires_in: Duration,
}

/// A form to send as `multipart/form-data`: first the fields, then the bytes as `file`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedPost {
    /// URL of the bucket at the public endpoint.
    pub url: String,
    pub fields: BTreeMap<String, String>,
}

impl ObjectStore {
    /// Signs a form that uploads one object. Needs no connection to the store.
    pub fn presign_post(&self, policy: &PostPolicy<'_>, now: DateTime<Utc>) -> SignedPost {
        let (access_key_id, secret_access_key) = self.credentials();
        let date = now.format("%Y%m%d").to_string();
        let mut fields = BTreeMap::from([
            ("key".to_owned(), policy.key.to_owned()),
            ("Content-Type".to_owned(), policy.content_type.to_owned()),
            ("x-amz-algorithm".to_owned(), "AWS4-HMAC-SHA256".to_owned()),
            ("x-amz-credential".to_owned(), format!("{access_key_id}/{date}/{}/s3/aws4_request", self.region())),
            ("x-amz-date".to_owned(), now.format("%Y%m%dT%H%M%SZ").to_string()),
        ]);
        let document = policy_document(policy, &fields, now);
        let encoded = BASE64.encode(document.to_string());
        fields.insert("x-amz-signature".to_owned(), sign_policy(secret_access_key, &date, self.region(), &encoded));
        fields.insert("policy".to_owned(), encoded);
        SignedPost { url: format!("{}/{}", self.public_endpoint(), policy.bucket), fields }
    }
}

/// Returns the policy. It fixes the value of every field: the store refuses a form with another value or another field.
fn policy_document(
    policy: &PostPolicy<'_>,
    fields: &BTreeMap<String, String>,
    now: DateTime<Utc>,
) -> serde_json::Value {
    let mut conditions = vec![
        json!({ "bucket": policy.bucket }),
        json!(["content-length-range", policy.length.start(), policy.length.end()]),
    ];
    conditions.extend(fields.iter().map(|(name, value)| json!(["eq", format!("${name}"), value])));
    json!({
        "expiration": (now + policy.expires_in).to_rfc3339_opts(SecondsFormat::Millis, true),
        "conditions": conditions,
    })
}

/// Returns the signature of a base64 policy in lowercase hex. `date` is `YYYYMMDD`.
fn sign_policy(secret_access_key: &str, date: &str, region: &str, policy: &str) -> String {
    let secret = Zeroizing::new(format!("AWS4{secret_access_key}"));
    let mut key = hmac_sha256(secret.as_bytes(), date);
    for scope in [region, "s3", "aws4_request"] {
        key = hmac_sha256(&key, scope);
    }
    hex::encode(hmac_sha256(&key, policy))
}

fn hmac_sha256(key: &[u8], message: &str) -> [u8; 32] {
    // HMAC accepts keys of any length: a key longer than the block is hashed first.
    let mut block = [0_u8; 64];
    if key.len() <= block.len() {
        block[..key.len()].copy_from_slice(key);
    } else {
        block[..32].copy_from_slice(&Sha256::digest(key));
    }
    let mut mac = Hmac::<Sha256>::new(&block.into());
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{ExternalStorageConfig, Secret};

    /// Policy and signature of "Example: Browser-Based Upload using HTTP POST" in the S3 API reference; the
    /// signature was recomputed with another implementation.
    #[test]
    fn signature_matches_the_documented_example() {
        let policy = include_str!("testdata/aws_post_policy.b64").trim();
        assert_eq!(
            sign_policy("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20151229", "us-east-1", policy),
            "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e",
        );
    }

    #[test]
    fn policy_fixes_every_field() {
        let store = ObjectStore::new(&ExternalStorageConfig {
            endpoint: "http://127.0.0.1:1".to_owned(),
            public_endpoint: "https://s3.example.com/".to_owned(),
            region: "eu-central-1".to_owned(),
            access_key_id: Secret::new("AK"),
            secret_access_key: Secret::new("SK"),
            max_object_bytes: 1,
        });
        let policy = PostPolicy {
            bucket: "proj-a",
            key: "uploads/x.png",
            content_type: "image/png",
            length: 0..=10,
            expires_in: Duration::from_secs(60),
        };
        let now = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        let post = store.presign_post(&policy, now);
        assert_eq!(post.url, "https://s3.example.com/proj-a");
        assert_eq!(post.fields["x-amz-credential"], "AK/20231114/eu-central-1/s3/aws4_request");
        assert_eq!(post.fields["x-amz-date"], "20231114T221320Z");
        let document: serde_json::Value =
            serde_json::from_slice(&BASE64.decode(&post.fields["policy"]).unwrap()).unwrap();
        assert_eq!(document["expiration"], "2023-11-14T22:14:20.000Z");
        let conditions = document["conditions"].as_array().unwrap();
        assert!(conditions.contains(&json!({"bucket": "proj-a"})));
        assert!(conditions.contains(&json!(["content-length-range", 0, 10])));
        for (name, value) in
            post.fields.iter().filter(|(name, _)| !["policy", "x-amz-signature"].contains(&name.as_str()))
        {
            assert!(conditions.contains(&json!(["eq", format!("${name}"), value])), "{name}");
        }
    }
}
