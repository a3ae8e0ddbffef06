//! What a unit file is made of.

/// One line of a unit file, as fleet's API carries it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct UnitOption {
    /// The section, without brackets.
    pub section: String,
    /// The key.
    pub name: String,
    /// The value, trimmed; a continuation keeps its backslash and newline. fleet leaves an empty one out.
    #[serde(default)]
    pub value: String,
}
