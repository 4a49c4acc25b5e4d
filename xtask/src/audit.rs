//! The dependencies, by `cargo deny` and `deny.toml`; the spelling, by `typos` and `typos.toml`; the documents' length.

use std::process::Command;

use crate::shell::{Result, root, run, say};
use crate::{tools, words};

/// Where known faults of crates are listed.
const DATABASE: &str = "https://github.com/RustSec/advisory-db";

/// Checks the spelling, licences, sources and versions, and whatever is known against the crates in use.
pub(crate) fn audit() -> Result<()> {
    for need in tools::audit_needs() {
        tools::ensure(&need)?;
    }
    run("spelling", Command::new(tools::typos()).current_dir(root()))?;
    words::check()?;
    let deny = |checks: &[&str]| -> Result<Command> {
        let mut command = Command::new(tools::deny().ok_or("cargo-deny is not here")?);
        command.args(["--locked", "check"]).args(checks);
        command.current_dir(root());
        Ok(command)
    };
    run("dependencies", &mut deny(&["bans", "licenses", "sources"])?)?;
    advisories(&mut deny(&["advisories"])?)
}

/// Known faults and withdrawn versions. Their list is not on the registry: where it cannot be had, this is said and is no failure.
fn advisories(command: &mut Command) -> Result<()> {
    say("known faults: cargo-deny check advisories");
    let out = command
        .output()
        .map_err(|e| format!("cargo-deny cannot be started: {e}"))?;
    let told = String::from_utf8_lossy(&out.stderr);
    if !out.status.success() && unreachable(&told) {
        say(&format!(
            "NOT CHECKED for known faults and withdrawn versions: their list at {DATABASE} cannot be fetched from here; run \
             `cargo xtask audit` where it can"
        ));
        return Ok(());
    }
    eprint!("{}{told}", String::from_utf8_lossy(&out.stdout));
    if out.status.success() {
        return Ok(());
    }
    Err("a dependency has a known fault, or its version was withdrawn: `cargo update --package NAME` takes a newer one".into())
}

/// Whether cargo-deny says that it could not fetch its list, and found no fault in what it has.
fn unreachable(told: &str) -> bool {
    told.contains("failed to fetch advisory database") && !told.contains("error[")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_cannot_be_had_is_told_from_a_fault() {
        // As cargo-deny 0.20 writes them.
        let away = "2026-11-29 15:45:27 [ERROR] failed to fetch advisory database https://github.com/RustSec/advisory-db \
                    with cli: failed to clone: [\"clone\"]\nfatal: unable to access\n";
        let fault =
            "error[vulnerability]: Double free on Drop\n  ├ ID: RUSTSEC-2025-0024\nadvisories FAILED\n";
        assert!(unreachable(away));
        assert!(!unreachable(fault));
        assert!(!unreachable(&format!("{away}{fault}")));
        assert!(!unreachable(
            "[ERROR] failed to validate configuration file deny.toml"
        ));
    }
}
