//! Decides whom the node trusts over TLS: the authorities in the given files and no others.
//!
//! Invariants: TLS 1.3 with ring only; a file that cannot be used is an error at start, not at the
//! first connection.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring::default_provider;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{ClientTls, ConfigError, ServerTls};

/// TLS as the side that dials.
pub(crate) fn client(tls: &ClientTls) -> Result<Arc<ClientConfig>, ConfigError> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| bad(&tls.authorities, &error))?
        .with_root_certificates(authorities(&tls.authorities)?);
    let config = match &tls.identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder
            .with_client_auth_cert(certificates(chain)?, private_key(key)?)
            .map_err(|error| bad(chain, &error))?,
    };
    Ok(Arc::new(config))
}

/// TLS as the side that listens.
pub(crate) fn server(tls: &ServerTls) -> Result<Arc<ServerConfig>, ConfigError> {
    let provider = Arc::new(default_provider());
    let (chain, key) = &tls.identity;
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| bad(chain, &error))?;
    let builder = match &tls.client_authorities {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(authorities(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider)
                .build()
                .map_err(|error| bad(path, &error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let config = builder
        .with_single_cert(certificates(chain)?, private_key(key)?)
        .map_err(|error| bad(chain, &error))?;
    Ok(Arc::new(config))
}

fn authorities(path: &Path) -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| bad(path, &error))?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| bad(path, &error))?;
    if certificates.is_empty() {
        return Err(bad(path, &"it holds no PEM certificate"));
    }
    Ok(certificates)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, ConfigError> {
    PrivateKeyDer::from_pem_file(path).map_err(|error| bad(path, &error))
}

fn bad(path: &Path, what: &dyn std::fmt::Display) -> ConfigError {
    ConfigError::BadFile(path.to_owned(), what.to_string())
}
