//! The operator's own certificate authority: makes keys and certificates, in memory.
//!
//! Invariants: every key is P-256, which all TLS libraries of validator clients know; no
//! certificate outlives the authority's; serial numbers are random; the text of a private key is
//! wiped when dropped (the library's own copy goes with the process, which does nothing else).
//!
//! Validity. The authority: ten years, because replacing it means touching every client. What it
//! issues: 825 days, the longest that common TLS libraries accept. Shorter would bring little: a
//! lost client is shut out by taking its lines out of `palisade.toml`, not by waiting, while an
//! expiry that nobody saw coming takes a validator offline.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use palisade_server::certificate::Certificate;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    SerialNumber,
};
use rustls_pki_types::DnsName;
use rustls_pki_types::pem::PemObject as _;
use time::OffsetDateTime;
use zeroize::Zeroizing;

use crate::failure::Failure;

const DAY: Duration = Duration::from_secs(86_400);
const AUTHORITY_DAYS: u32 = 3_652;
const LEAF_DAYS: u32 = 825;
/// Clocks of clients may be behind ours.
const CLOCK_SKEW: Duration = Duration::from_secs(3_600);

/// A certificate and its private key, as PEM.
pub(super) struct Issued {
    pub(super) certificate: String,
    pub(super) key: Zeroizing<String>,
}

/// What a certificate is for.
pub(super) enum Purpose<'a> {
    /// A guard: shown to clients, and to other guards in both directions.
    Guard { names: &'a [String] },
    /// A validator client, a node, an operator.
    Client { name: &'a str },
    /// A node that the guard dials.
    Node { name: &'a str, names: &'a [String] },
}

/// An authority whose key is at hand.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    not_after: SystemTime,
}

impl Authority {
    /// A new one, with its files.
    pub(super) fn generate(now: SystemTime) -> Result<(Self, Issued), Failure> {
        let key = new_key()?;
        let mut params = params(now, now + DAY * AUTHORITY_DAYS)?;
        // A name of its own, so that two authorities of one operator are told apart.
        params.distinguished_name =
            named(&format!("Palisade authority {}", hex::encode(random::<4>()?)));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key_pem = Zeroizing::new(key.serialize_pem());
        let made = CertifiedIssuer::self_signed(params, key).map_err(not_made)?;
        let issued = Issued { certificate: made.pem(), key: key_pem };
        Ok((Self::open(&issued.certificate, &issued.key, now)?, issued))
    }

    /// From its two PEM files.
    pub(super) fn open(certificate: &str, key: &str, now: SystemTime) -> Result<Self, Failure> {
        let unusable = |why: &str| {
            Failure::Usage(format!("tls/ca.pem and tls/ca.key are not an authority: {why}"))
        };
        let der = rustls_pki_types::CertificateDer::from_pem_slice(certificate.as_bytes())
            .map_err(|error| unusable(&error.to_string()))?;
        let facts = Certificate::parse(&der).ok_or_else(|| unusable("a damaged certificate"))?;
        if !facts.is_authority {
            return Err(unusable("the certificate may not issue others"));
        }
        if facts.time_left(now).is_none() {
            return Err(unusable(
                "the certificate has expired; move the directory tls/ away and begin again with \
                 `palisade tls init`",
            ));
        }
        let key = KeyPair::from_pem(key).map_err(|error| unusable(&error.to_string()))?;
        let issuer = Issuer::from_ca_cert_der(&der, key).map_err(|e| unusable(&e.to_string()))?;
        Ok(Self { issuer, not_after: facts.not_after })
    }

    /// A certificate for a new key.
    pub(super) fn issue(&self, purpose: &Purpose<'_>, now: SystemTime) -> Result<Issued, Failure> {
        let key = new_key()?;
        let certificate = self.certify(&key, purpose, now)?;
        Ok(Issued { certificate, key: Zeroizing::new(key.serialize_pem()) })
    }

    /// A certificate for a key that is there already, given as PEM.
    pub(super) fn renew(
        &self,
        key: &str,
        purpose: &Purpose<'_>,
        now: SystemTime,
    ) -> Result<String, Failure> {
        let key = KeyPair::from_pem(key)
            .map_err(|error| Failure::Usage(format!("tls/guard.key is no private key: {error}")))?;
        self.certify(&key, purpose, now)
    }

    fn certify(
        &self,
        key: &KeyPair,
        purpose: &Purpose<'_>,
        now: SystemTime,
    ) -> Result<String, Failure> {
        let mut params = params(now, (now + DAY * LEAF_DAYS).min(self.not_after))?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        match purpose {
            Purpose::Guard { names } => {
                let named_in = CertificateParams::new(names.to_vec()).map_err(not_made)?;
                params.subject_alt_names = named_in.subject_alt_names;
                params.distinguished_name = named("palisade guard");
                params.extended_key_usages =
                    vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
            }
            Purpose::Node { name, names } => {
                let named_in = CertificateParams::new(names.to_vec()).map_err(not_made)?;
                params.subject_alt_names = named_in.subject_alt_names;
                params.distinguished_name = named(name);
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            }
            Purpose::Client { name } => {
                params.distinguished_name = named(name);
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }
        }
        params.use_authority_key_identifier_extension = true;
        Ok(params.signed_by(key, &self.issuer).map_err(not_made)?.pem())
    }
}

/// Checks what `--name` was given: DNS names and addresses, as a client would write them.
pub(super) fn check_names(names: &[String]) -> Result<(), Failure> {
    for name in names {
        let is_name = DnsName::try_from(name.as_str()).is_ok() && !name.ends_with('.');
        if !is_name && name.parse::<IpAddr>().is_err() {
            return Err(Failure::Usage(format!(
                "--name {name:?} is neither a DNS name nor an address; give it as clients write \
                 it, without scheme and port"
            )));
        }
    }
    Ok(())
}

fn params(now: SystemTime, not_after: SystemTime) -> Result<CertificateParams, Failure> {
    let mut params = CertificateParams::default();
    params.not_before = date(now - CLOCK_SKEW)?;
    params.not_after = date(not_after)?;
    params.serial_number = Some(SerialNumber::from_slice(&random::<16>()?));
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn date(time: SystemTime) -> Result<OffsetDateTime, Failure> {
    let wrong = || Failure::CouldNot("this machine's clock is far off; set it first".to_owned());
    let seconds = time.duration_since(UNIX_EPOCH).map_err(|_| wrong())?.as_secs();
    let seconds = i64::try_from(seconds).map_err(|_| wrong())?;
    OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| wrong())
}

fn new_key() -> Result<KeyPair, Failure> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(not_made)
}

fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::CouldNot(format!("no randomness: {error}")))?;
    Ok(bytes)
}

fn not_made(error: rcgen::Error) -> Failure {
    Failure::CouldNot(format!("the certificate could not be made: {error}"))
}
