#!/usr/bin/env bash
# s3s 0.14.1: a list of ETags in `If-Match` or `If-None-Match` is read as one ETag, which no object has. A range in an
# unknown unit, or of several parts, is refused with 400. HTTP allows such lists and lets a server ignore such ranges.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/support/setup.bash"

rust_program 's3s = "=0.14.1"
async-trait = "=0.1.92"
http = "1"
http-body-util = "0.1"
tokio = { version = "=1.54.1", features = ["rt", "macros"] }' '
use http_body_util::BodyExt as _;
use s3s::{Body, S3, S3Request, S3Response, S3Result, dto::{GetObjectInput, GetObjectOutput}, service::S3ServiceBuilder};

/// A store in which every object exists and is empty. It prints the conditions that it receives.
struct Store;

#[async_trait::async_trait]
impl S3 for Store {
    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        println!("  the store receives {:?}", input.if_match.or(input.if_none_match));
        Ok(S3Response::new(GetObjectOutput::default()))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let service = S3ServiceBuilder::new(Store).build();
    for (name, value) in [
        ("if-none-match", r#""one""#), ("if-none-match", r#""one", "two""#), ("if-match", r#""one", "two""#),
        ("range", "bytes=0-9"), ("range", "bytes=0-1,4-5"), ("range", "lines=0-9"),
    ] {
        println!("{name}: {value}");
        let request = http::Request::get("http://localhost/bucket/key").header(name, value);
        let response = service.call(request.body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8_lossy(&body);
        let code = body.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map_or("", |code| code.0);
        println!("  {}", format!("{status} {code}").trim());
    }
}'

echo 's3s 0.14.1:'
run_rust_program | expect 'if-none-match: "one"
  the store receives Some(ETag(Strong("one")))
  200
if-none-match: "one", "two"
  the store receives Some(ETag(Strong("one\", \"two")))
  200
if-match: "one", "two"
  the store receives Some(ETag(Strong("one\", \"two")))
  200
range: bytes=0-9
  the store receives None
  200
range: bytes=0-1,4-5
  400 InvalidArgument
range: lines=0-9
  400 InvalidArgument'
