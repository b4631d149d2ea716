use std::sync::Arc;

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::{ConfigError, Vars};

const VARIABLE: &str = "ATLASHUB_CA_FILE";
const REMEDY: &str = "set it to a file with the authority's certificate in PEM, or remove it";

/// Authorities whose certificates are taken besides those of the public ones. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct TrustedCertificates(Arc<[CertificateDer<'static>]>);

impl TrustedCertificates {
    /// Reads the file; none where no file is named.
    ///
    /// # Errors
    /// A file that can't be read, holds no certificate, or one that can't be an authority's.
    pub fn from_vars(vars: &Vars) -> Result<Self, ConfigError> {
        let Some(path) = vars.text(VARIABLE)? else { return Ok(Self::default()) };
        let refused = |problem: String| ConfigError::new(VARIABLE, format!("names `{path}`, {problem}"), REMEDY);
        let pem = std::fs::read(&path).map_err(|error| refused(format!("which can't be read ({error})")))?;
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(&pem)
            .collect::<Result<_, _>>()
            .map_err(|_| refused("which is damaged".to_owned()))?;
        if certificates.is_empty() {
            return Err(refused("which holds no certificate".to_owned()));
        }
        let mut roots = RootCertStore::empty();
        for (index, certificate) in certificates.iter().enumerate() {
            roots
                .add(certificate.clone())
                .map_err(|_| refused(format!("whose certificate number {} can't be used", index + 1)))?;
        }
        Ok(Self(certificates.into()))
    }

    /// As DER, in the file's order.
    pub fn iter(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.0.iter()
    }

    /// These and the public ones.
    pub fn with_public(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        roots.add_parsable_certificates(self.0.iter().cloned());
        roots
    }
}
