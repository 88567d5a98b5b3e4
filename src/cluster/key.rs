//! The key that all hosts of a job have, and the tags that are made with it.

use std::fmt;
use std::io;

use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};

/// The length of a tag, in bytes.
pub(super) const TAG_SIZE: usize = 32;

/// A proof that its sender has a key.
pub(super) type Tag = [u8; TAG_SIZE];

/// The secret that only the hosts of a job have. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Key([u8; 32]);

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    /// Makes the key from a secret that a user chose, or from facts that only the job's containers know.
    pub fn new(parts: &[&[u8]]) -> Key {
        Key(tag(b"footplate cluster key", parts))
    }

    /// Returns a digest that distinguishes keys without revealing them.
    pub fn fingerprint(&self) -> String {
        tag(&self.0, &[b"fingerprint"]).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Returns a secret for another purpose, as text. It does not reveal the key.
    pub fn secret_for(&self, purpose: &str) -> String {
        tag(&self.0, &[b"secret", purpose.as_bytes()]).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Returns the key of a session.
    pub(super) fn session(&self, parts: &[&[u8]]) -> Key {
        Key(tag(&self.0, parts))
    }

    pub(super) fn tag(&self, parts: &[&[u8]]) -> Tag {
        tag(&self.0, parts)
    }

    /// Returns true if a tag was made with this key. The time does not depend on where the tags differ.
    pub(super) fn verifies(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        hmac::verify(&key, &joined(parts), tag).is_ok()
    }
}

fn tag(key: &[u8], parts: &[&[u8]]) -> Tag {
    let mut tag = [0; TAG_SIZE];
    tag.copy_from_slice(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &joined(parts)).as_ref());
    tag
}

/// Returns random bytes.
///
/// # Errors
/// The kernel cannot provide random bytes.
pub(super) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("the kernel gives no random numbers"))?;
    Ok(bytes)
}

/// Returns a new random secret of 256 bits, as text, for [`Key::new`].
///
/// # Errors
/// The kernel cannot provide random numbers.
pub fn random_secret() -> io::Result<String> {
    Ok(random::<32>()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Joins the parts, each after its length, so that different lists of parts never result in the same bytes.
fn joined(parts: &[&[u8]]) -> Vec<u8> {
    let mut joined = Vec::new();
    for part in parts {
        joined.extend_from_slice(&(part.len() as u64).to_be_bytes());
        joined.extend_from_slice(part);
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::{Key, random_secret};

    #[test]
    fn a_tag_proves_the_key_and_the_parts_as_they_were_divided() {
        let key = Key::new(&[b"secret"]);
        let tag = key.tag(&[b"ab", b"c"]);
        assert!(key.verifies(&[b"ab", b"c"], &tag));
        assert!(!key.verifies(&[b"a", b"bc"], &tag));
        assert!(!key.verifies(&[&[0; 8]], &key.tag(&[b"", b""])));
        assert!(!key.verifies(&[b"ab", b"c"], &tag[..31]));
        assert!(!Key::new(&[b"another"]).verifies(&[b"ab", b"c"], &tag));
        assert_eq!(format!("{key:?}"), "Key(…)");
    }

    #[test]
    fn every_random_secret_is_another() {
        let [first, second] = [random_secret().expect("a secret"), random_secret().expect("a secret")];
        assert_eq!((first.len(), second.len()), (64, 64));
        assert_ne!(first, second);
    }
}
