//! Certificates by name, from a folder or by ACME.
