//! Accounts as people write them: SS58 addresses, or hexadecimal digits.
//!
//! Invariants: an address is taken only with a checksum that holds and an account of 32 bytes; the
//! text is bounded before it is decoded. Which chain an address is for (its prefix) is not judged:
//! one account has an address on each.
//!
//! Source: the SS58 address format of the Substrate documentation.

use std::fmt;

use blake2::{Blake2b512, Digest as _};

const ACCOUNT_BYTES: usize = 32;
/// Accounts of chains that took Ethereum's.
const ETHEREUM_ACCOUNT_BYTES: usize = 20;
const CHECKSUM_BYTES: usize = 2;
const CHECKSUM_DOMAIN: &[u8] = b"SS58PRE";
/// Two bytes of prefix, 32 of account and two of checksum have at most 50 letters.
const MAX_ADDRESS_LETTERS: usize = 64;

/// The text names no account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AccountError {
    /// Behind `0x` stand other digits than those of 32 or 20 bytes.
    NotHex,
    /// Neither `0x` nor base58.
    NotBase58,
    /// The address is not that of an account of 32 bytes.
    OtherLength,
    /// A letter is wrong.
    Checksum,
}

/// The account that an SS58 address, or `0x` and the digits of 32 or 20 bytes, stands for.
///
/// # Errors
/// [`AccountError`]
pub fn account(text: &str) -> Result<Vec<u8>, AccountError> {
    if let Some(digits) = text.strip_prefix("0x") {
        return hex_account(digits);
    }
    if MAX_ADDRESS_LETTERS < text.len() {
        return Err(AccountError::OtherLength);
    }
    let bytes = bs58::decode(text).into_vec().map_err(|_| AccountError::NotBase58)?;
    let (body, checksum) =
        bytes.split_last_chunk::<CHECKSUM_BYTES>().ok_or(AccountError::OtherLength)?;
    let prefix_bytes = match body.first() {
        Some(0..64) => 1,
        Some(64..128) => 2,
        _ => return Err(AccountError::OtherLength),
    };
    let account = body.get(prefix_bytes..).ok_or(AccountError::OtherLength)?;
    if account.len() != ACCOUNT_BYTES {
        return Err(AccountError::OtherLength);
    }
    let hash = Blake2b512::new().chain_update(CHECKSUM_DOMAIN).chain_update(body).finalize();
    if !hash.starts_with(checksum) {
        return Err(AccountError::Checksum);
    }
    Ok(account.to_vec())
}

fn hex_account(digits: &str) -> Result<Vec<u8>, AccountError> {
    let bytes = hex::decode(digits).map_err(|_| AccountError::NotHex)?;
    let is_account = [ACCOUNT_BYTES, ETHEREUM_ACCOUNT_BYTES].contains(&bytes.len());
    if is_account { Ok(bytes) } else { Err(AccountError::NotHex) }
}

impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotHex => "behind 0x an account has 64 hex digits, or 40 on some chains",
            Self::NotBase58 => "it is neither an SS58 address nor 0x and hex digits",
            Self::OtherLength => "it is not the SS58 address of an account of 32 bytes",
            Self::Checksum => "its checksum does not hold; a letter is wrong",
        })
    }
}

impl std::error::Error for AccountError {}
