//! From a command of a unit file to a process: its program, arguments, environment, folder and output.

use std::fs;
use std::io::{self, ErrorKind, PipeWriter, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::super::definition::{Command, Definition, Environment, FILE_BYTES_MAX, Failure, Variables};
use super::super::outcome::Outcome;
use super::super::processes::MARK;
use super::children::{Child, Children};
use super::desk::Desk;
use super::lines::Lines;

/// Where a program is looked for that is named without a path; the same for every unit, as in systemd.
const FOLDERS: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// How much output is read at a time, in bytes: a full pipe.
const READ_BYTES: usize = 64 * 1024;

/// How long output may be quiet before it is said what was left out.
const QUIET: Duration = Duration::from_secs(1);

/// Starts the processes of a unit.
pub(super) struct Spawner {
    invocation: String,
    children: Children,
    output: PipeWriter,
    pub(super) reading: JoinHandle<()>,
}

/// Why a command was not run.
#[derive(Debug)]
pub(super) struct NotRun {
    /// What systemd calls it.
    pub(super) outcome: Outcome,
    /// For people.
    pub(super) message: String,
}

impl Spawner {
    pub(super) fn new(invocation: &str, children: Children, desk: Desk) -> io::Result<Self> {
        let (reader, output) = io::pipe()?;
        let reading = tokio::spawn(read_output(Receiver::from_owned_fd(reader.into())?, desk));
        Ok(Self { invocation: invocation.to_owned(), children, output, reading })
    }

    /// Closes the output, so that its reader comes to an end with the last process.
    pub(super) fn close(self) -> JoinHandle<()> {
        self.reading
    }

    /// Runs a command, with these variables beside those of the unit.
    pub(super) fn spawn(
        &self,
        definition: &Definition,
        command: &Command,
        more: &[(&str, String)],
    ) -> Result<Child, NotRun> {
        let mut environment = environment(definition)?;
        for (name, value) in more {
            environment.set(*name, value);
        }
        environment.set(MARK, &self.invocation);
        let arguments = match command.variables {
            Variables::Filled => environment.fill(&command.arguments),
            Variables::Verbatim => command.arguments.clone(),
        };
        let program = found(&command.program).unwrap_or_else(|| command.program.clone());
        let output = || self.output.try_clone().map(Stdio::from).map_err(|error| refused(command, &error));
        let mut process = Process::new(&program);
        process
            .arg0(&command.name)
            .args(arguments)
            .env_clear()
            .envs(environment.iter())
            .current_dir(folder(definition)?)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output()?)
            .stderr(output()?);
        self.children.spawn(&mut process).map_err(|error| refused(command, &error))
    }
}

/// The variables of the unit. Files are read each time, as they may have been written by an earlier command.
fn environment(definition: &Definition) -> Result<Environment, NotRun> {
    let mut environment = Environment::default();
    environment.set("PATH", FOLDERS.join(":"));
    for (name, value) in definition.environment.iter() {
        environment.set(name, value);
    }
    for file in &definition.environment_files {
        let mut text = Vec::new();
        match fs::File::open(&file.path).and_then(|opened| opened.take(FILE_BYTES_MAX).read_to_end(&mut text))
        {
            Ok(_) => drop(environment.read_file(&String::from_utf8_lossy(&text))),
            Err(error) if error.kind() == ErrorKind::NotFound && file.absence == Failure::Ignored => {}
            Err(error) => {
                let message = format!(
                    "EnvironmentFile={} cannot be read: {error}; with `-` before the path it may be missing",
                    file.path.display()
                );
                return Err(NotRun { outcome: Outcome::Resources, message });
            }
        }
    }
    Ok(environment)
}

/// The folder in which the unit runs.
fn folder(definition: &Definition) -> Result<&Path, NotRun> {
    let wanted = &definition.working_directory;
    match wanted.absence {
        _ if wanted.path.is_dir() => Ok(&wanted.path),
        Failure::Ignored => Ok(Path::new("/")),
        Failure::Counts => {
            let message = format!("WorkingDirectory={} is no folder (200/CHDIR)", wanted.path.display());
            Err(NotRun { outcome: Outcome::ExitCode, message })
        }
    }
}

/// The path of a program that is named without one.
fn found(program: &str) -> Option<String> {
    let candidates = FOLDERS.iter().map(|folder| format!("{folder}/{program}"));
    (!program.contains('/')).then(|| candidates.into_iter().find(|path| Path::new(path).is_file())).flatten()
}

/// What is wrong with a program that cannot be executed, and what may help.
fn refused(command: &Command, error: &io::Error) -> NotRun {
    let program = &command.program;
    let name = program.rsplit('/').next().unwrap_or(program);
    let why = match error.kind() {
        ErrorKind::NotFound if Path::new(program).exists() => {
            "the interpreter in its first line is missing".to_owned()
        }
        ErrorKind::NotFound => match found(name) {
            Some(elsewhere) => format!("there is no such program; there is {elsewhere}"),
            None => format!("there is no such program; is {name} installed on this machine?"),
        },
        _ => error.to_string(),
    };
    NotRun { outcome: Outcome::ExitCode, message: format!("{program} cannot be run (203/EXEC): {why}") }
}

/// Reads output for as long as there is any process to write it. It is always read, so that no unit ever waits for it.
async fn read_output(mut output: Receiver, desk: Desk) {
    let mut lines = Lines::new(Instant::now());
    let mut hand_on = |report| desk.leave(&report);
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let reading = output.read(&mut buffer);
        let read = if lines.owes() {
            let Ok(read) = timeout(QUIET, reading).await else {
                lines.tell_dropped(&mut hand_on);
                continue;
            };
            read
        } else {
            reading.await
        };
        match read {
            Ok(0) | Err(_) => break,
            Ok(bytes) => lines.feed(Instant::now(), &buffer[..bytes], &mut hand_on),
        }
    }
    lines.flush(&mut hand_on);
}
