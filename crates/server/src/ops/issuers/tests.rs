//! Issuers' keys and tokens by themselves.
