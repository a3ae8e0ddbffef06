//! The embedded etcd in a process of its own.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};

/// A running server; dropping it kills it, as a crash would.
#[derive(Debug)]
pub struct Embedded {
    child: Child,
    endpoint: String,
}

impl Embedded {
    /// Starts `binary`, the built `embedded_etcd`, on a folder, and waits until it serves.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn start(binary: &str, folder: &Path) -> Result<Self> {
        let mut command = Command::new(binary);
        command.arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("starting embedded_etcd")?;
        let mut endpoint = String::new();
        BufReader::new(child.stdout.take().context("its output")?).read_line(&mut endpoint)?;
        let endpoint = endpoint.trim().trim_start_matches("http://").to_owned();
        let started = Self { child, endpoint };
        ensure!(!started.endpoint.is_empty(), "embedded_etcd did not start");
        Ok(started)
    }

    /// `host:port`.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Ends it as kill -9 does.
    ///
    /// # Errors
    ///
    /// When the operating system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().context("killing embedded_etcd")?;
        self.child.wait().context("killing embedded_etcd")?;
        Ok(())
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}
