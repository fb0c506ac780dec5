//! One order, from the first call to the certificate.

use super::{
    backoff::Proof,
    challenges::{Challenges, Shown},
};
use crate::{Error, error::told};
use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, ChallengeType, Identifier, NewOrder, Order,
    OrderStatus, RetryPolicy,
};
use std::{net::IpAddr, time::Duration};
use usher_model::limits;

/// Makes a call again, at most [`limits::ACME_NONCES`] times, while the directory does not like its nonce, which says nothing of the call (RFC 8555 section 6.5).
macro_rules! insist {
    ($call:expr) => {{
        let mut left = limits::ACME_NONCES;
        loop {
            match $call {
                Err(error) if left > 1 && is_bad_nonce(&error) => left -= 1,
                done => break done,
            }
        }
    }};
}
pub(super) use insist;

/// What came of an order.
pub(crate) struct Issued {
    /// PEM.
    pub(crate) chain: String,
    /// PEM.
    pub(crate) key: String,
    /// How the host was validated; the directory may not have asked for the way that was chosen.
    pub(crate) proof: Proof,
}

/// Orders a certificate for `host`, which replaces `replaced` (RFC 9773 section 5).
///
/// # Errors
/// Says whose fault it is and whether to try again.
pub(crate) async fn order(
    account: &Account,
    host: &str,
    proof: Proof,
    challenges: &Challenges,
    replaced: Option<CertificateIdentifier<'static>>,
) -> Result<Issued, Error> {
    let mut order = place(account, &identifier(host), replaced).await?;
    fetch(&mut order).await?;
    let (shown, proof) = prove(&mut order, host, proof, challenges).await?;
    let status = ready(&mut order).await;
    drop(shown);
    if status? != OrderStatus::Ready {
        return Err(Error::Refused(reason(&mut order).await));
    }
    let (csr, key) = request(host)?;
    insist!(order.finalize_csr(&csr).await)?;
    let chain = insist!(order.poll_certificate(&polls()).await)?;
    Ok(Issued { chain, key, proof })
}

fn identifier(host: &str) -> Identifier {
    host.parse::<IpAddr>().map_or_else(|_| Identifier::Dns(host.to_owned()), Identifier::Ip)
}

/// A directory that does not like what is replaced (it was replaced already, or by another account) gets the order without.
async fn place(
    account: &Account,
    identifier: &Identifier,
    replaced: Option<CertificateIdentifier<'static>>,
) -> Result<Order, Error> {
    let identifiers = std::slice::from_ref(identifier);
    if let Some(replaced) = replaced {
        match account.new_order(&NewOrder::new(identifiers).replaces(replaced)).await.map_err(Error::from) {
            Err(Error::Refused(_)) => {}
            placed => return placed,
        }
    }
    Ok(insist!(account.new_order(&NewOrder::new(identifiers)).await)?)
}

/// Fetches what the order's authorizations are; those that are there are not fetched again.
async fn fetch(order: &mut Order) -> Result<(), Error> {
    Ok(insist!(fetch_all(order).await)?)
}

async fn fetch_all(order: &mut Order) -> Result<(), instant_acme::Error> {
    let mut identifiers = order.identifiers();
    while let Some(one) = identifiers.next().await {
        one?;
    }
    Ok(())
}

/// Shows what every authorization asks for and tells the directory to look.
async fn prove(
    order: &mut Order,
    host: &str,
    wanted: Proof,
    challenges: &Challenges,
) -> Result<(Vec<Shown>, Proof), Error> {
    let (mut shown, mut used) = (Vec::new(), wanted);
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            other => return Err(Error::Refused(format!("the directory's authorization is {other:?}"))),
        }
        let offered: Vec<Proof> = [wanted, wanted.other()]
            .into_iter()
            // By a handshake an address is asked for under another name (RFC 8738 section 6), which we do not serve.
            .filter(|proof| *proof == Proof::Http || host.parse::<IpAddr>().is_err())
            .filter(|proof| authorization.challenges.iter().any(|challenge| challenge.r#type == kind(*proof)))
            .collect();
        let Some(proof) = offered.first().copied() else {
            return Err(Error::Refused("the directory offers neither tls-alpn-01 nor http-01".to_owned()));
        };
        let Some(mut challenge) = authorization.challenge(kind(proof)) else { continue };
        let answer = challenge.key_authorization();
        shown.push(match proof {
            Proof::Http => challenges.show_text(host, &challenge.token, answer.as_str()),
            Proof::TlsAlpn => challenges.show_digest(host, answer.digest().as_ref())?,
        });
        used = proof;
        insist!(challenge.set_ready().await)?;
    }
    Ok((shown, used))
}

fn kind(proof: Proof) -> ChallengeType {
    match proof {
        Proof::TlsAlpn => ChallengeType::TlsAlpn01,
        Proof::Http => ChallengeType::Http01,
    }
}

async fn ready(order: &mut Order) -> Result<OrderStatus, Error> {
    if order.state().status == OrderStatus::Ready {
        return Ok(OrderStatus::Ready); // authorized by an earlier order
    }
    Ok(insist!(order.poll_ready(&polls()).await)?)
}

/// What the directory says went wrong with the validation.
async fn reason(order: &mut Order) -> String {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let state = insist!(authorization.refresh().await.map(|_| ()));
        let failed = authorization.challenges.iter().find_map(|challenge| {
            let problem = challenge.error.as_ref()?;
            Some(format!("{:?}: {}", challenge.r#type, told(problem)))
        });
        if let (Ok(()), Some(failed)) = (state, failed) {
            return failed;
        }
    }
    "the directory could not validate the host, and does not say why".to_owned()
}

pub(super) fn is_bad_nonce(error: &instant_acme::Error) -> bool {
    let instant_acme::Error::Api(problem) = error else { return false };
    problem.r#type.as_deref().is_some_and(|kind| kind.ends_with(":badNonce"))
}

fn polls() -> RetryPolicy {
    RetryPolicy::new()
        .initial_delay(Duration::from_millis(250))
        .backoff(1.5)
        .timeout(Duration::from_secs(120))
}

/// A signing request (PKCS #10) for `host` and the new key that it is for, as PEM.
fn request(host: &str) -> Result<(Vec<u8>, String), Error> {
    let made = || {
        let mut params = rcgen::CertificateParams::new([host.to_owned()])?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let csr = params.serialize_request(&key)?;
        Ok((csr.der().to_vec(), key.serialize_pem()))
    };
    made().map_err(|error: rcgen::Error| Error::Directory(format!("no signing request can be made: {error}")))
}
