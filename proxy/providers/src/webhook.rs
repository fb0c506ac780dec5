//! A webhook as the merchant set it up: whose it is, and with which secrets.

use crate::{
    Context, Credential, Outcome, Proof, Provider, Request, TestMode, common::standard_webhooks::decoded_key,
    custom::Custom,
};
use std::collections::BTreeMap;
use usher_model::{Source, UnixMs};

/// One webhook of a site.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// What stands in its address, `POST <prefix>/hooks/<name>`, and where its events' ids are unique.
    pub name: Source,
    /// How its requests are read.
    pub kind: Kind,
    /// Its secrets; any of them may verify.
    pub credentials: Vec<Credential>,
    /// What becomes of tests.
    pub test_mode: TestMode,
}

/// How requests are read.
#[derive(Clone, Debug)]
pub enum Kind {
    /// By one of [`crate::PROVIDERS`].
    Known(&'static Provider),
    /// As the merchant described it.
    Custom(Box<Custom>),
}

impl Webhook {
    /// The provider's name.
    #[must_use]
    pub const fn provider(&self) -> &'static str {
        match &self.kind {
            Kind::Known(provider) => provider.name,
            Kind::Custom(_) => "custom",
        }
    }

    /// Whether a request may prove no more than that its sender knows a token.
    #[must_use]
    pub fn may_prove_a_token_alone(&self) -> bool {
        match &self.kind {
            Kind::Known(provider) => provider.proofs.contains(&Proof::Token),
            Kind::Custom(custom) => custom.proof() == Proof::Token,
        }
    }

    /// What a secret of this provider has to be, when one of these is not and so verifies nothing.
    #[must_use]
    pub fn misshapen_secret(&self) -> Option<&'static str> {
        self.credentials.iter().find_map(|credential| match (self.provider(), credential) {
            ("paytm", Credential::Paytm { merchant_key, .. }) if merchant_key.expose().len() != 16 => {
                Some("a merchant key of 16 characters")
            }
            ("dodopayments", Credential::Text(secret)) if decoded_key(secret).is_none() => {
                Some("whsec_ and base64, copied whole")
            }
            _ => None,
        })
    }

    /// Says what a request means. `certificates` are those that were fetched so far, address to PEM.
    #[must_use]
    pub fn judge(
        &self,
        request: &Request<'_>,
        now: UnixMs,
        certificates: &BTreeMap<String, String>,
    ) -> Outcome {
        let credentials: Vec<Credential> =
            self.credentials.iter().map(|credential| credential.with(certificates)).collect();
        let context = Context { credentials: &credentials, now, test_mode: self.test_mode };
        match &self.kind {
            Kind::Known(provider) => provider.judge(request, &context),
            Kind::Custom(custom) => custom.judge(request, &context),
        }
    }
}

impl Credential {
    fn with(&self, fetched: &BTreeMap<String, String>) -> Self {
        let mut credential = self.clone();
        if let Self::PayPal { certificates, .. } = &mut credential {
            certificates.extend(fetched.iter().map(|(address, pem)| (address.clone(), pem.clone())));
        }
        credential
    }
}
