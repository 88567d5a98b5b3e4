//! TLS: the certificate authorities that connections trust.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::error::SettingsError;
use crate::system::files;

/// The TLS configuration of all connections. It reads the certificates once, when the first connection needs them.
#[derive(Debug, Default)]
pub(super) struct TlsSettings {
    /// A PEM file with the only certificate authorities to trust.
    bundle: Option<PathBuf>,
    config: OnceLock<Result<Arc<ClientConfig>, SettingsError>>,
}

impl TlsSettings {
    /// Creates settings that trust the authorities in `bundle` only, or the usual ones if it is `None`.
    pub fn new(bundle: Option<PathBuf>) -> TlsSettings {
        TlsSettings { bundle, config: OnceLock::new() }
    }

    /// Returns the path of the file with the authorities, if the job names one.
    pub fn bundle(&self) -> Option<&Path> {
        self.bundle.as_deref()
    }

    /// Returns the configuration for rustls.
    ///
    /// # Errors
    /// [`SettingsError`] if the bundle cannot be read or holds no certificate. Later calls return the same error.
    pub fn config(&self) -> Result<Arc<ClientConfig>, SettingsError> {
        self.config.get_or_init(|| load(self.bundle()).map(Arc::new)).clone()
    }
}

/// OpenSSL's variable for the file with the authorities of the image.
const OPENSSL_FILE: &str = "SSL_CERT_FILE";

/// Reads the authorities: those of the bundle if there is one, else the image's, else the ones that are built in.
fn load(bundle: Option<&Path>) -> Result<ClientConfig, SettingsError> {
    let mut roots = RootCertStore::empty();
    let failed_at = |path: &Path, error: &dyn std::fmt::Display| SettingsError::CaBundle {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    // A library reads this file without checking that it is a regular one.
    if let Some(path) = std::env::var_os(OPENSSL_FILE).map(PathBuf::from)
        && let Err(error) = files::read(&path, files::TEXT_SIZE)
        && files::is_dangerous(&error)
    {
        return Err(failed_at(&path, &error));
    }
    match bundle {
        Some(path) => {
            let failed = |error: &dyn std::fmt::Display| failed_at(path, error);
            let text = files::read(path, files::TEXT_SIZE).map_err(|error| failed(&error))?;
            for certificate in CertificateDer::pem_slice_iter(&text) {
                let certificate = certificate.map_err(|error| failed(&error))?;
                // The result is ignored, because a bundle may hold unusable certificates as well as usable ones.
                let _ = roots.add(certificate);
            }
            if roots.is_empty() {
                return Err(failed(&"it holds no certificate"));
            }
        }
        None => {
            let found = files::within(files::PATIENCE, rustls_native_certs::load_native_certs);
            roots.add_parsable_certificates(found.map(|found| found.certs).unwrap_or_default());
            if roots.is_empty() {
                roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = versions.map_err(|error| SettingsError::Tls(error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::TlsSettings;

    #[test]
    fn a_bundle_without_a_certificate_is_an_error_that_names_the_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("ca.pem");
        for (content, reason) in [(None, "No such file"), (Some("no certificate"), "it holds no certificate")] {
            if let Some(content) = content {
                fs::write(&path, content).expect("written");
            }
            let error = TlsSettings::new(Some(path.clone())).config().expect_err("no certificate").to_string();
            assert!(error.starts_with(&format!("the CA bundle {}: {reason}", path.display())), "{error}");
        }
    }
}
