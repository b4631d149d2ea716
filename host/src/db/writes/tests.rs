//! Tests writes with a database that ends transactions only when the test allows it.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinHandle,
    time::timeout,
};

use super::*;

const LONG_TIMEOUTS: WriteTimeouts = WriteTimeouts { join: Duration::from_secs(60), pause: Duration::from_secs(60) };

#[derive(Debug, Clone)]
struct Insert {
    text: Arc<str>,
    value: u32,
}

impl Write for Insert {
    fn text(&self) -> &Arc<str> {
        &self.text
    }
}

type TestWrites = Writes<Insert, u32>;
type Statements = mpsc::UnboundedReceiver<Vec<u32>>;

/// A database whose transactions wait for a permit, and which records the values of each transaction.
struct Database {
    permits: Semaphore,
    sent: mpsc::UnboundedSender<Vec<u32>>,
    /// The failure of every shared transaction. If `None`, they succeed.
    failure: Option<NoResults>,
    alone: AtomicUsize,
    /// The values of writes that were sent on a connection of their own.
    apart: Mutex<Vec<u32>>,
}

impl Database {
    fn new(failure: Option<NoResults>) -> (Arc<Self>, Statements) {
        let (sent, statements) = mpsc::unbounded_channel();
        let (permits, alone, apart) = (Semaphore::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
        (Arc::new(Self { permits, sent, failure, alone, apart }), statements)
    }

    async fn respond(&self, values: Vec<u32>) -> Vec<u32> {
        self.sent.send(values.clone()).unwrap();
        self.permits.acquire().await.unwrap().forget();
        values.iter().map(|value| value * 10).collect()
    }

    fn finish(&self, transactions: usize) {
        self.permits.add_permits(transactions);
    }
}

/// Makes a write. Its statement has the text `a` if the value is even, else `b`.
fn write(writes: &Arc<TestWrites>, database: &Arc<Database>, value: u32) -> JoinHandle<Result<u32, UnknownOutcome>> {
    write_text(writes, database, value, if value.is_multiple_of(2) { "a" } else { "b" })
}

fn write_text(
    writes: &Arc<TestWrites>,
    database: &Arc<Database>,
    value: u32,
    text: &str,
) -> JoinHandle<Result<u32, UnknownOutcome>> {
    let (writes, database, text) = (writes.clone(), database.clone(), text.into());
    tokio::spawn(async move {
        let shared = database.clone();
        let alone = async |apart| {
            if apart == Apart::Yes {
                database.apart.lock().push(value);
            }
            database.alone.fetch_add(1, Ordering::Relaxed);
            Ok(database.respond(vec![value]).await[0])
        };
        let together = |inserts: Vec<Insert>| async move {
            let results = shared.respond(inserts.iter().map(|insert| insert.value).collect()).await;
            shared.failure.map_or(Ok(results), Err)
        };
        writes.run(&Insert { text, value }, alone, together).await
    })
}

/// Starts writes of the values 0 to `count` in this order. Returns when all of them are sent or waiting.
async fn start(
    writes: &Arc<TestWrites>,
    database: &Arc<Database>,
    statements: &mut Statements,
    count: u32,
) -> Vec<JoinHandle<Result<u32, UnknownOutcome>>> {
    let mut tasks = Vec::new();
    for value in 0..count {
        tasks.push(write(writes, database, value));
        if (value as usize) < MAX_FLIGHTS {
            assert_eq!(statements.recv().await.unwrap(), [value]);
        } else {
            while writes.state.lock().queue.waiting() <= value as usize - MAX_FLIGHTS {
                tokio::task::yield_now().await;
            }
        }
    }
    tasks
}

/// Returns the failure of a shared transaction in which the write at the position failed.
fn undone(position: usize, apart: Apart) -> Option<NoResults> {
    Some(NoResults::Undone { failed: Some(FailedWrite { position, apart }) })
}

#[tokio::test]
async fn writes_that_wait_share_a_transaction() {
    let (database, mut statements) = Database::new(None);
    let writes = Writes::new(LONG_TIMEOUTS);
    let tasks = start(&writes, &database, &mut statements, 6).await;
    database.finish(1);
    assert_eq!(statements.recv().await.unwrap(), [2, 3, 4, 5]);
    database.finish(2);
    for (value, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await.unwrap(), Ok(value as u32 * 10));
    }
    assert_eq!(database.alone.load(Ordering::Relaxed), 2);
    assert!(writes.state.lock().queue.is_idle());
}

#[tokio::test]
async fn writes_are_sent_alone_after_their_shared_transaction_was_undone() {
    let (database, mut statements) = Database::new(undone(1, Apart::Yes));
    let writes = Writes::new(LONG_TIMEOUTS);
    let tasks = start(&writes, &database, &mut statements, 5).await;
    database.finish(100);
    for (value, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await.unwrap(), Ok(value as u32 * 10));
    }
    assert_eq!(database.alone.load(Ordering::Relaxed), 5);
    assert!(writes.state.lock().queue.is_idle());
    // The writes 2, 3 and 4 were sent together, and 3 has the text `b`.
    assert_eq!(*database.apart.lock(), [3]);
    let is_paused = |text: &str| writes.state.lock().paused.contains(&text.into(), Instant::now());
    assert_eq!((is_paused("a"), is_paused("b")), (false, true));
    // A write with this text does not wait, even if transactions are in flight.
    let (database, mut statements) = Database::new(None);
    start(&writes, &database, &mut statements, 1).await;
    for value in [1, 3, 5] {
        write(&writes, &database, value);
        assert_eq!(statements.recv().await.unwrap(), [value]);
    }
}

#[tokio::test]
async fn write_that_failed_without_waiting_for_a_lock_needs_no_connection_of_its_own() {
    let (database, mut statements) = Database::new(undone(1, Apart::No));
    let writes = Writes::new(LONG_TIMEOUTS);
    let tasks = start(&writes, &database, &mut statements, 5).await;
    database.finish(100);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(database.alone.load(Ordering::Relaxed), 5);
    assert!(database.apart.lock().is_empty());
}

#[tokio::test]
async fn waiting_writes_with_the_text_of_a_failed_one_share_no_transaction() {
    let (database, mut statements) = Database::new(undone(0, Apart::No));
    let writes = Writes::new(LONG_TIMEOUTS);
    let count = MAX_FLIGHTS + 2 * MAX_BATCH + 3;
    let tasks = start(&writes, &database, &mut statements, count as u32).await;
    database.finish(2);
    for _ in 0..2 {
        assert_eq!(statements.recv().await.unwrap().len(), MAX_BATCH);
    }
    assert_eq!(writes.state.lock().queue.waiting(), 3);
    // Even values failed. Only one of the three writes that still wait has an odd value.
    database.finish(1000);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    while let Ok(values) = statements.try_recv() {
        assert_eq!(values.len(), 1, "{values:?}");
    }
    assert!(writes.state.lock().queue.is_idle());
}

#[tokio::test]
async fn writes_share_no_transaction_for_a_while_after_several_failed_with_different_texts() {
    let (database, mut statements) = Database::new(undone(0, Apart::No));
    let writes = Writes::new(LONG_TIMEOUTS);
    for failure in 0..MAX_FAILURES {
        let mut tasks = start(&writes, &database, &mut statements, MAX_FLIGHTS as u32).await;
        for number in 0..2 {
            tasks.push(write_text(&writes, &database, 100, &format!("text {failure} {number}")));
        }
        while writes.state.lock().queue.waiting() < 2 {
            tokio::task::yield_now().await;
        }
        database.finish(1);
        assert_eq!(statements.recv().await.unwrap(), [100, 100]);
        database.finish(MAX_FLIGHTS + 2);
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        while statements.try_recv().is_ok() {}
    }
    let insert = Insert { text: "another text".into(), value: 1 };
    assert!(matches!(writes.enter(&insert), Entry::GoUncounted));
}

#[tokio::test]
async fn waiting_writes_are_sent_alone_when_all_writes_pause() {
    let (database, mut statements) = Database::new(None);
    let writes = Writes::new(LONG_TIMEOUTS);
    let tasks = start(&writes, &database, &mut statements, 5).await;
    for failure in 0..MAX_FAILURES {
        assert_eq!(writes.state.lock().queue.waiting(), 3);
        writes.pause(&[format!("text {failure}").into()]);
    }
    for _ in 2..5 {
        assert_eq!(statements.recv().await.unwrap().len(), 1);
    }
    database.finish(5);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert!(writes.state.lock().queue.is_idle());
}

#[test]
fn failures_long_ago_pause_nothing() {
    let writes: Arc<TestWrites> = Writes::new(WriteTimeouts { pause: Duration::ZERO, ..LONG_TIMEOUTS });
    for _ in 0..=MAX_FAILURES {
        writes.pause(&["a".into()]);
    }
    let insert = Insert { text: "a".into(), value: 1 };
    assert!(matches!(writes.enter(&insert), Entry::Go(_)));
}

#[tokio::test]
async fn writes_are_not_sent_again_if_the_outcome_of_their_transaction_is_unknown() {
    let (database, mut statements) = Database::new(Some(NoResults::Unknown));
    let writes = Writes::new(LONG_TIMEOUTS);
    let mut tasks = start(&writes, &database, &mut statements, 5).await;
    database.finish(100);
    for task in tasks.split_off(2) {
        assert_eq!(task.await.unwrap(), Err(UnknownOutcome));
    }
    assert_eq!(database.alone.load(Ordering::Relaxed), 2);
    assert!(writes.state.lock().queue.is_idle());
}

#[tokio::test]
async fn shared_transaction_ends_although_the_caller_of_its_leader_is_gone() {
    let (database, mut statements) = Database::new(None);
    let writes = Writes::new(LONG_TIMEOUTS);
    let mut tasks = start(&writes, &database, &mut statements, 5).await;
    database.finish(1);
    assert_eq!(statements.recv().await.unwrap(), [2, 3, 4]);
    tasks.remove(2).abort();
    database.finish(2);
    for (task, expected) in tasks.into_iter().zip([0, 10, 30, 40]) {
        assert_eq!(task.await.unwrap(), Ok(expected));
    }
    assert_eq!(database.alone.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn write_whose_caller_is_gone_before_its_turn_is_not_made() {
    let (database, mut statements) = Database::new(None);
    let writes = Writes::new(LONG_TIMEOUTS);
    let mut tasks = start(&writes, &database, &mut statements, 5).await;
    let gone = tasks.remove(3);
    gone.abort();
    assert!(gone.await.unwrap_err().is_cancelled());
    database.finish(1);
    assert_eq!(statements.recv().await.unwrap(), [2, 4]);
    database.finish(2);
    assert_eq!(tasks.pop().unwrap().await.unwrap(), Ok(40));
}

#[tokio::test]
async fn writes_do_not_wait_for_stuck_transactions() {
    let (database, mut statements) = Database::new(None);
    let writes = Writes::new(WriteTimeouts { join: Duration::ZERO, ..LONG_TIMEOUTS });
    // No transaction ends, and every write is sent.
    let tasks: Vec<_> = (0..5).map(|value| write(&writes, &database, value)).collect();
    for _ in 0..5 {
        assert_eq!(statements.recv().await.unwrap().len(), 1);
    }
    database.finish(5);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert!(writes.state.lock().queue.is_idle());
}

#[tokio::test]
async fn write_that_was_sent_with_others_waits_for_their_outcome() {
    let writes: Arc<TestWrites> = Writes::new(WriteTimeouts { join: Duration::ZERO, ..LONG_TIMEOUTS });
    let (outcome, turn) = oneshot::channel();
    // The write is not in the queue, so a leader has taken it.
    let mut waiting = tokio::spawn(async move { writes.wait(Waiter { id: 0, turn }).await });
    assert!(timeout(Duration::from_millis(50), &mut waiting).await.is_err());
    assert!(outcome.send(Turn::Done(Outcome::Committed(30))).is_ok());
    assert!(matches!(waiting.await.unwrap(), Some(Turn::Done(Outcome::Committed(30)))));
}

#[tokio::test]
async fn transaction_has_a_limited_number_of_writes() {
    let (database, mut statements) = Database::new(None);
    let writes = Writes::new(LONG_TIMEOUTS);
    let count = MAX_FLIGHTS + MAX_BATCH + 1;
    let tasks = start(&writes, &database, &mut statements, count as u32).await;
    database.finish(1);
    assert_eq!(statements.recv().await.unwrap().len(), MAX_BATCH);
    database.finish(3);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}
