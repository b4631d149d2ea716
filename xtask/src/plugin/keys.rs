//! Keys and signatures in minisign's formats, so that `minisign` itself reads and writes the same files.

use std::{
    fs,
    io::Cursor,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use base64::{Engine, prelude::BASE64_STANDARD};
use minisign::{KeyPair, PublicKey, SecretKey, SecretKeyBox};

/// How a secret key's file is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Password {
    /// It isn't.
    None,
    /// Whoever sits there is asked.
    Ask,
    Given(String),
}

/// Writes a new key to `file` and its public half to `file.pub`. Never over an old one.
pub(crate) fn generate(file: &Path, password: Password) -> Result<()> {
    if file.exists() {
        bail!("{} is there already; a key that is lost can't be made again", file.display());
    }
    let pair = match password {
        Password::None => KeyPair::generate_unencrypted_keypair(),
        Password::Ask => KeyPair::generate_encrypted_keypair(None),
        Password::Given(password) => KeyPair::generate_encrypted_keypair(Some(password)),
    }
    .context("no key could be made")?;
    write_secret(file, &pair.sk.to_box(None)?.into_string())?;
    let public = public_file(file);
    fs::write(&public, pair.pk.to_box()?.into_string()).with_context(|| format!("can't write {}", public.display()))?;
    println!("{}: keep it secret\n{}: give it to whoever shall trust your plugins", file.display(), public.display());
    Ok(())
}

/// `FILE.pub`.
pub(crate) fn public_file(file: &Path) -> PathBuf {
    let mut public = file.as_os_str().to_owned();
    public.push(".pub");
    public.into()
}

/// Signs a component; the signature is the file with `.minisig` behind its name.
pub(crate) fn sign_file(file: &Path, key: &Path, password: Password) -> Result<PathBuf> {
    let bytes = fs::read(file).with_context(|| format!("can't read {}; build the plugin first", file.display()))?;
    let secret = read_secret(key, password)?;
    let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy();
    let signature = sign(&bytes, &secret, &name)?;
    let mut beside = file.as_os_str().to_owned();
    beside.push(".minisig");
    super::build::write(Path::new(&beside), signature.as_bytes())?;
    Ok(beside.into())
}

/// A prehashed signature, as a minisign file.
pub(crate) fn sign(bytes: &[u8], secret: &SecretKey, name: &str) -> Result<String> {
    let public = PublicKey::from_secret_key(secret)?;
    let comment = format!("file:{name}\thashed");
    let signature = minisign::sign(Some(&public), secret, Cursor::new(bytes), Some(&comment), None)
        .context("the file can't be signed")?;
    Ok(signature.into_string())
}

/// Reads a secret key, asking for its password where it has one and none was given.
pub(crate) fn read_secret(file: &Path, password: Password) -> Result<SecretKey> {
    let text = fs::read_to_string(file).with_context(|| format!("can't read {}", file.display()))?;
    if let Some(secret) = open_secret(&text) {
        return Ok(secret);
    }
    let password = match password {
        Password::None => bail!("{} has a password; leave --no-password out", file.display()),
        Password::Ask => None,
        Password::Given(password) => Some(password),
    };
    let sealed = SecretKeyBox::from_string(&text)?;
    sealed.into_secret_key(password).with_context(|| format!("{} can't be opened", file.display()))
}

/// The key of a file without a password; none of any other.
fn open_secret(text: &str) -> Option<SecretKey> {
    if let Ok(secret) = SecretKeyBox::from_string(text).ok()?.into_unencrypted_secret_key() {
        return Some(secret);
    }
    // `minisign -G -W` writes no checksum, which the crate takes for a broken one. The file's parts, in bytes: three
    // algorithms of 2, salt 32, limits 8 and 8, key number 8, key 64, checksum 32.
    let bytes = BASE64_STANDARD.decode(text.lines().nth(1)?.trim()).ok()?;
    let without_checksum = bytes.len() == 158 && bytes[126..].iter().all(|&byte| byte == 0);
    let without_password = bytes.get(2..4)? == [0, 0];
    if without_checksum && without_password { SecretKey::from_bytes(&bytes).ok() } else { None }
}

/// Nobody else may read it, from its first byte on.
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
        fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
    }
    let written = options.open(file).and_then(|mut opened| opened.write_all(text.as_bytes()));
    written.with_context(|| format!("can't write {}", file.display()))
}

#[cfg(test)]
mod tests {
    use minisign::{PublicKeyBox, SignatureBox};

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("atlashub-xtask-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn check(name: &str, password: Password) {
        let folder = folder(name);
        let (key, file) = (folder.join("key"), folder.join("x.wasm"));
        generate(&key, password.clone()).unwrap();
        fs::write(&file, b"component").unwrap();
        let signature = sign_file(&file, &key, password.clone()).unwrap();
        let signature = SignatureBox::from_string(&fs::read_to_string(signature).unwrap()).unwrap();
        assert!(signature.is_prehashed());
        let public = fs::read_to_string(public_file(&key)).unwrap();
        let public = PublicKeyBox::from_string(&public).unwrap().into_public_key().unwrap();
        minisign::verify(&public, &signature, Cursor::new(b"component"), true, false, false).unwrap();
        assert!(minisign::verify(&public, &signature, Cursor::new(b"other"), true, false, false).is_err());
        assert!(generate(&key, password).unwrap_err().to_string().contains("already"));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_signature_holds_for_its_file_alone() {
        check("open", Password::None);
        check("closed", Password::Given("correct horse".to_owned()));
    }

    #[test]
    fn a_key_that_minisign_wrote_without_a_password_signs() {
        let pair = KeyPair::generate_unencrypted_keypair().unwrap();
        let mut bytes = pair.sk.to_bytes();
        bytes[126..].fill(0);
        let text = format!("untrusted comment: minisign secret key\n{}\n", BASE64_STANDARD.encode(bytes));
        let secret = open_secret(&text).unwrap();
        let signature = sign(b"component", &secret, "x.wasm").unwrap();
        let public = PublicKey::from_secret_key(&secret).unwrap();
        let signature = SignatureBox::from_string(&signature).unwrap();
        minisign::verify(&public, &signature, Cursor::new(b"component"), true, false, false).unwrap();
    }

    #[test]
    fn a_wrong_password_is_told() {
        let folder = folder("wrong");
        let key = folder.join("key");
        generate(&key, Password::Given("right".to_owned())).unwrap();
        let error = read_secret(&key, Password::Given("wrong".to_owned())).unwrap_err();
        assert!(format!("{error:#}").contains("assword"), "{error:#}");
        fs::remove_dir_all(folder).unwrap();
    }
}
