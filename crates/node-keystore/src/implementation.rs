//! Decides nothing: hands each method of the trait to [`RemoteKeystore`].
//!
//! The last two groups of methods exist only when a crate of the node asks `sp-keystore` for them;
//! its own macros say so, whatever the features of this crate are. A guard holds no such keys, so
//! they answer as a keystore without keys does.

use sp_core::crypto::KeyTypeId;
use sp_core::{ecdsa, ed25519, sr25519};
use sp_keystore::{Error, Keystore};

use crate::keystore::RemoteKeystore;

impl Keystore for RemoteKeystore {
    fn sr25519_public_keys(&self, key_type: KeyTypeId) -> Vec<sr25519::Public> {
        self.listed(key_type, sr25519::CRYPTO_ID)
    }

    fn sr25519_generate_new(
        &self,
        key_type: KeyTypeId,
        seed: Option<&str>,
    ) -> Result<sr25519::Public, Error> {
        self.generate(key_type, sr25519::CRYPTO_ID, seed)
    }

    fn sr25519_sign(
        &self,
        key_type: KeyTypeId,
        public: &sr25519::Public,
        msg: &[u8],
    ) -> Result<Option<sr25519::Signature>, Error> {
        self.sign::<sr25519::Pair>(key_type, sr25519::CRYPTO_ID, public, msg)
    }

    fn sr25519_vrf_sign(
        &self,
        key_type: KeyTypeId,
        public: &sr25519::Public,
        data: &sr25519::vrf::VrfSignData,
    ) -> Result<Option<sr25519::vrf::VrfSignature>, Error> {
        self.vrf(key_type, public, data)
    }

    /// A bare pre-output is a Diffie-Hellman oracle on the session key; no guard gives one.
    fn sr25519_vrf_pre_output(
        &self,
        key_type: KeyTypeId,
        public: &sr25519::Public,
        _input: &sr25519::vrf::VrfInput,
    ) -> Result<Option<sr25519::vrf::VrfPreOutput>, Error> {
        if self.holds(key_type, public) { Err(self.unknown(key_type, 0)) } else { Ok(None) }
    }

    fn ed25519_public_keys(&self, key_type: KeyTypeId) -> Vec<ed25519::Public> {
        self.listed(key_type, ed25519::CRYPTO_ID)
    }

    fn ed25519_generate_new(
        &self,
        key_type: KeyTypeId,
        seed: Option<&str>,
    ) -> Result<ed25519::Public, Error> {
        self.generate(key_type, ed25519::CRYPTO_ID, seed)
    }

    fn ed25519_sign(
        &self,
        key_type: KeyTypeId,
        public: &ed25519::Public,
        msg: &[u8],
    ) -> Result<Option<ed25519::Signature>, Error> {
        self.sign::<ed25519::Pair>(key_type, ed25519::CRYPTO_ID, public, msg)
    }

    fn ecdsa_public_keys(&self, key_type: KeyTypeId) -> Vec<ecdsa::Public> {
        self.listed(key_type, ecdsa::CRYPTO_ID)
    }

    fn ecdsa_generate_new(
        &self,
        key_type: KeyTypeId,
        seed: Option<&str>,
    ) -> Result<ecdsa::Public, Error> {
        self.generate(key_type, ecdsa::CRYPTO_ID, seed)
    }

    fn ecdsa_sign(
        &self,
        key_type: KeyTypeId,
        public: &ecdsa::Public,
        msg: &[u8],
    ) -> Result<Option<ecdsa::Signature>, Error> {
        self.sign::<ecdsa::Pair>(key_type, ecdsa::CRYPTO_ID, public, msg)
    }

    fn ecdsa_sign_prehashed(
        &self,
        key_type: KeyTypeId,
        public: &ecdsa::Public,
        msg: &[u8; 32],
    ) -> Result<Option<ecdsa::Signature>, Error> {
        self.commitment(key_type, public, msg)
    }

    /// A secret must not pass through the node: import it at the guard.
    fn insert(&self, _key_type: KeyTypeId, _suri: &str, _public: &[u8]) -> Result<(), ()> {
        Err(())
    }

    fn keys(&self, key_type: KeyTypeId) -> Result<Vec<Vec<u8>>, Error> {
        Ok(self.visible(key_type))
    }

    fn has_keys(&self, public_keys: &[(Vec<u8>, KeyTypeId)]) -> bool {
        public_keys.iter().all(|(public, key_type)| self.is_visible(*key_type, public))
    }

    sp_keystore::bandersnatch_experimental_enabled! {
        fn bandersnatch_public_keys(
            &self,
            _key_type: KeyTypeId,
        ) -> Vec<sp_core::bandersnatch::Public> {
            Vec::new()
        }

        fn bandersnatch_generate_new(
            &self,
            key_type: KeyTypeId,
            _seed: Option<&str>,
        ) -> Result<sp_core::bandersnatch::Public, Error> {
            Err(Error::KeyNotSupported(key_type))
        }

        fn bandersnatch_sign(
            &self,
            _key_type: KeyTypeId,
            _public: &sp_core::bandersnatch::Public,
            _msg: &[u8],
        ) -> Result<Option<sp_core::bandersnatch::Signature>, Error> {
            Ok(None)
        }

        fn bandersnatch_vrf_sign(
            &self,
            _key_type: KeyTypeId,
            _public: &sp_core::bandersnatch::Public,
            _input: &sp_core::bandersnatch::vrf::VrfSignData,
        ) -> Result<Option<sp_core::bandersnatch::vrf::VrfSignature>, Error> {
            Ok(None)
        }

        fn bandersnatch_vrf_pre_output(
            &self,
            _key_type: KeyTypeId,
            _public: &sp_core::bandersnatch::Public,
            _input: &sp_core::bandersnatch::vrf::VrfInput,
        ) -> Result<Option<sp_core::bandersnatch::vrf::VrfPreOutput>, Error> {
            Ok(None)
        }

        fn bandersnatch_ring_vrf_sign(
            &self,
            _key_type: KeyTypeId,
            _public: &sp_core::bandersnatch::Public,
            _input: &sp_core::bandersnatch::vrf::VrfSignData,
            _prover: &sp_core::bandersnatch::ring_vrf::RingProver,
        ) -> Result<Option<sp_core::bandersnatch::ring_vrf::RingVrfSignature>, Error> {
            Ok(None)
        }
    }

    sp_keystore::bls_experimental_enabled! {
        fn bls381_public_keys(&self, _id: KeyTypeId) -> Vec<sp_core::bls381::Public> {
            Vec::new()
        }

        fn ecdsa_bls381_public_keys(
            &self,
            _id: KeyTypeId,
        ) -> Vec<sp_core::ecdsa_bls381::Public> {
            Vec::new()
        }

        fn bls381_generate_new(
            &self,
            key_type: KeyTypeId,
            _seed: Option<&str>,
        ) -> Result<sp_core::bls381::Public, Error> {
            Err(Error::KeyNotSupported(key_type))
        }

        fn ecdsa_bls381_generate_new(
            &self,
            key_type: KeyTypeId,
            _seed: Option<&str>,
        ) -> Result<sp_core::ecdsa_bls381::Public, Error> {
            Err(Error::KeyNotSupported(key_type))
        }

        fn bls381_sign(
            &self,
            _key_type: KeyTypeId,
            _public: &sp_core::bls381::Public,
            _msg: &[u8],
        ) -> Result<Option<sp_core::bls381::Signature>, Error> {
            Ok(None)
        }

        fn bls381_generate_proof_of_possession(
            &self,
            _key_type: KeyTypeId,
            _public: &sp_core::bls381::Public,
            _owner: &[u8],
        ) -> Result<Option<sp_core::bls381::ProofOfPossession>, Error> {
            Ok(None)
        }

        fn ecdsa_bls381_sign(
            &self,
            _key_type: KeyTypeId,
            _public: &sp_core::ecdsa_bls381::Public,
            _msg: &[u8],
        ) -> Result<Option<sp_core::ecdsa_bls381::Signature>, Error> {
            Ok(None)
        }

        fn ecdsa_bls381_sign_with_keccak256(
            &self,
            _key_type: KeyTypeId,
            _public: &sp_core::ecdsa_bls381::Public,
            _msg: &[u8],
        ) -> Result<Option<sp_core::ecdsa_bls381::Signature>, Error> {
            Ok(None)
        }
    }
}
