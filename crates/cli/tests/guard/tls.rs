//! TLS 1.3, and clients that are recognised by their certificates.

use std::net::TcpStream;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use sha2::Digest;

use crate::support::duty::randao;
use crate::support::home::{KEYS, TestHome, text};
use crate::support::http::{Answer, Connection};
use crate::support::{Guard, PATIENCE};

/// A certificate and its key.
struct Identity {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    key_pem: String,
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn identity(name: &str, authority: &Authority) -> Identity {
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    Identity {
        certificate: certificate.der().clone(),
        certificate_pem: certificate.pem(),
        key_pem: key.serialize_pem(),
    }
}

/// A home that serves TLS with a certificate of `authority`.
fn home(authority: &Authority, more: &str) -> TestHome {
    let home = TestHome::with_keys(1);
    let server = identity("127.0.0.1", authority);
    let write = |name: &str, text: &str| std::fs::write(home.path().join(name), text).unwrap();
    write("guard.pem", &server.certificate_pem);
    write("guard.key", &server.key_pem);
    write("ca.pem", &authority.pem());
    let tls = format!("[listen.tls]\ncertificate = \"guard.pem\"\nkey = \"guard.key\"\n{more}\n");
    home.configure("\n[metrics]\n", &format!("\n{tls}\n[metrics]\n"));
    home
}

fn client(
    trusted: &Authority,
    identity: Option<&Identity>,
    version: &'static SupportedProtocolVersion,
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_protocol_versions(&[version]);
    let builder = builder.with_root_certificates(roots);
    match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).unwrap();
            builder.with_client_auth_cert(vec![identity.certificate.clone()], key).unwrap()
        }
    }
}

fn sign_over_tls(guard: &Guard, config: ClientConfig) -> std::io::Result<Answer> {
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = TcpStream::connect(guard.listen)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let path = format!("/api/v1/eth2/sign/{}", KEYS[0]);
    Connection::over(StreamOwned::new(session, stream)).exchange(
        "POST",
        &path,
        &[],
        &randao(1).to_string(),
    )
}

const TLS_1_3: &SupportedProtocolVersion = &rustls::version::TLS13;
const TLS_1_2: &SupportedProtocolVersion = &rustls::version::TLS12;

#[test]
fn the_server_is_authenticated_and_only_tls_1_3_is_spoken() {
    let (ours, other) = (authority("ours"), authority("other"));
    let home = home(&ours, "");
    let guard = home.start();
    let answer = sign_over_tls(&guard, client(&ours, None, TLS_1_3)).unwrap();
    assert!(answer.signature().starts_with("0x"));
    let error = sign_over_tls(&guard, client(&other, None, TLS_1_3)).unwrap_err();
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    let error = sign_over_tls(&guard, client(&ours, None, TLS_1_2)).unwrap_err();
    assert!(error.to_string().contains("ProtocolVersion"), "{error}");
    let mut plain = Connection::open(guard.listen);
    let answer = plain.exchange("GET", "/upcheck", &[], "");
    assert!(answer.is_err(), "nothing is served in clear: {answer:?}");
    let answer = sign_over_tls(&guard, client(&ours, None, TLS_1_3)).unwrap();
    assert_eq!(answer.status, 200, "and the guard goes on");
}

#[test]
fn a_required_certificate_names_the_client_and_its_rights() {
    let (ours, other) = (authority("ours"), authority("other"));
    let home = home(&ours, "client_authorities = \"ca.pem\"\nrequire_client_certificate = true");
    let [signer, watcher, unlisted] =
        ["signer", "watcher", "unlisted"].map(|name| identity(name, &ours));
    for (name, allow, identity) in [("signer", "randao", &signer), ("watcher", "sync", &watcher)] {
        let digest = hex::encode(sha2::Sha256::digest(&identity.certificate));
        home.add_config(&format!(
            "[[client]]\nname = \"{name}\"\nallow = [\"{allow}\"]\n\
             certificate_sha256 = \"{digest}\""
        ));
    }
    let guard = home.start();
    let sign =
        |identity: Option<&Identity>| sign_over_tls(&guard, client(&ours, identity, TLS_1_3));
    assert_eq!(sign(Some(&signer)).unwrap().status, 200);
    let denied = sign(Some(&watcher)).unwrap();
    denied.is_error(412, "policy-denied", "\"watcher\" may not ask for randao");
    // The authority vouches for it, but no [[client]] has it; there is an anonymous client too.
    sign(Some(&unlisted)).unwrap().is_error(401, "credential-wrong", "[[client]]");
    let error = sign(None).unwrap_err();
    assert!(error.to_string().contains("CertificateRequired"), "{error}");
    let stranger = identity("signer", &other);
    assert!(sign(Some(&stranger)).is_err(), "a certificate of another authority");
    assert_eq!(sign(Some(&signer)).unwrap().status, 200);
}

#[test]
fn an_optional_certificate_leaves_the_others_anonymous() {
    let (ours, other) = (authority("ours"), authority("other"));
    let home = home(&ours, "client_authorities = \"ca.pem\"");
    let guard = home.start();
    let sign =
        |identity: Option<&Identity>| sign_over_tls(&guard, client(&ours, identity, TLS_1_3));
    assert_eq!(sign(None).unwrap().status, 200);
    let unlisted = identity("unlisted", &ours);
    sign(Some(&unlisted)).unwrap().is_error(401, "credential-wrong", "");
    assert!(sign(Some(&identity("stranger", &other))).is_err());
}

#[test]
fn files_that_cannot_be_used_are_named_at_the_start() {
    let ours = authority("ours");
    let cases = [
        ("guard.pem", "no certificate", "guard.pem"),
        ("guard.key", "no key", "guard.key"),
        ("ca.pem", "no authority", "ca.pem"),
    ];
    for (file, content, named) in cases {
        let home = home(&ours, "client_authorities = \"ca.pem\"");
        std::fs::write(home.path().join(file), content).unwrap();
        let output = home.run_command().output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{file}");
        assert!(text(&output.stderr).contains(named), "{}", text(&output.stderr));
    }
    let home = home(&ours, "require_client_certificate = true");
    let output = home.run_command().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("client_authorities"), "{}", text(&output.stderr));
    // A key of another certificate.
    let home = self::home(&ours, "");
    let other = identity("127.0.0.1", &ours);
    std::fs::write(home.path().join("guard.key"), other.key_pem).unwrap();
    let output = home.run_command().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("guard.pem"), "{}", text(&output.stderr));
}
