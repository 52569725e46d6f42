//! TLS 1.3 for the signing listener, with client certificates when the operator wants them, and for
//! the nodes that the guard dials.
//!
//! Invariants: no version below 1.3; a certificate of either side counts only after its chain was
//! verified, by the configured authorities and no others; a client's identity is the SHA-256 of the
//! leaf's DER form; whoever serves gets the files' contents and opens no file.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::Resumption;
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde::{Deserialize, Serialize};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use zeroize::Zeroizing;

use crate::certificate::{Certificate, der_forms};
use crate::config::{ConfigError, Tls};

/// A file's place, for errors, and its contents.
#[derive(Clone, Serialize, Deserialize)]
struct PemFile {
    path: PathBuf,
    pem: Zeroizing<Vec<u8>>,
}

impl PemFile {
    fn read(home: &Path, path: &Path, wanted: &str) -> Result<Self, ConfigError> {
        let path = home.join(path);
        match std::fs::read(&path) {
            Ok(pem) => Ok(Self { path, pem: Zeroizing::new(pem) }),
            Err(error) => Err(unusable(&path, wanted, &error)),
        }
    }

    fn private_key(&self) -> Result<PrivateKeyDer<'static>, ConfigError> {
        PrivateKeyDer::from_pem_slice(&self.pem)
            .map_err(|error| unusable(&self.path, "a PEM private key", &error))
    }

    fn authorities(&self) -> Result<RootCertStore, ConfigError> {
        let mut roots = RootCertStore::empty();
        for certificate in self.der_forms()? {
            let added = roots.add(certificate);
            added.map_err(|error| unusable(&self.path, "an authority", &error))?;
        }
        Ok(roots)
    }

    fn der_forms(&self) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
        der_forms(&self.path, &self.pem)
    }

    /// When the first of its certificates expires: a chain is as good as its weakest link.
    fn not_after(&self) -> Result<Option<SystemTime>, ConfigError> {
        let all = Certificate::parse_all(&self.path, &self.pem)?;
        Ok(all.iter().map(|certificate| certificate.not_after).min())
    }
}

/// The files of `[listen.tls]`, read.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct TlsFiles {
    certificate: PemFile,
    key: PemFile,
    client_authorities: Option<PemFile>,
    require_client_certificate: bool,
}

impl TlsFiles {
    /// Reads them; relative paths start at the home.
    ///
    /// # Errors
    /// [`ConfigError`] names the file and what is wrong with it.
    pub(crate) fn read(home: &Path, tls: &Tls) -> Result<Self, ConfigError> {
        let read = |path: &Path, wanted: &str| PemFile::read(home, path, wanted);
        let authorities = tls.client_authorities.as_ref();
        Ok(Self {
            certificate: read(tls.certificate.as_ref(), "a PEM certificate")?,
            key: read(tls.key.as_ref(), "a PEM private key")?,
            client_authorities: authorities
                .map(|path| read(path.as_ref(), "a PEM certificate"))
                .transpose()?,
            require_client_certificate: tls.require_client_certificate,
        })
    }

    /// When the guard's own certificate expires.
    pub(crate) fn server_not_after(&self) -> Result<Option<SystemTime>, ConfigError> {
        self.certificate.not_after()
    }

    /// When the authorities of clients expire.
    pub(crate) fn authorities_not_after(&self) -> Result<Option<SystemTime>, ConfigError> {
        self.client_authorities.as_ref().map_or(Ok(None), PemFile::not_after)
    }

    /// What accepts connections with them.
    ///
    /// # Errors
    /// [`ConfigError`] names the file and what is wrong with it.
    pub(crate) fn acceptor(&self) -> Result<TlsAcceptor, ConfigError> {
        let chain = self.certificate.der_forms()?;
        let key = self.key.private_key()?;
        let builder = ServerConfig::builder_with_protocol_versions(&[&rustls::version::TLS13]);
        let builder = match &self.client_authorities {
            None if self.require_client_certificate => {
                return Err(ConfigError(
                    "[listen.tls] require_client_certificate needs client_authorities".to_owned(),
                ));
            }
            None => builder.with_no_client_auth(),
            Some(file) => {
                let verifier = WebPkiClientVerifier::builder(Arc::new(file.authorities()?));
                let verifier = if self.require_client_certificate {
                    verifier
                } else {
                    verifier.allow_unauthenticated()
                };
                let verifier = verifier.build();
                builder.with_client_cert_verifier(
                    verifier.map_err(|error| unusable(&file.path, "an authority", &error))?,
                )
            }
        };
        let mut config = builder
            .with_single_cert(chain, key)
            .map_err(|error| unusable(&self.certificate.path, "the key's certificate", &error))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

/// The files of one `[node.tls]`, read.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct DialFiles {
    authorities: PemFile,
    identity: Option<(PemFile, PemFile)>,
    /// As it stands in the node's certificate.
    server_name: String,
}

impl DialFiles {
    /// Reads them; relative paths start at the home.
    ///
    /// # Errors
    /// [`ConfigError`] names the file and what is wrong with it.
    pub(crate) fn read(
        home: &Path,
        authorities: &Path,
        identity: Option<(&PathBuf, &PathBuf)>,
        server_name: String,
    ) -> Result<Self, ConfigError> {
        let identity = identity.map(|(certificate, key)| {
            let certificate = PemFile::read(home, certificate, "a PEM certificate")?;
            Ok((certificate, PemFile::read(home, key, "a PEM private key")?))
        });
        let authorities = PemFile::read(home, authorities, "a PEM certificate")?;
        Ok(Self { authorities, identity: identity.transpose()?, server_name })
    }

    /// When the certificate that the guard shows expires.
    pub(crate) fn identity_not_after(&self) -> Result<Option<SystemTime>, ConfigError> {
        self.identity.as_ref().map_or(Ok(None), |(certificate, _)| certificate.not_after())
    }

    /// What opens connections with them, and the name that the node must have.
    ///
    /// # Errors
    /// [`ConfigError`] names the file and what is wrong with it.
    pub(crate) fn connector(&self) -> Result<(TlsConnector, ServerName<'static>), ConfigError> {
        let builder = ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
            .with_root_certificates(self.authorities.authorities()?);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => builder
                .with_client_auth_cert(certificate.der_forms()?, key.private_key()?)
                .map_err(|error| unusable(&certificate.path, "the key's certificate", &error))?,
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Each connection shows anew that the node's certificate still holds.
        config.resumption = Resumption::disabled();
        let name = ServerName::try_from(self.server_name.clone()).map_err(|error| {
            ConfigError(format!("server_name {:?} of a node: {error}", self.server_name))
        })?;
        Ok((TlsConnector::from(Arc::new(config)), name))
    }
}

fn unusable(path: &Path, wanted: &str, error: &dyn std::fmt::Display) -> ConfigError {
    ConfigError(format!("{} cannot be used as {wanted}: {error}", path.display()))
}
