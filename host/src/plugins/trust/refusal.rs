use api_types::PluginState;

/// Why a plugin does not run, in words for the owner. Shown in the list of plugins and kept in the audit log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("it can't be read ({0}); mend the file's mode or owner")]
    Unreadable(String),
    #[error("`{0}` is a symbolic link; put the file itself into the folder")]
    Symlink(String),
    #[error("`{0}` is not a regular file")]
    NotAFile(String),
    #[error("`{file}` has {bytes} bytes, and at most {most} are read")]
    TooLarge { file: String, bytes: u64, most: u64 },
    #[error("`{0}` changed while it was read; it is read again when it stays as it is")]
    Changing(String),
    #[error("there is no `{0}` beside it; sign the component with `atlashub plugin sign` or minisign")]
    NoSignature(String),
    #[error("there is no `{0}` beside its signature")]
    NoComponent(String),
    #[error("the name `{0}` belongs to AtlasHub's own plugins; give yours another")]
    ReservedName(String),
    #[error("`{0}` is no minisign signature: it needs its four lines, as minisign writes them")]
    MalformedSignature(String),
    #[error(
        "the signature is of minisign's legacy kind, which covers the file without hashing it first; sign with minisign 0.10 or newer"
    )]
    LegacySignature,
    #[error("it is signed by key {0}, which is not trusted; add the key if you know whose it is")]
    UntrustedKey(String),
    #[error("it is signed by key {0}, which was revoked")]
    RevokedKey(String),
    #[error("the signature by key {0} does not fit: the component, the signature or its trusted comment was changed")]
    WrongSignature(String),
    #[error("this very file (SHA-256 {0}) was revoked")]
    RevokedFile(String),
    #[error("it is no WebAssembly component: {0}")]
    NotAComponent(String),
    #[error("its manifest is refused: {0}")]
    Manifest(String),
    #[error("its manifest says `{manifest}`, the file is called `{file}.wasm`; rename the file")]
    OtherName { file: String, manifest: String },
    #[error("its serial {0} is above what the host counts to")]
    SerialTooHigh(u64),
    #[error("its serial {serial} is below {highest}, which ran here before; the host never goes back")]
    Downgrade { serial: u64, highest: u64 },
    #[error("another file with serial {0} ran here before; a new version needs a higher serial")]
    SameSerial(u64),
    #[error("it imports `{0}`, which is none of the interfaces of atlashub:plugin@0.1.0")]
    ForeignImport(String),
    #[error("it imports `{0}` and its manifest does not ask for that")]
    ImportNotRequested(String),
    #[error("it imports `{0}`, which you did not grant; approve it with that, or don't run it")]
    ImportNotGranted(String),
    #[error("it does not export atlashub:plugin/job@0.1.0")]
    NoJobs,
    #[error("the parameters' schema of its job `{job}` is refused: {problem}")]
    ParamsSchema { job: String, problem: String },
    #[error("it can't be compiled: {0}")]
    Compile(String),
    #[error("it is being compiled")]
    Compiling,
    #[error("it was revoked; approve it to let it run again")]
    Revoked,
    #[error("it waits for your approval")]
    NotApproved,
    #[error("it is signed by key {now}, and you approved it for key {approved}; approve it anew if you trust that")]
    OtherKey { approved: String, now: String },
    #[error("it asks for more than you approved: {0}")]
    WiderRequest(String),
    #[error("its grants can't be opened: {0}")]
    Grants(String),
}

impl Refusal {
    /// How the list shows a plugin that does not run for this reason.
    pub fn state(&self) -> PluginState {
        match self {
            Self::NotApproved | Self::OtherKey { .. } | Self::WiderRequest(_) | Self::Compiling => PluginState::Pending,
            Self::Revoked | Self::RevokedKey(_) | Self::RevokedFile(_) => PluginState::Revoked,
            _ => PluginState::Rejected,
        }
    }
}
