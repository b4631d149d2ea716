//! Keys and signatures in the file formats of minisign, compatible with the program `minisign`.

use std::{
    fs,
    io::Cursor,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use base64::{Engine, prelude::BASE64_STANDARD};
use minisign::{KeyPair, PublicKey, SecretKey, SecretKeyBox};

use super::files::write_if_changed;

/// Password of a secret key file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Password {
    /// The file is not encrypted.
    None,
    /// Ask on the terminal.
    Ask,
    Given(String),
}

/// Writes a new secret key to `file` and its public key to `file.pub`.
///
/// # Errors
/// Fails if `file` exists, because a lost key can't be recovered.
pub(crate) fn generate(file: &Path, password: Password) -> Result<()> {
    if file.exists() {
        bail!("{} already exists. It is not overwritten, because a lost key can't be recovered.", file.display());
    }
    let pair = match password {
        Password::None => KeyPair::generate_unencrypted_keypair(),
        Password::Ask => KeyPair::generate_encrypted_keypair(None),
        Password::Given(password) => KeyPair::generate_encrypted_keypair(Some(password)),
    }
    .context("could not create a key")?;
    write_secret(file, &pair.sk.to_box(None)?.into_string())?;
    let public = public_key_path(file);
    fs::write(&public, pair.pk.to_box()?.into_string())
        .with_context(|| format!("could not write {}", public.display()))?;
    println!(
        "{}: secret key; keep it private\n{}: public key; give it to the people who trust your plugins",
        file.display(),
        public.display()
    );
    Ok(())
}

/// Returns the path of the public key, `FILE.pub`.
pub(crate) fn public_key_path(file: &Path) -> PathBuf {
    let mut public = file.as_os_str().to_owned();
    public.push(".pub");
    public.into()
}

/// Signs a component. Returns the path of the signature, `FILE.minisig`.
pub(crate) fn sign_file(file: &Path, key: &Path, password: Password) -> Result<PathBuf> {
    let bytes = fs::read(file).with_context(|| format!("could not read {}; build the plugin first", file.display()))?;
    let secret = read_secret(key, password)?;
    let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
    let signature = sign(&bytes, &secret, &name)?;
    let mut signature_path = file.as_os_str().to_owned();
    signature_path.push(".minisig");
    write_if_changed(Path::new(&signature_path), signature.as_bytes())?;
    Ok(signature_path.into())
}

/// Returns a prehashed signature in the format of minisign.
pub(crate) fn sign(bytes: &[u8], secret: &SecretKey, name: &str) -> Result<String> {
    let public = PublicKey::from_secret_key(secret)?;
    let comment = format!("file:{name}\thashed");
    let signature = minisign::sign(Some(&public), secret, Cursor::new(bytes), Some(&comment), None)
        .context("could not sign the file")?;
    Ok(signature.into_string())
}

/// Reads a secret key. If the file is encrypted, [`Password::Ask`] asks for its password, and [`Password::None`] is an
/// error.
pub(crate) fn read_secret(file: &Path, password: Password) -> Result<SecretKey> {
    let text = fs::read_to_string(file).with_context(|| format!("could not read {}", file.display()))?;
    if let Some(secret) = parse_unencrypted(&text) {
        return Ok(secret);
    }
    let password = match password {
        Password::None => {
            bail!("{} is not an unencrypted secret key. If it has a password, remove --no-password.", file.display())
        }
        Password::Ask => None,
        Password::Given(password) => Some(password),
    };
    let sealed = SecretKeyBox::from_string(&text)?;
    sealed.into_secret_key(password).with_context(|| format!("could not decrypt {}", file.display()))
}

/// Parses a secret key file. Returns `None` if it is encrypted or malformed.
fn parse_unencrypted(text: &str) -> Option<SecretKey> {
    if let Ok(secret) = SecretKeyBox::from_string(text).ok()?.into_unencrypted_secret_key() {
        return Some(secret);
    }
    // `minisign -G -W` writes no checksum, which the crate rejects as wrong. The fields of the file and their sizes in
    // bytes: three names of algorithms with 2 each, salt 32, limits 8 and 8, key number 8, key 64, checksum 32.
    let bytes = BASE64_STANDARD.decode(text.lines().nth(1)?.trim()).ok()?;
    let has_no_checksum = bytes.len() == 158 && bytes[126..].iter().all(|&byte| byte == 0);
    let has_no_password = bytes.get(2..4)? == [0, 0];
    if has_no_checksum && has_no_password { SecretKey::from_bytes(&bytes).ok() } else { None }
}

/// Writes a new file that only its owner can read.
pub(crate) fn write_secret(file: &Path, text: &str) -> Result<()> {
    use std::io::Write;
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder).with_context(|| format!("could not create {}", folder.display()))?;
    }
    let written = options.open(file).and_then(|mut opened| opened.write_all(text.as_bytes()));
    written.with_context(|| format!("could not write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use minisign::{PublicKeyBox, SignatureBox};

    use super::*;

    fn temporary_folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("atlashub-xtask-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn check(name: &str, password: Password) {
        let folder = temporary_folder(name);
        let (key, file) = (folder.join("key"), folder.join("x.wasm"));
        generate(&key, password.clone()).unwrap();
        fs::write(&file, b"component").unwrap();
        let signature = sign_file(&file, &key, password.clone()).unwrap();
        let signature = SignatureBox::from_string(&fs::read_to_string(signature).unwrap()).unwrap();
        assert!(signature.is_prehashed());
        let public = fs::read_to_string(public_key_path(&key)).unwrap();
        let public = PublicKeyBox::from_string(&public).unwrap().into_public_key().unwrap();
        minisign::verify(&public, &signature, Cursor::new(b"component"), true, false, false).unwrap();
        assert!(minisign::verify(&public, &signature, Cursor::new(b"other"), true, false, false).is_err());
        assert!(generate(&key, password).unwrap_err().to_string().contains("already"));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn signature_is_valid_only_for_its_file() {
        check("unencrypted", Password::None);
        check("encrypted", Password::Given("correct horse".to_owned()));
    }

    #[test]
    fn unencrypted_key_of_minisign_can_sign() {
        let pair = KeyPair::generate_unencrypted_keypair().unwrap();
        let mut bytes = pair.sk.to_bytes();
        bytes[126..].fill(0);
        let text = format!("untrusted comment: minisign secret key\n{}\n", BASE64_STANDARD.encode(bytes));
        let secret = parse_unencrypted(&text).unwrap();
        let signature = sign(b"component", &secret, "x.wasm").unwrap();
        let public = PublicKey::from_secret_key(&secret).unwrap();
        let signature = SignatureBox::from_string(&signature).unwrap();
        minisign::verify(&public, &signature, Cursor::new(b"component"), true, false, false).unwrap();
    }

    #[test]
    fn wrong_password_is_reported() {
        let folder = temporary_folder("wrong");
        let key = folder.join("key");
        generate(&key, Password::Given("right".to_owned())).unwrap();
        let error = read_secret(&key, Password::Given("wrong".to_owned())).unwrap_err();
        assert!(format!("{error:#}").contains("assword"), "{error:#}");
        fs::remove_dir_all(folder).unwrap();
    }
}
