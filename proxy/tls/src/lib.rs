//! Certificates by name, from a folder or by ACME.
//!
//! Every certificate that fits a configured host is looked up once, when files change, so that a handshake is one look into a
//! map ([`table`]). Names that are not configured have none, and nothing that a client does starts an order.
//!
//! [`table`]: crate::table::Table

mod acme;
mod certificate;
mod error;
mod folder;
mod handshake;
mod inspect;
mod metrics;
mod pem;
mod resolver;
mod settings;
mod shelf;
mod table;
mod tls;

pub use acme::Challenges;
pub use error::Error;
pub use handshake::accept;
pub use inspect::{Note, inspect};
pub use instant_acme::{BodyWrapper, BytesResponse, Error as ClientError, HttpClient};
pub use metrics::Metrics;
pub use pem::authorities;
pub use settings::{Acme, Settings};
pub use tls::{Tls, Tools};
