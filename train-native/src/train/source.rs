//! The source of a flow as options give it.

use asasr_core::flow::Source;

use super::config::{Flow, SourceOptions};
use crate::error::{Error, Result};

/// The least deviation of a local source.
const LEAST: f32 = 0.005;

/// The source that the options ask for, where nothing is asked that of the flow `begun`.
pub(super) fn of(args: &SourceOptions, begun: Option<Source>) -> Result<Source> {
    let [asked, asked_least] = [args.sigma, args.least_sigma].map(|s| s.map(f32::from));
    let asked_slope = args.local_slope.map(f32::from);
    let sigma = asked.or(begun.map(|s| s.sigma())).unwrap_or(Flow::SIGMA.into());
    let known = match begun {
        Some(Source::LocalPosteriorMean { least, slope, .. }) => (Some(least), Some(slope)),
        _ => (None, None),
    };
    let source = match (asked_slope.or(known.1), begun) {
        (Some(_), Some(Source::Noise { .. })) => {
            return Err(Error::new(
                "--local-slope is for a source around the posterior mean; this flow's is noise alone",
            ));
        }
        (Some(slope), _) => Source::LocalPosteriorMean {
            sigma,
            least: asked_least.or(known.0).unwrap_or(LEAST),
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

#[cfg(test)]
mod tests {
    use super::super::config::{Sigma, Slope};
    use super::*;

    #[test]
    fn options_change_what_they_name() {
        const SIGMA: f32 = 0.1;
        let asked = |sigma: Option<f64>, slope: Option<f64>, least: Option<f64>| SourceOptions {
            sigma: sigma.map(Sigma::of),
            local_slope: slope.map(Slope::of),
            least_sigma: least.map(Sigma::of),
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
    }
}
