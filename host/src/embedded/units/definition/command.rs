//! One command line of a unit file: prefixes, program, arguments.

use super::super::identity::Identity;
use super::specifiers;
use super::words::{self, Escapes};

/// Whether the failure of a command is one of the unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Failure {
    /// It is.
    Counts,
    /// It is not: the command has the prefix `-`.
    Ignored,
}

/// Whether variables are filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Variables {
    /// They are.
    Filled,
    /// They are not: the command has the prefix `:`.
    Verbatim,
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Command {
    /// An absolute path, or a name to look for in the usual folders.
    pub(in super::super) program: String,
    /// What the program is told its own name is.
    pub(in super::super) name: String,
    /// The words behind it, with specifiers filled in and variables not yet.
    pub(in super::super) arguments: Vec<String>,
    /// What its failure means.
    pub(in super::super) failure: Failure,
    /// What `$` means.
    pub(in super::super) variables: Variables,
}

/// The commands of one assignment; a lone `;` separates them. As in systemd one with the prefix `-` that cannot be read
/// is dropped, with those behind it.
pub(super) fn parse(text: &str, unit: &Identity) -> Result<Vec<Command>, String> {
    let mut rest = text;
    let mut commands = Vec::new();
    while let Some(first) = word(&mut rest)? {
        let head = Head::of(&first);
        match head.command(&mut rest, unit) {
            Ok(command) => commands.push(command),
            Err(_) if head.failure == Failure::Ignored => return Ok(commands),
            Err(message) => return Err(message),
        }
    }
    Ok(commands)
}

/// The first word of a command without its prefixes.
struct Head<'a> {
    path: &'a str,
    failure: Failure,
    variables: Variables,
    /// With the prefix `@` the second word is the name under which the program is run.
    named: bool,
}

impl<'a> Head<'a> {
    fn of(first: &'a str) -> Self {
        let mut head =
            Self { path: first, failure: Failure::Counts, variables: Variables::Filled, named: false };
        loop {
            let mut chars = head.path.chars();
            match chars.next() {
                Some('-') => head.failure = Failure::Ignored,
                Some(':') => head.variables = Variables::Verbatim,
                Some('@') => head.named = true,
                // They lift restrictions of users and sandboxes, of which there are none here.
                Some('+' | '!') => {}
                _ => return head,
            }
            head.path = chars.as_str();
        }
    }

    fn command(&self, rest: &mut &str, unit: &Identity) -> Result<Command, String> {
        let fill = |text: &str| specifiers::fill(text, unit).map_err(|error| error.to_string());
        let program = fill(self.path)?;
        if program.is_empty() {
            return Err("there is no program in it".to_owned());
        }
        if program.ends_with('/') {
            return Err(format!("`{program}` is a folder"));
        }
        if program.contains('/') && !program.starts_with('/') {
            return Err(format!("`{program}` is neither an absolute path nor the name of a program"));
        }
        let mut arguments = Vec::new();
        while !rest.is_empty() && !take_separator(rest) {
            if let Some(after) = rest.strip_prefix("\\;").filter(|after| ends_word(after)) {
                arguments.push(";".to_owned());
                *rest = after.trim_start_matches(words::is_blank);
                continue;
            }
            if let Some(argument) = word(rest)? {
                arguments.push(fill(&argument)?);
            }
        }
        let name = if self.named {
            if arguments.is_empty() {
                return Err(format!("`@{program}` lacks the name under which it is to run"));
            }
            arguments.remove(0)
        } else {
            program.clone()
        };
        Ok(Command { program, name, arguments, failure: self.failure, variables: self.variables })
    }
}

fn take_separator(rest: &mut &str) -> bool {
    match rest.strip_prefix(';').filter(|after| ends_word(after)) {
        Some(after) => {
            *rest = after.trim_start_matches(words::is_blank);
            true
        }
        None => false,
    }
}

fn ends_word(after: &str) -> bool {
    after.chars().next().is_none_or(words::is_blank)
}

/// Takes a word; escapes that systemd does not know stay as they are, as there.
fn word(rest: &mut &str) -> Result<Option<String>, String> {
    words::next(rest, Escapes::Lenient).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Command>, String> {
        let unit = Identity {
            name: "web@8080.service".to_owned(),
            hostname: "core-1".to_owned(),
            machine: "0123".to_owned(),
            boot: String::new(),
            user: 0,
        };
        parse(text, &unit)
    }

    fn check(text: &str, expected: &[&[&str]]) {
        let found: Vec<Vec<String>> = read(text)
            .unwrap()
            .into_iter()
            .map(|command| {
                let mut words = vec![command.program];
                words.extend(command.arguments);
                words
            })
            .collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn words_are_split_before_specifiers_are_filled_in() {
        check("/bin/echo %i '%p %i' 100%%", &[&["/bin/echo", "8080", "web 8080", "100%"]]);
    }

    #[test]
    fn a_lone_semicolon_separates_commands() {
        check("/bin/a b ; /bin/c ;", &[&["/bin/a", "b"], &["/bin/c"]]);
        check(r"/bin/a b; c \; ';' ;d", &[&["/bin/a", "b;", "c", ";", ";", ";d"]]);
    }

    #[test]
    fn prefixes_come_in_any_order() {
        let command = &read("-:@/bin/sh me -c x").unwrap()[0];
        assert_eq!((command.program.as_str(), command.name.as_str()), ("/bin/sh", "me"));
        assert_eq!(command.arguments, ["-c", "x"]);
        assert_eq!((command.failure, command.variables), (Failure::Ignored, Variables::Verbatim));
        check("+!!/bin/a", &[&["/bin/a"]]);
    }

    #[test]
    fn what_cannot_be_run_is_refused_unless_failing_is_ignored() {
        for text in ["bin/a", "./a", "/bin/", "+", "@/bin/a", "/bin/a 'b", "/bin/a %Y", "%Y"] {
            assert!(read(text).is_err(), "{text}");
        }
        for text in ["-bin/a", "-", "-/bin/a %Y", ""] {
            assert_eq!(read(text), Ok(Vec::new()), "{text}");
        }
        check("docker ps", &[&["docker", "ps"]]);
    }
}
