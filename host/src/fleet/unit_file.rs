//! Unit files.
