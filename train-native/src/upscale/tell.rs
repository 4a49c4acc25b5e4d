//! What the user is told while images are enlarged: a bar and lines of text, or lines of JSON.

use std::path::Path;
use std::time::Duration;

use asasr_core::pipeline::{Invention, Progress, Report};
use asasr_core::{Arg, Message, Size};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::cli::Telling;
use crate::error::{Error, shown};

/// Steps of a bar.
const STEPS: u64 = 1000;

/// Tells of images, one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Teller(pub(crate) Telling);

impl Teller {
    /// A remark about an input.
    pub(crate) fn note(self, input: &Path, note: &Remark) {
        let (input, text) = (shown(input), &note.text);
        note!("note: {input}: {text}");
        self.event(|| coded("note", Some(&input), &note.message, text));
    }

    /// Why an input was not enlarged.
    pub(crate) fn failed(self, input: &Path, error: &Error) {
        note!("error: {error}");
        self.told(Some(input), error);
    }

    /// The same for other programs alone, where the user is told elsewhere; without an input, why none is enlarged.
    pub(crate) fn told(self, input: Option<&Path>, error: &Error) {
        let input = input.map(shown);
        self.event(|| coded("failed", input.as_deref(), error.message(), &error.to_string()));
    }

    /// The image at work, and the model's id.
    pub(super) fn begun(self, input: &Path, size: Size, model: &str) -> Work {
        let input = shown(input);
        self.event(|| json!({"event": "begun", "input": input, "width": size.width, "height": size.height, "model": model}));
        let bar = (self.0 == Telling::Bar).then(|| {
            let bar = ProgressBar::new(STEPS).with_message(input.clone());
            if let Ok(style) = ProgressStyle::with_template("{msg} {bar:32} {percent} %, {eta} left") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Work {
            teller: self,
            input,
            bar,
        }
    }

    /// A line for other programs, where that is how things are told.
    pub(crate) fn event(self, event: impl FnOnce() -> Value) {
        if self.0 == Telling::Json {
            say!("{}", event());
        }
    }
}

/// A remark about an input, for programs and in words.
#[derive(Debug)]
pub(crate) struct Remark {
    message: Message,
    text: String,
}

impl Remark {
    pub(crate) fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self {
            message: Message::new(code),
            text: text.into(),
        }
    }

    /// In words.
    #[cfg(test)]
    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

impl From<asasr_codec::Note> for Remark {
    fn from(note: asasr_codec::Note) -> Self {
        Self {
            message: note.message(),
            text: note.to_string(),
        }
    }
}

/// An event that has a code with what fills its text's places, and the text in English.
fn coded(event: &str, input: Option<&str>, message: &Message, text: &str) -> Value {
    let mut told = json!({"event": event, "code": message.code, "args": args(message), "text": text});
    if let Some(input) = input {
        told["input"] = input.into();
    }
    told
}

/// What fills the places of a text, by name; another message as the page has it.
fn args(message: &Message) -> Value {
    let value = |arg: &Arg| match arg {
        Arg::Text(text) => text.as_str().into(),
        Arg::Message(message) => json!({"code": message.code, "args": args(message)}),
    };
    let all = message.args.iter();
    all.map(|(place, arg)| ((*place).to_owned(), value(arg)))
        .collect()
}

/// An image at work.
pub(super) struct Work {
    teller: Teller,
    input: String,
    bar: Option<ProgressBar>,
}

impl Work {
    /// How far it is.
    pub(super) fn progress(&self, p: Progress) {
        if let Some(bar) = &self.bar {
            bar.set_position((p.fraction * STEPS as f64) as u64);
        }
        let input = &self.input;
        self.teller.event(|| {
            json!({"event": "progress", "input": input, "tiles_done": p.done, "tiles": p.total, "fraction": p.fraction})
        });
    }

    /// The network is done with it.
    pub(super) fn computed(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// The result lies in its place; none is standard output.
    pub(super) fn done(&self, output: Option<&Path>, report: &Report) {
        let psnr = report.consistency.as_ref().map(|c| c.psnr);
        let invented = |by| {
            report
                .invented
                .as_ref()
                .filter(|i| i.by == by)
                .map(|i| i.deviation)
        };
        let (spread, departure) = (invented(Invention::Spread), invented(Invention::Departure));
        if self.teller.0 == Telling::Bar {
            if let Some(output) = output {
                say!("{} ({})", shown(output), report.size);
            }
            let input = &self.input;
            if let Some(db) = psnr {
                note!("{input}: made as small again, the result agrees with it to {db:.1} dB");
            }
            if let Some(levels) = spread {
                note!("{input}: the samples deviate by {levels:.2} grey levels");
            }
            if let Some(levels) = departure {
                note!(
                    "{input}: this mode has one sample; it departs from the mean of all likely images by {levels:.2} grey levels"
                );
            }
        }
        self.teller.event(|| {
            json!({
                "event": "done",
                "input": self.input,
                "output": output.map(shown),
                "width": report.size.width,
                "height": report.size.height,
                // Where nothing differs it is infinite, which JSON cannot say.
                "consistency_db": psnr.filter(|db| db.is_finite()),
                "spread_levels": spread,
                "departure_levels": departure,
            })
        });
    }
}
