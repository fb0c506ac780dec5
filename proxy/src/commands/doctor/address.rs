//! Whose address arrives at the edge: the visitor's, a proxy's, or whatever the visitor writes.

use super::verdict::Verdict;
use ipnet::IpNet;
use serde::Deserialize;
use std::net::IpAddr;

const CHECK: &str = "address";
/// What we claim to be, from the block for documentation (RFC 5737): an edge that believes it believes anybody.
pub(super) const CLAIMED: &str = "203.0.113.77";

/// What the edge says of a request (`GET v1/arrival`).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Arrival {
    /// Whom it takes for the visitor.
    pub(super) address: IpAddr,
    pub(super) https: bool,
    /// Who opened the connection.
    pub(super) peer: IpAddr,
    /// Whether the peer's word counts.
    pub(super) trusted: bool,
    /// What stood in `X-Forwarded-For`.
    pub(super) forwarded_for: Vec<String>,
}

/// Judges a request that claimed to come from [`CLAIMED`] and came from `own`, over https or not.
pub(super) fn judge(arrival: &Arrival, own: IpAddr, https: bool) -> Vec<Verdict> {
    let mut verdicts = vec![visitor(arrival, own.to_canonical())];
    if https && !arrival.https {
        verdicts.push(Verdict::fail(
            CHECK,
            "the edge does not learn that visitors come by https, so its cookies are not Secure",
            "let the proxy send X-Forwarded-Proto: https, and name it in trusted_proxies",
        ));
    }
    verdicts
}

fn visitor(arrival: &Arrival, own: IpAddr) -> Verdict {
    let Arrival { address, peer, .. } = *arrival;
    let is_direct = peer == own;
    let claimed: IpAddr = CLAIMED.parse().unwrap_or(own);
    if address == claimed {
        return believed(arrival, own, is_direct);
    }
    if address == own && (is_direct || arrival.trusted) {
        return Verdict::ok(CHECK, format!("the visitor's address arrives: {address}"));
    }
    if arrival.trusted && address == peer {
        return Verdict::fail(
            CHECK,
            format!("every visitor has the proxy's address {peer}: it does not say whom it speaks for"),
            "let it send X-Forwarded-For",
        );
    }
    if !arrival.trusted && is_inside(address) {
        return Verdict::fail(
            CHECK,
            format!("every visitor has the proxy's address {peer}, whose word does not count"),
            format!("add {peer} to server.trusted_proxies"),
        );
    }
    // A list that grew on the way was written by a proxy, and nobody believed it.
    let grew = arrival.forwarded_for.iter().any(|entry| entry != CLAIMED);
    if !arrival.trusted && grew {
        return Verdict::fail(
            CHECK,
            format!("every visitor has the address {address} of a proxy in front, whose word does not count"),
            format!("add {peer} to server.trusted_proxies"),
        );
    }
    if is_inside(address) && !is_inside(own) {
        return Verdict::fail(
            CHECK,
            format!("visitors arrive as {address}, which is no visitor's: a proxy on the way is not trusted"),
            format!("add {address} to server.trusted_proxies"),
        );
    }
    Verdict::ok(
        CHECK,
        format!("a visitor's address arrives: {address}; ours here is {own}, others see that one"),
    )
}

/// The claim was believed.
fn believed(arrival: &Arrival, own: IpAddr, is_direct: bool) -> Verdict {
    let peer = arrival.peer;
    let appended = arrival.forwarded_for.iter().any(|entry| entry.parse() == Ok(own));
    if own.is_loopback() && (is_direct || appended) {
        // From the machine itself we are one of its proxies, and those may say so.
        return Verdict::info(
            CHECK,
            format!("this machine is itself trusted ({own}), so nothing is known of visitors from elsewhere"),
            "run doctor from another machine",
        );
    }
    let mend = if is_direct || appended {
        "leave out of server.trusted_proxies what visitors come from"
    } else {
        "let the proxy overwrite or extend it: proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for"
    };
    let why = if is_direct {
        "the edge trusts visitors".to_owned()
    } else if appended {
        format!("the edge trusts {own}, where visitors come from")
    } else {
        format!("the proxy {peer} passes X-Forwarded-For on as the visitor wrote it")
    };
    Verdict::fail(CHECK, format!("anybody may choose the address that is counted: {why}"), mend)
}

/// Addresses that no visitor of a public site has (RFC 1918, 4193, 6598, loopback and link-local).
fn is_inside(address: IpAddr) -> bool {
    const INSIDE: [&str; 9] = [
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    ];
    INSIDE.iter().any(|net| net.parse::<IpNet>().is_ok_and(|net| net.contains(&address)))
}

#[cfg(test)]
mod tests {
    use super::{super::verdict::Level, *};

    /// The visitor as the edge sees him, its peer, whether that is trusted, X-Forwarded-For as it arrived (C is what we claim),
    /// our own address: and then the level and what it says.
    const SEEN: &str = "
        198.51.100.9 198.51.100.9 no  C                         198.51.100.9 Ok   arrives
        203.0.113.77 198.51.100.9 yes C                         198.51.100.9 Fail trusts visitors
        198.51.100.9 127.0.0.1    yes C,198.51.100.9            198.51.100.9 Ok   arrives
        198.51.100.9 127.0.0.1    yes C,198.51.100.9            192.168.1.5  Ok   ours here is 192.168.1.5
        2001:db8::9  ::1          yes C,2001:db8::9             2001:db8::9  Ok   arrives
        198.51.100.9 127.0.0.1    yes 198.51.100.9              198.51.100.9 Ok   arrives
        203.0.113.77 127.0.0.1    yes C                         198.51.100.9 Fail passes X-Forwarded-For on
        203.0.113.77 127.0.0.1    yes C                         127.83.83.83 Fail passes X-Forwarded-For on
        203.0.113.77 127.0.0.1    yes C,198.51.100.9            198.51.100.9 Fail where visitors come from
        127.0.0.1    127.0.0.1    no  C,198.51.100.9            198.51.100.9 Fail does not count
        10.0.0.5     10.0.0.5     no  C                         198.51.100.9 Fail does not count
        104.16.0.1   104.16.0.1   no  C,198.51.100.9            198.51.100.9 Fail does not count
        127.0.0.1    127.0.0.1    no  -                         127.83.83.83 Fail does not count
        127.0.0.1    127.0.0.1    yes -                         198.51.100.9 Fail does not say whom
        127.0.0.1    127.0.0.1    yes -                         127.83.83.83 Fail does not say whom
        10.0.0.7     127.0.0.1    yes C,198.51.100.9,10.0.0.7   198.51.100.9 Fail not trusted
        198.51.100.9 198.51.100.9 no  C                         192.168.1.5  Ok   others see that one
        127.83.83.83 127.83.83.83 no  C                         127.83.83.83 Ok   arrives
        203.0.113.77 127.83.83.83 yes C                         127.83.83.83 Info itself trusted
        203.0.113.77 127.0.0.1    yes C,127.83.83.83            127.83.83.83 Info itself trusted
        127.83.83.83 127.0.0.1    yes 127.83.83.83              127.83.83.83 Ok   arrives";

    #[test]
    fn whose_address_it_is() {
        for row in SEEN.trim().lines() {
            let words: Vec<&str> = row.split_whitespace().collect();
            let [address, peer, trusted, list, own, level] = words[..6] else { panic!("{row}") };
            let entries = list.split(',').filter(|entry| *entry != "-");
            let arrival = Arrival {
                address: address.parse().expect("an address"),
                https: true,
                peer: peer.parse().expect("an address"),
                trusted: trusted == "yes",
                forwarded_for: entries
                    .map(|entry| if entry == "C" { CLAIMED } else { entry }.to_owned())
                    .collect(),
            };
            let own = own.parse().expect("an address");
            let said = judge(&arrival, own, true);
            assert_eq!((said.len(), format!("{:?}", said[0].level).as_str()), (1, level), "{row}: {said:?}");
            assert!(said[0].what.contains(&words[6..].join(" ")), "{row}: {said:?}");
            let by_http = judge(&Arrival { https: false, ..arrival }, own, true);
            assert_eq!(by_http.last().map(|verdict| verdict.level), Some(Level::Fail), "{row}");
        }
    }
}
