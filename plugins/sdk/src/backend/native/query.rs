//! The capability `query` of the simulated host.

use serde_json::Value;

use super::{host_state::call, records::SentQuery, stream::Reader};
use crate::{
    Error, Result,
    plugin::Capability,
    query::{Column, Query, QueryInfo},
    stream::{ByteStream, Outcome},
};

pub(crate) async fn open(query: Query) -> Result<(Vec<Column>, ByteStream, Outcome<QueryInfo>)> {
    let Query { database, sql, parameters, timeout_ms } = query;
    call(Capability::Query, "query.open", &database, |state| {
        let sent = SentQuery { database: database.clone(), sql, parameters, timeout_ms };
        state.queries.push(sent.clone());
        let rows = match &mut state.query_handler {
            Some(handler) => handler(&sent)?,
            None => {
                let message = "the test has no query handler: add one with TestHost::handle_queries";
                return Err(Error::unavailable(message));
            }
        };
        let names = rows.first().and_then(Value::as_object).into_iter().flat_map(|row| row.keys());
        let columns = names.map(|name| Column { name: name.clone(), data_type: "text".to_owned() }).collect();
        let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
        let info = QueryInfo { row_count: rows.len() as u64, duration_ms: 1 };
        let outcome = state.take_failure("query.open.outcome", &database).map_or(Ok(info), Err);
        let stream = ByteStream { reader: Reader::of_bytes(lines.into_bytes()) };
        Ok((columns, stream, Outcome::new(async move { outcome })))
    })
}
