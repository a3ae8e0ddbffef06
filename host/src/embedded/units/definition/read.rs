//! From options to a [`Definition`].

use std::time::Duration;

use super::super::identity::Identity;
use super::super::limit::StartLimit;
use super::super::outcome::{ExitSet, Restart};
use super::super::signals;
use super::command::{self, Command, Failure};
use super::environment::Environment;
use super::span::{self, Span};
use super::specifiers;
use super::words::{self, Escapes};
use super::{AfterExit, Definition, File, KillMode};
use dynamite_units::UnitOption;
use rustix::process::Signal;

/// How long starting and stopping may take: systemd's default.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(90);

/// The pause before a restart: systemd's default.
const RESTART_PAUSE_DEFAULT: Duration = Duration::from_millis(100);

/// What came of reading a unit file.
#[derive(Debug)]
pub(in super::super) struct Reading {
    /// The definition, or why systemd would call the setting bad, or why it cannot be done here.
    pub(in super::super) definition: Result<Definition, Vec<String>>,
    /// Assignments that systemd would warn of and ignore.
    pub(in super::super) doubts: Vec<String>,
    /// Keys that have no effect here.
    pub(in super::super) unused: Vec<String>,
}

/// Reads the options of a unit.
pub(in super::super) fn read(unit: &Identity, options: &[UnitOption]) -> Reading {
    let mut reader = Reader::new(unit);
    if !unit.name.ends_with(".service") {
        reader.refusals.push("only services can be run here".to_owned());
    }
    for option in options {
        // A continued line goes on with a blank.
        let value = option.value.replace("\\\n", " ");
        let value = value.trim();
        let known = match option.section.as_str() {
            "Service" => reader.service(&option.name, value),
            "Unit" | "X-Fleet" | "Install" => reader.unit(&option.name, value),
            _ => Known::No,
        };
        let key = format!("[{}] {}", option.section, option.name);
        if known == Known::No && !reader.unused.contains(&key) {
            reader.unused.push(key);
        }
    }
    reader.finish()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Yes,
    No,
}

/// The lists of commands.
#[derive(Default)]
struct Commands {
    start_pre: Vec<Command>,
    start: Vec<Command>,
    start_post: Vec<Command>,
    stop: Vec<Command>,
    stop_post: Vec<Command>,
}

struct Reader<'a> {
    unit: &'a Identity,
    commands: Commands,
    environment: Environment,
    environment_files: Vec<File>,
    working_directory: File,
    restart: Restart,
    restart_pause: Option<Duration>,
    restart_prevented_by: ExitSet,
    restart_forced_by: ExitSet,
    also_clean: ExitSet,
    limit_interval: Duration,
    limit_burst: usize,
    start_timeout: Option<Duration>,
    stop_timeout: Option<Duration>,
    kill_signal: Signal,
    kill_mode: KillMode,
    after_exit: AfterExit,
    refusals: Vec<String>,
    doubts: Vec<String>,
    unused: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(unit: &'a Identity) -> Self {
        Self {
            unit,
            commands: Commands::default(),
            environment: Environment::default(),
            environment_files: Vec::new(),
            working_directory: File { path: "/".into(), absence: Failure::Counts },
            restart: Restart::No,
            restart_pause: Some(RESTART_PAUSE_DEFAULT),
            restart_prevented_by: ExitSet::default(),
            restart_forced_by: ExitSet::default(),
            also_clean: ExitSet::default(),
            limit_interval: StartLimit::INTERVAL_DEFAULT,
            limit_burst: StartLimit::BURST_DEFAULT,
            start_timeout: Some(TIMEOUT_DEFAULT),
            stop_timeout: Some(TIMEOUT_DEFAULT),
            kill_signal: Signal::TERM,
            kill_mode: KillMode::All,
            after_exit: AfterExit::Stops,
            refusals: Vec::new(),
            doubts: Vec::new(),
            unused: Vec::new(),
        }
    }

    fn service(&mut self, key: &str, value: &str) -> Known {
        match key {
            "ExecStartPre" | "ExecStart" | "ExecStartPost" | "ExecStop" | "ExecStopPost" => {
                self.command(key, value);
            }
            "Environment" => self.assignments(value),
            "EnvironmentFile" => self.environment_file(value),
            "WorkingDirectory" => self.folder(value),
            "Type" => self.kind(value),
            "User" | "Group" => self.account(key, value),
            "Restart" => match Restart::parse(value) {
                Some(restart) => self.restart = restart,
                None => self.doubt(key, value),
            },
            "RestartSec" => match span::parse(value) {
                Some(Span::Of(time)) => self.restart_pause = Some(time),
                Some(Span::Infinite) => self.restart_pause = None,
                None => self.doubt(key, value),
            },
            "TimeoutStartSec" | "TimeoutStopSec" | "TimeoutSec" => self.timeout(key, value),
            "SuccessExitStatus" | "RestartPreventExitStatus" | "RestartForceExitStatus" => {
                self.statuses(key, value);
            }
            "KillSignal" => match signals::parse(value) {
                Some(signal) => self.kill_signal = signal,
                None => self.doubt(key, value),
            },
            "KillMode" => match value {
                "control-group" => self.kill_mode = KillMode::All,
                "mixed" => self.kill_mode = KillMode::Mixed,
                "process" | "none" => self.refuse(key, value, "would leave processes behind"),
                _ => self.doubt(key, value),
            },
            "RemainAfterExit" => match flag(value) {
                Some(true) => self.after_exit = AfterExit::Remains,
                Some(false) => self.after_exit = AfterExit::Stops,
                None => self.doubt(key, value),
            },
            // Older names of keys of the section `Unit`, and where they once stood.
            "StartLimitInterval" | "StartLimitIntervalSec" | "StartLimitBurst" => self.limit(key, value),
            _ => return Known::No,
        }
        Known::Yes
    }

    fn unit(&mut self, key: &str, value: &str) -> Known {
        match key {
            "StartLimitInterval" | "StartLimitIntervalSec" | "StartLimitBurst" => self.limit(key, value),
            "Description" | "Documentation" | "MachineID" | "MachineOf" | "MachineMetadata" | "Conflicts"
            | "Global" => {}
            _ => return Known::No,
        }
        Known::Yes
    }

    fn command(&mut self, key: &str, value: &str) {
        let list = match key {
            "ExecStartPre" => &mut self.commands.start_pre,
            "ExecStart" => &mut self.commands.start,
            "ExecStartPost" => &mut self.commands.start_post,
            "ExecStop" => &mut self.commands.stop,
            _ => &mut self.commands.stop_post,
        };
        if value.is_empty() {
            list.clear();
            return;
        }
        match command::parse(value, self.unit) {
            Ok(commands) => list.extend(commands),
            Err(message) => self.refusals.push(format!("{key}={value}: {message}")),
        }
    }

    fn assignments(&mut self, value: &str) {
        if value.is_empty() {
            self.environment.clear();
        }
        let Ok(assignments) = words::split(value, Escapes::Strict) else {
            return self.doubt("Environment", value);
        };
        for assignment in assignments {
            let filled = specifiers::fill(&assignment, self.unit);
            if !filled.is_ok_and(|filled| self.environment.assign(&filled)) {
                self.doubt("Environment", &assignment);
            }
        }
    }

    fn environment_file(&mut self, value: &str) {
        if value.is_empty() {
            self.environment_files.clear();
            return;
        }
        let file = self.file(value);
        match file {
            Some(file) if file.path.to_string_lossy().contains(['*', '?', '[']) => {
                self.refuse("EnvironmentFile", value, "has a pattern; name each file");
            }
            Some(file) => self.environment_files.push(file),
            None => self.doubt("EnvironmentFile", value),
        }
    }

    fn folder(&mut self, value: &str) {
        let (absence, path) = optional(value);
        let file = match path {
            "" => Some(File { path: "/".into(), absence: Failure::Counts }),
            "~" if self.unit.user == 0 => Some(File { path: "/root".into(), absence }),
            _ => self.file(value),
        };
        match file {
            Some(file) => self.working_directory = file,
            None => self.refuse("WorkingDirectory", value, "is no absolute path"),
        }
    }

    /// A path with an optional `-` before it; `None` when it is not absolute.
    fn file(&self, value: &str) -> Option<File> {
        let (absence, path) = optional(value);
        let path = specifiers::fill(path, self.unit).ok().filter(|path| path.starts_with('/'))?;
        Some(File { path: path.into(), absence })
    }

    fn kind(&mut self, value: &str) {
        match value {
            "simple" | "" => {}
            "oneshot" | "forking" | "notify" | "notify-reload" | "dbus" | "idle" | "exec" => {
                self.refuse("Type", value, "cannot be run here, only Type=simple");
            }
            _ => self.doubt("Type", value),
        }
    }

    fn account(&mut self, key: &str, value: &str) {
        let own = self.unit.user.to_string();
        let is_own = value.is_empty() || value == own || (self.unit.user == 0 && value == "root");
        if !is_own {
            self.refuse(key, value, "cannot be done here: units run as the user that Dynamite runs as");
        }
    }

    fn timeout(&mut self, key: &str, value: &str) {
        let timeout = match span::parse(value) {
            // Zero once stood for no limit, and still does.
            Some(Span::Of(Duration::ZERO) | Span::Infinite) => None,
            Some(Span::Of(time)) => Some(time),
            None => return self.doubt(key, value),
        };
        if key != "TimeoutStopSec" {
            self.start_timeout = timeout;
        }
        if key != "TimeoutStartSec" {
            self.stop_timeout = timeout;
        }
    }

    fn statuses(&mut self, key: &str, value: &str) {
        let set = match key {
            "SuccessExitStatus" => &mut self.also_clean,
            "RestartPreventExitStatus" => &mut self.restart_prevented_by,
            _ => &mut self.restart_forced_by,
        };
        if value.is_empty() {
            set.clear();
        }
        let unknown: Vec<&str> = value.split_whitespace().filter(|word| !set.add(word)).collect();
        for word in unknown {
            self.doubt(key, word);
        }
    }

    fn limit(&mut self, key: &str, value: &str) {
        match (key, span::parse(value), value.parse()) {
            ("StartLimitBurst", _, Ok(burst)) => self.limit_burst = burst,
            ("StartLimitInterval" | "StartLimitIntervalSec", Some(Span::Of(time)), _) => {
                self.limit_interval = time;
            }
            ("StartLimitInterval" | "StartLimitIntervalSec", Some(Span::Infinite), _) => {
                self.limit_interval = Duration::MAX;
            }
            _ => self.doubt(key, value),
        }
    }

    fn refuse(&mut self, key: &str, value: &str, why: &str) {
        self.refusals.push(format!("{key}={value} {why}"));
    }

    fn doubt(&mut self, key: &str, value: &str) {
        self.doubts.push(format!("{key}={value} is not understood and ignored, as systemd does"));
    }

    fn finish(mut self) -> Reading {
        let start = self.commands.start.pop();
        if !self.commands.start.is_empty() {
            self.refusals.push("there is more than one ExecStart".to_owned());
        }
        if start.is_none() && self.refusals.is_empty() {
            self.refusals.push("there is no ExecStart".to_owned());
        }
        let definition = match start.filter(|_| self.refusals.is_empty()) {
            None => Err(self.refusals),
            Some(start) => Ok(Definition {
                start_pre: self.commands.start_pre,
                start,
                start_post: self.commands.start_post,
                stop: self.commands.stop,
                stop_post: self.commands.stop_post,
                environment: self.environment,
                environment_files: self.environment_files,
                working_directory: self.working_directory,
                restart: self.restart,
                restart_pause: self.restart_pause,
                restart_prevented_by: self.restart_prevented_by,
                restart_forced_by: self.restart_forced_by,
                also_clean: self.also_clean,
                start_limit: StartLimit::new(self.limit_burst, self.limit_interval),
                start_timeout: self.start_timeout,
                stop_timeout: self.stop_timeout,
                kill_signal: self.kill_signal,
                kill_mode: self.kill_mode,
                after_exit: self.after_exit,
            }),
        };
        Reading { definition, doubts: self.doubts, unused: self.unused }
    }
}

/// A value without the `-` before it, and what that says.
fn optional(value: &str) -> (Failure, &str) {
    value.strip_prefix('-').map_or((Failure::Counts, value), |path| (Failure::Ignored, path))
}

/// systemd's booleans.
fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => Some(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
        _ => None,
    }
}
