//! Pieces of pages that are one file and need nothing else: curves and images.

use std::fmt::Write as _;

use asasr_core::Planes;
use base64::Engine as _;

use crate::encode;
use crate::error::Result;

const WIDTH: f64 = 420.0;
/// Of a chart with few curves; the names of more need more.
const HEIGHT: f64 = 180.0;
const COLOURS: [&str; 10] = [
    "#8a8a94", "#1f66bf", "#e66b0d", "#26894c", "#9b3fb5", "#b3261e", "#00838f", "#7a5c00", "#4b5a00",
    "#5b3fd0",
];

/// An image `[3, h, w]` in `[0, 1]` with a title below, `width` pixels wide on the page.
pub(crate) fn figure(title: &str, image: &Planes, width: usize) -> Result<String> {
    let data = base64::engine::general_purpose::STANDARD.encode(encode::png(image)?);
    let title = escaped(title);
    Ok(format!(
        "<figure><img alt=\"{title}\" width={width} src=\"data:image/png;base64,{data}\"><figcaption>{title}\
         </figcaption></figure>"
    ))
}

/// Lines in a frame, with their ranges and names, and a title below.
pub(crate) fn chart(title: &str, curves: &[(&str, Vec<(f64, f64)>)]) -> String {
    format!(
        "<figure>{}<figcaption>{}</figcaption></figure>",
        drawn(title, curves),
        escaped(title)
    )
}

/// The same as a file of its own.
pub(crate) fn svg(title: &str, curves: &[(&str, Vec<(f64, f64)>)]) -> String {
    let named = "<svg xmlns=\"http://www.w3.org/2000/svg\"";
    drawn(title, curves).replacen("<svg", named, 1) + "\n"
}

fn drawn(title: &str, curves: &[(&str, Vec<(f64, f64)>)]) -> String {
    let height = HEIGHT.max(46.0 + 16.0 * curves.len() as f64);
    let all = || curves.iter().flat_map(|(_, points)| points);
    let range = |pick: fn(&(f64, f64)) -> f64| {
        let (low, high) = all()
            .map(pick)
            .fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(v), b.max(v)));
        if high > low {
            (low, high)
        } else {
            (low - 0.5, low + 0.5)
        }
    };
    let ((x0, x1), (y0, y1)) = (range(|p| p.0), range(|p| p.1));
    let mut svg = format!(
        "<svg role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" font-family=\"system-ui, sans-serif\"><title>{0}</title>\
         <rect width=\"100%\" height=\"100%\" fill=\"#fafafc\"/>",
        escaped(title)
    );
    for (i, (name, points)) in curves.iter().enumerate() {
        let colour = COLOURS[(i + usize::from(curves.len() == 1)) % COLOURS.len()];
        // Colours come again after all of them: dashed.
        let dashes = ["none", "6 3", "2 2"][i / COLOURS.len() % 3];
        let mut path = String::new();
        let mut last = (0.0, 0.0);
        for (x, y) in points {
            let (px, py) = (
                8.0 + (x - x0) / (x1 - x0) * (WIDTH - 16.0),
                height - 20.0 - (y - y0) / (y1 - y0) * (height - 40.0),
            );
            let _ = write!(path, "{px:.1},{py:.1} ");
            last = (px, py);
        }
        if !points.is_empty() {
            // The dot shows a curve of one point too.
            let _ = write!(
                svg,
                "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dashes}\" points=\"{path}\"/>\
                 <circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>",
                last.0, last.1
            );
        }
        if curves.len() > 1 {
            let y = 30 + 16 * i;
            let _ = write!(
                svg,
                "<text x=\"{}\" y=\"{y}\" font-size=\"12\" fill=\"{colour}\" text-anchor=\"end\">{}</text>",
                WIDTH - 8.0,
                escaped(name)
            );
        }
    }
    let _ = write!(
        svg,
        "<g font-size=\"11\" fill=\"#555\"><text x=\"8\" y=\"14\">{y1:.4}</text><text x=\"8\" y=\"{0}\">{y0:.4}</text>\
         <text x=\"{1}\" y=\"{0}\" text-anchor=\"end\">{x0:.2} to {x1:.2}</text></g></svg>",
        height - 4.0,
        WIDTH - 8.0,
    );
    svg
}

pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}
