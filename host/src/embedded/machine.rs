//! The ID of this machine: systemd's where there is one, else one that is made once and kept.

use std::fs;
use std::io;
use std::path::Path;

/// Where systemd keeps it.
const SYSTEM: &str = "/etc/machine-id";

/// 32 hexadecimal digits, the same at every start.
pub(super) fn id(root: &Path, rng: &mut fastrand::Rng) -> io::Result<String> {
    let own = root.join("machine-id");
    // The own one first: an ID that changes would move every unit.
    if let Some(id) = read(&own) {
        return Ok(id);
    }
    let id = read(Path::new(SYSTEM)).unwrap_or_else(|| format!("{:032x}", rng.u128(..)));
    fs::write(&own, format!("{id}\n"))?;
    Ok(id)
}

fn read(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let id = text.trim();
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| id.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_the_same_and_nonsense_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let mut rng = fastrand::Rng::with_seed(1);
        let mut id = || id(folder.path(), &mut rng).unwrap();
        let first = id();
        assert_eq!(first.len(), 32);
        assert_eq!(id(), first);
        fs::write(folder.path().join("machine-id"), "0123456789ABCDEF0123456789abcdef").unwrap();
        assert_eq!(id(), "0123456789abcdef0123456789abcdef");
        fs::write(folder.path().join("machine-id"), "uninitialized").unwrap();
        assert_eq!(id().len(), 32);
    }
}
