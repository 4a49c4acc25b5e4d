//! Draws the method on a photo of up to 4 megapixels: coloured against white noise, the weight and the spectra behind it,
//! the photo under both, and the Riesz direction.
//!
//! ```sh
//! cargo run --release -p asasr-core --features burn --example geometry -- docs/images/cat.png pictures
//! ```

use std::error::Error;
use std::fs;
use std::path::Path;

use asasr_codec::{Layout, PngRows, SharedBytes, decode};
use asasr_core::exec::CpuExecutor;
use asasr_core::model::Manifest;
use asasr_core::spectral::{
    ColouredNoise, Laplacian, SobolevOperator, Spectrum, estimate_s, radial_power, white_noise,
};
use asasr_core::{Executor as _, Planes, Rect, Size, metrics, resample};
use font8x8::UnicodeFonts as _;

type Fallible<T> = Result<T, Box<dyn Error>>;

/// Pixels of a glyph's side, between panels and around a drawing.
const GLYPH: usize = 16;
const GAP: usize = 12;

const WHITE: [f32; 3] = [1.0; 3];
const INK: [f32; 3] = [0.13, 0.13, 0.16];
const FAINT: [f32; 3] = [0.85, 0.85, 0.88];
const GREY: [f32; 3] = [0.6; 3];
const GREEN: [f32; 3] = [0.15, 0.55, 0.30];
const BLUE: [f32; 3] = [0.12, 0.40, 0.75];
const ORANGE: [f32; 3] = [0.90, 0.42, 0.05];

/// The narrowest photo: its panels are as wide as their titles.
const LEAST: usize = 400;

fn main() -> std::process::ExitCode {
    match draw() {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}

fn draw() -> Fallible<()> {
    let mut args = std::env::args().skip(1);
    let (Some(name), Some(folder)) = (args.next(), args.next()) else {
        return Err("usage: geometry PHOTO FOLDER".into());
    };
    let bytes = fs::read(&name).map_err(|e| format!("{name}: {e}"))?;
    let picture = decode(&bytes, 4_000_000).map_err(|e| format!("{name}: {e}"))?;
    let photo = picture.all_planes().split_channels(3).0;
    // The model takes a quarter of each side; the titles need some width.
    let (w, h) = (photo.width() / 4 * 4, photo.height() / 4 * 4);
    if w < LEAST || h < 64 {
        return Err(format!(
            "{name}: {}x{} pixels are too small to draw on: {LEAST}x64 is the least",
            photo.width(),
            photo.height()
        )
        .into());
    }
    let photo = photo.crop(whole(w, h));

    let folder = Path::new(&folder);
    fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let spectra = spectra(&photo).map_err(|e| format!("{name}: {e}"))?;
    save(&noise()?, &folder.join("noise.png"))?;
    save(&spectra, &folder.join("spectra.png"))?;
    save(&source(&photo)?, &folder.join("source.png"))?;
    save(&riesz(&photo)?, &folder.join("riesz.png"))?;
    Ok(())
}

/// White noise and coloured noise of four orders, from one seed.
fn noise() -> Fallible<Canvas> {
    let (side, zoom) = (80, 3);
    let mut panels = Vec::new();
    for s in [0.0, 0.5, 1.0, 1.5, 2.0] {
        let n = ColouredNoise::new(4, Size::new(side, side), Spectrum::sobolev(s)?)?
            .tile(1, whole(side, side))?;
        let mut shown = Planes::zeros(3, side * zoom, side * zoom);
        for c in 0..3 {
            for y in 0..side * zoom {
                for (x, v) in shown.row_mut(c, y).iter_mut().enumerate() {
                    *v = 0.5 + 0.18 * n.row(0, y / zoom)[x / zoom];
                }
            }
        }
        let title = if s == 0.0 {
            "s = 0, white".to_owned()
        } else {
            format!("s = {s}")
        };
        panels.push((title, shown));
    }
    Ok(beside(&panels))
}

/// The weight over frequencies, and the power spectra of the photo and of noise of the order read off it; `kappa` sets
/// the frequency from which the noise falls.
fn spectra(photo: &Planes) -> Fallible<Canvas> {
    let side = 360;
    let (w, h) = (photo.width(), photo.height());
    let operator = SobolevOperator::new(Size::new(side, side), Spectrum::default(), Laplacian::default())?;
    let highest = operator.weight(side - 1, side - 1).ln();
    let mut map = Planes::zeros(3, side, side);
    for k in 0..side {
        for l in 0..side {
            let colour = viridis((operator.weight(k, l).ln() / highest) as f32);
            for (c, v) in colour.into_iter().enumerate() {
                map.row_mut(c, k)[l] = v;
            }
        }
    }

    let s = estimate_s(photo, 100.0)?;
    let bands = 48;
    let luma: Vec<f64> = metrics::luma(photo).iter().map(|y| y / 255.0).collect();
    let coloured = |kappa: f64| -> Fallible<_> {
        let noise = ColouredNoise::new(1, Size::new(w, h), Spectrum { s, kappa })?.tile(1, whole(w, h))?;
        Ok(radial_power(noise.plane(0), Size::new(w, h), bands)?)
    };
    let curves = [
        (
            "white noise",
            GREY,
            radial_power(&white_noise(2, 0, whole(w, h)), Size::new(w, h), bands)?,
        ),
        ("kappa = 1", ORANGE, coloured(1.0)?),
        ("kappa = 100", GREEN, coloured(100.0)?),
        ("photo", BLUE, radial_power(&luma, Size::new(w, h), bands)?),
    ];
    // Each curve relative to its own power at a sixteenth of a cycle per pixel: shapes are compared.
    let at = curves[0]
        .2
        .frequency
        .iter()
        .position(|f| *f > 1.0 / 16.0)
        .unwrap_or(1);
    let mut plot = Canvas::new(side * 3 / 2, side);
    let x_of = |f: f64| ((f / 0.004).ln() / (0.75f64 / 0.004).ln() * (side * 3 / 2) as f64) as f32;
    let y_of = |decibel: f64| ((28.0 - decibel) / 60.0 * side as f64) as f32;
    for f in [0.01, 0.1, 0.3] {
        plot.line((x_of(f), 0.0), (x_of(f), side as f32), 1.0, FAINT);
        plot.text(x_of(f) as usize + 3, side - GLYPH - 2, &format!("{f}"), INK);
    }
    for decibel in [20.0, 0.0, -20.0] {
        plot.line(
            (0.0, y_of(decibel)),
            (side as f32 * 1.5, y_of(decibel)),
            1.0,
            FAINT,
        );
        plot.text(4, y_of(decibel) as usize + 2, &format!("{decibel} dB"), INK);
    }
    for (i, (name, colour, curve)) in curves.iter().enumerate() {
        let points: Vec<(f32, f32)> = (0..bands)
            .filter(|i| curve.power[*i] > 0.0)
            .map(|i| {
                let decibel = 10.0 * (curve.power[i] / curve.power[at]).log10();
                (x_of(curve.frequency[i]), y_of(decibel))
            })
            .collect();
        for pair in points.windows(2) {
            plot.line(pair[0], pair[1], 2.5, *colour);
        }
        plot.text(
            side * 3 / 2 - 14 * GLYPH,
            6 + (3 - i) * (GLYPH + 4),
            name,
            *colour,
        );
    }
    Ok(beside(&[
        ("log weight, s = 1.5".into(), map),
        (format!("power by cycles/pixel, s = {s:.2}"), plot.0),
    ]))
}

/// The photo with as much white and as much coloured noise.
fn source(photo: &Planes) -> Fallible<Canvas> {
    let (w, h) = (photo.width(), photo.height());
    let with = |s: f64| -> Fallible<Planes> {
        let mut x = ColouredNoise::new(6, Size::new(w, h), Spectrum::sobolev(s)?)?.tile(3, whole(w, h))?;
        for (n, p) in x.data_mut().iter_mut().zip(photo.data()) {
            *n = p + 0.15 * *n;
        }
        Ok(x)
    };
    Ok(beside(&[
        ("photo".into(), photo.clone()),
        ("+ white noise".into(), with(0.0)?),
        ("+ coloured noise".into(), with(1.5)?),
    ]))
}

/// Steps of one `H^s` norm that lower `J(x) = ||x - m(c)||^2_{H^s} / 2` at the photo `x`: the `H^s` energy of a flow that
/// answers with the shipped restorer's estimate `m(c)` of the photo from its reduction `c`. The plain gradient of `J` is
/// `Sigma^-1 (x - m)`; its Riesz representative is `x - m` itself. The last panel is the photo after a long Riesz step:
/// what the model is confident of, and wrong about.
fn riesz(photo: &Planes) -> Fallible<Canvas> {
    let (w, h) = (photo.width(), photo.height());
    let shipped = asasr_weights::X4_CLEAN;
    let manifest = Manifest::from_json(shipped.manifest)?;
    let part = manifest.restorer()?;
    let restorer = CpuExecutor::new(&part.graph, part.open_weights(shipped.weights)?)?;
    let small = resample::shrink(photo, 4)?;
    let place = Rect::whole(small.width(), small.height());
    let estimate = pollster::block_on(restorer.run(&small, place, &|_, _| true))?;

    let operator = SobolevOperator::new(Size::new(w, h), Spectrum::default(), Laplacian::default())?;
    let mut gradient: Vec<f32> = photo
        .data()
        .iter()
        .zip(estimate.data())
        .map(|(x, m)| x - m)
        .collect();
    operator.precision(&mut gradient)?;
    // As far as white noise of so many grey levels.
    let radius = |levels: f64| levels / 255.0 * (gradient.len() as f64 * operator.mean_weight()).sqrt();
    let norm = operator.norm_squared(&gradient)?.sqrt();
    let plain: Vec<f32> = gradient
        .iter()
        .map(|g| -(radius(2.0) / norm) as f32 * g)
        .collect();
    let mut step = gradient.clone();
    operator.riesz_step(&mut step, radius(2.0))?;
    let mut long = gradient.clone();
    // Three times as far, or to the estimate itself where that is nearer.
    let away: Vec<f32> = photo
        .data()
        .iter()
        .zip(estimate.data())
        .map(|(x, m)| x - m)
        .collect();
    operator.riesz_step(&mut long, radius(6.0).min(operator.norm_squared(&away)?.sqrt()))?;
    let falls = |delta: &[f32]| {
        let product = delta
            .iter()
            .zip(&gradient)
            .map(|(d, g)| f64::from(*d) * f64::from(*g));
        -product.sum::<f64>()
    };
    println!(
        "steps of one H^s norm, to first order: the gradient lowers J by {:.1}, the Riesz step by {:.1}",
        falls(&plain),
        falls(&step)
    );
    let shown = |delta: &[f32]| -> Fallible<Planes> {
        let data = delta.iter().map(|d| 0.5 + 8.0 * d).collect();
        Ok(Planes::new(3, h, w, data)?)
    };
    let mut wrong = photo.clone();
    wrong.data_mut().iter_mut().zip(&long).for_each(|(x, d)| *x += d);
    Ok(beside(&[
        ("photo".into(), photo.clone()),
        ("gradient step".into(), shown(&plain)?),
        ("Riesz step".into(), shown(&step)?),
        ("photo + long Riesz step".into(), wrong),
    ]))
}

fn whole(width: usize, height: usize) -> Rect {
    Rect::whole(width, height)
}

/// An image to draw on.
struct Canvas(Planes);

impl Canvas {
    fn new(width: usize, height: usize) -> Self {
        let mut planes = Planes::zeros(3, height, width);
        planes.data_mut().fill(WHITE[0]);
        Self(planes)
    }

    fn mix(&mut self, x: usize, y: usize, colour: [f32; 3], share: f32) {
        if x < self.0.width() && y < self.0.height() {
            for (c, v) in colour.into_iter().enumerate() {
                let pixel = &mut self.0.row_mut(c, y)[x];
                *pixel += (v - *pixel) * share;
            }
        }
    }

    /// A line with soft edges.
    fn line(&mut self, from: (f32, f32), to: (f32, f32), thickness: f32, colour: [f32; 3]) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = (dx * dx + dy * dy).sqrt().max(1e-6);
        let reach = thickness + 1.0;
        let range =
            |a: f32, b: f32| (a.min(b) - reach).max(0.0) as usize..(a.max(b) + reach).max(0.0) as usize + 1;
        for y in range(from.1, to.1) {
            for x in range(from.0, to.0) {
                let (px, py) = (x as f32 - from.0, y as f32 - from.1);
                let along = ((px * dx + py * dy) / length).clamp(0.0, length);
                let (ex, ey) = (px - along * dx / length, py - along * dy / length);
                let share = (thickness / 2.0 + 0.5 - (ex * ex + ey * ey).sqrt()).clamp(0.0, 1.0);
                self.mix(x, y, colour, share);
            }
        }
    }

    fn text(&mut self, x: usize, y: usize, text: &str, colour: [f32; 3]) {
        for (i, letter) in text.chars().enumerate() {
            let rows = font8x8::BASIC_FONTS.get(letter).unwrap_or_default();
            for (row, bits) in rows.iter().enumerate() {
                for column in (0..8).filter(|c| bits >> c & 1 == 1) {
                    for (dy, dx) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                        self.mix(x + i * GLYPH + 2 * column + dx, y + 2 * row + dy, colour, 1.0);
                    }
                }
            }
        }
    }
}

/// Panels in a row, each under its title.
fn beside(panels: &[(String, Planes)]) -> Canvas {
    let widths: usize = panels.iter().map(|(_, p)| p.width() + GAP).sum();
    let height = panels.iter().map(|(_, p)| p.height()).max().unwrap_or(0);
    let top = GLYPH + 2 * GAP;
    let mut canvas = Canvas::new(widths + GAP, height + top + GAP);
    let mut x = GAP;
    for (title, panel) in panels {
        canvas.text(x, GAP, title, INK);
        for c in 0..3 {
            for y in 0..panel.height() {
                canvas.0.row_mut(c, top + y)[x..x + panel.width()].copy_from_slice(panel.row(c, y));
            }
        }
        x += panel.width() + GAP;
    }
    canvas
}

/// The colour map viridis between five of its colours.
fn viridis(v: f32) -> [f32; 3] {
    const STOPS: [[f32; 3]; 5] = [
        [0.267, 0.005, 0.329],
        [0.230, 0.322, 0.546],
        [0.128, 0.567, 0.551],
        [0.369, 0.789, 0.383],
        [0.993, 0.906, 0.144],
    ];
    let x = v.clamp(0.0, 1.0) * 4.0;
    let i = (x as usize).min(3);
    std::array::from_fn(|c| STOPS[i][c] + (STOPS[i + 1][c] - STOPS[i][c]) * (x - i as f32))
}

fn save(canvas: &Canvas, path: &Path) -> Fallible<()> {
    let bytes = SharedBytes::default();
    let mut png = PngRows::new(bytes.clone(), canvas.0.size(), Layout::Rgb, 8)?;
    png.write(0, &canvas.0)?;
    png.finish()?;
    fs::write(path, bytes.take()).map_err(|e| format!("{}: {e}", path.display()))?;
    println!("{}", path.display());
    Ok(())
}
