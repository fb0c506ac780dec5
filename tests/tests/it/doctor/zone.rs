//! A DNS server with a handful of names (RFC 1035 section 4).

use std::net::{IpAddr, SocketAddr};

use tokio::net::UdpSocket;

const A: u16 = 1;
const CNAME: u16 = 5;
const AAAA: u16 = 28;

/// Starts one that knows these names: each with its alias, or with its addresses.
pub(super) async fn serve(zone: &[(&str, &str)]) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a port");
    let at = socket.local_addr().expect("an address");
    let zone: Vec<(String, String)> =
        zone.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    tokio::spawn(async move {
        let mut packet = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut packet).await {
            if let Some(answer) = answer(&packet[..length], &zone) {
                let _ = socket.send_to(&answer, from).await;
            }
        }
    });
    at
}

fn answer(query: &[u8], zone: &[(String, String)]) -> Option<Vec<u8>> {
    let (mut at, mut name) = (12, String::new());
    loop {
        let length = usize::from(*query.get(at)?);
        let label = query.get(at + 1..at + 1 + length)?;
        at += 1 + length;
        if length == 0 {
            break;
        }
        name += if name.is_empty() { "" } else { "." };
        name += &String::from_utf8_lossy(label).to_ascii_lowercase();
    }
    let kind = u16::from_be_bytes([*query.get(at)?, *query.get(at + 1)?]);
    let records = records(&name, kind, zone);
    let known = zone.iter().any(|(known, _)| *known == name);
    let mut packet = query[..2].to_vec();
    packet.extend([0x81, if known { 0x80 } else { 0x83 }, 0, 1]);
    packet.extend(u16::try_from(records.len()).ok()?.to_be_bytes());
    packet.extend([0; 4]);
    packet.extend(query.get(12..at + 4)?);
    for (owner, kind, data) in records {
        packet.extend(encoded(&owner));
        packet.extend(kind.to_be_bytes());
        packet.extend([0, 1, 0, 0, 0, 60]);
        packet.extend(u16::try_from(data.len()).ok()?.to_be_bytes());
        packet.extend(data);
    }
    Some(packet)
}

/// The aliases from the name on, and what is asked for at their end.
fn records(name: &str, kind: u16, zone: &[(String, String)]) -> Vec<(String, u16, Vec<u8>)> {
    let mut records = Vec::new();
    let mut at = name.to_owned();
    while let Some((_, value)) = zone.iter().find(|(known, _)| *known == at) {
        let addresses: Vec<IpAddr> = value.split(' ').filter_map(|word| word.parse().ok()).collect();
        if addresses.is_empty() && !value.is_empty() {
            records.push((at, CNAME, encoded(value)));
            at = value.clone();
            continue;
        }
        records.extend(addresses.into_iter().filter_map(|address| match (address, kind) {
            (IpAddr::V4(address), A) => Some((at.clone(), A, address.octets().to_vec())),
            (IpAddr::V6(address), AAAA) => Some((at.clone(), AAAA, address.octets().to_vec())),
            _ => None,
        }));
        break;
    }
    records
}

fn encoded(name: &str) -> Vec<u8> {
    let labels = name.split('.').flat_map(|label| {
        let length = u8::try_from(label.len()).expect("a short label");
        [&[length], label.as_bytes()].concat()
    });
    labels.chain([0]).collect()
}
