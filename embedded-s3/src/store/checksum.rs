//! Checksums that clients declare and that are kept with objects and parts.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::dto;
use serde::{Deserialize, Serialize};

/// Algorithm of a checksum. The names in metadata files are those of S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Algorithm {
    #[serde(rename = "CRC32")]
    Crc32,
    #[serde(rename = "CRC32C")]
    Crc32c,
    #[serde(rename = "CRC64NVME")]
    Crc64Nvme,
    #[serde(rename = "SHA1")]
    Sha1,
    #[serde(rename = "SHA256")]
    Sha256,
}

/// Data that the checksum of an object covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Coverage {
    /// The bytes of the object.
    #[serde(rename = "FULL_OBJECT")]
    FullObject,
    /// The checksums of the parts of a multipart object.
    #[serde(rename = "COMPOSITE")]
    Composite,
}

/// Checksum of an object or a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredChecksum {
    pub algorithm: Algorithm,
    pub coverage: Coverage,
    /// The checksum in base64, followed by `-` and the number of parts if it covers the checksums of parts.
    pub value: String,
    /// Checksums of the parts in order, of the same algorithm, in base64. Empty if there are no parts, and for objects
    /// that an earlier version of AtlasHub stored without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<String>,
}

/// Algorithm and coverage of the checksum that the client requested when it created a multipart upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct UploadChecksum {
    pub algorithm: Algorithm,
    pub coverage: Coverage,
}

impl Algorithm {
    const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// Returns the algorithm with this name in the S3 API.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// Returns the reflected polynomial of a CRC and its width in bits.
    fn polynomial(self) -> Option<(u64, u32)> {
        match self {
            Self::Crc32 => Some((0xEDB8_8320, 32)),
            Self::Crc32c => Some((0x82F6_3B78, 32)),
            Self::Crc64Nvme => Some((0x9A6C_9329_AC4B_C9B5, 64)),
            Self::Sha1 | Self::Sha256 => None,
        }
    }

    /// Returns whether the checksum of a whole object can be computed from the checksums of its parts.
    pub(crate) fn can_combine(self) -> bool {
        self.polynomial().is_some()
    }

    fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Crc32 => Crc32::checksum(bytes).to_vec(),
            Self::Crc32c => Crc32c::checksum(bytes).to_vec(),
            Self::Crc64Nvme => Crc64Nvme::checksum(bytes).to_vec(),
            Self::Sha1 => Sha1::checksum(bytes).as_ref().to_vec(),
            Self::Sha256 => Sha256::checksum(bytes).as_ref().to_vec(),
        }
    }
}

impl Coverage {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::FullObject => dto::ChecksumType::FULL_OBJECT,
            Self::Composite => dto::ChecksumType::COMPOSITE,
        }
    }
}

impl StoredChecksum {
    /// Returns the first checksum that is set, as a checksum of a whole body.
    pub(crate) fn from_dto(checksum: &dto::Checksum) -> Option<Self> {
        Algorithm::ALL.into_iter().find_map(|algorithm| {
            let value = field(checksum, algorithm).clone()?;
            Some(Self { algorithm, coverage: Coverage::FullObject, value, parts: Vec::new() })
        })
    }

    /// Returns the checksum of one part of the object, counted from 0.
    pub(super) fn of_part(&self, index: usize) -> Option<Self> {
        let value = self.parts.get(index)?.clone();
        Some(Self { algorithm: self.algorithm, coverage: self.coverage, value, parts: Vec::new() })
    }

    pub(crate) fn to_dto(&self) -> dto::Checksum {
        let mut checksum = dto::Checksum::default();
        let value = Some(self.value.clone());
        match self.algorithm {
            Algorithm::Crc32 => checksum.checksum_crc32 = value,
            Algorithm::Crc32c => checksum.checksum_crc32c = value,
            Algorithm::Crc64Nvme => checksum.checksum_crc64nvme = value,
            Algorithm::Sha1 => checksum.checksum_sha1 = value,
            Algorithm::Sha256 => checksum.checksum_sha256 = value,
        }
        checksum.checksum_type = Some(dto::ChecksumType::from_static(self.coverage.name()));
        checksum
    }

    /// Returns whether the client's declared value is correct or absent. The declared value may omit the number of
    /// parts.
    pub(crate) fn matches(&self, declared: &dto::Checksum) -> bool {
        let without_count = |value: &str| value.split('-').next().unwrap_or_default().to_owned();
        field(declared, self.algorithm)
            .as_deref()
            .is_none_or(|value| without_count(value) == without_count(&self.value))
    }
}

/// Returns the value of one algorithm.
pub(super) fn field(checksum: &dto::Checksum, algorithm: Algorithm) -> &Option<String> {
    match algorithm {
        Algorithm::Crc32 => &checksum.checksum_crc32,
        Algorithm::Crc32c => &checksum.checksum_crc32c,
        Algorithm::Crc64Nvme => &checksum.checksum_crc64nvme,
        Algorithm::Sha1 => &checksum.checksum_sha1,
        Algorithm::Sha256 => &checksum.checksum_sha256,
    }
}

/// Returns the checksum of an object made of parts, each with its checksum in base64 and its size. Returns `None` if a
/// part has no checksum of the algorithm.
pub(super) fn of_parts<'part>(
    checksum: UploadChecksum,
    parts: impl Iterator<Item = (Option<&'part StoredChecksum>, u64)>,
) -> Option<StoredChecksum> {
    let UploadChecksum { algorithm, coverage } = checksum;
    let (mut digests, mut values) = (Vec::new(), Vec::new());
    for (part, size) in parts {
        let part = part.filter(|part| part.algorithm == algorithm)?;
        digests.push((BASE64_STANDARD.decode(&part.value).ok()?, size));
        values.push(part.value.clone());
    }
    let value = match coverage {
        Coverage::Composite => {
            let all: Vec<u8> = digests.iter().flat_map(|(digest, _)| digest).copied().collect();
            format!("{}-{}", BASE64_STANDARD.encode(algorithm.digest(&all)), digests.len())
        }
        Coverage::FullObject => {
            let (polynomial, width) = algorithm.polynomial()?;
            let mut whole = 0;
            for (digest, size) in digests {
                whole = append(whole, size, polynomial, width) ^ from_big_endian(&digest);
            }
            let bytes = whole.to_be_bytes();
            BASE64_STANDARD.encode(bytes.get(bytes.len() - (width / 8) as usize..)?)
        }
    };
    Some(StoredChecksum { algorithm, coverage, value, parts: values })
}

fn from_big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// Returns the contribution of a CRC after `length` more bytes: the CRC multiplied by x^(8·length) modulo the
/// polynomial, as in zlib's `crc32_combine`. The initial and final inversions of these CRCs cancel out.
fn append(crc: u64, length: u64, polynomial: u64, width: u32) -> u64 {
    // x^8 in reflected order.
    let mut power = 1 << (width - 1 - 8);
    let mut result = crc;
    let mut remaining = length;
    while remaining > 0 {
        if remaining & 1 == 1 {
            result = multiply(result, power, polynomial, width);
        }
        power = multiply(power, power, polynomial, width);
        remaining >>= 1;
    }
    result
}

/// Multiplies two reflected polynomials modulo the CRC's polynomial.
fn multiply(left: u64, mut right: u64, polynomial: u64, width: u32) -> u64 {
    let mut product = 0;
    for bit in (0..width).rev() {
        if (left >> bit) & 1 == 1 {
            product ^= right;
        }
        right = if right & 1 == 1 { (right >> 1) ^ polynomial } else { right >> 1 };
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_of_parts_covers_the_bytes_or_the_checksums() {
        let parts: [&[u8]; 3] = [b"hello ", b"", b"multipart world"];
        let whole = parts.concat();
        for algorithm in Algorithm::ALL {
            let checksums = parts.map(|part| StoredChecksum {
                algorithm,
                coverage: Coverage::FullObject,
                value: BASE64_STANDARD.encode(algorithm.digest(part)),
                parts: Vec::new(),
            });
            let combine = |coverage| {
                let parts = checksums.iter().zip(parts).map(|(checksum, part)| (Some(checksum), part.len() as u64));
                of_parts(UploadChecksum { algorithm, coverage }, parts).map(|checksum| checksum.value)
            };
            let expected = algorithm.can_combine().then(|| BASE64_STANDARD.encode(algorithm.digest(&whole)));
            assert_eq!(combine(Coverage::FullObject), expected, "{algorithm:?}");
            let digests: Vec<u8> = parts.iter().flat_map(|part| algorithm.digest(part)).collect();
            let expected = format!("{}-3", BASE64_STANDARD.encode(algorithm.digest(&digests)));
            assert_eq!(combine(Coverage::Composite), Some(expected), "{algorithm:?}");
            assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
        }
    }

    #[test]
    fn part_without_checksum_leaves_the_object_without_one() {
        let checksum = UploadChecksum { algorithm: Algorithm::Crc32, coverage: Coverage::FullObject };
        assert_eq!(of_parts(checksum, [(None, 1)].into_iter()), None);
    }
}
