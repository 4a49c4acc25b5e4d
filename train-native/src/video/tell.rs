//! What is told of a video while it is enlarged: a bar with frames a second and the time left, or lines of JSON.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use asasr_core::Size;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::clock::shown as time;
use crate::cli::Telling;
use crate::error::shown;
use crate::upscale::tell::Teller;

/// Steps of a bar.
const STEPS: u64 = 1000;

/// A video at work.
pub(super) struct Telltale {
    teller: Teller,
    input: String,
    bar: Option<ProgressBar>,
    /// Frames of the result in all, as far as that is known.
    all: Option<f64>,
    /// Of an earlier run.
    before: u64,
    frames: AtomicU64,
    begun: Instant,
}

impl Telltale {
    /// Begins; `before` frames are done, of `all` or so.
    pub(super) fn begin(
        teller: Teller,
        input: &Path,
        [given, made]: [Size; 2],
        all: Option<f64>,
        before: u64,
    ) -> Self {
        let input = shown(input);
        teller.event(|| {
            json!({
                "event": "begun", "input": input, "width": given.width, "height": given.height,
                "output_width": made.width, "output_height": made.height,
                "frames": all.map(|n| n.round() as u64), "frames_done": before,
            })
        });
        let bar = (teller.0 == Telling::Bar).then(|| {
            let bar = ProgressBar::new(STEPS).with_message(input.clone());
            let how = if all.is_some() {
                "{msg} {bar:32} {percent} %, {prefix}"
            } else {
                "{msg} {spinner} {prefix}"
            };
            if let Ok(style) = ProgressStyle::with_template(how) {
                bar.set_style(style);
            }
            bar.set_prefix("begins");
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Self {
            teller,
            input,
            bar,
            all: all.filter(|n| *n >= 1.0),
            before,
            frames: AtomicU64::new(0),
            begun: Instant::now(),
        }
    }

    /// A frame more is done, at that second of the video.
    pub(super) fn frame(&self, second: f64) {
        let new = self.frames.fetch_add(1, Ordering::Relaxed) + 1;
        let done = self.before + new;
        let rate = new as f64 / self.begun.elapsed().as_secs_f64().max(1e-9);
        let fraction = self.all.map(|all| (done as f64 / all).min(1.0));
        let left = self.all.map(|all| (all - done as f64).max(0.0) / rate);
        if let Some(bar) = &self.bar {
            let left = left.map_or_else(String::new, |left| format!(", {} left", time(left)));
            bar.set_prefix(format!("{rate:.2} frames a second{left}"));
            bar.set_position((fraction.unwrap_or(0.0) * STEPS as f64) as u64);
        }
        let input = &self.input;
        self.teller.event(|| {
            json!({
                "event": "progress", "input": input, "frames_done": done, "second": second, "fraction": fraction,
                "frames_per_second": rate, "seconds_left": left,
            })
        });
    }

    /// Nothing is enlarged any more.
    pub(super) fn computed(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// The result lies in its place.
    pub(super) fn done(&self, output: &Path, size: Size, frames: u64) {
        let output = shown(output);
        if self.teller.0 == Telling::Bar {
            let new = self.frames.load(Ordering::Relaxed);
            let rate = new as f64 / self.begun.elapsed().as_secs_f64().max(1e-9);
            say!("{output} ({size}, {frames} frames, {rate:.2} a second)");
        }
        self.teller.event(|| {
            json!({
                "event": "done", "input": self.input, "output": output, "width": size.width, "height": size.height,
                "frames": frames,
            })
        });
    }
}
