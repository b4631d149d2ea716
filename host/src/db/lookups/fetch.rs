//! Runs lookups on a project's connections.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::future::try_join_all;
use tokio::time::timeout;
use tokio_postgres::Row;

use super::{Budget, ShapeName, SharedResults};
use crate::db::{DbError, DbRole, LookupKey, ProjectPools, RowSink, Statement, connection::UserRead};

/// Maximum number of users whose lookups share a transaction. Postgres runs their statements one after the other, so
/// with more users, waiting for each other would take longer than sharing saves.
const MAX_USERS: usize = 16;

/// Maximum time for a transaction of several users, because the statement of one user may take long. After this time,
/// each lookup is sent again, alone. It is longer than the time after which the connection is retired.
const MAX_DURATION: Duration = Duration::from_millis(300);

/// The values that the statement of a lookup needs.
#[derive(Clone)]
pub(in crate::db) struct Lookup {
    key: LookupKey,
    /// Claims of the signed-in user as JSON.
    claims: Option<Arc<str>>,
}

/// The lookups of a batch that have the same claims.
#[derive(Default)]
struct Group {
    keys: Vec<LookupKey>,
    /// The position of each lookup in the batch.
    positions: Vec<usize>,
}

impl ProjectPools {
    /// Like [`Self::fetch_into`], for a statement that reads at most one row by a unique key. Lookups with the same
    /// statement that wait at the same moment are sent together: those with the same claims in one statement, which
    /// `shared` renders for their keys, and those with different claims in one transaction. The last column of the rows
    /// of a shared statement must be the position of the key, counted from 1.
    ///
    /// # Errors
    /// Returns the errors of [`Self::fetch_into`]. An error of a batch is never returned.
    pub async fn fetch_lookup(
        &self,
        project: &str,
        role: DbRole,
        claims: Option<&str>,
        statement: &Statement,
        shared: &(dyn Fn(&[LookupKey]) -> Statement + Sync),
        rows: &mut dyn RowSink,
    ) -> Result<(), DbError> {
        let lookups = self.pools_of(project)[role as usize].lookups.clone();
        let alone = || async {
            let mut rows = Vec::new();
            self.fetch_into(project, role, claims, statement, &mut rows).await?;
            Ok::<_, DbError>(rows.pop())
        };
        let together = |lookups: Vec<Lookup>| async move {
            let count = lookups.len();
            let groups = group(lookups);
            match groups.as_slice() {
                // Without different claims, the lookups are in one group, in the order of the batch.
                [(claims, group)] => {
                    let budget = Budget::default();
                    let mut results = SharedResults::of_positions(count, &budget);
                    self.fetch_into(project, role, claims.as_deref(), &shared(&group.keys), &mut results).await?;
                    Ok(results.into_rows())
                }
                _ => self.fetch_of_users(project, role, groups, count, statement, shared).await,
            }
        };
        let shape = ShapeName { text: statement.text.clone(), has_claims: claims.is_some() };
        let lookup = Lookup { key: statement.params.clone(), claims: claims.map(Arc::from) };
        match lookups.run(&shape, lookup, alone, together).await? {
            Some(row) => rows.add(row),
            None => Ok(()),
        }
    }

    /// Runs the lookups of several users in transactions that they share. Returns the row of each lookup, by its
    /// position, or an empty list if each lookup must be sent again, alone.
    async fn fetch_of_users(
        &self,
        project: &str,
        role: DbRole,
        groups: Vec<(Option<Arc<str>>, Group)>,
        count: usize,
        statement: &Statement,
        shared: &(dyn Fn(&[LookupKey]) -> Statement + Sync),
    ) -> Result<Vec<Option<Row>>, DbError> {
        let budget = Budget::default();
        let mut results: Vec<_> = groups
            .iter()
            .map(|(_, group)| match group.keys.len() {
                1 => SharedResults::of_one(&budget),
                count => SharedResults::of_positions(count, &budget),
            })
            .collect();
        let reads = groups.iter().zip(&mut results).map(|((claims, group), rows)| {
            let statement = match group.keys.as_slice() {
                [key] => Statement { params: key.clone(), ..statement.clone() },
                keys => shared(keys),
            };
            Some(UserRead { claims: claims.clone()?, statement, rows })
        });
        // Without claims, a statement would run with those of the user before it.
        let Some(mut reads) = reads.collect::<Option<Vec<_>>>() else { return Ok(Vec::new()) };
        let transactions = reads.chunks_mut(MAX_USERS).map(async |reads| {
            let connection = self.shared_connection(project, role, false).await?;
            let result = timeout(MAX_DURATION, connection.fetch_reads_together(reads)).await;
            Ok::<_, DbError>(result.is_ok_and(|result| result.is_ok()))
        });
        if !try_join_all(transactions).await?.into_iter().all(|is_complete| is_complete) {
            return Ok(Vec::new());
        }
        drop(reads);
        let mut rows: Vec<_> = std::iter::repeat_with(|| None).take(count).collect();
        for ((_, group), results) in groups.into_iter().zip(results) {
            let found = results.into_rows();
            if found.len() != group.positions.len() {
                return Ok(Vec::new());
            }
            for (position, row) in group.positions.into_iter().zip(found) {
                rows[position] = row;
            }
        }
        Ok(rows)
    }
}

/// Groups lookups by their claims. The groups are in the order of their first lookups.
fn group(lookups: Vec<Lookup>) -> Vec<(Option<Arc<str>>, Group)> {
    let mut groups: Vec<(Option<Arc<str>>, Group)> = Vec::new();
    let mut indexes = HashMap::new();
    for (position, Lookup { key, claims }) in lookups.into_iter().enumerate() {
        let index = *indexes.entry(claims).or_insert_with_key(|claims| {
            groups.push((claims.clone(), Group::default()));
            groups.len() - 1
        });
        let (_, group) = &mut groups[index];
        group.keys.push(key);
        group.positions.push(position);
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lookups_with_the_same_claims_are_in_one_group() {
        let lookup =
            |key: &str, claims: Option<&str>| Lookup { key: vec![Some(key.into())], claims: claims.map(Arc::from) };
        let groups = group(vec![lookup("1", Some("a")), lookup("2", Some("b")), lookup("3", Some("a"))]);
        let groups: Vec<_> =
            groups.iter().map(|(claims, group)| (claims.as_deref(), &*group.positions, group.keys.concat())).collect();
        let keys = |keys: &[&str]| keys.iter().map(|key| Some(Arc::from(*key))).collect::<Vec<_>>();
        assert_eq!(groups, [(Some("a"), &[0, 2][..], keys(&["1", "3"])), (Some("b"), &[1][..], keys(&["2"]))]);
        assert_eq!(group(vec![lookup("1", None), lookup("2", None)]).len(), 1);
    }
}
