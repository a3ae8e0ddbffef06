//! The client of fleet.
