//! Nodes over TLS, with what `palisade tls` makes.
