//! Reads a log step by step while its run continues.
//!
//! The run may be on another node, so its row is polled. A poll is cheap and needs no dedicated connection.

use std::{collections::VecDeque, time::Duration};

use api_types::Run;
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use super::{
    log::{LogFilter, LogPart, read_log},
    queries::{self, RunRow},
};
use crate::{
    error::{ApiError, ApiResult, Code},
    http::HEARTBEAT_INTERVAL,
    jobs::Runs,
};

/// A log that is followed.
pub struct LogFollower {
    runs: Runs,
    run: Uuid,
    offset: usize,
    filter: LogFilter,
    first: Option<LogPart>,
    _permit: OwnedSemaphorePermit,
}

/// The lines that were added to a log since the previous call of [`LogFollower::read`].
#[derive(Debug, Default)]
pub struct LogNews {
    /// The lines that the filter selects, as JSON, each with the offset in bytes of its end.
    pub lines: Vec<(usize, String)>,
    /// Whether the log is complete, or its run was deleted.
    pub ended: bool,
    /// The run, if it has ended and could be read.
    pub run: Option<Run>,
}

impl LogFollower {
    /// Interval at which [`Self::read`] should be called.
    pub const POLL_INTERVAL: Duration = Duration::from_millis(250);

    /// Follows a log from an offset in bytes. From offset 0, `filter.tail` limits the number of existing lines. From
    /// any other offset, `filter.tail` is ignored.
    ///
    /// # Errors
    /// Returns 404 if the run does not exist, and 503 if clients already follow the maximum number of logs on this
    /// node, or if Postgres or the object store can't be reached.
    pub async fn open(runs: &Runs, run: Uuid, offset: usize, mut filter: LogFilter) -> ApiResult<Self> {
        let permit = runs.log_stream_permits.clone().try_acquire_owned().map_err(|_| {
            ApiError::new(Code::Overloaded, "Too many logs are being followed.")
                .with_hint("Close one, or read the log without following it.")
                .with_retry_after(HEARTBEAT_INTERVAL)
        })?;
        if offset > 0 {
            filter.tail = None;
        }
        let first = read_log(runs, run, offset).await?.ok_or_else(|| ApiError::not_found("run"))?;
        Ok(Self { runs: runs.clone(), run, offset, filter, first: Some(first), _permit: permit })
    }

    /// Returns the id of the run.
    pub fn run_id(&self) -> Uuid {
        self.run
    }

    /// Returns the offset in bytes up to which the log was read.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Returns the lines that were added since the last call.
    ///
    /// # Errors
    /// Returns 503 if Postgres or the object store can't be reached. A later call continues.
    pub async fn read(&mut self) -> ApiResult<LogNews> {
        let part = match self.first.take() {
            Some(first) => first,
            None => match read_log(&self.runs, self.run, self.offset).await? {
                Some(part) => part,
                // The run was deleted with its job.
                None => return Ok(LogNews { ended: true, ..LogNews::default() }),
            },
        };
        let mut news = LogNews { ended: part.is_last(), ..LogNews::default() };
        if news.ended {
            let run = queries::get_run(&self.runs.platform, self.run).await;
            news.run = run.ok().flatten().map(RunRow::into_wire);
        }
        let (filter, tail) = (self.filter, self.filter.tail.take());
        let mut end = self.offset;
        let lines = part.lines.into_iter().filter_map(|line| {
            end += line.len() + 1;
            filter.includes(&line).then_some((end, line))
        });
        news.lines = match tail {
            Some(tail) => last(lines, tail as usize),
            None => lines.collect(),
        };
        self.offset = part.end;
        Ok(news)
    }
}

/// Returns the last `count` items.
pub(super) fn last<T>(items: impl Iterator<Item = T>, count: usize) -> Vec<T> {
    let mut kept = VecDeque::new();
    for item in items {
        if kept.len() == count {
            kept.pop_front();
        }
        kept.push_back(item);
    }
    kept.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_keeps_the_order() {
        assert_eq!(last(1..6, 2), [4, 5]);
        assert_eq!(last(1..3, 5), [1, 2]);
    }
}
