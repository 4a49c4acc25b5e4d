//! What the process takes of the machine's memory, and what is left to it, where the system tells.

use std::fs;
use std::path::Path;

/// Megabytes held now.
pub(crate) fn resident() -> Option<u64> {
    status("VmRSS:")
}

/// The most megabytes ever held.
pub(crate) fn peak() -> Option<u64> {
    status("VmHWM:")
}

fn status(key: &str) -> Option<u64> {
    Some(field(&fs::read_to_string("/proc/self/status").ok()?, key)? >> 20)
}

/// Bytes that this process can still have: what the machine has free, and what the limits on the process (`ulimit`) and on its
/// group (containers) leave. Tells on Linux alone.
pub(crate) fn available() -> Option<u64> {
    let read = |path: &str| fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| {
        let swap = field(&text, "SwapFree:").unwrap_or(0);
        Some(field(&text, "MemAvailable:")? + swap)
    });
    let limit = read("/proc/self/limits").zip(read("/proc/self/status"));
    let limit = limit.and_then(|(limits, status)| left(&limits, &status));
    let group = read("/proc/self/cgroup").and_then(|text| group_left(&text, Path::new("/sys/fs/cgroup")));
    [machine, limit, group].into_iter().flatten().min()
}

/// The bytes of a line such as `MemFree:   12 kB`.
fn field(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|l| l.strip_prefix(key))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes << 10)
}

/// What the limits of a process, as in `/proc/self/limits`, leave to it at most; none where there are none. What the allocator has
/// set aside and not given out is still to be had, so that only what is in use counts.
fn left(limits: &str, status: &str) -> Option<u64> {
    let used = field(status, "VmRSS:")?;
    let left = |limit: &str| {
        let line = limits.lines().find_map(|l| l.strip_prefix(limit))?;
        let most: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(most.saturating_sub(used))
    };
    let limits = ["Max address space", "Max data size"];
    limits.into_iter().filter_map(left).min()
}

/// What the limits of the process's group and of those above it leave, as in `/proc/self/cgroup` and the folders at `root`;
/// what is kept of files goes when memory is asked for.
fn group_left(groups: &str, root: &Path) -> Option<u64> {
    let number = |path: &Path| -> Option<u64> { fs::read_to_string(path).ok()?.trim().parse().ok() };
    let left = |folder: &Path, most: &str, used: &str, cache: &str| {
        let (most, used) = (number(&folder.join(most))?, number(&folder.join(used))?);
        let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
        let cache = stat
            .lines()
            .find_map(|l| l.strip_prefix(cache)?.trim().parse().ok());
        Some(most.saturating_sub(used.saturating_sub(cache.unwrap_or(0))))
    };
    let mut all = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(kinds), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let path = Path::new(path.trim_start_matches('/'));
        for above in path.ancestors() {
            all.extend(if kinds.is_empty() {
                left(
                    &root.join(above),
                    "memory.max",
                    "memory.current",
                    "inactive_file ",
                )
            } else if kinds.split(',').any(|k| k == "memory") {
                let (most, used) = ("memory.limit_in_bytes", "memory.usage_in_bytes");
                left(
                    &root.join("memory").join(above),
                    most,
                    used,
                    "total_inactive_file ",
                )
            } else {
                None
            });
        }
    }
    all.into_iter().min()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step fails the test")]
    use super::*;

    #[test]
    fn the_tightest_limit_counts() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max data size             unlimited            unlimited            bytes     \n\
                      Max address space         1000000              unlimited            bytes     \n";
        let status = "VmSize:\t     900 kB\nVmRSS:\t     500 kB\n";
        assert_eq!(left(limits, status), Some(1_000_000 - 500 * 1024));
        assert_eq!(left(&limits.replace("1000000", "unlimited"), status), None);
        assert_eq!(left(&limits.replace("1000000", "7      "), status), Some(0));
    }

    #[test]
    fn groups_and_those_above_them_count() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let group = || group_left("0::/a/b\n", root.path());
        assert_eq!(group(), None);
        write("a/b/memory.max", "max\n");
        write("a/b/memory.current", "70\n");
        write("a/memory.max", "100\n");
        write("a/memory.current", "80\n");
        assert_eq!(group(), Some(20));
        write("a/memory.stat", "anon 50\ninactive_file 30\n");
        assert_eq!(group(), Some(50));
        write("memory/c/memory.limit_in_bytes", "9\n");
        write("memory/c/memory.usage_in_bytes", "4\n");
        assert_eq!(group_left("5:cpu:/a\n4:memory:/c/d\n", root.path()), Some(5));
    }
}
