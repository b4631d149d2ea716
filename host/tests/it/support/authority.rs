//! A certificate authority for one test.

use std::{fs, path::Path, sync::Arc};

use base64::Engine as _;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::TlsAcceptor;

/// An authority that issues certificates. Its own certificate is in a file, which is removed when the authority is
/// dropped.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "Authority of the tests");
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let folder = tempfile::tempdir().expect("temporary folder");
        let text = base64::engine::general_purpose::STANDARD.encode(certificate.der());
        let pem = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
        fs::write(folder.path().join("authority.pem"), pem).expect("written");
        Self { issuer: Issuer::new(params, key), folder }
    }

    /// Returns the path of the authority's certificate, for `ATLASHUB_CA_FILE`.
    pub fn file(&self) -> String {
        Path::new(self.folder.path()).join("authority.pem").to_str().expect("UTF-8").to_owned()
    }

    /// Returns a TLS acceptor with a certificate for this host name or IP address.
    pub fn server(&self, name: &str) -> TlsAcceptor {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
            .expect("a certificate and its key");
        TlsAcceptor::from(Arc::new(config))
    }
}
