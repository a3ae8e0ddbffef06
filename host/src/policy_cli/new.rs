//! `dynamite policy new`: a crate with a small policy.

use std::io::Write;

use crate::cli::{EXIT_FAILURE, NewArgs};

pub(super) fn run(args: &NewArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    writeln!(out, "{}", args.name)?;
    Ok(EXIT_FAILURE)
}
