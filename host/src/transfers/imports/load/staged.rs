//! Moves rows from a staging table into the table of an import, and finds the rows that are refused.

use api_types::{ImportMode, OnImportError};
use tokio_postgres::{Row, Statement};

use super::{
    faults::{self, Faults, is_about_rows, may_need_other_rows},
    statements::{INDEX_STAGING, Statements},
};
use crate::{db::ExclusiveClient, plugins::TransferError, transfers::postgres::refused};

/// Maximum number of rows that one statement moves, unless one statement moves all rows.
const CHUNK_ROWS: i64 = 20_000;
/// Maximum number of rows that wait because they reference other rows. Further ones count as errors.
const MAX_WAITING: usize = 10_000;
/// Maximum number of discarded rows whose lines are searched for. A trigger may discard every row of a large file.
const MAX_LOCATED: usize = 100;

/// Counts of rows that were written or skipped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) inserted: u64,
    pub(super) updated: u64,
    /// Rows that a trigger skipped, or for which an upsert had nothing to change.
    pub(super) skipped: u64,
}

/// Whether the temporary table has all rows of the file, or only the first ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AllRows {
    Yes,
    No,
}

/// A row that waits because it references other rows.
struct WaitingRow {
    number: i64,
    /// A number that all rows with the same key have.
    key: i64,
}

/// Rows with consecutive numbers that one statement moves.
#[derive(Debug, Clone, Copy)]
struct Range {
    first: i64,
    last: i64,
    /// Whether the statement may be undone to find the rows that a trigger or a rule discards.
    may_undo: bool,
    /// The last row of the range of which this is the first half, if that range was undone only because of discarded
    /// rows.
    last_of_whole: Option<i64>,
}

impl Range {
    fn new(first: i64, last: i64) -> Self {
        Self { first, last, may_undo: true, last_of_whole: None }
    }

    fn is_divisible(self) -> bool {
        self.first < self.last
    }

    fn halves(self, undone: &Undone) -> [Self; 2] {
        let middle = self.first + (self.last - self.first) / 2;
        let last_of_whole = matches!(undone, Undone::Discarding).then_some(self.last);
        [Self { last_of_whole, ..Self::new(self.first, middle) }, Self::new(middle + 1, self.last)]
    }

    /// Returns the range of which this is the first half, if that range was undone only because of discarded rows.
    fn whole(self) -> Option<Self> {
        self.last_of_whole.map(|last| Self { may_undo: false, ..Self::new(self.first, last) })
    }
}

/// The reason why a statement that moves rows was undone.
enum Undone {
    Refused(tokio_postgres::Error),
    /// A trigger or a rule discarded some of its rows.
    Discarding,
}

/// Moves rows from the temporary table to the table.
pub(super) struct Mover<'a> {
    client: &'a ExclusiveClient,
    statements: &'a Statements,
    range: Statement,
    set: Statement,
    faults: &'a mut Faults,
    written: Written,
    /// Whether discarded rows are added to the faults.
    reports_discarded: bool,
    /// Number of discarded rows whose lines were found.
    located: usize,
}

impl<'a> Mover<'a> {
    pub(super) async fn new(
        client: &'a ExclusiveClient,
        statements: &'a Statements,
        faults: &'a mut Faults,
    ) -> Result<Self, TransferError> {
        let range = client.prepare(&statements.move_range).await.map_err(refused)?;
        let set = client.prepare(&statements.move_set).await.map_err(refused)?;
        let written = Written::default();
        Ok(Self { client, statements, range, set, faults, written, reports_discarded: false, located: 0 })
    }

    /// Moves the rows with numbers from 1 to `rows`, and adds bad ones to the faults. `Abort` stops at the first one,
    /// unless `finds_all`. Only `Skip` adds discarded rows to the faults, because a discarded row does not make an
    /// `Abort` fail. Without all rows, a row that references others is not a fault.
    pub(super) async fn run(
        mut self,
        rows: u64,
        all: AllRows,
        on_error: OnImportError,
        finds_all: bool,
    ) -> Result<Written, TransferError> {
        let stops_at_first = on_error == OnImportError::Abort && !finds_all;
        // An upsert also skips rows for which it has nothing to change.
        self.reports_discarded = on_error == OnImportError::Skip && self.statements.mode == ImportMode::Insert;
        let last = i64::try_from(rows).unwrap_or(i64::MAX);
        if last == 0 {
            return Ok(self.written);
        }
        // One statement can insert rows that reference later ones.
        if on_error == OnImportError::Abort {
            match self.move_range(1, last, false).await? {
                Ok(()) => return Ok(self.written),
                Err(_) => self.index().await?,
            }
        } else {
            self.index().await?;
        }
        let mut ranges: Vec<Range> = Vec::new();
        let mut start = 1;
        while start <= last {
            ranges.push(Range::new(start, (start + CHUNK_ROWS - 1).min(last)));
            start += CHUNK_ROWS;
        }
        ranges.reverse();
        let mut waiting = Vec::new();
        while let Some(range) = ranges.pop() {
            let Range { first, last, may_undo, .. } = range;
            let is_located = self.reports_discarded && may_undo && self.located < MAX_LOCATED;
            let undo_discarding = is_located && range.is_divisible();
            let skipped_before = self.written.skipped;
            let moved = self.move_range(first, last, undo_discarding).await?;
            if let (Err(Undone::Refused(error)), Some(whole)) = (&moved, range.whole())
                && may_need_other_rows(error)
            {
                // Rows of the first half reference rows of the second one. One statement can insert both halves. The
                // lines of the rows that it discards are not found.
                ranges.pop();
                ranges.push(whole);
                continue;
            }
            match moved {
                Ok(()) if self.reports_discarded => self.add_discarded(first, last, skipped_before).await?,
                Err(undone) if range.is_divisible() => {
                    let [first_half, second_half] = range.halves(&undone);
                    ranges.push(second_half);
                    ranges.push(first_half);
                }
                Err(Undone::Refused(error)) if may_need_other_rows(&error) && waiting.len() < MAX_WAITING => {
                    waiting.push(first);
                }
                Err(Undone::Refused(error)) if may_need_other_rows(&error) && all == AllRows::No => {
                    return Ok(self.written);
                }
                Err(Undone::Refused(error)) => {
                    self.add_fault(first, &error).await?;
                    if stops_at_first {
                        return Ok(self.written);
                    }
                }
                // A statement for a single row is not undone because it discards the row.
                Ok(()) | Err(Undone::Discarding) => {}
            }
        }
        if all == AllRows::Yes {
            self.move_waiting(waiting, stops_at_first).await?;
        }
        Ok(self.written)
    }

    /// Moves the rows that wait because they reference other rows, now that the others are in the table. Waiting rows
    /// may also reference one another. Of the rows with one key, the last one in the file wins, although it may be
    /// moved before the others.
    async fn move_waiting(&mut self, waiting: Vec<i64>, stops_at_first: bool) -> Result<(), TransferError> {
        let mut waiting = self.without_replaced(waiting).await?;
        while !waiting.is_empty() {
            let numbers: Vec<i64> = waiting.iter().map(|row| row.number).collect();
            if self.move_set(&numbers).await?.is_ok() {
                return Ok(());
            }
            let before = waiting.len();
            let mut still_waiting: Vec<(WaitingRow, tokio_postgres::Error)> = Vec::new();
            for row in waiting {
                match self.move_set(&[row.number]).await? {
                    // `move_set` is never undone because of discarded rows.
                    Err(Undone::Discarding) => {}
                    Err(Undone::Refused(error)) => still_waiting.push((row, error)),
                    Ok(()) => {
                        let earlier = still_waiting.len();
                        still_waiting.retain(|(other, _)| other.key != row.key);
                        self.written.updated += (earlier - still_waiting.len()) as u64;
                    }
                }
            }
            if still_waiting.len() == before {
                for (row, error) in &still_waiting {
                    self.add_fault(row.number, error).await?;
                    if stops_at_first {
                        break;
                    }
                }
                return Ok(());
            }
            waiting = still_waiting.into_iter().map(|(row, _)| row).collect();
        }
        Ok(())
    }

    /// Finds the keys of waiting rows. Leaves out rows with the key of a later row that was already moved.
    async fn without_replaced(&mut self, waiting: Vec<i64>) -> Result<Vec<WaitingRow>, TransferError> {
        let Some(same_keys) = self.statements.same_keys.as_ref().filter(|_| !waiting.is_empty()) else {
            return Ok(waiting.into_iter().map(|number| WaitingRow { number, key: number }).collect());
        };
        let found = self.client.query(same_keys, &[&waiting]).await.map_err(refused)?;
        let (replaced, kept): (Vec<Row>, Vec<Row>) = found.into_iter().partition(|row| row.get(2));
        self.written.updated += replaced.len() as u64;
        Ok(kept.iter().map(|row| WaitingRow { number: row.get(0), key: row.get(1) }).collect())
    }

    async fn index(&self) -> Result<(), TransferError> {
        self.client.batch_execute(INDEX_STAGING).await.map_err(refused)
    }

    async fn add_fault(&mut self, row: i64, error: &tokio_postgres::Error) -> Result<(), TransferError> {
        let fault = faults::describe(self.client, &self.statements.probes, row, error).await?;
        self.faults.add(fault);
        // The rows that remain in the temporary table were moved, or wait.
        let remove = format!("DELETE FROM pg_temp.atlashub_import WHERE row_number = {row}");
        self.client.batch_execute(&remove).await.map_err(refused)
    }

    /// Adds the discarded rows of a range or a set to the faults. `first` and `last` are the numbers of its first and
    /// last row, and `skipped_before` is the number of rows that were skipped before.
    async fn add_discarded(&mut self, first: i64, last: i64, skipped_before: u64) -> Result<(), TransferError> {
        let discarded = self.written.skipped.saturating_sub(skipped_before);
        self.written.skipped = skipped_before;
        if discarded > 0 && first == last && self.located < MAX_LOCATED {
            self.located += 1;
            let fault = faults::discarded(self.client, first).await?;
            self.faults.add(fault);
        } else {
            self.faults.count += discarded;
        }
        Ok(())
    }

    /// Moves a range of rows. With `undo_discarding`, the statement is undone if a trigger or a rule discards rows.
    async fn move_range(
        &mut self,
        first: i64,
        last: i64,
        undo_discarding: bool,
    ) -> Result<Result<(), Undone>, TransferError> {
        let count = "SELECT pg_catalog.count(*) FROM pg_temp.atlashub_import WHERE row_number BETWEEN $1 AND $2";
        let statement = self.range.clone();
        self.move_rows(&statement, &[&first, &last], count, undo_discarding).await
    }

    async fn move_set(&mut self, rows: &[i64]) -> Result<Result<(), Undone>, TransferError> {
        let count = "SELECT pg_catalog.count(*) FROM pg_temp.atlashub_import WHERE row_number = ANY ($1)";
        let statement = self.set.clone();
        let skipped_before = self.written.skipped;
        let moved = self.move_rows(&statement, &[&rows], count, false).await?;
        if moved.is_ok()
            && self.reports_discarded
            && let (Some(first), Some(last)) = (rows.first(), rows.last())
        {
            self.add_discarded(*first, *last, skipped_before).await?;
        }
        Ok(moved)
    }

    /// Runs a statement that moves rows. After an inner error, which is about the rows, the statement was undone.
    async fn move_rows(
        &mut self,
        statement: &Statement,
        parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
        count: &str,
        undo_discarding: bool,
    ) -> Result<Result<(), Undone>, TransferError> {
        let client = self.client;
        let undo = "ROLLBACK TO SAVEPOINT atlashub_rows; RELEASE SAVEPOINT atlashub_rows";
        client.batch_execute("SAVEPOINT atlashub_rows").await.map_err(refused)?;
        let moved = match self.statements.mode {
            ImportMode::Insert => insert(client, statement, parameters, count).await,
            ImportMode::Upsert => upsert(client, statement, parameters).await,
        };
        match moved {
            Ok(written) if undo_discarding && written.skipped > 0 => {
                client.batch_execute(undo).await.map_err(refused)?;
                Ok(Err(Undone::Discarding))
            }
            Ok(written) => {
                client.batch_execute("RELEASE SAVEPOINT atlashub_rows").await.map_err(refused)?;
                self.written.inserted += written.inserted;
                self.written.updated += written.updated;
                self.written.skipped += written.skipped;
                Ok(Ok(()))
            }
            Err(error) if is_about_rows(&error) => {
                client.batch_execute(undo).await.map_err(refused)?;
                Ok(Err(Undone::Refused(error)))
            }
            Err(error) => Err(refused(error)),
        }
    }
}

async fn insert(
    client: &ExclusiveClient,
    statement: &Statement,
    parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    count: &str,
) -> Result<Written, tokio_postgres::Error> {
    let inserted = client.execute(statement, parameters).await?;
    let rows: i64 = client.query_one(count, parameters).await?.get(0);
    Ok(Written { inserted, updated: 0, skipped: rows.unsigned_abs().saturating_sub(inserted) })
}

async fn upsert(
    client: &ExclusiveClient,
    statement: &Statement,
    parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
) -> Result<Written, tokio_postgres::Error> {
    let row = client.query_one(statement, parameters).await?;
    let number = |index: usize| row.get::<_, i64>(index).unsigned_abs();
    let (inserted, written, rows, last) = (number(0), number(1), number(2), number(3));
    // A row counts as updated if a later row of the file replaces it.
    let replaced = rows.saturating_sub(last);
    Ok(Written { inserted, updated: written - inserted + replaced, skipped: last.saturating_sub(written) })
}
