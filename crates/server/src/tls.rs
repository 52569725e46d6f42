//! TLS 1.3 for the signing listener, with client certificates when the operator wants them.
//!
//! Invariants: no version below 1.3; a client certificate counts only after its chain was verified;
//! the identity is the SHA-256 of the leaf's DER form.

use std::path::Path;
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use tokio_rustls::TlsAcceptor;

use crate::certificate::read_der;
use crate::config::{ConfigError, Tls};

/// Reads the files of `[listen.tls]`; relative paths start at the home.
///
/// # Errors
/// [`ConfigError`] names the file and what is wrong with it.
pub(crate) fn acceptor(home: &Path, tls: &Tls) -> Result<TlsAcceptor, ConfigError> {
    let chain = read_der(&home.join(&tls.certificate))?;
    let key_path = home.join(&tls.key);
    let key = PrivateKeyDer::from_pem_file(&key_path)
        .map_err(|error| unusable(&key_path, "a PEM private key", &error))?;
    let builder = ServerConfig::builder_with_protocol_versions(&[&rustls::version::TLS13]);
    let builder = match &tls.client_authorities {
        None if tls.require_client_certificate => {
            return Err(ConfigError(
                "[listen.tls] require_client_certificate needs client_authorities".to_owned(),
            ));
        }
        None => builder.with_no_client_auth(),
        Some(path) => {
            let path = home.join(path);
            let mut roots = RootCertStore::empty();
            for certificate in read_der(&path)? {
                roots.add(certificate).map_err(|e| unusable(&path, "an authority", &e))?;
            }
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots));
            let verifier = if tls.require_client_certificate {
                verifier
            } else {
                verifier.allow_unauthenticated()
            };
            let verifier = verifier.build().map_err(|e| unusable(&path, "an authority", &e))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| unusable(&home.join(&tls.certificate), "the key's certificate", &error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn unusable(path: &Path, wanted: &str, error: &dyn std::fmt::Display) -> ConfigError {
    ConfigError(format!("{} cannot be used as {wanted}: {error}", path.display()))
}
