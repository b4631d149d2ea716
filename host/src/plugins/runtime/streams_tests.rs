use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use plugin_manifest::Limits;
use sqlx::PgPool;
use uuid::Uuid;
use wasmtime::Store;

use super::*;
use crate::{
    config::AllowedHosts,
    egress::Egress,
    jobs::{LineLevel, RunCall, RunOutput},
    plugins::{
        Grants,
        capabilities::Services,
        runtime::{
            Engine, HostLimits, RunScope,
            limits::{MemoryLimiter, SharedMemory},
        },
    },
};

struct Silent;

impl RunOutput for Silent {
    fn log(&self, _: LineLevel, _: &str, _: serde_json::Value) {}

    fn progress(&self, _: u64, _: Option<u64>, _: &str) {}
}

/// A run without a guest.
fn store(host_call_mib: u32) -> Store<RunState> {
    let call = RunCall {
        run_id: Uuid::nil(),
        job_id: None,
        lease: Uuid::nil(),
        project: None,
        plugin: String::new(),
        job: String::new(),
        params: serde_json::Value::Null,
        secrets: Default::default(),
        attempt: 1,
        scheduled_for: None,
        timeout: Duration::from_secs(60),
    };
    let services = Services {
        audit: PgPool::connect_lazy("postgres://nobody@localhost:1/none").unwrap(),
        egress: Egress::new(AllowedHosts::default()).unwrap(),
    };
    let limits = Limits { host_call_mib, ..Limits::default() };
    let run = RunScope::new(
        "streams".to_owned(),
        Arc::new(Grants::default()),
        call,
        limits,
        Arc::new(Silent),
        Arc::new(services),
        Instant::now() + Duration::from_secs(60),
    );
    let engine = Engine::new(&HostLimits::default()).unwrap();
    Store::new(&engine.wasmtime, RunState::new(run, MemoryLimiter::new(SharedMemory::new(1), 1)))
}

/// Counts what is read of it, and says when it is dropped.
struct Counted {
    chunks: usize,
    read: Arc<AtomicUsize>,
    alive: Arc<()>,
}

impl Counted {
    fn stream(chunks: usize) -> (ByteStream, Arc<AtomicUsize>, Arc<()>) {
        let (read, alive) = (Arc::new(AtomicUsize::new(0)), Arc::new(()));
        let counted = Self { chunks, read: Arc::clone(&read), alive: Arc::clone(&alive) };
        let stream = stream::unfold(counted, async |counted| {
            let at = counted.read.fetch_add(1, Ordering::Relaxed);
            assert!(Arc::strong_count(&counted.alive) > 0);
            (at < counted.chunks).then(|| (Ok(Bytes::from(vec![at as u8; 100_000])), counted))
        });
        (Box::pin(stream), read, alive)
    }
}

async fn collect(bytes: ByteStream) -> Vec<u8> {
    bytes.map(|chunk| chunk.unwrap()).collect::<Vec<_>>().await.concat()
}

fn expected(chunks: usize) -> Vec<u8> {
    (0..chunks).flat_map(|at| vec![at as u8; 100_000]).collect()
}

#[tokio::test]
async fn a_stream_that_is_passed_on_comes_back_as_it_was() {
    let mut store = store(1);
    let (bytes, read, alive) = Counted::stream(50);
    let reader = send(&mut store, bytes).unwrap();
    assert_eq!(read.load(Ordering::Relaxed), 0, "nothing is read before somebody wants it");
    let back = receive(&mut store, reader).unwrap();
    // Without the store: 5 MB pass though the run may call for 1 MiB only.
    drop(store);
    assert_eq!(collect(back).await, expected(50));
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[tokio::test]
async fn an_error_is_seen_by_a_native_reader() {
    let mut store = store(1);
    let broken = stream::iter([Ok(Bytes::from_static(b"begin")), Err(io::Error::other("cut short"))]);
    let reader = send(&mut store, Box::pin(broken)).unwrap();
    let mut back = receive(&mut store, reader).unwrap();
    assert_eq!(back.next().await.unwrap().unwrap(), "begin");
    assert_eq!(back.next().await.unwrap().unwrap_err().to_string(), "cut short");
}

#[tokio::test]
async fn what_somebody_else_writes_is_copied_and_counted() {
    let mut store = store(64);
    let written: Vec<u8> = (0..3_000_000_u32).map(|at| at as u8).collect();
    let reader = StreamReader::new(&mut store, written.clone()).unwrap();
    let bytes = receive(&mut store, reader).unwrap();
    let read = store.run_concurrent(async |_| collect(bytes).await).await.unwrap();
    assert!(read == written);
}

/// As a guest would read it.
fn read_by_a_guest(store: &mut Store<RunState>, bytes: ByteStream) -> ByteStream {
    let reader = send(&mut *store, bytes).unwrap();
    let (sender, mut receiver) = mpsc::channel(WAITING_CHUNKS);
    reader.pipe(&mut *store, Receiver { chunks: PollSender::new(sender) }).unwrap();
    Box::pin(stream::poll_fn(move |cx| receiver.poll_recv(cx).map(|chunk| chunk.map(Ok))))
}

#[tokio::test]
async fn what_the_guest_reads_arrives_whole() {
    let mut store = store(64);
    let (bytes, ..) = Counted::stream(20);
    let read = read_by_a_guest(&mut store, bytes);
    assert!(store.run_concurrent(async |_| collect(read).await).await.unwrap() == expected(20));
}

#[tokio::test]
async fn more_than_a_run_may_call_for_ends_it() {
    let mut store = store(1);
    let (bytes, ..) = Counted::stream(20);
    let read = read_by_a_guest(&mut store, bytes);
    let error = store.run_concurrent(async |_| collect(read).await).await.unwrap_err();
    let limit = error.downcast_ref::<super::super::LimitReached>();
    assert_eq!(limit, Some(&super::super::LimitReached::HostCalls(1)));
}

#[tokio::test]
async fn a_reader_that_stops_makes_the_writer_wait_and_the_run_ends_both() {
    let mut store = store(64);
    let (bytes, read, alive) = Counted::stream(1_000_000);
    let mut reading = read_by_a_guest(&mut store, bytes);
    store.run_concurrent(async |_| reading.next().await.unwrap().unwrap()).await.unwrap();
    assert!(read.load(Ordering::Relaxed) < 20, "the writer runs ahead of its reader");
    drop(store);
    assert_eq!(Arc::strong_count(&alive), 1, "the stream outlives its run");
}

#[tokio::test]
async fn a_stream_that_nobody_takes_ends_with_the_run() {
    let mut store = store(1);
    let (bytes, read, alive) = Counted::stream(5);
    let _reader = send(&mut store, bytes).unwrap();
    drop(store);
    assert_eq!((read.load(Ordering::Relaxed), Arc::strong_count(&alive)), (0, 1));
}
