//! How few and how many instances a service may have, and which numbers they bear.

/// How few and how many instances may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// At least so many.
    pub min: u32,
    /// At most so many, not less than `min`; `None`: as many as there are numbers.
    pub max: Option<u32>,
}

/// The numbers of a service's instances: instance `i` bears `base + i * per_instance`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// The number of the first instance.
    pub base: u32,
    /// The distance to the next one, at least 1.
    pub per_instance: u32,
}
