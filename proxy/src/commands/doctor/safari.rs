//! Safari's cap on cookies that a sub-resource sets: seven days, when the same site's host is in truth somebody else's machine.
//! Read in WebKit's `Source/WebKit/NetworkProcess/cocoa/NetworkTaskCocoa.mm` (see <https://webkit.org/tracking-prevention/>).
//! Top-level answers are exempt: pages and redirects keep what they set.

use std::net::IpAddr;

/// A name, and where DNS says that it lies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Resolved {
    /// The name, in lower case.
    pub(super) host: String,
    /// Whither it points, alias by alias; empty when it has addresses of its own.
    pub(super) aliases: Vec<String>,
    /// The addresses at the end.
    pub(super) addresses: Vec<IpAddr>,
}

/// What Safari makes of cookies that `tracking` sets on pages of `page`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// They are one host: nothing is compared.
    SameHost,
    /// Another site altogether: Safari keeps no cookie of it.
    ThirdParty,
    /// The alias ends in the page's own domain.
    AliasWithin(String),
    /// The alias ends where the page's own does.
    AliasAsPages(String),
    /// The alias ends in a domain that is neither: seven days.
    Cloaked(String),
    /// No alias, and the addresses are near each other for every visitor.
    Near,
    /// No alias, and the addresses are far from each other for every visitor: seven days.
    Far(IpAddr, IpAddr),
    /// The same for some visitors.
    SometimesFar(IpAddr, IpAddr),
    /// No address is known of one of them, so that nothing can be compared.
    Unknown,
}

/// Judges as WebKit does: by the last alias, and by addresses only where there is none.
pub(super) fn judge(page: &Resolved, tracking: &Resolved) -> Rule {
    if page.host == tracking.host {
        return Rule::SameHost;
    }
    let site = registrable(&page.host);
    if site != registrable(&tracking.host) {
        return Rule::ThirdParty;
    }
    let Some(last) = tracking.aliases.last() else { return by_address(&page.addresses, &tracking.addresses) };
    let end = registrable(last);
    if end == site {
        Rule::AliasWithin(end.to_owned())
    } else if page.aliases.last().is_some_and(|pages| registrable(pages) == end) {
        Rule::AliasAsPages(end.to_owned())
    } else {
        Rule::Cloaked(end.to_owned())
    }
}

/// The registrable domain; of a name without one, such as `localhost` or an address, the name.
pub(super) fn registrable(host: &str) -> &str {
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.parse::<IpAddr>().is_ok() {
        return host;
    }
    psl::domain_str(host).unwrap_or(host)
}

/// A visitor with IPv6 prefers it for each host that has it; one without has IPv4 alone.
fn by_address(page: &[IpAddr], tracking: &[IpAddr]) -> Rule {
    let of = |all: &[IpAddr], v6: bool| -> Vec<IpAddr> {
        all.iter().copied().filter(|address| address.is_ipv6() == v6).collect()
    };
    let preferred = |all: &[IpAddr]| match of(all, true) {
        v6 if !v6.is_empty() => v6,
        _ => of(all, false),
    };
    let visitors = [(preferred(page), preferred(tracking)), (of(page, false), of(tracking, false))];
    let pairs = visitors.iter().flat_map(|(from, to)| from.iter().flat_map(|a| to.iter().map(|b| (*a, *b))));
    let (near, far): (Vec<_>, Vec<_>) = pairs.partition(|(a, b)| is_near(*a, *b));
    match (near.is_empty(), far.first()) {
        (true, None) => Rule::Unknown,
        (false, None) => Rule::Near,
        (true, Some((a, b))) => Rule::Far(*a, *b),
        (false, Some((a, b))) => Rule::SometimesFar(*a, *b),
    }
}

/// The first 16 bits of IPv4 or 64 of IPv6 are the same. Of two kinds, no bit is.
fn is_near(a: IpAddr, b: IpAddr) -> bool {
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => a.octets()[..2] == b.octets()[..2],
        (IpAddr::V6(a), IpAddr::V6(b)) => a.octets()[..8] == b.octets()[..8],
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `host -> alias -> alias = address address`
    fn resolved(text: &str) -> Resolved {
        let (names, addresses) = text.split_once('=').unwrap_or((text, ""));
        let mut names = names.split("->").map(|name| name.trim().to_owned());
        let addresses = addresses.split_whitespace().map(|address| address.parse().expect("an address"));
        Resolved {
            host: names.next().expect("a name"),
            aliases: names.collect(),
            addresses: addresses.collect(),
        }
    }

    fn of(page: &str, tracking: &str) -> String {
        match judge(&resolved(page), &resolved(tracking)) {
            Rule::SameHost => "same host".to_owned(),
            Rule::ThirdParty => "third party".to_owned(),
            Rule::AliasWithin(end) => format!("within {end}"),
            Rule::AliasAsPages(end) => format!("as page {end}"),
            Rule::Cloaked(end) => format!("cloaked {end}"),
            Rule::Near => "near".to_owned(),
            Rule::Far(a, b) => format!("far {a} {b}"),
            Rule::SometimesFar(a, b) => format!("sometimes {a} {b}"),
            Rule::Unknown => "unknown".to_owned(),
        }
    }

    /// Page, tracking host, and what comes of them.
    const RULES: &str = "
        # a path of the page's host is immune, wherever it lies
        shop.com = 1.2.3.4 | shop.com = 9.9.9.9 | same host
        shop.com -> shop.cdn.net = 1.2.3.4 | shop.com -> shop.cdn.net = 1.2.3.4 | same host
        localhost = 127.0.0.1 | localhost = 127.0.0.1 | same host
        # another site
        shop.com = 1.2.3.4 | other.com = 1.2.3.4 | third party
        shop.co.uk = 1.2.3.4 | go.co.uk = 1.2.3.4 | third party
        a.github.io = 1.2.3.4 | b.github.io = 1.2.3.4 | third party
        127.0.0.1 = 127.0.0.1 | 127.0.0.2 = 127.0.0.2 | third party
        # aliases: the last one counts, by its registrable domain
        shop.com = 1.2.3.4 | go.shop.com -> edge.vendor.com = 1.2.3.4 | cloaked vendor.com
        shop.com = 1.2.3.4 | go.shop.com -> lb.shop.com = 9.9.9.9 | within shop.com
        www.shop.co.uk = 1.2.3.4 | go.shop.co.uk -> x.shop.co.uk = 9.9.9.9 | within shop.co.uk
        shop.com = 1.2.3.4 | go.shop.com -> a.vendor.com -> b.shop.com = 9.9.9.9 | within shop.com
        shop.com = 1.2.3.4 | go.shop.com -> a.shop.com -> b.vendor.com = 1.2.3.4 | cloaked vendor.com
        shop.com = 1.2.3.4 | go.shop.com -> a.vendor.com -> b.cloud.net = 1.2.3.4 | cloaked cloud.net
        # the page's own alias
        www.shop.com -> s.cdn.net = 1.2.3.4 | go.shop.com -> e.cdn.net = 9.9.9.9 | as page cdn.net
        www.shop.com -> s.cdn.net = 1.2.3.4 | go.shop.com -> e.vendor.com = 1.2.3.4 | cloaked vendor.com
        www.shop.com -> a.x.net -> s.cdn.net = 1.2.3.4 | go.shop.com -> e.x.net = 1.2.3.4 | cloaked x.net
        www.shop.com -> a.github.io = 1.2.3.4 | go.shop.com -> b.github.io = 1.2.3.4 | cloaked b.github.io
        # a page with an alias and a host without: by address
        www.shop.com -> s.cdn.net = 1.2.3.4 | go.shop.com = 1.2.9.9 | near
        www.shop.com -> s.cdn.net = 1.2.3.4 | go.shop.com = 1.3.3.4 | far 1.2.3.4 1.3.3.4
        # addresses: 16 bits of four bytes
        shop.com = 1.2.3.4 | go.shop.com = 1.2.3.4 | near
        shop.com = 1.2.3.4 | go.shop.com = 1.2.255.255 | near
        shop.com = 1.2.3.4 | go.shop.com = 1.3.3.4 | far 1.2.3.4 1.3.3.4
        shop.com = 1.2.3.4 | go.shop.com = 129.2.3.4 | far 1.2.3.4 129.2.3.4
        # and 64 of sixteen
        shop.com = 2001:db8:1:2::1 | go.shop.com = 2001:db8:1:2:ffff::9 | near
        shop.com = 2001:db8:1:2::1 | go.shop.com = 2001:db8:1:3::1 | far 2001:db8:1:2::1 2001:db8:1:3::1
        # kinds that differ have nothing in common
        shop.com = 1.2.3.4 | go.shop.com = 2001:db8::1 | far 1.2.3.4 2001:db8::1
        shop.com = 1.2.3.4 2001:db8::1 | go.shop.com = 1.2.3.5 | sometimes 2001:db8::1 1.2.3.5
        shop.com = 1.2.3.4 2001:db8::1 | go.shop.com = 1.2.3.5 2001:db8::2 | near
        shop.com = 1.2.3.4 | go.shop.com = 1.2.3.5 2001:db8::2 | sometimes 1.2.3.4 2001:db8::2
        # several addresses: any of them may answer
        shop.com = 1.2.3.4 5.6.7.8 | go.shop.com = 1.2.3.9 | sometimes 5.6.7.8 1.2.3.9
        shop.com = 1.2.3.4 1.2.9.9 | go.shop.com = 1.2.3.9 1.2.0.1 | near
        shop.com = 1.2.3.4 | go.shop.com = 5.6.7.8 9.9.9.9 | far 1.2.3.4 5.6.7.8
        # nothing to compare
        shop.com | go.shop.com = 1.2.3.4 | unknown
        shop.com = 1.2.3.4 | go.shop.com | unknown
        shop.com | go.shop.com -> e.vendor.com | cloaked vendor.com";

    #[test]
    fn as_webkit_does() {
        for row in RULES.lines().map(str::trim).filter(|row| !row.is_empty() && !row.starts_with('#')) {
            let parts: Vec<&str> = row.split('|').map(str::trim).collect();
            assert_eq!(of(parts[0], parts[1]), parts[2], "{row}");
        }
    }
}
