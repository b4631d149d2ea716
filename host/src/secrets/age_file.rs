//! Files in the age format: encrypted to recipients, decrypted with an identity, as streams.
//!
//! Source: <https://age-encryption.org/v1>.

use std::{
    io::{self, ErrorKind, Write},
    sync::Arc,
};

use age::{DecryptError, Decryptor, Encryptor, stream::StreamWriter};
use bytes::{Bytes, BytesMut};
use futures_util::{AsyncReadExt as _, Stream, StreamExt as _, TryStreamExt as _, stream};
use parking_lot::Mutex;

use crate::config::{AgeIdentity, AgeRecipients};

/// The first bytes of every encrypted file.
const MAGIC: &[u8] = b"age-encryption.org/v1";
/// Maximum number of bytes that are decrypted at once.
const CHUNK_BYTES: usize = 64 << 10;

/// The reason why a file can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum AgeError {
    #[error("it is encrypted, so an age identity is needed")]
    IdentityRequired,
    #[error("it is encrypted to other recipients than that of the age identity")]
    WrongIdentity,
    #[error("it can't be decrypted: its header is damaged")]
    Damaged,
    #[error("it can't be read")]
    Read(#[source] io::Error),
}

/// The bytes of a file, or of its content.
pub type ByteStream<'a> = stream::BoxStream<'a, io::Result<Bytes>>;

/// An opened file.
pub struct AgeFile<'a> {
    pub content: ByteStream<'a>,
    pub is_encrypted: bool,
}

/// Encrypts a stream to all recipients. Whoever has the identity of one of them can decrypt it.
///
/// # Errors
/// Fails if the list of recipients is empty.
pub fn encrypt<'a, S>(recipients: &AgeRecipients, bytes: S) -> io::Result<ByteStream<'a>>
where
    S: Stream<Item = io::Result<Bytes>> + Send + Unpin + 'a,
{
    let encryptor = Encryptor::with_recipients(recipients.iter().map(|recipient| recipient as &dyn age::Recipient));
    let output = Output::default();
    let writer = encryptor.map_err(io::Error::other)?.wrap_output(output.clone())?;
    let encrypting = Encrypting { bytes, writer: Some(writer), output };
    Ok(stream::try_unfold(encrypting, Encrypting::next).boxed())
}

struct Encrypting<S> {
    bytes: S,
    /// `None` after the end.
    writer: Option<StreamWriter<Output>>,
    output: Output,
}

impl<S: Stream<Item = io::Result<Bytes>> + Unpin> Encrypting<S> {
    async fn next(mut self) -> io::Result<Option<(Bytes, Self)>> {
        while let Some(mut writer) = self.writer.take() {
            match self.bytes.next().await {
                Some(chunk) => {
                    writer.write_all(&chunk?)?;
                    self.writer = Some(writer);
                }
                None => drop(writer.finish()?),
            }
            let encrypted = std::mem::take(&mut *self.output.0.lock());
            if !encrypted.is_empty() {
                return Ok(Some((encrypted.into(), self)));
            }
        }
        Ok(None)
    }
}

/// The bytes that the writer has written.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Opens a file. If the file begins like every encrypted file, its content is decrypted; otherwise, the content is the
/// file itself.
///
/// If an encrypted file was changed or cut short after its header, the content ends with an error that [`is_damage`]
/// recognizes, or this function fails with [`AgeError::Damaged`].
///
/// # Errors
/// Fails if the start of the file can't be read. If the file is encrypted, also fails if the identity is missing or
/// can't decrypt the file, or if the header is damaged.
pub async fn open<'a, S>(bytes: S, identity: Option<&AgeIdentity>) -> Result<AgeFile<'a>, AgeError>
where
    S: Stream<Item = io::Result<Bytes>> + Send + Unpin + 'a,
{
    // `fuse`, because the stream of a file that is shorter than the magic bytes is polled again after its end.
    let mut bytes = bytes.fuse();
    let mut head = BytesMut::new();
    while head.len() < MAGIC.len() {
        match bytes.next().await {
            Some(chunk) => head.extend_from_slice(&chunk.map_err(AgeError::Read)?),
            None => break,
        }
    }
    let is_encrypted = head.starts_with(MAGIC);
    let whole = stream::iter([Ok(head.freeze())]).chain(bytes);
    if !is_encrypted {
        return Ok(AgeFile { content: whole.boxed(), is_encrypted });
    }
    let identity = identity.ok_or(AgeError::IdentityRequired)?;
    let keys = identity.iter().map(|key| key as &dyn age::Identity);
    let decryptor = Decryptor::new_async_buffered(whole.into_async_read()).await.map_err(refused)?;
    let reader = decryptor.decrypt_async(keys).map_err(refused)?;
    let content = stream::try_unfold(reader, |mut reader| async move {
        let mut chunk = vec![0; CHUNK_BYTES];
        let length = reader.read(&mut chunk).await?;
        chunk.truncate(length);
        Ok((length > 0).then(|| (Bytes::from(chunk), reader)))
    });
    Ok(AgeFile { content: content.boxed(), is_encrypted })
}

fn refused(error: DecryptError) -> AgeError {
    match error {
        DecryptError::NoMatchingKeys => AgeError::WrongIdentity,
        DecryptError::Io(error) if !is_damage(&error) => AgeError::Read(error),
        _ => AgeError::Damaged,
    }
}

/// Returns whether an encrypted file was changed or cut short, according to an error of its content.
pub fn is_damage(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::UnexpectedEof)
}

#[cfg(test)]
mod tests {
    use age::x25519::Identity;

    use super::*;

    fn chunks(bytes: &[u8]) -> impl Stream<Item = io::Result<Bytes>> + Send + Unpin + 'static {
        stream::iter(bytes.chunks(50_000).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect::<Vec<_>>())
    }

    async fn whole(content: ByteStream<'_>) -> io::Result<Vec<u8>> {
        Ok(content.try_collect::<Vec<_>>().await?.concat())
    }

    async fn opened(bytes: &[u8], identity: Option<&AgeIdentity>) -> io::Result<Vec<u8>> {
        whole(open(chunks(bytes), identity).await.unwrap().content).await
    }

    fn generate() -> (AgeIdentity, AgeRecipients) {
        use age::secrecy::ExposeSecret as _;
        let key = Identity::generate();
        (key.to_string().expose_secret().parse().unwrap(), key.to_public().to_string().parse().unwrap())
    }

    #[tokio::test]
    async fn encrypted_stream_is_decrypted_with_its_identity_only() {
        let (identity, recipients) = generate();
        for length in [0, 1, CHUNK_BYTES, 300_000] {
            let plain: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
            let encrypted = whole(encrypt(&recipients, chunks(&plain)).unwrap()).await.unwrap();
            assert!(encrypted.starts_with(MAGIC) && encrypted.len() > plain.len());
            assert!(opened(&encrypted, Some(&identity)).await.unwrap() == plain, "{length}");
            let refused = open(chunks(&encrypted), Some(&generate().0)).await.err().unwrap();
            assert!(matches!(refused, AgeError::WrongIdentity), "{refused}");
            let refused = open(chunks(&encrypted), None).await.err().unwrap();
            assert!(matches!(refused, AgeError::IdentityRequired), "{refused}");
        }
    }

    #[tokio::test]
    async fn changed_and_cut_files_are_errors() {
        let (identity, recipients) = generate();
        let file = whole(encrypt(&recipients, chunks(&[7; 200_000])).unwrap()).await.unwrap();
        let header = file.len() - 200_000 - 4 * 16 - 16;
        // The file is cut within a chunk, between two chunks, and within the nonce after the header.
        for length in [150_000, header + 16 + 2 * (CHUNK_BYTES + 16), header + 7] {
            match open(chunks(&file[..length]), Some(&identity)).await {
                Ok(cut) => assert!(is_damage(&whole(cut.content).await.unwrap_err()), "{length}"),
                Err(error) => assert!(matches!(error, AgeError::Damaged), "{length}: {error:?}"),
            }
        }
        let (mut changed, mut longer) = (file.clone(), file);
        changed[120_000] ^= 1;
        assert!(is_damage(&opened(&changed, Some(&identity)).await.unwrap_err()));
        longer.push(0);
        assert!(is_damage(&opened(&longer, Some(&identity)).await.unwrap_err()));
    }

    #[tokio::test]
    async fn unencrypted_files_are_passed_on_unchanged() {
        for plain in ["PGDMP and more than the length of the magic bytes", "short", ""] {
            assert_eq!(opened(plain.as_bytes(), None).await.unwrap(), plain.as_bytes());
        }
    }
}
