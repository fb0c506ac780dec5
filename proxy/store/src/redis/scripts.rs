//! The scripts: each makes one method of the store atomic. Redis keeps them by their hash; one that it has lost (a
//! restart) is sent again.

use redis::Script;
use std::sync::LazyLock;

macro_rules! scripts {
    ($($name:ident $($file:literal)+;)*) => {
        $(pub(super) static $name: LazyLock<Script> = LazyLock::new(|| {
            Script::new(concat!(include_str!("scripts/common.lua"), $(include_str!($file)),+))
        });)*
    };
}

scripts! {
    RECORD_CLICKS "scripts/record_clicks.lua";
    NEWEST_CLICK "scripts/newest_click.lua";
    BIND_ORDER "scripts/bind_order.lua";
    LET_GO "scripts/let_go.lua";
    CLAIM "scripts/claim.lua";
    HASTEN "scripts/hasten.lua";
    FIND "scripts/find.lua";
    ACCEPT "scripts/ledger.lua" "scripts/accept.lua";
    PAYMENT "scripts/ledger.lua" "scripts/payment.lua";
    LINK "scripts/ledger.lua" "scripts/link.lua";
    SETTLE "scripts/ledger.lua" "scripts/settle.lua";
    ERASE "scripts/ledger.lua" "scripts/erase.lua";
    RETRY "scripts/ledger.lua" "scripts/retry.lua";
    DISCARD "scripts/ledger.lua" "scripts/discard.lua";
    FORGET "scripts/ledger.lua" "scripts/forget.lua";
}
