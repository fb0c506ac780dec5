//! Redis's errors in the store's words (the first word of an error reply is its code,
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors>).

use crate::contract::StoreError;
use redis::{ErrorKind, RedisError, ServerErrorKind};
use usher_model::SiteName;

/// Whose fault it is.
pub(super) fn of(error: &RedisError) -> StoreError {
    let text = error.to_string();
    match error.code() {
        Some("OOM") => return StoreError::Full(text),
        Some("NOAUTH" | "WRONGPASS" | "NOPERM") => return StoreError::Settings(text),
        // Among them MISCONF (it cannot write its own disk), BUSY (a script runs), NOREPLICAS.
        Some("MISCONF" | "BUSY" | "NOREPLICAS" | "UNKILLABLE") => return StoreError::Unavailable(text),
        _ => {}
    }
    match error.kind() {
        ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig => StoreError::Settings(text),
        ErrorKind::Server(ServerErrorKind::ResponseError | ServerErrorKind::CrossSlot)
        | ErrorKind::UnexpectedReturnType
        | ErrorKind::Parse
        | ErrorKind::Extension => StoreError::Corrupt(text),
        _ => StoreError::Unavailable(text),
    }
}

/// Whether a new connection may mend it. A replica that was a primary until a moment ago is among them: its name may
/// lead to the new one by now.
pub(super) fn is_lost(error: &RedisError) -> bool {
    error.is_io_error()
        || error.is_unrecoverable_error()
        || matches!(
            error.kind(),
            ErrorKind::Server(
                ServerErrorKind::BusyLoading | ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown
            )
        )
}

/// A value that is not what we wrote.
pub(super) fn unreadable(what: &str, site: &SiteName, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("{what} of {site}: {why}"))
}
