//! What the process takes of the machine's memory, where the system tells.

/// Megabytes held now.
pub(crate) fn resident() -> Option<u64> {
    status("VmRSS:")
}

/// The most megabytes ever held.
pub(crate) fn peak() -> Option<u64> {
    status("VmHWM:")
}

fn status(key: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|l| l.starts_with(key))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024)
}
