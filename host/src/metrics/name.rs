//! The name of a metric, and how it picks a number out of a value.

/// The name of a metric: the key it is written under and, if the value is JSON, the field in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MetricName {
    /// The key in etcd: everything before the first dot.
    pub key: String,
    /// The field of the JSON value: everything after the first dot. `None`: the value itself is the number.
    pub field: Option<String>,
}

impl MetricName {
    /// Splits a name as written in the configuration at its first dot.
    #[must_use]
    pub fn new(name: &str) -> Self {
        match name.split_once('.') {
            Some((key, field)) => Self { key: key.to_owned(), field: Some(field.to_owned()) },
            None => Self { key: name.to_owned(), field: None },
        }
    }
}

impl std::fmt::Display for MetricName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{}.{field}", self.key),
            None => f.write_str(&self.key),
        }
    }
}
