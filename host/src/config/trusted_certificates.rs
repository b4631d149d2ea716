//! The certificate authorities of `ATLASHUB_CA_FILE`.

use std::sync::Arc;

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::{ConfigError, Vars};

const VARIABLE: &str = "ATLASHUB_CA_FILE";
const REMEDY: &str = "set it to a file with the authority's certificate in PEM, or remove it";

/// Certificate authorities that are trusted in addition to the public ones. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct TrustedCertificates(Arc<[CertificateDer<'static>]>);

impl TrustedCertificates {
    /// Reads the file of `ATLASHUB_CA_FILE`. Returns an empty list if the variable is not set.
    ///
    /// # Errors
    /// Fails if the file can't be read, or contains no certificate or an unusable one.
    pub fn from_vars(vars: &Vars) -> Result<Self, ConfigError> {
        let Some(path) = vars.text(VARIABLE)? else { return Ok(Self::default()) };
        let invalid_file = |problem: String| ConfigError::new(VARIABLE, format!("names `{path}`, {problem}"), REMEDY);
        let pem = std::fs::read(&path).map_err(|error| invalid_file(format!("which can't be read ({error})")))?;
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
            .collect::<Result<_, _>>()
            .map_err(|_| invalid_file("which is damaged".to_owned()))?;
        if certificates.is_empty() {
            return Err(invalid_file("which contains no certificate".to_owned()));
        }
        let mut roots = RootCertStore::empty();
        for (index, certificate) in certificates.iter().enumerate() {
            roots
                .add(certificate.clone())
                .map_err(|_| invalid_file(format!("whose certificate number {} can't be used", index + 1)))?;
        }
        Ok(Self(certificates.into()))
    }

    /// Returns the certificates as DER, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.0.iter()
    }

    /// Returns a store of these and the public authorities.
    pub fn with_public(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        roots.add_parsable_certificates(self.0.iter().cloned());
        roots
    }
}
