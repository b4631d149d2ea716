//! Tests of the streams between guest and host.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::{StreamExt, stream};
use wasmtime::Store;

use super::*;

/// Number of bytes that can still be counted before the limit is exceeded.
struct Budget(usize);

impl CountsBytes for Budget {
    fn count_bytes(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.0 = self.0.checked_sub(bytes).ok_or_else(|| wasmtime::format_err!("limit exceeded"))?;
        Ok(())
    }
}

/// Creates a store without a guest, in which at most `bytes` bytes can be copied.
fn store(bytes: usize) -> Store<Budget> {
    Store::new(&wasmtime::Engine::new(&plugin_compiler::configuration()).unwrap(), Budget(bytes))
}

/// A source of chunks that counts how many were read. The number of references to `alive` shows whether it was dropped.
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
            let index = counted.read.fetch_add(1, Ordering::Relaxed);
            assert!(Arc::strong_count(&counted.alive) > 0);
            (index < counted.chunks).then(|| (Ok(Bytes::from(vec![index as u8; 100_000])), counted))
        });
        (Box::pin(stream), read, alive)
    }
}

async fn collect(bytes: ByteStream) -> Vec<u8> {
    bytes.map(|chunk| chunk.unwrap()).collect::<Vec<_>>().await.concat()
}

fn expected(chunks: usize) -> Vec<u8> {
    (0..chunks).flat_map(|index| vec![index as u8; 100_000]).collect()
}

#[tokio::test]
async fn forwarded_stream_is_returned_unread() {
    let mut store = store(1 << 20);
    let (bytes, read, alive) = Counted::stream(50);
    let reader = send(&mut store, bytes).unwrap();
    assert_eq!(read.load(Ordering::Relaxed), 0, "the stream was polled before it was read");
    let returned = receive(&mut store, reader).unwrap();
    // The stream contains 5 MB, and the store allows copying 1 MiB, so nothing was copied.
    drop(store);
    assert_eq!(collect(returned).await, expected(50));
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[tokio::test]
async fn host_reader_receives_the_error() {
    let mut store = store(1 << 20);
    let broken = stream::iter([Ok(Bytes::from_static(b"begin")), Err(io::Error::other("cut short"))]);
    let reader = send(&mut store, Box::pin(broken)).unwrap();
    let mut returned = receive(&mut store, reader).unwrap();
    assert_eq!(returned.next().await.unwrap().unwrap(), "begin");
    assert_eq!(returned.next().await.unwrap().unwrap_err().to_string(), "cut short");
}

#[tokio::test]
async fn stream_that_was_not_created_by_send_is_copied() {
    let mut store = store(64 << 20);
    let written: Vec<u8> = (0..3_000_000_u32).map(|index| index as u8).collect();
    let reader = StreamReader::new(&mut store, written.clone()).unwrap();
    let bytes = receive(&mut store, reader).unwrap();
    let read = store.run_concurrent(async |_| collect(bytes).await).await.unwrap();
    assert!(read == written);
}

/// Reads a stream as a guest does, with every byte copied and counted.
fn read_as_guest(store: &mut Store<Budget>, bytes: ByteStream) -> ByteStream {
    let reader = send(&mut *store, bytes).unwrap();
    let (sender, mut receiver) = mpsc::channel(BUFFERED_CHUNKS);
    reader.pipe(&mut *store, Receiver { chunks: PollSender::new(sender) }).unwrap();
    Box::pin(stream::poll_fn(move |cx| receiver.poll_recv(cx).map(|chunk| chunk.map(Ok))))
}

#[tokio::test]
async fn guest_reads_all_bytes() {
    let mut store = store(64 << 20);
    let (bytes, ..) = Counted::stream(20);
    let read = read_as_guest(&mut store, bytes);
    assert!(store.run_concurrent(async |_| collect(read).await).await.unwrap() == expected(20));
}

#[tokio::test]
async fn reading_more_bytes_than_allowed_traps() {
    let mut store = store(1 << 20);
    let (bytes, ..) = Counted::stream(20);
    let read = read_as_guest(&mut store, bytes);
    let error = store.run_concurrent(async |_| collect(read).await).await.unwrap_err();
    assert_eq!(error.to_string(), "limit exceeded");
}

#[tokio::test]
async fn stopped_reader_blocks_the_writer_until_the_run_ends() {
    let mut store = store(64 << 20);
    let (bytes, read, alive) = Counted::stream(1_000_000);
    let mut reading = read_as_guest(&mut store, bytes);
    store.run_concurrent(async |_| reading.next().await.unwrap().unwrap()).await.unwrap();
    assert!(read.load(Ordering::Relaxed) < 20, "the writer runs ahead of its reader");
    drop(store);
    assert_eq!(Arc::strong_count(&alive), 1, "the stream outlives its run");
}

#[tokio::test]
async fn unread_stream_is_dropped_with_the_run() {
    let mut store = store(1 << 20);
    let (bytes, read, alive) = Counted::stream(5);
    let _reader = send(&mut store, bytes).unwrap();
    drop(store);
    assert_eq!((read.load(Ordering::Relaxed), Arc::strong_count(&alive)), (0, 1));
}
