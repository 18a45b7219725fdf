//! Which trouble the store is in, and whether a new connection may help.

use rusqlite::ErrorCode;

/// The label where another connection has the file.
pub(super) const LOCKED: &str = "locked";

/// The label of a failed write, from a closed set.
pub(super) fn label(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "disk_full",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => LOCKED,
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => "read_only",
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => "corrupt",
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => "io",
        _ => "other",
    }
}

/// True when what this connection has in memory or in its hands may be the trouble: the file was replaced, restored or
/// mounted again, and a new connection would see it.
pub(super) fn wants_new_connection(error: &rusqlite::Error) -> bool {
    matches!(label(error), "read_only" | "corrupt" | "io")
}
