//! Passwords as people type them and as key derivation reads them.
//!
//! Invariant: wiped on drop, never printed. What is derived from is the EIP-2335 form: NFKD,
//! without C0, C1 and Delete control codes, in UTF-8. That also drops the line end of a password
//! file.

use std::fmt;

use subtle::{Choice, ConstantTimeEq};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// A password or passphrase.
///
/// ```compile_fail,E0277
/// fn print(password: palisade_keys::Password) -> String {
///     format!("{password:?}")
/// }
/// ```
pub struct Password(Zeroizing<String>);

/// The bytes are not a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordError;

impl Password {
    /// A password as typed or as received. Whether it is empty is for the caller to judge.
    pub fn new(text: impl Into<Zeroizing<String>>) -> Self {
        Self(text.into())
    }

    /// The whole content of a password file.
    ///
    /// # Errors
    /// [`PasswordError`] when it is not UTF-8.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PasswordError> {
        let text = std::str::from_utf8(bytes).map_err(|_| PasswordError)?;
        Ok(Self(Zeroizing::new(text.to_owned())))
    }

    /// As typed, without the line end of a password file.
    pub(crate) fn as_typed(&self) -> &str {
        self.0.trim_end_matches(['\r', '\n'])
    }

    /// The form that keys are derived from.
    pub(crate) fn normalized(&self) -> Zeroizing<String> {
        let characters = || self.0.nfkd().filter(|character| !character.is_control());
        // Exact capacity: a growing string would leave unwiped copies behind.
        let length = characters().map(char::len_utf8).sum();
        let mut normalized = Zeroizing::new(String::with_capacity(length));
        normalized.extend(characters());
        normalized
    }
}

impl ConstantTimeEq for Password {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.as_bytes().ct_eq(other.0.as_bytes())
    }
}

impl fmt::Display for PasswordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the password is not UTF-8 text; store it again as UTF-8")
    }
}

impl std::error::Error for PasswordError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_of_the_eip_is_encoded_as_the_eip_says() {
        let password = Password::new("𝔱𝔢𝔰𝔱𝔭𝔞𝔰𝔰𝔴𝔬𝔯𝔡🔑".to_owned());
        assert_eq!(
            hex::encode(password.normalized().as_bytes()),
            "7465737470617373776f7264f09f9491"
        );
    }

    #[test]
    fn control_codes_are_stripped_and_spaces_are_not() {
        let password = Password::new("\u{0}a b\u{1f}\u{7f}\u{80}\u{9f}\u{a0}c\r\n".to_owned());
        assert_eq!(password.normalized().as_str(), "a b c", "U+00A0 is a space under NFKD");
    }

    #[test]
    fn composed_and_decomposed_spellings_are_one_password() {
        let [composed, decomposed] =
            ["\u{e9}", "e\u{301}"].map(|text| Password::new(text.to_owned()));
        assert_eq!(*composed.normalized(), *decomposed.normalized());
    }

    #[test]
    fn bytes_that_are_not_utf8_are_refused() {
        assert!(Password::from_bytes(&[0xff]).is_err());
    }
}
