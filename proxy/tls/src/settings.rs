//! What is served, and where it comes from.

use instant_acme::HttpClient;
use std::{fmt, path::PathBuf, sync::Arc};

/// Which hosts have certificates, and from where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The configured hosts: lower case, without port, IPv6 without brackets. No other name is ever served.
    pub hosts: Vec<String>,
    /// A folder of certificates and keys in PEM.
    pub certificates: Option<PathBuf>,
    /// Orders for hosts that nothing in the folder covers.
    pub acme: Option<Acme>,
}

/// How certificates are ordered (RFC 8555).
#[derive(Clone)]
pub struct Acme {
    /// URL of the directory.
    pub directory: String,
    /// `mailto:` URLs of whoever is told when something is wrong.
    pub contact: Vec<String>,
    /// Of the configured hosts those that the directory can issue for.
    pub hosts: Vec<String>,
    /// Asked before each order with `?domain=HOST`: only where it answers 200 is the order made.
    pub ask: Option<String>,
    /// Where account, certificates and what has failed are kept.
    pub storage: PathBuf,
    /// What reaches the directory.
    pub http: Arc<dyn HttpClient>,
}

impl fmt::Debug for Acme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acme").field("directory", &self.directory).finish_non_exhaustive()
    }
}
