//! Prints the result of each check, and counts the problems.

use std::process::ExitCode;

/// Prints findings immediately, so that a hanging check is visible, and counts problems.
#[derive(Debug, Default)]
pub(super) struct Report {
    problems: u32,
}

impl Report {
    pub(super) fn ok(&mut self, check: &str, what: impl AsRef<str>) {
        print("ok", check, what.as_ref());
    }

    /// Reports a condition that is not a problem, but that the owner should know.
    pub(super) fn note(&mut self, check: &str, what: impl AsRef<str>) {
        print("note", check, what.as_ref());
    }

    /// Reports a problem. `what` names the problem, and its remedy if one is known.
    pub(super) fn problem(&mut self, check: &str, what: impl AsRef<str>) {
        self.problems += 1;
        print("problem", check, what.as_ref());
    }

    /// Prints the number of problems and returns the exit code.
    pub(super) fn close(self) -> ExitCode {
        match self.problems {
            0 => {
                print_stdout!("No problems found.");
                ExitCode::SUCCESS
            }
            1 => {
                print_stdout!("1 problem found.");
                ExitCode::FAILURE
            }
            problems => {
                print_stdout!("{problems} problems found.");
                ExitCode::FAILURE
            }
        }
    }
}

fn print(state: &str, check: &str, what: &str) {
    print_stdout!("{state:8} {check}: {}", what.split_whitespace().collect::<Vec<_>>().join(" "));
}
