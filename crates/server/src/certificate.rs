//! What X.509 certificates say of themselves: names, validity, digest.
//!
//! Decides nothing about trust: that is rustls's part. Invariant: a file is read whole or named in
//! the error; a certificate that cannot be parsed is never skipped.

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

use crate::config::ConfigError;
use crate::policy::Fingerprint;

/// One certificate.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The common name of its subject; empty if it has none.
    pub subject: String,
    /// The DNS names and addresses that it vouches for.
    pub names: Vec<String>,
    /// Whether it may vouch for other certificates.
    pub is_authority: bool,
    /// The first second of its validity.
    pub not_before: SystemTime,
    /// The last second of its validity (RFC 5280, section 4.1.2.5).
    pub not_after: SystemTime,
    /// SHA-256 of its DER form: `certificate_sha256` in `palisade.toml`.
    pub fingerprint: Fingerprint,
}

impl Certificate {
    /// Every certificate of a PEM file, in its order; at least one.
    ///
    /// # Errors
    /// [`ConfigError`] names the file and what is wrong with it.
    pub fn read_all(path: &Path) -> Result<Vec<Self>, ConfigError> {
        let pem = std::fs::read(path).map_err(|error| unusable(path, &error))?;
        Self::parse_all(path, &pem)
    }

    /// As [`Self::read_all`], of a file's contents.
    pub(crate) fn parse_all(path: &Path, pem: &[u8]) -> Result<Vec<Self>, ConfigError> {
        let parse = |der: &CertificateDer<'static>| {
            Self::parse(der).ok_or_else(|| {
                ConfigError(format!("{} holds a damaged X.509 certificate", path.display()))
            })
        };
        der_forms(path, pem)?.iter().map(parse).collect()
    }

    /// Parses the DER form; `None` if it is none.
    #[must_use]
    pub fn parse(der: &[u8]) -> Option<Self> {
        let (rest, certificate) = X509Certificate::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let subject = certificate.subject().iter_common_name().next();
        let validity = certificate.validity();
        Some(Self {
            subject: subject.and_then(|name| name.as_str().ok()).unwrap_or_default().to_owned(),
            names: names(&certificate)?,
            is_authority: certificate.is_ca(),
            not_before: at(validity.not_before.timestamp())?,
            not_after: at(validity.not_after.timestamp())?,
            fingerprint: Fingerprint::of(der),
        })
    }

    /// How long it is still valid; `None` once it has expired.
    #[must_use]
    pub fn time_left(&self, now: SystemTime) -> Option<Duration> {
        self.not_after.duration_since(now).ok()
    }
}

/// The DER forms of all certificates in a PEM file's contents; at least one.
pub(crate) fn der_forms(
    path: &Path,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let all = all.map_err(|error| unusable(path, &error))?;
    if all.is_empty() {
        return Err(ConfigError(format!("{} holds no PEM certificate", path.display())));
    }
    Ok(all)
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> ConfigError {
    ConfigError(format!("{} cannot be used as a PEM certificate: {error}", path.display()))
}

fn names(certificate: &X509Certificate<'_>) -> Option<Vec<String>> {
    let Some(extension) = certificate.subject_alternative_name().ok()? else {
        return Some(Vec::new());
    };
    let name = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|address| address.to_string()),
        _ => None,
    };
    Some(extension.value.general_names.iter().filter_map(name).collect())
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

fn at(seconds: i64) -> Option<SystemTime> {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests fail by panicking")]
mod tests {
    use std::time::{Duration, SystemTime};

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::Certificate;

    fn issued(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["guard.internal".to_owned()]).unwrap();
        change(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn names_and_validity_are_read_as_they_were_written() {
        let der = issued(|params| {
            let addresses = CertificateParams::new(vec!["10.0.0.5".to_owned(), "::1".to_owned()]);
            params.subject_alt_names.extend(addresses.unwrap().subject_alt_names);
            params.not_after = date_time_ymd(2031, 1, 2);
        });
        let certificate = Certificate::parse(&der).unwrap();
        assert_eq!(certificate.names, ["guard.internal", "10.0.0.5", "::1"]);
        assert!(!certificate.is_authority);
        let day_before = SystemTime::UNIX_EPOCH + Duration::from_secs(1_925_078_400 - 86_400);
        assert_eq!(certificate.time_left(day_before), Some(Duration::from_secs(86_400)));
        let after = certificate.not_after + Duration::from_secs(1);
        assert_eq!(certificate.time_left(after), None);
    }

    #[test]
    fn bytes_that_are_no_certificate_are_none() {
        let der = issued(|_| {});
        assert!(Certificate::parse(&der).is_some());
        assert!(Certificate::parse(&[&der[..], &[0]].concat()).is_none(), "a byte too many");
        for length in 0..der.len() {
            assert!(Certificate::parse(&der[..length]).is_none(), "cut at {length}");
        }
    }
}
