//! The text form of enums, used in JSON and in the database.

/// The error for a string that is not a variant of an enum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownVariant {
    /// Name of the enum.
    pub kind: &'static str,
    /// The unknown string.
    pub text: String,
}

impl std::fmt::Display for UnknownVariant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "unknown {}: `{}`", self.kind, self.text)
    }
}

impl std::error::Error for UnknownVariant {}

/// Implements the text form of an enum: `ALL`, `as_str`, `Display`, and a `FromStr` that rejects unknown strings.
///
/// The strings must be those that serde writes. A test compares them; add every new enum to it. With the feature
/// `sqlx`, the enum can be used as a `TEXT` value in queries.
macro_rules! text_enum {
    ($kind:ident { $($variant:ident => $text:literal),+ $(,)? }) => {
        impl $kind {
            /// Every variant, in the order of definition.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Returns the text of the variant, as in JSON and in the database.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text),+
                }
            }
        }

        impl std::fmt::Display for $kind {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $kind {
            type Err = $crate::text_enum::UnknownVariant;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err($crate::text_enum::UnknownVariant { kind: stringify!($kind), text: text.to_owned() }),
                }
            }
        }

        #[cfg(feature = "sqlx")]
        impl sqlx::Type<sqlx::Postgres> for $kind {
            fn type_info() -> sqlx::postgres::PgTypeInfo {
                <str as sqlx::Type<sqlx::Postgres>>::type_info()
            }

            fn compatible(info: &sqlx::postgres::PgTypeInfo) -> bool {
                <str as sqlx::Type<sqlx::Postgres>>::compatible(info)
            }
        }

        #[cfg(feature = "sqlx")]
        impl sqlx::postgres::PgHasArrayType for $kind {
            fn array_type_info() -> sqlx::postgres::PgTypeInfo {
                <&str as sqlx::postgres::PgHasArrayType>::array_type_info()
            }
        }

        #[cfg(feature = "sqlx")]
        impl<'q> sqlx::Encode<'q, sqlx::Postgres> for $kind {
            fn encode_by_ref(
                &self,
                buffer: &mut sqlx::postgres::PgArgumentBuffer,
            ) -> Result<sqlx::encode::IsNull, sqlx::error::BoxDynError> {
                <&str as sqlx::Encode<sqlx::Postgres>>::encode(self.as_str(), buffer)
            }
        }

        #[cfg(feature = "sqlx")]
        impl<'r> sqlx::Decode<'r, sqlx::Postgres> for $kind {
            fn decode(value: sqlx::postgres::PgValueRef<'r>) -> Result<Self, sqlx::error::BoxDynError> {
                let text = <&str as sqlx::Decode<sqlx::Postgres>>::decode(value)?;
                Ok(text.parse()?)
            }
        }
    };
}

pub(crate) use text_enum;

#[cfg(test)]
mod tests {
    use std::{fmt::Debug, str::FromStr};

    use serde::{Serialize, de::DeserializeOwned};

    use crate::{
        ApiCaller, AttentionKind, AuditResult, BackupState, BucketAccess, CatchUp, ChannelKind, ConfigurationSource,
        DeliveryState, EventKind, ExportFormat, ImportFormat, JobState, JobType, KeptBy, KeyType, LogLevel,
        LogOutScope, MigrationState, NotificationEvent, Overlap, PluginState, ProjectState, RestoreState, RunStatus,
        RunTrigger, Severity, SignInMethod, SignInWay, SmtpTls, SummaryPeriod, SystemState, TableAccess, TableKind,
        UserRole, WaitReason,
    };

    fn check<E>(variants: &[E], as_str: fn(E) -> &'static str)
    where
        E: FromStr<Err = super::UnknownVariant> + Serialize + DeserializeOwned + Debug + PartialEq + Copy,
    {
        for &variant in variants {
            let text = as_str(variant);
            assert_eq!(serde_json::to_value(variant).unwrap(), text, "{variant:?}");
            assert_eq!(text.parse::<E>(), Ok(variant));
        }
        assert_eq!("no such variant".parse::<E>().unwrap_err().text, "no such variant");
    }

    #[test]
    fn text_matches_json_and_unknown_text_is_rejected() {
        check(AttentionKind::ALL, AttentionKind::as_str);
        check(ConfigurationSource::ALL, ConfigurationSource::as_str);
        check(JobState::ALL, JobState::as_str);
        check(Severity::ALL, Severity::as_str);
        check(SummaryPeriod::ALL, SummaryPeriod::as_str);
        check(ApiCaller::ALL, ApiCaller::as_str);
        check(AuditResult::ALL, AuditResult::as_str);
        check(BackupState::ALL, BackupState::as_str);
        check(DeliveryState::ALL, DeliveryState::as_str);
        check(KeptBy::ALL, KeptBy::as_str);
        check(SignInMethod::ALL, SignInMethod::as_str);
        check(SignInWay::ALL, SignInWay::as_str);
        check(BucketAccess::ALL, BucketAccess::as_str);
        check(CatchUp::ALL, CatchUp::as_str);
        check(ChannelKind::ALL, ChannelKind::as_str);
        check(EventKind::ALL, EventKind::as_str);
        check(ExportFormat::ALL, ExportFormat::as_str);
        check(ImportFormat::ALL, ImportFormat::as_str);
        check(JobType::ALL, JobType::as_str);
        check(KeyType::ALL, KeyType::as_str);
        check(LogLevel::ALL, LogLevel::as_str);
        check(LogOutScope::ALL, LogOutScope::as_str);
        check(MigrationState::ALL, MigrationState::as_str);
        check(NotificationEvent::ALL, NotificationEvent::as_str);
        check(Overlap::ALL, Overlap::as_str);
        check(PluginState::ALL, PluginState::as_str);
        check(ProjectState::ALL, ProjectState::as_str);
        check(RestoreState::ALL, RestoreState::as_str);
        check(RunStatus::ALL, RunStatus::as_str);
        check(RunTrigger::ALL, RunTrigger::as_str);
        check(SmtpTls::ALL, SmtpTls::as_str);
        check(SystemState::ALL, SystemState::as_str);
        check(TableAccess::ALL, TableAccess::as_str);
        check(TableKind::ALL, TableKind::as_str);
        check(UserRole::ALL, UserRole::as_str);
        check(WaitReason::ALL, WaitReason::as_str);
    }
}
