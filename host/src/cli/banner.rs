//! The text that `serve` prints when it is ready and started the embedded services.

use std::{fmt::Write, net::SocketAddr, path::Path};

pub(super) struct Banner<'a> {
    pub(super) public_url: &'a str,
    pub(super) admin: SocketAddr,
    /// Code for signing in once. Printed as a URL fragment, which browsers don't send to servers.
    pub(super) sign_in_code: &'a str,
    pub(super) admin_token_file: Option<&'a Path>,
    pub(super) data_dir: &'a Path,
}

impl Banner<'_> {
    pub(super) fn print(&self) {
        print_stdout!("{}", self.text());
    }

    fn text(&self) -> String {
        let mut text = format!(
            "AtlasHub {} is ready.\n\n  Dashboard    http://{}/#code={}\n               (use it once to sign in)\n  \
             Public API   {}\n  Data         {}\n",
            env!("CARGO_PKG_VERSION"),
            self.admin,
            self.sign_in_code,
            self.public_url,
            self.data_dir.display(),
        );
        if let Some(file) = self.admin_token_file {
            // Writing to a String can't fail.
            let _ = writeln!(text, "  Admin token  {}", file.display());
        }
        text
    }
}
