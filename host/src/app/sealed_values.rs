//! The sealed columns of all slices.

use sqlx::PgPool;

use crate::{
    auth, backups, jobs, notifications, plugins, projects,
    secrets::{self, ResealReport, SealError, SealedColumn, SealedColumnError, Sealer},
};

/// Returns every column of the platform database that is sealed under the master key.
pub fn sealed_columns() -> Vec<SealedColumn> {
    let columns = [
        projects::SEALED_COLUMNS,
        auth::SEALED_COLUMNS,
        jobs::SEALED_COLUMNS,
        notifications::SEALED_COLUMNS,
        plugins::SEALED_COLUMNS,
        backups::SEALED_COLUMNS,
    ];
    columns.concat()
}

/// Seals every value with the current master key. See [`secrets::reseal`].
///
/// # Errors
/// Returns the errors of [`secrets::reseal`].
pub async fn reseal_all(platform: &PgPool, sealer: &Sealer) -> Result<ResealReport, SealedColumnError> {
    secrets::reseal(platform, sealer, &sealed_columns()).await
}

/// Opens every sealed value, and returns their number. See [`secrets::check_sealed`].
///
/// # Errors
/// Returns the errors of [`secrets::check_sealed`].
pub async fn check_all_sealed(platform: &PgPool, sealer: &Sealer) -> Result<u64, SealedColumnError> {
    secrets::check_sealed(platform, sealer, &sealed_columns()).await
}

/// Returns the reason if there are sealed values and the sealer opens none of them. See
/// [`secrets::find_reason_why_none_opens`].
///
/// # Errors
/// Fails if the platform database can't be accessed.
pub async fn find_wrong_master_key(platform: &PgPool, sealer: &Sealer) -> Result<Option<SealError>, sqlx::Error> {
    secrets::find_reason_why_none_opens(platform, sealer, &sealed_columns()).await
}
