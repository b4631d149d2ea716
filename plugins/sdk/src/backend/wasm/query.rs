//! Calls the host's interface `query`.

use super::{from_wit, host, stream::Reader};
use crate::{
    Result,
    query::{Column, Query, QueryInfo},
    stream::{ByteStream, Outcome},
};

pub(crate) async fn open(query: Query) -> Result<(Vec<Column>, ByteStream, Outcome<QueryInfo>)> {
    let Query { database, sql, parameters, timeout_ms } = query;
    let statement = host::query::Statement { sql, parameters, timeout_ms };
    let (columns, rows, outcome) = host::query::open(database, statement).await.map_err(from_wit)?;
    let outcome = Outcome::new(async move { outcome.await.map_err(from_wit) });
    Ok((columns, ByteStream { reader: Reader::new(rows) }, outcome))
}
