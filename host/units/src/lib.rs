//! Unit files: read as systemd reads them, and brought into the one form that fleet gives back unchanged.
//!
//! fleet stores a unit as text and parses that text again for every answer ([`lexer`]), and an unequal hash makes it replace
//! (stop and start) the unit. So [`parse`] returns options that survive this round trip: trimmed, with sections brought
//! together, continuations kept as backslash and newline, and without comments. Compare units by [`hash`], as fleet does.
//!
//! It refuses to know files, fleet's API and Dynamite: text and options come in, options and mistakes go out.

pub mod lexer;
mod name;
mod option;
mod parse;
mod requirements;
mod text;

pub use name::{NAME_BYTES_MAX, NameError, check_name, check_usable_name, is_template};
pub use option::UnitOption;
pub use parse::{Error, FILE_BYTES_MAX, Problem, parse, parse_bytes};
pub use requirements::{OptionError, check_options, is_global, matches_glob, values};
pub use text::{LINE_BYTES_MAX, grouped, hash, line_too_long, serialize};
