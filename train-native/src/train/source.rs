//! The source of a flow as options give it.

use asasr_core::flow::Source;

use crate::cli::SourceOptions;
use crate::error::Result;

/// Deviation of a fresh flow's noise.
pub(super) const SIGMA: f32 = 0.1;

/// The source that the options ask for, where nothing is asked that of the flow `begun`.
pub(super) fn of(args: &SourceOptions, begun: Option<Source>) -> Result<Source> {
    let sigma = args.sigma.or(begun.map(|s| s.sigma())).unwrap_or(SIGMA);
    let source = match (args.local_slope, begun) {
        (Some(slope), _) => Source::LocalPosteriorMean {
            sigma,
            least: args.least_sigma,
            slope,
        },
        (None, Some(Source::LocalPosteriorMean { least, slope, .. })) => {
            Source::LocalPosteriorMean { sigma, least, slope }
        }
        (None, Some(Source::Noise { .. })) => Source::Noise { sigma },
        (None, Some(Source::PosteriorMean { .. }) | None) => Source::PosteriorMean { sigma },
    };
    source.validate()?;
    Ok(source)
}

/// The options as words of a command line, each after a space; of a `fresh` flow with the deviation that it has without them.
pub(super) fn words(args: &SourceOptions, fresh: bool) -> String {
    let sigma = args.sigma.or(fresh.then_some(SIGMA));
    let mut words = sigma.map_or(String::new(), |s| format!(" --sigma {s}"));
    if let Some(slope) = args.local_slope {
        words += &format!(" --local-slope {slope} --least-sigma {}", args.least_sigma);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_change_what_they_name() {
        let asked = |sigma, local_slope| SourceOptions {
            sigma,
            local_slope,
            least_sigma: 0.005,
        };
        let local = |sigma, least, slope| Source::LocalPosteriorMean { sigma, least, slope };
        let around = |sigma| Source::PosteriorMean { sigma };
        let noise = Source::Noise { sigma: 1.0 };
        for (args, begun, want) in [
            (asked(None, None), None, around(SIGMA)),
            (asked(None, None), Some(around(0.05)), around(0.05)),
            (asked(None, None), Some(noise), noise),
            (
                asked(Some(0.2), None),
                Some(local(0.1, 0.01, 2.0)),
                local(0.2, 0.01, 2.0),
            ),
            (
                asked(None, Some(0.6)),
                Some(around(0.05)),
                local(0.05, 0.005, 0.6),
            ),
            (
                asked(None, Some(0.6)),
                Some(local(0.1, 0.01, 2.0)),
                local(0.1, 0.005, 0.6),
            ),
        ] {
            assert_eq!(of(&args, begun).expect("in order"), want);
        }
        assert!(of(&asked(Some(0.001), Some(0.6)), None).is_err());
        assert_eq!(
            words(&asked(None, Some(0.6)), true),
            " --sigma 0.1 --local-slope 0.6 --least-sigma 0.005"
        );
        assert_eq!(words(&asked(None, None), false), "");
    }
}
