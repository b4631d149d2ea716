//! The words that the tables have for what the wire types name.

use api_types::{CatchUp, JobType, Overlap, RunStatus, RunTrigger};

pub(super) fn job_type_text(job_type: JobType) -> &'static str {
    match job_type {
        JobType::Http => "http",
        JobType::Platform => "platform",
    }
}

pub(super) fn parse_job_type(text: &str) -> JobType {
    if text == "http" { JobType::Http } else { JobType::Platform }
}

pub(super) fn overlap_text(overlap: Overlap) -> &'static str {
    match overlap {
        Overlap::Skip => "skip",
        Overlap::Queue => "queue",
        Overlap::Allow => "allow",
    }
}

pub(super) fn parse_overlap(text: &str) -> Overlap {
    match text {
        "queue" => Overlap::Queue,
        "allow" => Overlap::Allow,
        _ => Overlap::Skip,
    }
}

pub(super) fn catch_up_text(catch_up: CatchUp) -> &'static str {
    match catch_up {
        CatchUp::Once => "once",
        CatchUp::None => "none",
    }
}

pub(super) fn parse_catch_up(text: &str) -> CatchUp {
    if text == "none" { CatchUp::None } else { CatchUp::Once }
}

pub(super) fn status_text(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Queued => "queued",
        RunStatus::Running => "running",
        RunStatus::Success => "success",
        RunStatus::Fail => "fail",
        RunStatus::Timeout => "timeout",
        RunStatus::Cancelled => "cancelled",
        RunStatus::Skipped => "skipped",
    }
}

pub(super) fn parse_status(text: &str) -> RunStatus {
    match text {
        "queued" => RunStatus::Queued,
        "running" => RunStatus::Running,
        "success" => RunStatus::Success,
        "timeout" => RunStatus::Timeout,
        "cancelled" => RunStatus::Cancelled,
        "skipped" => RunStatus::Skipped,
        _ => RunStatus::Fail,
    }
}

pub(super) fn trigger_text(trigger: RunTrigger) -> &'static str {
    match trigger {
        RunTrigger::Schedule => "schedule",
        RunTrigger::Manual => "manual",
        RunTrigger::Retry => "retry",
        RunTrigger::CatchUp => "catchUp",
    }
}

pub(super) fn parse_trigger(text: &str) -> RunTrigger {
    match text {
        "schedule" => RunTrigger::Schedule,
        "retry" => RunTrigger::Retry,
        "catchUp" => RunTrigger::CatchUp,
        _ => RunTrigger::Manual,
    }
}
