//! The scripts: each makes one method of the store atomic. Redis keeps them by their hash; one that it has lost (a
//! restart) is sent again.

use redis::Script;
use std::sync::LazyLock;

macro_rules! scripts {
    ($($name:ident $file:literal)*) => {
        $(pub(super) static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(concat!(include_str!("scripts/common.lua"), include_str!($file))));)*
    };
}

scripts! {
    RECORD_CLICKS "scripts/record_clicks.lua"
    NEWEST_CLICK "scripts/newest_click.lua"
    ACCEPT "scripts/accept.lua"
    CLAIM "scripts/claim.lua"
    SETTLE "scripts/settle.lua"
    FORGET "scripts/forget.lua"
}
