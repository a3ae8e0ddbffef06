//! fleet's API v1.
pub mod lexer;
