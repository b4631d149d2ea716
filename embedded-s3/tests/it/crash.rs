//! Kills the server with `kill -9` under load. Acknowledged writes must survive. Unacknowledged writes must be complete
//! or absent.

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::types::CompletedMultipartUpload;
use embedded_s3::{Store, serve};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::Semaphore;

use crate::multipart::{MIB, create_upload};
use crate::support::{BUCKET, TestServer, bytes, client, config, count_files, get};

/// Environment variable with the storage folder. Set only for the child process, which is killed.
const ROOT_VARIABLE: &str = "EMBEDDED_S3_CRASH_TEST_ROOT";
const ADDRESS_PREFIX: &str = "listening on ";
const TASKS: u64 = 4;
const KEYS_OF_TASK: u64 = 6;
const ROUNDS: u64 = 3;

/// This is not a test by itself, but the child process that [`acknowledged_writes_survive_kill`] starts and kills.
#[tokio::test]
async fn serve_until_killed() {
    let Ok(root) = std::env::var(ROOT_VARIABLE) else {
        return;
    };
    let store = Store::open(Path::new(&root)).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("\n{ADDRESS_PREFIX}{}", listener.local_addr().unwrap());
    serve(listener, store, config(Path::new(&root)), std::future::pending()).await.unwrap();
}

async fn start_child(root: &Path) -> (Child, Client) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::serve_until_killed", "--nocapture"])
        .env(ROOT_VARIABLE, root)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    loop {
        let line = lines.next_line().await.unwrap().expect("the child ended before it listened");
        if let Some(address) = line.strip_prefix(ADDRESS_PREFIX) {
            return (child, client(address.parse().unwrap()));
        }
    }
}

/// Seeds of the contents that a key may have. `None` instead of a seed stands for no object.
#[derive(Clone, Debug)]
struct Expected {
    acknowledged: Option<u64>,
    /// A write that was sent but not acknowledged.
    pending: Option<Option<u64>>,
}

fn content(seed: u64) -> Vec<u8> {
    let length = match seed % 10 {
        0 | 1 => 10,
        2..=5 => 5_000,
        6 | 7 => 300_000,
        8 => 1_000_000,
        _ => 5 * MIB + 100,
    };
    bytes(seed, length)
}

/// Creates, overwrites and deletes objects until the server dies.
async fn write_until_killed(
    client: Client,
    task: u64,
    round: u64,
    mut keys: HashMap<String, Expected>,
    done: Arc<Semaphore>,
) -> HashMap<String, Expected> {
    for step in 1.. {
        let seed = round * 1_000_000 + task * 100_000 + step;
        let key = format!("task {task}/{}", step % KEYS_OF_TASK);
        let target = (step % 7 != 0).then_some(seed);
        let state = keys.entry(key.clone()).or_insert(Expected { acknowledged: None, pending: None });
        state.pending = Some(target);
        let is_answered = match target {
            None => client.delete_object().bucket(BUCKET).key(&key).send().await.is_ok(),
            Some(seed) if seed % 10 == 9 => put_in_parts(&client, &key, seed).await.is_some(),
            Some(seed) => crate::support::put(&client, &key, content(seed)).await.is_ok(),
        };
        if !is_answered {
            break;
        }
        *state = Expected { acknowledged: target, pending: None };
        done.add_permits(1);
    }
    keys
}

async fn put_in_parts(client: &Client, key: &str, seed: u64) -> Option<()> {
    let content = content(seed);
    let id = client.create_multipart_upload().bucket(BUCKET).key(key).send().await.ok()?.upload_id?;
    let mut parts = Vec::new();
    for (number, chunk) in (1..).zip(content.chunks(5 * MIB)) {
        let upload = client.upload_part().bucket(BUCKET).key(key).upload_id(&id).part_number(number);
        let etag = upload.body(chunk.to_vec().into()).send().await.ok()?.e_tag;
        parts.push(aws_sdk_s3::types::CompletedPart::builder().part_number(number).set_e_tag(etag).build());
    }
    let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
    let complete = client.complete_multipart_upload().bucket(BUCKET).key(key).upload_id(&id).multipart_upload(parts);
    complete.send().await.ok().map(|_| ())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_survive_kill() {
    let server = TestServer::start().await;
    let abandoned = create_upload(&server.client, "abandoned").await;
    let folder = server.stop().await;
    let mut keys: Vec<HashMap<String, Expected>> = vec![HashMap::new(); usize::try_from(TASKS).unwrap()];
    for round in 0..ROUNDS {
        let (mut child, client) = start_child(folder.path()).await;
        let done = Arc::new(Semaphore::new(0));
        let tasks: Vec<_> = (0..TASKS)
            .zip(std::mem::take(&mut keys))
            .map(|(task, keys)| tokio::spawn(write_until_killed(client.clone(), task, round, keys, Arc::clone(&done))))
            .collect();
        // Each round kills the server after a different number of writes.
        let writes = 20 + u32::try_from(round).unwrap() * 7;
        done.acquire_many(writes).await.unwrap().forget();
        child.kill().await.unwrap();
        for task in tasks {
            keys.push(task.await.unwrap());
        }
        let store = Store::open(folder.path()).await.unwrap();
        drop(store);
        let (mut child, client) = start_child(folder.path()).await;
        for (key, state) in keys.iter_mut().flatten() {
            let current = get(&client, key).await;
            let is_current = |seed: Option<u64>| seed.map(content) == current;
            if let Some(pending) = state.pending.take().filter(|pending| is_current(*pending)) {
                state.acknowledged = pending;
            }
            assert!(is_current(state.acknowledged), "{key} after round {round}: {state:?}");
        }
        child.kill().await.unwrap();
    }
    let server = TestServer::start_on(folder).await;
    let present: usize = keys.iter().flatten().filter(|(_, state)| state.acknowledged.is_some()).count();
    let listed = server.client.list_objects_v2().bucket(BUCKET).send().await.unwrap();
    assert_eq!(listed.contents().len(), present);
    let list = server.client.list_parts().bucket(BUCKET).key("abandoned").upload_id(abandoned);
    list.send().await.unwrap();
    assert_eq!(count_files(&server.folder.path().join("quarantine")), 0);
    assert_eq!(count_files(&server.folder.path().join("tmp")), 0);
}
