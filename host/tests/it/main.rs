//! Integration tests: the real program over HTTP, a real Postgres, a real S3 store.

mod embedded_postgres;
