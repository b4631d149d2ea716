//! Tests lookups with a database that ends statements only when the test allows it.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, mpsc};

use super::*;

const LONG_TIMEOUTS: LookupTimeouts =
    LookupTimeouts { join: Duration::from_secs(60), shared: Duration::from_secs(60), pause: Duration::from_secs(60) };

/// A database whose statements wait for a permit, and which records the keys of each statement.
struct Database {
    permits: Semaphore,
    sent: mpsc::UnboundedSender<Vec<u32>>,
    fail_shared: bool,
    alone: AtomicUsize,
}

impl Database {
    fn new(fail_shared: bool) -> (Arc<Self>, mpsc::UnboundedReceiver<Vec<u32>>) {
        let (sent, statements) = mpsc::unbounded_channel();
        (Arc::new(Self { permits: Semaphore::new(0), sent, fail_shared, alone: AtomicUsize::new(0) }), statements)
    }

    async fn respond(&self, keys: Vec<u32>) -> Vec<u32> {
        self.sent.send(keys.clone()).unwrap();
        self.permits.acquire().await.unwrap().forget();
        keys.iter().map(|key| key * 10).collect()
    }

    fn finish(&self, statements: usize) {
        self.permits.add_permits(statements);
    }
}

fn shape() -> ShapeName {
    ShapeName { text: "statement".into(), has_claims: false }
}

fn look_up(
    lookups: &Arc<Lookups<u32, u32>>,
    database: &Arc<Database>,
    key: u32,
) -> tokio::task::JoinHandle<Result<u32, &'static str>> {
    let (lookups, database) = (lookups.clone(), database.clone());
    tokio::spawn(async move {
        let database = &*database;
        let alone = || async {
            database.alone.fetch_add(1, Ordering::Relaxed);
            Ok(database.respond(vec![key]).await[0])
        };
        let together = |keys| async {
            let results = database.respond(keys).await;
            if database.fail_shared { Err("a bad value") } else { Ok(results) }
        };
        lookups.run(&shape(), key, alone, together).await
    })
}

/// Starts lookups with the keys 0 to `count` in this order. Returns when all of them are sent or waiting.
async fn start(
    lookups: &Arc<Lookups<u32, u32>>,
    database: &Arc<Database>,
    statements: &mut mpsc::UnboundedReceiver<Vec<u32>>,
    count: u32,
) -> Vec<tokio::task::JoinHandle<Result<u32, &'static str>>> {
    let mut tasks = Vec::new();
    for key in 0..count {
        tasks.push(look_up(lookups, database, key));
        if (key as usize) < MAX_FLIGHTS {
            assert_eq!(statements.recv().await.unwrap(), [key]);
        } else {
            while waiting(lookups) <= key as usize - MAX_FLIGHTS {
                tokio::task::yield_now().await;
            }
        }
    }
    tasks
}

fn waiting(lookups: &Lookups<u32, u32>) -> usize {
    lookups.state.lock().shapes.get(&shape()).map_or(0, Queue::waiting)
}

#[tokio::test]
async fn lookups_that_wait_share_a_statement() {
    let (database, mut statements) = Database::new(false);
    let lookups = Lookups::new(LONG_TIMEOUTS);
    let tasks = start(&lookups, &database, &mut statements, 6).await;
    database.finish(1);
    assert_eq!(statements.recv().await.unwrap(), [2, 3, 4, 5]);
    database.finish(2);
    for (key, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await.unwrap(), Ok(key as u32 * 10));
    }
    assert_eq!(database.alone.load(Ordering::Relaxed), 2);
    assert!(lookups.state.lock().shapes.is_empty());
}

#[tokio::test]
async fn lookups_are_sent_alone_after_their_shared_statement_failed() {
    let (database, mut statements) = Database::new(true);
    let lookups = Lookups::new(LONG_TIMEOUTS);
    let tasks = start(&lookups, &database, &mut statements, 5).await;
    database.finish(100);
    for (key, task) in tasks.into_iter().enumerate() {
        assert_eq!(task.await.unwrap(), Ok(key as u32 * 10));
    }
    assert_eq!(database.alone.load(Ordering::Relaxed), 5);
    assert!(lookups.state.lock().shapes.is_empty());
}

#[tokio::test]
async fn lookups_share_no_statement_for_a_while_after_one_failed() {
    let (database, mut statements) = Database::new(true);
    let lookups = Lookups::new(LONG_TIMEOUTS);
    let tasks = start(&lookups, &database, &mut statements, 4).await;
    database.finish(100);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let (database, mut statements) = Database::new(true);
    let tasks: Vec<_> = (0..5).map(|key| look_up(&lookups, &database, key)).collect();
    for _ in 0..5 {
        assert_eq!(statements.recv().await.unwrap().len(), 1);
    }
    database.finish(5);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn waiting_lookups_share_no_statement_after_one_failed() {
    let (database, mut statements) = Database::new(true);
    let lookups = Lookups::new(LONG_TIMEOUTS);
    let count = MAX_FLIGHTS + 2 * MAX_BATCH + 3;
    let tasks = start(&lookups, &database, &mut statements, count as u32).await;
    database.finish(2);
    for _ in 0..2 {
        assert_eq!(statements.recv().await.unwrap().len(), MAX_BATCH);
    }
    assert_eq!(waiting(&lookups), 3);
    database.finish(1000);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    while let Ok(keys) = statements.try_recv() {
        assert_eq!(keys.len(), 1, "{keys:?}");
    }
    assert!(lookups.state.lock().shapes.is_empty());
}

#[tokio::test]
async fn lookups_do_not_wait_for_stuck_statements() {
    let (database, mut statements) = Database::new(false);
    let lookups = Lookups::new(LookupTimeouts { join: Duration::ZERO, ..LONG_TIMEOUTS });
    // No statement ends, and every lookup is sent.
    let tasks: Vec<_> = (0..5).map(|key| look_up(&lookups, &database, key)).collect();
    for _ in 0..5 {
        assert_eq!(statements.recv().await.unwrap().len(), 1);
    }
    database.finish(5);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert!(lookups.state.lock().shapes.is_empty());
}

#[tokio::test]
async fn lookup_is_sent_alone_if_its_shared_statement_takes_long() {
    let (database, mut statements) = Database::new(false);
    let lookups =
        Lookups::new(LookupTimeouts { join: Duration::from_secs(1), shared: Duration::ZERO, ..LONG_TIMEOUTS });
    let tasks = start(&lookups, &database, &mut statements, 4).await;
    database.finish(1);
    assert_eq!(statements.recv().await.unwrap(), [2, 3]);
    // The follower waits no longer than its timeouts, although the shared statement never ends.
    assert_eq!(statements.recv().await.unwrap(), [3]);
    database.finish(3);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn lookups_continue_when_the_caller_of_the_leader_is_gone() {
    let (database, mut statements) = Database::new(false);
    let lookups = Lookups::new(LONG_TIMEOUTS);
    let mut tasks = start(&lookups, &database, &mut statements, 5).await;
    // One caller stops waiting in the queue, the leader's caller stops while its statement is in flight.
    tasks.remove(3).abort();
    database.finish(1);
    assert_eq!(statements.recv().await.unwrap(), [2, 4]);
    tasks.remove(2).abort();
    assert_eq!(statements.recv().await.unwrap(), [4]);
    database.finish(2);
    assert_eq!(tasks.pop().unwrap().await.unwrap(), Ok(40));
}

#[tokio::test]
async fn statement_has_a_limited_number_of_lookups() {
    let (database, mut statements) = Database::new(false);
    let lookups = Lookups::new(LONG_TIMEOUTS);
    let count = MAX_FLIGHTS + MAX_BATCH + 1;
    let tasks = start(&lookups, &database, &mut statements, count as u32).await;
    database.finish(1);
    assert_eq!(statements.recv().await.unwrap().len(), MAX_BATCH);
    database.finish(3);
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}
