//! Keys that seal values in projects' databases. The master key seals the keys, not the values, so rotating it does not
//! change projects' databases, and a backup that is older than a rotation stays readable.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use sqlx::PgPool;
use zeroize::Zeroizing;

use crate::{
    error::{ApiError, ApiResult},
    secrets::{MasterKey, SealError, SealedColumn, Sealer},
};

const SEALED_KEY: SealedColumn =
    SealedColumn { table: "data_keys", column: "sealed", key_columns: &["id"], identity: "data_keys/{id}" };

/// Columns of this slice that are sealed under the master key.
pub const SEALED_COLUMNS: &[SealedColumn] = &[SEALED_KEY];

/// Seals and opens values with the data keys. Sealing the first value creates the first key.
#[derive(Clone)]
pub(in crate::auth) struct DataKeys {
    platform: PgPool,
    master: Sealer,
    /// The keys, once they have been read.
    opened: Arc<ArcSwapOption<Sealer>>,
}

impl DataKeys {
    pub(in crate::auth) fn new(platform: PgPool, master: Sealer) -> Self {
        Self { platform, master, opened: Arc::default() }
    }

    /// Seals a value with the newest key.
    pub(super) async fn seal(&self, plain: &[u8], identity: &str) -> ApiResult<Vec<u8>> {
        let keys = match self.opened.load_full() {
            Some(keys) => keys,
            None => self.read_or_create().await?,
        };
        keys.seal(plain, identity).map_err(ApiError::internal)
    }

    /// Opens a value. Returns `None` if it was sealed on another platform, whose keys this one does not have.
    pub(super) async fn open(&self, sealed: &[u8], identity: &str) -> ApiResult<Option<Zeroizing<Vec<u8>>>> {
        if let Some(keys) = self.opened.load_full()
            && let Ok(plain) = keys.open(sealed, identity)
        {
            return Ok(Some(plain));
        }
        // Another node may have created a key.
        let Some(keys) = self.read().await? else { return Ok(None) };
        match keys.open(sealed, identity) {
            Ok(plain) => Ok(Some(plain)),
            Err(SealError::UnknownKey(_)) => Ok(None),
            Err(error) => Err(ApiError::internal(error)),
        }
    }

    async fn read_or_create(&self) -> ApiResult<Arc<Sealer>> {
        if let Some(keys) = self.read().await? {
            return Ok(keys);
        }
        let key = MasterKey::generate();
        let id = key.id().to_string();
        let sealed = self.master.seal(key.to_base64().as_bytes(), &SEALED_KEY.identity(&[&id]));
        // Two nodes may insert a key each. Both keys open values.
        sqlx::query("INSERT INTO data_keys (id, sealed) VALUES ($1, $2)")
            .bind(&id)
            .bind(sealed.map_err(ApiError::internal)?)
            .execute(&self.platform)
            .await?;
        let keys = self.read().await?;
        keys.ok_or_else(|| ApiError::internal(anyhow::anyhow!("the new data key is missing")))
    }

    async fn read(&self) -> ApiResult<Option<Arc<Sealer>>> {
        let rows: Vec<(String, Vec<u8>)> = crate::db::platform::retry_stale(|| {
            sqlx::query_as("SELECT id, sealed FROM data_keys ORDER BY created_at DESC, id").fetch_all(&self.platform)
        })
        .await?;
        let keys = rows.iter().map(|(id, sealed)| self.open_key(id, sealed)).collect::<ApiResult<Vec<_>>>()?;
        let Some((newest, others)) = keys.split_first() else { return Ok(None) };
        let keys = Arc::new(Sealer::new(newest, others));
        self.opened.store(Some(keys.clone()));
        Ok(Some(keys))
    }

    fn open_key(&self, id: &str, sealed: &[u8]) -> ApiResult<MasterKey> {
        let text = self.master.open(sealed, &SEALED_KEY.identity(&[&id])).map_err(ApiError::internal)?;
        let text = std::str::from_utf8(&text).map_err(ApiError::internal)?;
        MasterKey::from_base64(text).map_err(ApiError::internal)
    }
}
