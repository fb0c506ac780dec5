//! Redis's errors in the store's words (the first word of an error reply is its code,
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/#simple-errors>).

use crate::contract::StoreError;
use redis::{ErrorKind, RedisError, ServerErrorKind};
use usher_model::SiteName;

/// Whose fault it is.
pub(super) fn of(error: &RedisError) -> StoreError {
    let text = error.to_string();
    match code(error, &text) {
        "OOM" => StoreError::Full(text),
        "NOAUTH" | "WRONGPASS" | "NOPERM" => StoreError::Settings(text),
        // It cannot write its own disk, runs a script, misses its replicas; is a replica, or one no longer; starts; its
        // cluster changes hands.
        "MISCONF" | "BUSY" | "UNKILLABLE" | "NOREPLICAS" | "UNBLOCKED" | "READONLY" | "LOADING"
        | "MASTERDOWN" | "CLUSTERDOWN" | "MOVED" | "ASK" | "TRYAGAIN" | "NOSCRIPT" => {
            StoreError::Unavailable(text)
        }
        _ => match error.kind() {
            ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig => StoreError::Settings(text),
            ErrorKind::Parse if !is_value(&text) => StoreError::Unavailable(text),
            ErrorKind::Server(_)
            | ErrorKind::UnexpectedReturnType
            | ErrorKind::Parse
            | ErrorKind::Extension => StoreError::Corrupt(text),
            _ => StoreError::Unavailable(text),
        },
    }
}

/// Whether a new connection may mend it: to the same server, or to the one that is the primary or has the slot by now.
pub(super) fn is_lost(error: &RedisError) -> bool {
    let text = error.to_string();
    let moved = matches!(
        code(error, &text),
        "READONLY" | "LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "MOVED" | "ASK" | "UNBLOCKED"
    );
    moved || error.is_io_error() || (error.is_unrecoverable_error() && !is_value(&text))
}

/// A reply that keeps to the protocol, and is not what was expected. What does not keep to it is noise from somebody who
/// is no Redis, or a broken connection.
fn is_value(text: &str) -> bool {
    text.starts_with("Incompatible type") && !text.contains("Parse error at")
}

/// The error's code. Redis 6 puts that of a command inside of a script behind a `-` in the text of an `ERR`; refusals
/// that concern a script in a cluster have none.
fn code<'a>(error: &'a RedisError, text: &'a str) -> &'a str {
    const IN_SCRIPTS: [&str; 6] = ["OOM", "READONLY", "MISCONF", "NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN"];
    let own = error.code().unwrap_or_default();
    if own != "ERR" && error.kind() != ErrorKind::Server(ServerErrorKind::ResponseError) {
        return own;
    }
    if text.contains("non local key in a cluster") {
        return "TRYAGAIN";
    }
    if text.contains("while the cluster is down") {
        return "CLUSTERDOWN";
    }
    let said = |word: &&&str| text.contains(&format!("-{word} "));
    IN_SCRIPTS.iter().find(said).copied().unwrap_or(own)
}

/// A value that is not what we wrote.
pub(super) fn unreadable(what: &str, site: &SiteName, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("{what} of {site}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::{RedisResult, Value, parse_redis_value};

    fn reply(line: &str) -> RedisError {
        let reply = parse_redis_value(format!("{line}\r\n").as_bytes());
        reply.and_then(Value::extract_error).expect_err(line)
    }

    #[test]
    fn each_refusal_is_told_from_the_others() {
        let unavailable = |error: &StoreError| matches!(error, StoreError::Unavailable(_));
        for (line, lost) in [
            ("-READONLY You can't write against a read only replica.", true),
            ("-LOADING Redis is loading the dataset in memory", true),
            ("-MASTERDOWN Link with MASTER is down", true),
            ("-CLUSTERDOWN The cluster is down", true),
            ("-MOVED 3999 127.0.0.1:6381", true),
            ("-ASK 3999 127.0.0.1:6381", true),
            ("-UNBLOCKED force unblock from blocking operation", true),
            ("-TRYAGAIN Multiple keys request during rehashing of slot", false),
            ("-ERR Script attempted to access a non local key in a cluster node script: x", false),
            ("-ERR Script attempted to execute a write command while the cluster is down and readonly", true),
            ("-MISCONF Errors writing to the AOF file", false),
            ("-NOREPLICAS Not enough good replicas to write.", false),
            ("-BUSY Redis is busy running a script.", false),
            ("-ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write", true),
        ] {
            let error = reply(line);
            assert!(unavailable(&of(&error)) && is_lost(&error) == lost, "{line}: {:?}", of(&error));
        }
        let full = [
            "-OOM command not allowed",
            "-ERR Error running script: @user_script: 1: -OOM command not allowed",
        ];
        assert!(full.iter().all(|line| matches!(of(&reply(line)), StoreError::Full(_))));
        for line in ["-NOAUTH Authentication required.", "-WRONGPASS invalid", "-NOPERM this user"] {
            assert!(matches!(of(&reply(line)), StoreError::Settings(_)), "{line}");
        }
        for line in
            ["-WRONGTYPE Operation against a key", "-ERR unknown command", "-CROSSSLOT Keys in request"]
        {
            let error = reply(line);
            assert!(matches!(of(&error), StoreError::Corrupt(_)) && !is_lost(&error), "{line}");
        }
    }

    #[test]
    fn noise_is_a_broken_connection_and_an_odd_value_is_not() {
        let noise = parse_redis_value(b"HTTP/1.1 400 Bad Request\r\n").expect_err("noise");
        assert!(matches!(of(&noise), StoreError::Unavailable(_)) && is_lost(&noise), "{noise}");
        let odd: RedisResult<u64> =
            redis::from_redis_value(Value::SimpleString("four".to_owned())).map_err(Into::into);
        let odd = odd.expect_err("no number");
        assert!(matches!(of(&odd), StoreError::Corrupt(_)) && !is_lost(&odd), "{odd}");
    }
}
