//! The source of a flow as options give it.

use std::fmt::Write as _;

use asasr_core::flow::Source;

use crate::cli::SourceOptions;
use crate::error::{Error, Result};

/// Deviation of a fresh flow's noise, and the least where it is local.
pub(super) const SIGMA: f32 = 0.1;
const LEAST: f32 = 0.005;

/// The source that the options ask for, where nothing is asked that of the flow `begun`.
pub(super) fn of(args: &SourceOptions, begun: Option<Source>) -> Result<Source> {
    let sigma = args.sigma.or(begun.map(|s| s.sigma())).unwrap_or(SIGMA);
    let known = match begun {
        Some(Source::LocalPosteriorMean { least, slope, .. }) => (Some(least), Some(slope)),
        _ => (None, None),
    };
    let source = match (args.local_slope.or(known.1), begun) {
        (Some(_), Some(Source::Noise { .. })) => {
            return Err(Error::new(
                "--local-slope is for a source around the posterior mean; this flow's is noise alone",
            ));
        }
        (Some(slope), _) => Source::LocalPosteriorMean {
            sigma,
            least: args.least_sigma.or(known.0).unwrap_or(LEAST),
            slope,
        },
        (None, _) if args.least_sigma.is_some() => {
            return Err(Error::new(
                "--least-sigma is of a local source: give --local-slope too",
            ));
        }
        // The skip past its network is made for the deviation that it has.
        (None, Some(_)) if args.sigma.is_some() => {
            return Err(Error::new(
                "--sigma changes the source of a flow only where that is local: give --local-slope too",
            ));
        }
        (None, Some(begun)) => begun,
        (None, None) => Source::PosteriorMean { sigma },
    };
    source.validate()?;
    Ok(source)
}

/// The options as words of a command line, each after a space; of a `fresh` flow with the deviation that it has without them.
pub(super) fn words(args: &SourceOptions, fresh: bool) -> String {
    let sigma = args.sigma.or(fresh.then_some(SIGMA));
    let mut words = sigma.map_or(String::new(), |s| format!(" --sigma {s}"));
    if let Some(slope) = args.local_slope {
        let _ = write!(words, " --local-slope {slope}");
    }
    if let Some(least) = args.least_sigma {
        let _ = write!(words, " --least-sigma {least}");
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_change_what_they_name() {
        let asked = |sigma, local_slope, least_sigma| SourceOptions {
            sigma,
            local_slope,
            least_sigma,
        };
        let local = |sigma, least, slope| Source::LocalPosteriorMean { sigma, least, slope };
        let around = |sigma| Source::PosteriorMean { sigma };
        let noise = Source::Noise { sigma: 1.0 };
        for (args, begun, want) in [
            (asked(None, None, None), None, around(SIGMA)),
            (asked(None, None, None), Some(around(0.05)), around(0.05)),
            (asked(None, None, None), Some(noise), noise),
            (
                asked(Some(0.2), None, None),
                Some(local(0.1, 0.01, 2.0)),
                local(0.2, 0.01, 2.0),
            ),
            (
                asked(None, Some(0.6), None),
                Some(around(0.05)),
                local(0.05, LEAST, 0.6),
            ),
            (
                asked(None, Some(0.6), None),
                Some(local(0.1, 0.01, 2.0)),
                local(0.1, 0.01, 0.6),
            ),
            (
                asked(None, None, Some(0.02)),
                Some(local(0.1, 0.01, 2.0)),
                local(0.1, 0.02, 2.0),
            ),
        ] {
            assert_eq!(of(&args, begun).expect("in order"), want);
        }
        for (args, begun, named) in [
            (asked(Some(0.2), None, None), Some(around(0.05)), "--local-slope"),
            (asked(None, None, Some(0.01)), Some(around(0.05)), "--local-slope"),
            (asked(None, Some(0.6), None), Some(noise), "noise alone"),
            (
                asked(Some(0.001), Some(0.6), None),
                None,
                "not positive and in order",
            ),
        ] {
            let why = of(&args, begun).expect_err("refused").to_string();
            assert!(why.contains(named), "{why}");
        }
        assert_eq!(
            words(&asked(None, Some(0.6), Some(0.004)), true),
            " --sigma 0.1 --local-slope 0.6 --least-sigma 0.004"
        );
        assert_eq!(words(&asked(None, None, None), false), "");
    }
}
