use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::{StreamExt, stream};
use wasmtime::Store;

use super::*;
use crate::plugins::runtime::{Compiler, Engine, HostLimits};

/// What is left of the bytes that may be counted.
struct Left(usize);

impl CountsBytes for Left {
    fn count_bytes(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.0 = self.0.checked_sub(bytes).ok_or_else(|| wasmtime::format_err!("too much"))?;
        Ok(())
    }
}

/// Without a guest; so many bytes may be copied.
fn store(bytes: usize) -> Store<Left> {
    Store::new(&Engine::new(&HostLimits::default(), Compiler::Here).unwrap().wasmtime, Left(bytes))
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
    let mut store = store(1 << 20);
    let (bytes, read, alive) = Counted::stream(50);
    let reader = send(&mut store, bytes).unwrap();
    assert_eq!(read.load(Ordering::Relaxed), 0, "nothing is read before somebody wants it");
    let back = receive(&mut store, reader).unwrap();
    // Without the store: 5 MB pass though one may be copied only.
    drop(store);
    assert_eq!(collect(back).await, expected(50));
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[tokio::test]
async fn an_error_is_seen_by_a_native_reader() {
    let mut store = store(1 << 20);
    let broken = stream::iter([Ok(Bytes::from_static(b"begin")), Err(io::Error::other("cut short"))]);
    let reader = send(&mut store, Box::pin(broken)).unwrap();
    let mut back = receive(&mut store, reader).unwrap();
    assert_eq!(back.next().await.unwrap().unwrap(), "begin");
    assert_eq!(back.next().await.unwrap().unwrap_err().to_string(), "cut short");
}

#[tokio::test]
async fn what_somebody_else_writes_is_copied_and_counted() {
    let mut store = store(64 << 20);
    let written: Vec<u8> = (0..3_000_000_u32).map(|at| at as u8).collect();
    let reader = StreamReader::new(&mut store, written.clone()).unwrap();
    let bytes = receive(&mut store, reader).unwrap();
    let read = store.run_concurrent(async |_| collect(bytes).await).await.unwrap();
    assert!(read == written);
}

/// As a guest would read it.
fn read_by_a_guest(store: &mut Store<Left>, bytes: ByteStream) -> ByteStream {
    let reader = send(&mut *store, bytes).unwrap();
    let (sender, mut receiver) = mpsc::channel(WAITING_CHUNKS);
    reader.pipe(&mut *store, Receiver { chunks: PollSender::new(sender) }).unwrap();
    Box::pin(stream::poll_fn(move |cx| receiver.poll_recv(cx).map(|chunk| chunk.map(Ok))))
}

#[tokio::test]
async fn what_the_guest_reads_arrives_whole() {
    let mut store = store(64 << 20);
    let (bytes, ..) = Counted::stream(20);
    let read = read_by_a_guest(&mut store, bytes);
    assert!(store.run_concurrent(async |_| collect(read).await).await.unwrap() == expected(20));
}

#[tokio::test]
async fn more_bytes_than_a_run_may_call_for_end_it() {
    let mut store = store(1 << 20);
    let (bytes, ..) = Counted::stream(20);
    let read = read_by_a_guest(&mut store, bytes);
    let error = store.run_concurrent(async |_| collect(read).await).await.unwrap_err();
    assert_eq!(error.to_string(), "too much");
}

#[tokio::test]
async fn a_reader_that_stops_makes_the_writer_wait_and_the_run_ends_both() {
    let mut store = store(64 << 20);
    let (bytes, read, alive) = Counted::stream(1_000_000);
    let mut reading = read_by_a_guest(&mut store, bytes);
    store.run_concurrent(async |_| reading.next().await.unwrap().unwrap()).await.unwrap();
    assert!(read.load(Ordering::Relaxed) < 20, "the writer runs ahead of its reader");
    drop(store);
    assert_eq!(Arc::strong_count(&alive), 1, "the stream outlives its run");
}

#[tokio::test]
async fn a_stream_that_nobody_takes_ends_with_the_run() {
    let mut store = store(1 << 20);
    let (bytes, read, alive) = Counted::stream(5);
    let _reader = send(&mut store, bytes).unwrap();
    drop(store);
    assert_eq!((read.load(Ordering::Relaxed), Arc::strong_count(&alive)), (0, 1));
}
