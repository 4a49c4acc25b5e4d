//! Moving crops for video: photographs under a camera that pans, zooms and turns, one layer before another, as a codec leaves them.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::thread;

use asasr_core::random::SplitMix64;
use asasr_core::{Planes, Size, metrics};

use crate::error::{Error, Result, code};
use crate::video::Tools;

/// What clips are like.
#[derive(Debug, Clone)]
pub(crate) struct Clips {
    /// Frames of a clip.
    pub(crate) frames: usize,
    /// Share of the clips that a codec has been through, and the programs for that.
    coded: Option<(f64, Tools)>,
}

/// Share of the clips in which another scene begins.
const CUT: f64 = 0.1;
/// Share of the scenes with something before the background that moves otherwise.
const LAYERED: f64 = 0.5;
/// Share of the cameras that stand still.
const STILL: f64 = 0.15;
/// Share of those that pan alone.
const PANNING: f64 = 0.4;
/// Share of those in somebody's hand.
const SHAKING: f64 = 0.3;
/// Truth's pixels a frame by which cameras pan, drawn evenly by their logarithm.
const SPEED: (f64, f64) = (0.3, 14.0);
/// Deviation of the growth, as a logarithm, and the turn, in radians, of a frame.
const WHIRL: f64 = 0.006;
/// Photograph's pixels for one of the truth: where there are more, the truth is sharper.
const ZOOM: (f64, f64) = (1.0, 1.8);

/// A photograph in 8 bits, `[3, h, w]`.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) pixels: &'a [u8],
    pub(crate) size: Size,
}

/// The way of a camera over a photograph.
#[derive(Debug, Clone, Copy)]
struct Camera {
    centre: [f64; 2],
    speed: [f64; 2],
    shake: f64,
    angle: f64,
    turn: f64,
    zoom: f64,
    growth: f64,
}

/// What is seen: a photograph, and where there is one another before it inside an ellipse.
struct Scene<'a> {
    back: (Source<'a>, Camera),
    front: Option<(Source<'a>, Camera, [f64; 2])>,
    /// The time in the middle of the clip.
    half_way: f64,
}

impl Clips {
    /// Clips of so many frames, of which `coded` is the share that a codec has been through.
    ///
    /// # Errors
    /// Where that needs ffmpeg, and there is none.
    pub(crate) fn new(frames: usize, coded: f64) -> Result<Self> {
        let tools = (coded > 0.0).then(|| Tools::find(None)).transpose()?;
        Ok(Self {
            frames,
            coded: tools.map(|tools| (coded, tools)),
        })
    }

    /// The frames of a clip, `side` by `side` pixels each, from photographs that `next` draws.
    pub(crate) fn truth<'a>(
        &self,
        side: usize,
        draw: &mut SplitMix64,
        mut next: impl FnMut(&mut SplitMix64) -> Source<'a>,
    ) -> Vec<Planes> {
        let cut = (draw.unit() < CUT).then(|| 1 + draw.below(self.frames.max(2) - 1));
        let mut scene = Scene::new(side, self.frames, draw, &mut next);
        let mut frames = Vec::with_capacity(self.frames);
        for t in 0..self.frames {
            if cut == Some(t) {
                scene = Scene::new(side, self.frames, draw, &mut next);
            }
            let shakes = [draw.normal(), draw.normal()];
            frames.push(scene.frame(side, t as f64, shakes));
        }
        frames
    }

    /// Frames as a codec leaves them, or as they are.
    ///
    /// # Errors
    /// Where ffmpeg fails.
    pub(crate) fn coded(&self, frames: Vec<Planes>, draw: &mut SplitMix64) -> Result<Vec<Planes>> {
        let Some((share, tools)) = &self.coded else {
            return Ok(frames);
        };
        if draw.unit() >= *share {
            return Ok(frames);
        }
        through(tools, &frames, draw)
    }
}

impl Camera {
    /// A camera over a photograph of that size, for clips of that many frames.
    fn new(size: Size, (side, frames): (usize, usize), draw: &mut SplitMix64) -> Self {
        let between = |(low, high): (f64, f64), draw: &mut SplitMix64| low + draw.unit() * (high - low);
        let still = draw.unit() < STILL;
        let whirl = if still || draw.unit() < PANNING {
            0.0
        } else {
            WHIRL
        };
        let direction = between((0.0, std::f64::consts::TAU), draw);
        let speed = between((SPEED.0.ln(), SPEED.1.ln()), draw).exp() * f64::from(u8::from(!still));
        let zoom = between(ZOOM, draw);
        let speed = [direction.cos(), direction.sin()].map(|part| part * speed * zoom);
        // In its middle the clip is somewhere inside, as far as it fits.
        let half = side as f64 * zoom / 2.0;
        let centre = [(size.width, speed[0]), (size.height, speed[1])].map(|(n, speed)| {
            let room = (n as f64 / 2.0 - half - speed.abs() * frames as f64 / 2.0).max(0.0);
            n as f64 / 2.0 + between((-room, room), draw) - speed * frames as f64 / 2.0
        });
        Self {
            centre,
            speed,
            shake: if draw.unit() < SHAKING {
                0.5 * draw.unit()
            } else {
                0.0
            },
            angle: between((0.0, std::f64::consts::TAU), draw),
            turn: whirl * draw.normal(),
            zoom,
            growth: whirl * draw.normal(),
        }
    }

    /// Where in the photograph the frame's middle and its axes are at a time: `middle + u right + v down`.
    fn at(&self, t: f64, shakes: [f64; 2]) -> [[f64; 2]; 3] {
        let (sin, cos) = (self.angle + self.turn * t).sin_cos();
        let zoom = self.zoom * (self.growth * t).exp();
        let of = |i: usize| self.centre[i] + self.speed[i] * t + self.shake * shakes[i];
        [
            [of(0), of(1)],
            [zoom * cos, zoom * sin],
            [-zoom * sin, zoom * cos],
        ]
    }
}

impl<'a> Scene<'a> {
    fn new(
        side: usize,
        frames: usize,
        draw: &mut SplitMix64,
        next: &mut impl FnMut(&mut SplitMix64) -> Source<'a>,
    ) -> Self {
        let mut camera = |draw: &mut SplitMix64| {
            let photo = next(draw);
            (photo, Camera::new(photo.size, (side, frames), draw))
        };
        let back = camera(draw);
        let front = (draw.unit() < LAYERED).then(|| {
            let (photo, camera) = camera(draw);
            let mut radius = || side as f64 * (0.12 + 0.3 * draw.unit());
            (photo, camera, [radius(), radius()])
        });
        Self {
            back,
            front,
            half_way: frames as f64 / 2.0,
        }
    }

    fn frame(&self, side: usize, t: f64, shakes: [f64; 2]) -> Planes {
        let mut frame = Planes::zeros(3, side, side);
        let (photo, camera) = &self.back;
        let back = camera.at(t, shakes);
        // What is before the background crosses the frame's middle half way through.
        let front = self.front.as_ref().map(|(photo, camera, radii)| {
            let axes = camera.at(t, shakes);
            let centre = camera.at(self.half_way, [0.0; 2])[0];
            (photo, axes, seen_at(axes, centre), radii)
        });
        let half = side as f64 / 2.0;
        for y in 0..side {
            for x in 0..side {
                let mut sums = [0.0; 3];
                // Four places in each pixel, as its area.
                for (i, j) in [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)] {
                    let (u, v) = (x as f64 + i - half, y as f64 + j - half);
                    let mut seen = photo.at(place(back, u, v));
                    if let Some((photo, front, moved, radii)) = &front {
                        let far = ((u - moved[0]) / radii[0]).hypot((v - moved[1]) / radii[1]);
                        if far < 1.0 {
                            seen = photo.at(place(*front, u, v));
                        }
                    }
                    (0..3).for_each(|c| sums[c] += seen[c] / 4.0);
                }
                for (c, sum) in sums.into_iter().enumerate() {
                    frame.row_mut(c, y)[x] = f32::from(metrics::to_u8((sum / 255.0) as f32)) / 255.0;
                }
            }
        }
        frame
    }
}

fn place([middle, right, down]: [[f64; 2]; 3], u: f64, v: f64) -> [f64; 2] {
    [0, 1].map(|i| middle[i] + u * right[i] + v * down[i])
}

/// The inverse of [`place`].
fn seen_at([middle, right, down]: [[f64; 2]; 3], at: [f64; 2]) -> [f64; 2] {
    let (x, y) = (at[0] - middle[0], at[1] - middle[1]);
    let area = right[0] * down[1] - right[1] * down[0];
    [
        (x * down[1] - y * down[0]) / area,
        (y * right[0] - x * right[1]) / area,
    ]
}

impl Source<'_> {
    /// Between pixels by straight lines, beyond the edges reflected; in grey levels.
    fn at(&self, [x, y]: [f64; 2]) -> [f64; 3] {
        let Size { width, height } = self.size;
        let (x, y) = (x - 0.5, y - 0.5);
        let (a, b) = (x - x.floor(), y - y.floor());
        let reflect = |at: f64, n: usize| {
            let at = (at as i64).rem_euclid(2 * n as i64) as usize;
            at.min(2 * n - 1 - at)
        };
        let columns = [x.floor(), x.floor() + 1.0].map(|x| reflect(x, width));
        let rows = [y.floor(), y.floor() + 1.0].map(|y| reflect(y, height));
        std::array::from_fn(|c| {
            let of = |i: usize, j: usize| f64::from(self.pixels[(c * height + rows[j]) * width + columns[i]]);
            (1.0 - b) * ((1.0 - a) * of(0, 0) + a * of(1, 0)) + b * ((1.0 - a) * of(0, 1) + a * of(1, 1))
        })
    }
}

/// Frames through an encoder and back.
fn through(tools: &Tools, frames: &[Planes], draw: &mut SplitMix64) -> Result<Vec<Planes>> {
    let Some(size) = frames.first().map(Planes::size) else {
        return Ok(Vec::new());
    };
    let quality = draw.unit();
    // From hardly seen to plainly seen, for both.
    let (encoder, level): (&str, [String; 2]) = if draw.unit() < 0.75 || !tools.encodes("mpeg4") {
        (
            "libx264",
            ["-crf".into(), format!("{:.0}", 17.0 + 17.0 * quality)],
        )
    } else {
        ("mpeg4", ["-q:v".into(), format!("{:.0}", 2.0 + 8.0 * quality)])
    };
    let mut raw = Vec::with_capacity(frames.len() * size.pixels() * 3);
    for frame in frames {
        for i in 0..size.pixels() {
            raw.extend((0..3).map(|c| metrics::to_u8(frame.plane(c)[i])));
        }
    }
    let pixels = format!("{}x{}", size.width, size.height);
    let given = [
        "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", &pixels, "-r", "25", "-i", "-",
    ];
    let mut encode = tools.ffmpeg();
    encode.args(["-v", "error"]).args(given);
    encode.args(["-c:v", encoder]).args(&level);
    if encoder == "libx264" {
        encode.args(["-preset", "veryfast"]);
    }
    encode.args([
        "-pix_fmt", "yuv420p", "-threads", "1", "-bf", "2", "-f", "nut", "-",
    ]);
    let coded = piped(encode, raw)?;
    let mut decode = tools.ffmpeg();
    decode.args(["-v", "error", "-threads", "1", "-f", "nut", "-i", "-"]);
    decode.args([
        "-fps_mode",
        "passthrough",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-",
    ]);
    let raw = piped(decode, coded)?;
    if raw.len() != frames.len() * size.pixels() * 3 {
        return Err(failed("a frame was lost"));
    }
    let frame = |bytes: &[u8]| {
        let mut planes = Planes::zeros(3, size.height, size.width);
        for (i, pixel) in bytes.chunks_exact(3).enumerate() {
            (0..3).for_each(|c| planes.plane_mut(c)[i] = f32::from(pixel[c]) / 255.0);
        }
        planes
    };
    Ok(raw.chunks_exact(size.pixels() * 3).map(frame).collect())
}

fn failed(why: impl std::fmt::Display) -> Error {
    Error::new(format!("ffmpeg did not encode a clip for training: {why}")).coded(code::FFMPEG)
}

/// What a program makes of its input.
fn piped(mut command: Command, input: Vec<u8>) -> Result<Vec<u8>> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().map_err(failed)?;
    let stdin = child.stdin.take();
    let fed = thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
    let mut made = Vec::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_end(&mut made).map_err(failed)?;
    }
    let ended = child.wait_with_output().map_err(failed)?;
    let _ = fed.join();
    if !ended.status.success() {
        return Err(failed(String::from_utf8_lossy(&ended.stderr).trim()));
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use asasr_core::motion::Motion;

    fn photo() -> Vec<u8> {
        // Waves of several lengths, so that motion is told everywhere.
        let (w, h) = (300, 280);
        let value = |c: usize, x: usize, y: usize| {
            let (x, y) = (x as f64, y as f64);
            let waves =
                (0.21 * x + 0.07 * y).sin() + (0.06 * x - 0.16 * y).sin() + (0.33 * y + c as f64).cos();
            (127.0 + 40.0 * waves) as u8
        };
        let planes = (0..3).flat_map(|c| (0..h).flat_map(move |y| (0..w).map(move |x| value(c, x, y))));
        planes.collect()
    }

    /// Frames of a clip follow each other by the camera's motion, as far as there is no cut and nothing before the background.
    #[test]
    fn cameras_move_as_they_say() {
        let pixels = photo();
        let size = Size::new(300, 280);
        let source = Source {
            pixels: &pixels,
            size,
        };
        for seed in 0..6 {
            let mut draw = SplitMix64::new(seed);
            let mut camera = Camera::new(size, (96, 4), &mut draw);
            camera.shake = 0.0;
            camera.centre = [150.0, 140.0];
            let fast = camera.speed[0].hypot(camera.speed[1]) / camera.zoom;
            camera.speed = camera.speed.map(|v| v * 5.0_f64.min(fast) / fast.max(1e-9));
            let scene = Scene {
                back: (source, camera),
                front: None,
                half_way: 0.0,
            };
            let [one, two] = [1.0, 2.0].map(|t| scene.frame(96, t, [0.0; 2]));
            let motion = Motion::estimate(&one, &two).expect("one size");
            // What is at (u, v) of the later frame, sought in the earlier one.
            let [earlier, later] = [1.0, 2.0].map(|t| camera.at(t, [0.0; 2]));
            let mut missed = 0.0;
            for (x, y) in [(30, 30), (48, 48), (60, 40), (40, 60)] {
                let (u, v) = (x as f64 + 0.5 - 48.0, y as f64 + 0.5 - 48.0);
                let before = seen_at(earlier, place(later, u, v));
                let [dx, dy] = motion.at(x, y);
                missed += f64::hypot(before[0] - u - f64::from(dx), before[1] - v - f64::from(dy)) / 4.0;
            }
            assert!(missed < 0.4, "seed {seed}: {missed} of {fast}");
        }
    }

    #[test]
    fn clips_are_a_function_of_their_draws() {
        let pixels = photo();
        let source = Source {
            pixels: &pixels,
            size: Size::new(300, 280),
        };
        let clips = Clips::new(5, 0.0).expect("needs no program");
        let made = |seed| clips.truth(48, &mut SplitMix64::new(seed), |_| source);
        assert_eq!(made(1), made(1));
        assert_ne!(made(1), made(2));
        assert_eq!(made(3).len(), 5);
    }

    #[cfg(feature = "video-tests")]
    #[test]
    fn codecs_leave_frames_in_their_places() {
        let pixels = photo();
        let source = Source {
            pixels: &pixels,
            size: Size::new(300, 280),
        };
        let clips = Clips::new(6, 1.0).expect("ffmpeg");
        for seed in 0..8 {
            let mut draw = SplitMix64::new(seed);
            let truth = clips.truth(48, &mut draw, |_| source);
            let coded = clips.coded(truth.clone(), &mut draw).expect("encodes");
            for (a, b) in truth.iter().zip(&coded) {
                let psnr = metrics::psnr_y(a, b, 0).expect("one size");
                assert!((22.0..60.0).contains(&psnr), "seed {seed}: {psnr}");
            }
        }
    }
}
