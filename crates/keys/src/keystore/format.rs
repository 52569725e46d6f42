//! The JSON of a keystore, to and from a checked value.
//!
//! Invariant: a [`Keystore`] has passed every check that needs no password. Inside `crypto` each
//! field is known, present once and of its exact length; outside it, unknown fields are ignored,
//! since tools add their own.

use serde::{Deserialize, Serialize};

use super::{Kdf, KeystoreError, MAX_BYTES};
use crate::BlsPublicKey;

const VERSION: u64 = 4;
const MAX_SALT_BYTES: usize = 256;
/// Lengths of the derived key: AES-128 and the checksum use 32 bytes; more is cut off.
const DERIVED_KEY_BYTES: std::ops::RangeInclusive<u64> = 32..=64;

/// A keystore that needs only its password.
pub(crate) struct Keystore {
    pub(crate) kdf: Kdf,
    pub(crate) salt: Vec<u8>,
    pub(crate) checksum: [u8; 32],
    pub(crate) initialisation_vector: [u8; 16],
    pub(crate) ciphertext: [u8; 32],
    pub(crate) public_key: Option<BlsPublicKey>,
}

#[derive(Deserialize)]
struct KeystoreJson {
    crypto: CryptoJson,
    #[serde(default)]
    pubkey: Option<String>,
    version: u64,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct CryptoJson {
    kdf: ModuleJson<KdfParamsJson>,
    checksum: ModuleJson<NoParamsJson>,
    cipher: ModuleJson<CipherParamsJson>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ModuleJson<P> {
    function: String,
    params: P,
    message: String,
}

/// The parameters of both functions; which of them must be there depends on the function.
#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct KdfParamsJson {
    dklen: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    p: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    r: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    c: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prf: Option<String>,
    salt: String,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct NoParamsJson {}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct CipherParamsJson {
    iv: String,
}

impl Keystore {
    pub(crate) fn parse(json: &[u8]) -> Result<Self, KeystoreError> {
        if json.len() > MAX_BYTES {
            return Err(KeystoreError::TooLarge);
        }
        let parsed: KeystoreJson =
            serde_json::from_slice(json).map_err(|error| KeystoreError::malformed(&error))?;
        if parsed.version != VERSION {
            return Err(KeystoreError::UnsupportedVersion(parsed.version));
        }
        let CryptoJson { kdf, checksum, cipher } = parsed.crypto;
        must_name("checksum", &checksum.function, "sha256")?;
        must_name("cipher", &cipher.function, "aes-128-ctr")?;
        if !kdf.message.is_empty() {
            return Err(bad("crypto.kdf.message", "empty"));
        }
        Ok(Self {
            kdf: kdf_of(&kdf)?,
            salt: salt_of(&kdf.params.salt)?,
            checksum: array("crypto.checksum.message", &checksum.message, "32 bytes of hex")?,
            initialisation_vector: array(
                "crypto.cipher.params.iv",
                &cipher.params.iv,
                "16 bytes of hex",
            )?,
            ciphertext: array("crypto.cipher.message", &cipher.message, "32 bytes of hex")?,
            public_key: parsed.pubkey.as_deref().map(public_key_of).transpose()?,
        })
    }

    /// Writes the JSON form. Of `uuid`, the bits that mark version 4 (RFC 9562) are set here.
    pub(super) fn to_json(&self, uuid: [u8; 16]) -> Result<String, KeystoreError> {
        let crypto = CryptoJson {
            kdf: kdf_json(self.kdf, hex::encode(&self.salt)),
            checksum: ModuleJson {
                function: "sha256".to_owned(),
                params: NoParamsJson {},
                message: hex::encode(self.checksum),
            },
            cipher: ModuleJson {
                function: "aes-128-ctr".to_owned(),
                params: CipherParamsJson { iv: hex::encode(self.initialisation_vector) },
                message: hex::encode(self.ciphertext),
            },
        };
        let json = serde_json::json!({
            "crypto": crypto,
            "description": "",
            "pubkey": self.public_key.map(|key| hex::encode(key.0)),
            "path": "",
            "uuid": uuid_text(uuid),
            "version": VERSION,
        });
        serde_json::to_string_pretty(&json).map_err(|error| KeystoreError::malformed(&error))
    }
}

fn kdf_of(module: &ModuleJson<KdfParamsJson>) -> Result<Kdf, KeystoreError> {
    let params = &module.params;
    if !DERIVED_KEY_BYTES.contains(&params.dklen) {
        return Err(KeystoreError::OutOfBounds {
            field: "crypto.kdf.params.dklen",
            accepted: "32 to 64",
        });
    }
    let kdf = match (module.function.as_str(), params) {
        (
            "scrypt",
            KdfParamsJson { n: Some(n), r: Some(r), p: Some(p), c: None, prf: None, .. },
        ) => Kdf::Scrypt { n: *n, r: *r, p: *p },
        ("scrypt", _) => return Err(bad("crypto.kdf.params", "dklen, n, p, r and salt")),
        ("pbkdf2", KdfParamsJson { c: Some(c), prf: Some(prf), n: None, r: None, p: None, .. }) => {
            if prf != "hmac-sha256" {
                return Err(bad("crypto.kdf.params.prf", "hmac-sha256"));
            }
            Kdf::Pbkdf2 { rounds: *c }
        }
        ("pbkdf2", _) => return Err(bad("crypto.kdf.params", "c, dklen, prf and salt")),
        _ => {
            let supported = "scrypt or pbkdf2";
            return Err(KeystoreError::UnsupportedFunction { module: "kdf", supported });
        }
    };
    kdf.check().map(|()| kdf)
}

fn kdf_json(kdf: Kdf, salt: String) -> ModuleJson<KdfParamsJson> {
    let common = KdfParamsJson { dklen: 32, salt, ..KdfParamsJson::default() };
    let (function, params) = match kdf {
        Kdf::Scrypt { n, r, p } => {
            ("scrypt", KdfParamsJson { n: Some(n), r: Some(r), p: Some(p), ..common })
        }
        Kdf::Pbkdf2 { rounds } => {
            let prf = Some("hmac-sha256".to_owned());
            ("pbkdf2", KdfParamsJson { c: Some(rounds), prf, ..common })
        }
    };
    ModuleJson { function: function.to_owned(), params, message: String::new() }
}

fn must_name(
    module: &'static str,
    function: &str,
    supported: &'static str,
) -> Result<(), KeystoreError> {
    if function == supported {
        return Ok(());
    }
    Err(KeystoreError::UnsupportedFunction { module, supported })
}

fn salt_of(digits: &str) -> Result<Vec<u8>, KeystoreError> {
    let salt = hex::decode(digits).ok();
    salt.filter(|salt| (1..=MAX_SALT_BYTES).contains(&salt.len()))
        .ok_or_else(|| bad("crypto.kdf.params.salt", "1 to 256 bytes of hex"))
}

fn public_key_of(digits: &str) -> Result<BlsPublicKey, KeystoreError> {
    digits.parse().map_err(|_| bad("pubkey", "48 bytes of hex"))
}

fn array<const N: usize>(
    field: &'static str,
    digits: &str,
    must_be: &'static str,
) -> Result<[u8; N], KeystoreError> {
    let mut bytes = [0; N];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| bad(field, must_be))?;
    Ok(bytes)
}

fn bad(field: &'static str, must_be: &'static str) -> KeystoreError {
    KeystoreError::BadField { field, must_be }
}

fn uuid_text(uuid: [u8; 16]) -> String {
    const VERSION_4: u128 = 0x4 << 76;
    const VARIANT: u128 = 0x2 << 62;
    let bits = u128::from_be_bytes(uuid) & !(0xf << 76) & !(0x3 << 62) | VERSION_4 | VARIANT;
    let digits = format!("{bits:032x}");
    let groups = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    let groups: Vec<_> = groups.iter().filter_map(|(from, to)| digits.get(*from..*to)).collect();
    groups.join("-")
}
