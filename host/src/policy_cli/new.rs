//! `dynamite policy new`: writes a crate with a small policy, its tests and its cases, which builds at once.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::cli::{EXIT_OK, NewArgs};

mod files;

/// The longest name, in characters.
const NAME_CHARS_MAX: usize = 64;

/// What no crate can be called: words of Rust, crates that come with it, and the SDK.
const TAKEN: &str = " abstract alloc as async await become box break const continue core crate do dyn dynamite-policy else enum \
     extern false final fn for gen if impl in let loop macro match mod move mut override priv proc_macro pub ref return schemars \
     self serde static std struct super test trait true try type typeof unsafe unsized use virtual where while yield ";

pub(super) fn run(args: &NewArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    check_name(&args.name)?;
    let folder = args.path.clone().unwrap_or_else(|| PathBuf::from(&args.name));
    let shown = folder.display();
    write_all(&args.name, &folder).with_context(|| format!("`{shown}` cannot be written"))?;
    let module = module(&args.name);
    writeln!(out, "wrote the policy `{}` to `{shown}`. Now:\n", args.name)?;
    writeln!(out, "  cd {shown}")?;
    writeln!(out, "  cargo build --release   # makes {module}")?;
    writeln!(out, "  cargo test              # the unit tests in src/lib.rs")?;
    writeln!(out, "  dynamite policy test {module} cases/*.yaml")?;
    Ok(EXIT_OK)
}

/// Whether it can be the name of a crate and of a policy.
fn check_name(name: &str) -> anyhow::Result<()> {
    let is_allowed = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || "-_".contains(char);
    let fits = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.chars().all(is_allowed)
        && name.len() <= NAME_CHARS_MAX;
    anyhow::ensure!(
        fits,
        "`{name}` cannot be the name of a policy: it takes up to {NAME_CHARS_MAX} lower-case letters, digits, `-` and `_`, \
         and starts with a letter"
    );
    let is_taken = |word: &str| TAKEN.contains(&format!(" {word} "));
    anyhow::ensure!(
        !is_taken(name) && !is_taken(&name.replace('-', "_")),
        "`{name}` cannot be the name of a policy: Rust uses it for something else"
    );
    Ok(())
}

fn write_all(name: &str, folder: &Path) -> io::Result<()> {
    let is_used = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(error) => return Err(error),
    };
    if is_used {
        return Err(io::Error::other("there is something in it already"));
    }
    for (path, text) in files(name) {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, text)?;
    }
    Ok(())
}

/// Every file with its path.
fn files(name: &str) -> impl Iterator<Item = (&'static str, String)> {
    let (snake, module) = (name.replace('-', "_"), module(name));
    let camel: String = name.split(['-', '_']).map(capitalised).collect();
    let filled = move |text: &str| {
        let text = text.replace("{{name}}", name).replace("{{snake}}", &snake);
        text.replace("{{module}}", &module).replace("{{Type}}", &camel)
    };
    let templates: Vec<_> = files::TEMPLATES.iter().map(|&(path, text)| (path, filled(text))).collect();
    templates.into_iter().chain(files::SDK.iter().map(|&(path, text)| (path, text.to_owned())))
}

/// Where cargo puts the module.
fn module(name: &str) -> String {
    format!("target/wasm32-unknown-unknown/release/{}.wasm", name.replace('-', "_"))
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cases::file::{Kind, read_text};

    fn text_of(name: &str, path: &str) -> String {
        files(name).find(|(known, _)| *known == path).unwrap().1
    }

    #[test]
    fn names_are_those_of_crates() {
        for name in ["a", "keep-load", "v2_up"] {
            check_name(name).unwrap();
        }
        for name in
            ["", "2a", "Keep", "a b", "../a", "async", "dynamite-policy", "proc-macro", &"a".repeat(65)]
        {
            check_name(name).unwrap_err();
        }
    }

    #[test]
    fn names_are_filled_in_everywhere() {
        assert!(
            files("keep-load")
                .all(|(path, text)| path.starts_with("dynamite-policy/") || !text.contains("{{"))
        );
        assert!(text_of("keep-load", "src/lib.rs").contains("export_policy!(KeepLoad);"));
        assert!(text_of("keep-load", "README.md").contains("release/keep_load.wasm"));
    }

    #[test]
    fn a_folder_with_something_in_it_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("mine"), "").unwrap();
        assert!(write_all("a", folder.path()).is_err());
        write_all("a", &folder.path().join("new")).unwrap();
        assert!(folder.path().join("new/dynamite-policy/wit/policy.wit").is_file());
    }

    #[test]
    fn its_cases_can_be_read() {
        let text = text_of("a", "cases/basics.yaml");
        read_text("basics.yaml", &text, Path::new(""), Kind::Cases).unwrap();
    }

    #[test]
    fn the_copy_of_the_sdk_is_complete() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/sdk");
        let mut found = BTreeSet::new();
        let mut folders = vec![root.join("src"), root.join("wit")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if !path.ends_with("tests.rs") {
                    found.insert(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        found.extend(["Cargo.toml".to_owned(), "README.md".to_owned()]);
        let copied =
            files::SDK.iter().map(|(path, _)| path.strip_prefix("dynamite-policy/").unwrap().to_owned());
        assert_eq!(copied.collect::<BTreeSet<_>>(), found);
    }

    #[test]
    fn it_is_built_with_the_rust_that_this_is_built_with() {
        let channel = |text: &str| text.lines().find(|line| line.starts_with("channel")).unwrap().to_owned();
        let ours = include_str!("../../../rust-toolchain.toml");
        assert_eq!(channel(&text_of("a", "rust-toolchain.toml")), channel(ours));
    }
}
