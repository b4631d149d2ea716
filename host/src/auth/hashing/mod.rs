//! Hashes passwords with Argon2id. The number of hashes in parallel is limited, because each needs 19 MiB and tens of
//! milliseconds of a core.

mod memory;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};
use parking_lot::Mutex;
use rand::RngCore as _;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
};
use zeroize::Zeroizing;

use self::memory::{Kept, Memory};
use crate::error::{ApiError, ApiResult, Code};

/// OWASP's minimum for Argon2id: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;
/// Maximum number of requests that wait for a hash. Further ones are refused at once.
const MAX_WAITING: usize = 200;
/// Maximum time that a request waits for its turn.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// Time after which a hash whose thread yields to all others is computed again by a thread that doesn't. On an idle
/// machine, a whole login takes 17 ms.
const MAX_YIELDING: Duration = Duration::from_millis(500);
/// Time for which hashes don't yield to other threads after a hash that took longer than [`MAX_YIELDING`].
const NOT_YIELDING: Duration = Duration::from_secs(30);

/// A password, which is overwritten in memory when it is dropped.
pub(super) type Password = Zeroizing<String>;

/// Hashes and verifies passwords.
#[derive(Clone)]
pub(super) struct PasswordHasher {
    /// One permit for each hash that may be computed now.
    running: Arc<Semaphore>,
    /// One permit for each request that may wait or compute.
    admitted: Arc<Semaphore>,
    /// A well-formed hash that no password has. It is verified if a user has no hash, so that both cases take the same
    /// time.
    decoy: Arc<str>,
    memory: Kept,
    /// Time at which a hash that yields last took longer than [`MAX_YIELDING`].
    starved_at: Arc<Mutex<Option<Instant>>>,
}

impl PasswordHasher {
    /// Creates a hasher that computes at most `concurrency` hashes at the same time. A hash that is computed again by a
    /// second thread counts once.
    pub(super) fn new(concurrency: usize) -> Self {
        Self {
            running: Arc::new(Semaphore::new(concurrency)),
            admitted: Arc::new(Semaphore::new(concurrency + MAX_WAITING)),
            decoy: "$argon2id$v=19$m=19456,t=2,p=1$YXRsYXNodWItZGVjb3kh$\
                    Y2FuIG5ldmVyIGJlIHRoZSBoYXNoIG9mIGFueXRoaW4"
                .into(),
            memory: Kept::default(),
            starved_at: Arc::default(),
        }
    }

    /// Returns the hash of a password in PHC format.
    ///
    /// # Errors
    /// Returns 503 if too many requests wait for a hash, or this one waited longer than [`MAX_WAIT`].
    pub(super) async fn hash(&self, password: Password) -> ApiResult<String> {
        self.run(move |memory| {
            let mut salt = [0; SALT_BYTES];
            rand::rng().fill_bytes(&mut salt);
            new_hash(&password, &salt, memory).map(|hash| hash.to_string())
        })
        .await?
        .map_err(|error| ApiError::internal(error.context("a password could not be hashed")))
    }

    /// Returns whether the password has this hash. Without a hash, returns false after the same time.
    ///
    /// # Errors
    /// Returns 503 if too many requests wait for a hash, or this one waited longer than [`MAX_WAIT`].
    pub(super) async fn verify(&self, password: Password, hash: Option<&str>) -> ApiResult<bool> {
        let (is_known, hash) = (hash.is_some(), hash.unwrap_or(&self.decoy).to_owned());
        let matches = self
            .run(move |memory| has_hash(&password, &PasswordHash::new(&hash)?, memory))
            .await?
            .map_err(|error: anyhow::Error| ApiError::internal(error.context("a stored password hash is unusable")))?;
        Ok(is_known && matches)
    }

    async fn run<T: Send + 'static>(&self, work: impl Fn(&mut Memory) -> T + Send + Sync + 'static) -> ApiResult<T> {
        let _admitted = self.admitted.try_acquire().map_err(|_| too_many())?;
        let running = tokio::time::timeout(MAX_WAIT, self.running.clone().acquire_owned()).await;
        let running = running.map_err(|_| too_many())?.map_err(ApiError::internal)?;
        let work = Arc::new(work);
        let permit = Arc::new(Mutex::new(Some(running)));
        if self.starved_at.lock().is_some_and(|at| at.elapsed() < NOT_YIELDING) {
            return self.start(work, permit, Priority::Normal)?.await.map_err(ApiError::internal);
        }
        let mut yielding = self.start(work.clone(), permit.clone(), Priority::Idle)?;
        if let Ok(output) = tokio::time::timeout(MAX_YIELDING, &mut yielding).await {
            return output.map_err(ApiError::internal);
        }
        // Other programs may keep the processor busy for any length of time.
        *self.starved_at.lock() = Some(Instant::now());
        let permit = Arc::new(Mutex::new(permit.lock().take()));
        let output = tokio::select! {
            output = yielding => output,
            output = self.start(work, permit, Priority::Normal)? => output,
        };
        output.map_err(ApiError::internal)
    }

    /// Starts a thread for the work, and returns the channel that receives the result. The thread returns the permit
    /// when it ends, even if nobody waits for the result, unless another thread has taken the permit over.
    fn start<T: Send + 'static>(
        &self,
        work: Arc<impl Fn(&mut Memory) -> T + Send + Sync + 'static>,
        permit: Arc<Mutex<Option<OwnedSemaphorePermit>>>,
        priority: Priority,
    ) -> ApiResult<oneshot::Receiver<T>> {
        let kept = self.memory.clone();
        let runtime = Handle::current();
        let (result, finished) = oneshot::channel();
        let work = move || {
            let mut memory = kept.take();
            if priority == Priority::Idle {
                yield_to_other_threads();
            }
            let output = work(&mut memory);
            kept.put_back(memory, &runtime);
            drop(permit.lock().take());
            // Nobody waits for the result if the request was cancelled.
            let _ = result.send(output);
        };
        std::thread::Builder::new().name("password-hash".to_owned()).spawn(work).map_err(ApiError::internal)?;
        Ok(finished)
    }
}

/// The share of the processor that a thread gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Priority {
    /// The time that no other thread needs.
    Idle,
    Normal,
}

/// Lets the current thread run only while no other thread needs its core, so that a storm of logins doesn't delay other
/// requests.
///
/// Each hash has a thread of its own, because a process without privileges can't raise a thread's priority again.
fn yield_to_other_threads() {
    // Other systems have no such policy.
    #[cfg(target_os = "linux")]
    {
        use thread_priority::{NormalThreadSchedulePolicy::Idle, ThreadPriority, ThreadSchedulePolicy, unix};
        let policy = ThreadSchedulePolicy::Normal(Idle);
        let thread = unix::thread_native_id();
        if let Err(error) = unix::set_thread_priority_and_policy(thread, ThreadPriority::Min, policy) {
            tracing::debug!(?error, "a password is hashed with the priority of other work");
        }
    }
}

fn new_hash(password: &str, salt: &[u8], memory: &mut Memory) -> anyhow::Result<PasswordHash> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)?;
    let mut hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params)?,
        salt: Some(Salt::new(salt)?),
        hash: None,
    };
    hash.hash = Some(output(password, &hash, Params::DEFAULT_OUTPUT_LEN, memory)?);
    Ok(hash)
}

/// Returns whether the password has this hash. Compares in constant time.
fn has_hash(password: &str, hash: &PasswordHash, memory: &mut Memory) -> anyhow::Result<bool> {
    let expected = hash.hash.context("it has no output")?;
    Ok(output(password, hash, expected.len(), memory)? == expected)
}

/// Hashes the password with the algorithm, parameters and salt of `hash`.
fn output(password: &str, hash: &PasswordHash, length: usize, memory: &mut Memory) -> anyhow::Result<Output> {
    let version = hash.version.map_or(Ok(Version::default()), Version::try_from)?;
    let params = Params::try_from(hash)?;
    let blocks = memory.reserve(params.block_count());
    let argon2 = Argon2::new(Algorithm::try_from(hash.algorithm.as_str())?, version, params);
    let salt = hash.salt.context("it has no salt")?;
    let mut output = Zeroizing::new([0; Output::MAX_LENGTH]);
    let output = output.get_mut(..length).context("it is too long")?;
    argon2.hash_password_into_with_memory(password.as_bytes(), &salt, output, blocks)?;
    Ok(Output::new(output)?)
}

fn too_many() -> ApiError {
    ApiError::new(Code::Overloaded, "Too many passwords are being checked or set.")
        .with_hint("Wait for the number of seconds in `Retry-After`, then try again.")
        .with_retry_after(Duration::from_secs(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Zeroizing::new(text.to_owned())
    }

    #[tokio::test]
    async fn hash_verifies_its_own_password_only() {
        let hasher = PasswordHasher::new(1);
        let hash = hasher.hash(password("correct horse")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_ne!(hash, hasher.hash(password("correct horse")).await.unwrap());
        assert!(hasher.verify(password("correct horse"), Some(&hash)).await.unwrap());
        assert!(!hasher.verify(password("Correct horse"), Some(&hash)).await.unwrap());
        assert!(!hasher.verify(password("correct horse"), None).await.unwrap());
    }

    #[tokio::test]
    async fn requests_beyond_the_queue_are_refused_at_once() {
        let hasher = PasswordHasher::new(1);
        let admitted = hasher.admitted.clone();
        let _all = admitted.try_acquire_many(1 + MAX_WAITING as u32).unwrap();
        let error = hasher.verify(password("x"), None).await.unwrap_err();
        assert_eq!((error.code(), error.retry_after_seconds()), (Code::Overloaded, Some(2)));
    }

    /// Returns the scheduling policy of the threads that hash, as Linux numbers them.
    #[cfg(target_os = "linux")]
    async fn policy(hasher: &PasswordHasher) -> u32 {
        // The fields after the name of the thread begin with the third. The policy is the 41st.
        let stat = hasher.run(|_| std::fs::read_to_string("/proc/thread-self/stat").unwrap()).await.unwrap();
        stat.rsplit_once(')').unwrap().1.split_whitespace().nth(41 - 3).unwrap().parse().unwrap()
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn hashes_yield_to_other_threads_unless_one_took_too_long_recently() {
        const SCHED_OTHER: u32 = 0;
        const SCHED_IDLE: u32 = 5;
        let hasher = PasswordHasher::new(1);
        // On a busy machine, a thread that yields may get no processor time within the limit. Then another thread
        // computes the hash, and this loop tries again.
        let until_yielding = async |starved_at: Option<Instant>| {
            for _ in 0..100 {
                *hasher.starved_at.lock() = starved_at;
                if policy(&hasher).await == SCHED_IDLE {
                    return;
                }
            }
            panic!("no hash yields");
        };
        until_yielding(None).await;
        *hasher.starved_at.lock() = Some(Instant::now());
        assert_eq!(policy(&hasher).await, SCHED_OTHER);
        assert_eq!(policy(&hasher).await, SCHED_OTHER);
        until_yielding(Instant::now().checked_sub(NOT_YIELDING + Duration::from_secs(1))).await;
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn hash_that_gets_no_processor_time_is_computed_again_by_another_thread() {
        use std::sync::atomic::{AtomicU32, Ordering};
        let hasher = PasswordHasher::new(1);
        let (release, released) = std::sync::mpsc::channel::<()>();
        let (released, calls) = (Mutex::new(released), AtomicU32::new(0));
        // The first thread blocks, like one that never gets processor time.
        let second = hasher.run(move |_| {
            if calls.fetch_add(1, Ordering::Relaxed) == 0 {
                let _ = released.lock().recv();
            }
            std::thread::current().name().map(str::to_owned)
        });
        assert_eq!(second.await.unwrap().as_deref(), Some("password-hash"));
        assert!(hasher.starved_at.lock().is_some());
        // The first thread has passed its permit on, so it keeps no other hash waiting.
        assert_eq!(hasher.running.available_permits(), 1);
        drop(release);
    }
}
