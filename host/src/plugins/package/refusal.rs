//! The reasons why a plugin does not run.

use api_types::PluginState;

/// The reason why a plugin does not run, as shown to the owner in the list of plugins and in the audit log.
///
/// Each message completes the sentence "Plugin `x` does not run: …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the file can't be read ({0}); check its mode and owner")]
    Unreadable(String),
    #[error("`{0}` is a symbolic link; put the file itself into the folder")]
    Symlink(String),
    #[error("`{0}` is not a regular file")]
    NotAFile(String),
    #[error("`{file}` has {bytes} bytes; the maximum is {max}")]
    TooLarge { file: String, bytes: u64, max: u64 },
    #[error("`{0}` changed while it was read; it is read again once it stops changing")]
    Changing(String),
    #[error("the signature file `{0}` is missing; sign the component with `atlashub plugin sign` or minisign")]
    NoSignature(String),
    #[error("the component `{0}` is missing; copy it into the folder beside its signature")]
    NoComponent(String),
    #[error("the name `{0}` is reserved for AtlasHub's own plugins; use another name")]
    ReservedName(String),
    #[error("`{0}` is not a minisign signature: expected four lines as minisign writes them")]
    MalformedSignature(String),
    #[error(
        "the signature uses minisign's legacy format, which does not hash the file; sign with minisign 0.10 or newer"
    )]
    LegacySignature,
    #[error("it is signed by key {0}, which is not trusted; add the key if you trust its owner")]
    UntrustedKey(String),
    #[error("it is signed by key {0}, which was revoked")]
    RevokedKey(String),
    #[error("the signature by key {0} is wrong: the component, the signature or its trusted comment was changed")]
    WrongSignature(String),
    #[error("the file (SHA-256 {0}) was revoked; approve the plugin to run it again")]
    RevokedFile(String),
    #[error("the file is not a WebAssembly component: {0}")]
    NotAComponent(String),
    #[error("the manifest is invalid: {0}")]
    Manifest(String),
    #[error("the manifest names the plugin `{manifest}`, but the file is `{file}.wasm`; rename the file")]
    NameMismatch { file: String, manifest: String },
    #[error("serial {0} is above the maximum of 2^63 - 1")]
    SerialTooHigh(u64),
    #[error("serial {serial} is below {highest}, which was loaded before; older serials are not loaded")]
    Downgrade { serial: u64, highest: u64 },
    #[error("another file with serial {0} was loaded before; give the new version a higher serial")]
    SameSerial(u64),
    #[error("it imports `{0}`, which is not an interface of atlashub:plugin@0.1.0")]
    ForeignImport(String),
    #[error("it imports `{0}`, but its manifest does not request that capability")]
    ImportNotRequested(String),
    #[error("it imports `{0}`, which you did not grant; approve it with that capability to run it")]
    ImportNotGranted(String),
    #[error("it does not export atlashub:plugin/job@0.1.0")]
    NoJobs,
    #[error("the parameter schema of job `{job}` is invalid: {problem}")]
    ParamsSchema { job: String, problem: String },
    #[error("it can't be compiled: {0}")]
    Compile(String),
    #[error("it is being compiled")]
    Compiling,
    #[error("it was revoked; approve it to run it again")]
    Revoked,
    #[error("it waits for your approval")]
    NotApproved,
    #[error("it is signed by key {actual}, but you approved key {approved}; approve it again if you trust the new key")]
    OtherKey { approved: String, actual: String },
    #[error("it requests more than you approved: {0}")]
    WiderRequest(String),
    #[error("its secrets can't be opened: {0}; approve the plugin again with new values to replace them")]
    Grants(String),
}

impl Refusal {
    /// Returns the message with deceptive characters escaped. It may contain names and texts of the file's author.
    pub fn text(&self) -> String {
        plugin_manifest::escape_deceptive(&self.to_string())
    }

    /// Returns the state of plugins with this refusal.
    pub fn state(&self) -> PluginState {
        match self {
            Self::NotApproved | Self::OtherKey { .. } | Self::WiderRequest(_) | Self::Compiling => PluginState::Pending,
            Self::Revoked | Self::RevokedKey(_) | Self::RevokedFile(_) => PluginState::Revoked,
            _ => PluginState::Rejected,
        }
    }

    /// Returns whether the files of a valid plugin can have this refusal while they are copied into the folder.
    pub fn may_be_incomplete_copy(&self) -> bool {
        matches!(self, Self::Changing(_) | Self::NoSignature(_) | Self::MalformedSignature(_) | Self::WrongSignature(_))
    }

    /// Returns whether the owner's approval can let the plugin run.
    pub fn is_approvable(&self) -> bool {
        matches!(
            self,
            Self::NotApproved
                | Self::OtherKey { .. }
                | Self::WiderRequest(_)
                | Self::ImportNotGranted(_)
                | Self::Compiling
                | Self::Revoked
                | Self::RevokedFile(_)
                | Self::Grants(_)
        )
    }
}
