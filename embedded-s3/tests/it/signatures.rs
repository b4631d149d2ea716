//! Requests that are signed with their `Date` header.

use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;

use crate::support::{ACCESS_KEY, REGION, TestServer, hmac, http, signing_key};

const AMZ_DATE: &[FormatItem<'_>] = format_description!("[year][month][day]T[hour][minute][second]Z");
const HTTP_DATE: &[FormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// Sends a GET that is signed at `time`, with the header `date` instead of `x-amz-date`. Returns the status.
async fn get_with_date(server: &TestServer, path: &str, time: OffsetDateTime, date: &str) -> u16 {
    let timestamp = time.format(AMZ_DATE).unwrap();
    let scope = format!("{}/{REGION}/s3/aws4_request", &timestamp[..8]);
    let signed = format!("date:{date}\nhost:{}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\n", server.address);
    let names = "date;host;x-amz-content-sha256";
    let request = format!("GET\n{path}\n\n{signed}\n{names}\nUNSIGNED-PAYLOAD");
    let digest = hex::encode(Sha256::digest(request));
    let text = format!("AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{digest}");
    let signature = hex::encode(hmac(&signing_key(&timestamp[..8]), &text));
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, SignedHeaders={names}, Signature={signature}");
    let request = http().get(server.url(path)).header("date", date).header("authorization", authorization);
    let request = request.header("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn request_can_be_signed_with_its_date_header() {
    let server = TestServer::start().await;
    server.put("file", "1").await;
    let now = OffsetDateTime::now_utc();
    let http_date = now.format(HTTP_DATE).unwrap();
    assert_eq!(get_with_date(&server, "/files/file", now, &http_date).await, 200);
    assert_eq!(get_with_date(&server, "/files/file", now, &now.format(AMZ_DATE).unwrap()).await, 200);
    let later = now + time::Duration::seconds(1);
    assert_eq!(get_with_date(&server, "/files/file", later, &http_date).await, 403, "other time than the signed one");
    let old = now - time::Duration::hours(2);
    assert_eq!(get_with_date(&server, "/files/file", old, &old.format(HTTP_DATE).unwrap()).await, 403, "too old");
}
