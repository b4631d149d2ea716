use std::process::ExitCode;

/// Prints as it goes, so that a check that hangs is seen, and remembers whether anything is broken.
#[derive(Debug, Default)]
pub(super) struct Report {
    problems: u32,
}

impl Report {
    pub(super) fn ok(&mut self, check: &str, what: impl AsRef<str>) {
        print("ok", check, what.as_ref());
    }

    /// Works, and should be known of.
    pub(super) fn note(&mut self, check: &str, what: impl AsRef<str>) {
        print("note", check, what.as_ref());
    }

    /// Says what is wrong and what to do.
    pub(super) fn problem(&mut self, check: &str, what: impl AsRef<str>) {
        self.problems += 1;
        print("problem", check, what.as_ref());
    }

    pub(super) fn close(self) -> ExitCode {
        match self.problems {
            0 => {
                say!("Nothing is broken.");
                ExitCode::SUCCESS
            }
            1 => {
                say!("1 problem.");
                ExitCode::FAILURE
            }
            problems => {
                say!("{problems} problems.");
                ExitCode::FAILURE
            }
        }
    }
}

fn print(state: &str, check: &str, what: &str) {
    say!("{state:8} {check}: {}", what.split_whitespace().collect::<Vec<_>>().join(" "));
}
