//! A throw-away etcd on free loopback ports.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use dynamite::store::connect::{Api, Settings};
use tempfile::TempDir;

use crate::wait;

/// How to start it.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Whether the v2 API is served.
    pub v2: bool,
    /// Serve TLS, and ask clients for certificates.
    pub tls: Option<Tls>,
    /// More arguments.
    pub arguments: Vec<String>,
}

/// PEM files, as for [`Settings`].
#[derive(Clone, Debug)]
pub struct Tls {
    /// The authority that signed the others.
    pub ca: PathBuf,
    /// The certificate of server and client.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// A running server; dropping it ends it and removes its data.
#[derive(Debug)]
pub struct Etcd {
    options: Options,
    folder: TempDir,
    ports: [u16; 2],
    child: Child,
}

/// A healthy server takes a fifth of a second; a loaded machine much more.
const START_LIMIT: Duration = Duration::from_secs(30);

impl Etcd {
    /// Starts a server and waits until it is healthy.
    ///
    /// # Errors
    ///
    /// When there is no etcd on this machine, or it does not get healthy.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        dynamite::tls::install_provider();
        let memory = Path::new("/dev/shm");
        let mut folder = if memory.is_dir() {
            tempfile::Builder::new().prefix("dynamite-").tempdir_in(memory)
        } else {
            TempDir::new()
        }?;
        // Ports that are free now may be taken a moment later, so it is tried again.
        for _ in 0..3 {
            let ports = free_ports()?;
            let child = spawn(&options, folder.path(), ports)?;
            let mut etcd = Self { options: options.clone(), folder, ports, child };
            if etcd.healthy().await.is_ok() {
                return Ok(etcd);
            }
            etcd.kill()?;
            folder = std::mem::replace(&mut etcd.folder, TempDir::new()?);
        }
        bail!(
            "etcd does not start: {}",
            std::fs::read_to_string(folder.path().join("log")).unwrap_or_default()
        )
    }

    /// `host:port` of the client API.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    /// Settings that reach it, with the right certificates.
    #[must_use]
    pub fn settings(&self, api: Api) -> Settings {
        let tls = self.options.tls.as_ref();
        Settings {
            endpoints: vec![self.endpoint()],
            api,
            ca: tls.map(|tls| tls.ca.clone()),
            client_cert: tls.map(|tls| tls.cert.clone()),
            client_key: tls.map(|tls| tls.key.clone()),
            ..Settings::default()
        }
    }

    /// The id of the process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, as a crash would.
    ///
    /// # Errors
    ///
    /// When the operating system refuses.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().context("ending etcd")?;
        self.child.wait().context("ending etcd")?;
        Ok(())
    }

    /// Starts it again, after [`Self::kill`], on the same ports and data.
    ///
    /// # Errors
    ///
    /// When it does not get healthy.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.child = spawn(&self.options, self.folder.path(), self.ports)?;
        self.healthy().await
    }

    /// Removes its data, after [`Self::kill`].
    ///
    /// # Errors
    ///
    /// When the folder cannot be removed.
    pub fn wipe(&self) -> anyhow::Result<()> {
        std::fs::remove_dir_all(self.folder.path().join("data")).context("wiping etcd")
    }

    /// Stops it as if its machine hung: connections stay open and nothing is answered.
    ///
    /// # Errors
    ///
    /// When the signal cannot be sent.
    pub fn pause(&self) -> anyhow::Result<()> {
        self.signal("-STOP")
    }

    /// Ends [`Self::pause`].
    ///
    /// # Errors
    ///
    /// When the signal cannot be sent.
    pub fn resume(&self) -> anyhow::Result<()> {
        self.signal("-CONT")
    }

    /// Runs etcdctl against it, with `ETCDCTL_API` set to `api`, and returns what it prints.
    ///
    /// # Errors
    ///
    /// When it fails, with what it said.
    pub fn ctl(&self, api: u8, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = Command::new("etcdctl");
        command
            .env("ETCDCTL_API", api.to_string())
            .arg("--endpoints")
            .arg(format!("http://{}", self.endpoint()));
        let output =
            command.args(arguments).output().context("running etcdctl: apt-get install etcd-client")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "etcdctl {arguments:?}: {said}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn signal(&self, signal: &str) -> anyhow::Result<()> {
        let status = Command::new("kill").args([signal, &self.pid().to_string()]).status()?;
        ensure!(status.success(), "kill {signal} failed");
        Ok(())
    }

    /// Waits until it answers that it has a leader.
    async fn healthy(&mut self) -> anyhow::Result<()> {
        let mut client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2));
        let mut scheme = "http";
        if let Some(tls) = &self.options.tls {
            scheme = "https";
            let identity = [std::fs::read(&tls.cert)?, std::fs::read(&tls.key)?].concat();
            client = client
                .tls_certs_only([reqwest::Certificate::from_pem(&std::fs::read(&tls.ca)?)?])
                .identity(reqwest::Identity::from_pem(&identity)?);
        }
        let client = client.build()?;
        let url = format!("{scheme}://{}/health", self.endpoint());
        let child = &mut self.child;
        let ended = wait::until("etcd to be healthy", START_LIMIT, async || {
            if let Ok(Some(status)) = child.try_wait() {
                return Ok(Some(status));
            }
            let reply = client.get(&url).send().await.map_err(|error| format!("{error:?}"))?;
            let text = reply.text().await.map_err(|error| error.to_string())?;
            if text.contains("\"true\"") { Ok(None) } else { Err(text) }
        })
        .await?;
        if let Some(status) = ended {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            bail!("etcd ended with {status}: {log}");
        }
        Ok(())
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_ports() -> anyhow::Result<[u16; 2]> {
    let (a, b) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
    Ok([a.local_addr()?.port(), b.local_addr()?.port()])
}

fn spawn(options: &Options, folder: &Path, [client, peer]: [u16; 2]) -> anyhow::Result<Child> {
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    let (client, peer) = (format!("{scheme}://127.0.0.1:{client}"), format!("http://127.0.0.1:{peer}"));
    let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("log"))?;
    let mut command = Command::new("etcd");
    command
        .args(["--name", "test", "--logger", "zap", "--log-level", "warn"])
        .args(["--heartbeat-interval", "10", "--election-timeout", "100"])
        .arg("--data-dir")
        .arg(folder.join("data"))
        .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
        .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
        .args(["--initial-cluster", &format!("test={peer}")])
        .arg(format!("--enable-v2={}", options.v2))
        .args(&options.arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    if let Some(tls) = &options.tls {
        command.arg("--client-cert-auth").arg("--trusted-ca-file").arg(&tls.ca);
        command.arg("--cert-file").arg(&tls.cert).arg("--key-file").arg(&tls.key);
    }
    command.spawn().context("these tests need etcd: apt-get install --no-install-recommends etcd-server")
}
