use asasr_core::flow::{Drawing, Sampler};
use asasr_core::model::{Manifest, Mode, NetworkPart};
use asasr_core::pipeline::{
    self, Beside, Event, Invention, Limits, Options, Output, OutputScale, Photo as _, Target, Tiles,
};
use asasr_core::{Error, Executor, Layout, OnStep, Planes, Raster, Rect, Samples, Size, metrics};
use js_sys::{Array, Float32Array, Function, Promise, Uint8Array, Uint8ClampedArray};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::backend::{Backend, Flow, Restorer};
use crate::frame::{Colours, Frame, planes};
use crate::said::js;

/// Most bytes that one row of enlarged tiles may take: WebAssembly's memory ends at 4 GB, and the image is there too.
const MAX_STRIP: usize = 512 << 20;

/// A model ready to run.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Upscaler {
    manifest: Manifest,
    backend: Backend,
}

/// What is wanted of an image.
#[wasm_bindgen(getter_with_clone)]
#[derive(Debug, Clone)]
pub struct Wish {
    /// `instant`, `fast` or `quality`; where it is empty, what the model is asked for usually.
    pub mode: String,
    /// How many times wider and higher, up to what two passes reach; 0 is the model's own.
    pub scale: usize,
    /// Columns of the result, instead of a scale.
    pub width: Option<usize>,
    /// Rows of the result, where its columns are told; otherwise they are in proportion.
    pub height: Option<usize>,
    /// Longest side of the result that its format takes.
    pub longest: usize,
    /// Names the image among all that are likely.
    pub seed: u32,
    /// From the full sample, 0, to the posterior mean, 1.
    pub fidelity: f32,
    /// Whether the result is held to the photo.
    pub hold: bool,
    /// Deviation of the Gaussian below whose frequencies a sample's colours are the mean's, in result pixels; otherwise the model's own.
    pub anchor: Option<f64>,
    /// Whether the posterior mean is given as rows of its own.
    pub layers: bool,
    /// Samples whose spread is measured, or the departure of the only one; fewer than 2 measure none.
    pub samples: usize,
}

#[wasm_bindgen]
impl Wish {
    /// The model's usual mode at its own scale, and nothing beside it.
    #[wasm_bindgen(constructor)]
    #[must_use]
    #[expect(clippy::new_without_default, reason = "JavaScript calls it")]
    pub fn new() -> Self {
        Self {
            mode: String::new(),
            scale: 0,
            width: None,
            height: None,
            longest: usize::MAX,
            seed: 0,
            fidelity: 0.0,
            hold: true,
            anchor: None,
            layers: false,
            samples: 1,
        }
    }

    /// What is asked of the pipeline by a model of a scale, with so many workers.
    fn options(&self, own: usize, workers: usize) -> Result<Options, JsValue> {
        let scale = if self.scale == 0 { own } else { self.scale };
        let target = match (self.width, self.height) {
            (Some(width), Some(height)) => Target::Size(Size::new(width, height)),
            (Some(width), None) => Target::Width(width),
            (None, _) => Target::Scale(OutputScale::new(scale).map_err(js)?),
        };
        Ok(Options {
            target,
            longest: self.longest,
            tiles: Tiles::Quickest(Limits {
                workers,
                memory: MAX_STRIP,
            }),
            consistency: true,
            hold: self.hold,
        })
    }

    fn mode(&self, of: &Manifest) -> Result<Mode, JsValue> {
        if self.mode.is_empty() {
            return Ok(of.default_mode());
        }
        let known = Mode::from_name(&self.mode);
        known.ok_or_else(|| js(Error::UnknownMode(self.mode.clone())))
    }
}

/// An image's samples.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Pixels(Raster);

#[wasm_bindgen]
impl Pixels {
    /// An image of that size of `channels` samples a pixel, 1 to 4, of 8 bits, or of 16 in two bytes with the low one first.
    ///
    /// # Errors
    /// When there are not as many.
    #[wasm_bindgen(constructor)]
    pub fn new(
        width: usize,
        height: usize,
        channels: usize,
        bits: u8,
        samples: Vec<u8>,
    ) -> Result<Pixels, JsValue> {
        let samples = if bits == 16 {
            let (pairs, _) = samples.as_chunks::<2>();
            Samples::Sixteen(pairs.iter().map(|pair| u16::from_le_bytes(*pair)).collect())
        } else {
            Samples::Eight(samples)
        };
        let raster = Layout::of_samples(channels).map(|layout| Raster {
            size: Size::new(width, height),
            layout,
            samples,
        });
        let whole = raster.filter(Raster::is_whole);
        whole.map(Self).ok_or_else(|| {
            js(Error::Size(
                "an image has other samples than its size tells".into(),
            ))
        })
    }
}

/// What is known of an enlarged image.
#[wasm_bindgen(getter_with_clone)]
#[derive(Debug)]
pub struct Report {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// PSNR in dB between the input and the result put through antialiased bicubic reduction; infinite where they agree.
    pub consistency: f64,
    /// For each input pixel the largest difference of that over the channels, in grey levels.
    pub differences: Vec<u8>,
    /// For each input pixel the deviation of the samples, weighed in the `H^s` norm, in grey levels; nothing where it was not
    /// measured.
    pub invented: Option<Vec<f32>>,
    /// The deviation over the whole image, in grey levels.
    pub deviation: f64,
    /// Whether these are the departure of the only sample from the posterior mean.
    pub departure: bool,
}

impl From<pipeline::Report> for Report {
    fn from(report: pipeline::Report) -> Self {
        let (consistency, differences) = report
            .consistency
            .map(|c| (c.psnr, c.differences))
            .unwrap_or_default();
        let departure = report
            .invented
            .as_ref()
            .is_some_and(|i| i.by == Invention::Departure);
        let (deviation, invented) = report.invented.map(|i| (i.deviation, i.map)).unzip();
        Self {
            width: report.size.width,
            height: report.size.height,
            consistency,
            differences,
            invented,
            departure,
            deviation: deviation.unwrap_or_default(),
        }
    }
}

#[wasm_bindgen]
impl Upscaler {
    /// Opens a model from the bytes of its `manifest.json` and of the restorer's weights that it describes. `tuning` is that of
    /// an earlier one on the same adapter.
    ///
    /// # Errors
    /// With a code: a damaged manifest, weights with another sha256, no device.
    pub async fn open(
        manifest: Vec<u8>,
        weights: Vec<u8>,
        tuning: Option<String>,
    ) -> Result<Upscaler, JsValue> {
        let manifest = Manifest::from_json(&manifest).map_err(js)?;
        let restorer = manifest.restorer().map_err(js)?;
        let opened = restorer.open_weights(&weights).map_err(js)?;
        // Nothing is held twice.
        drop(weights);
        let backend = Backend::open(&restorer.graph, opened, tuning.as_deref())
            .await
            .map_err(js)?;
        Ok(Self { manifest, backend })
    }

    /// How the adapter's kernels run, to be kept for the next time; none on the CPU.
    #[wasm_bindgen(getter)]
    pub fn tuning(&self) -> Option<String> {
        self.backend.tuning.clone()
    }

    /// What it runs on.
    #[wasm_bindgen(getter)]
    pub fn device(&self) -> String {
        self.backend.device.clone()
    }

    /// The modes that the model has.
    #[wasm_bindgen(getter)]
    pub fn modes(&self) -> Vec<String> {
        self.offers().map(|(mode, _)| mode.name().to_owned()).collect()
    }

    /// How much work each of the [modes](Self::modes) is, as a multiple of the first one's: learned values times evaluations.
    #[wasm_bindgen(getter)]
    pub fn work(&self) -> Vec<f64> {
        self.offers().map(|(_, work)| work).collect()
    }

    /// Whether the samples of each of the [modes](Self::modes) differ.
    #[wasm_bindgen(getter)]
    pub fn draws(&self) -> Vec<u8> {
        let draws = |mode| self.manifest.sampler(mode).is_some_and(|(part, _)| part.draws());
        self.offers().map(|(mode, _)| draws(mode).into()).collect()
    }

    /// The mode that it is asked for where a wish names none.
    #[wasm_bindgen(getter, js_name = defaultMode)]
    pub fn default_mode(&self) -> String {
        self.manifest.default_mode().name().to_owned()
    }

    /// How many times it enlarges.
    #[wasm_bindgen(getter)]
    pub fn scale(&self) -> usize {
        self.backend.restorer.scale()
    }

    fn offers(&self) -> impl Iterator<Item = (Mode, f64)> {
        let learned = |part: &NetworkPart| part.graph.parameter_count() as f64;
        let own = self.manifest.restorer().map_or(1.0, learned);
        let work = move |mode| match self.manifest.sampler(mode) {
            Some((part, steps)) => 1.0 + learned(part) * steps as f64 / own,
            None => 1.0,
        };
        self.manifest.modes().map(move |mode| (mode, work(mode)))
    }

    /// The file of weights that a wish needs first, and its sha256; nothing where all is here.
    ///
    /// # Errors
    /// With a code: an unknown mode, or one that the model does not have.
    pub fn needs(&self, wish: &Wish) -> Result<Vec<String>, JsValue> {
        let mode = wish.mode(&self.manifest)?;
        if mode == Mode::Instant {
            return Ok(Vec::new());
        }
        let Some((part, _)) = self.manifest.sampler(mode) else {
            return Err(js(Error::NoMode {
                model: self.manifest.id.clone(),
                mode: wish.mode.clone(),
            }));
        };
        Ok(match self.backend.flow(part) {
            Some(_) => Vec::new(),
            None => vec![part.file.clone(), part.sha256.clone()],
        })
    }

    /// Takes the file that a wish [needs](Self::needs).
    ///
    /// # Errors
    /// With a code: other bytes, or a flow that the device does not run.
    pub fn add(&mut self, wish: &Wish, weights: Vec<u8>) -> Result<(), JsValue> {
        let Some((part, _)) = self.manifest.sampler(wish.mode(&self.manifest)?) else {
            return Ok(());
        };
        let opened = part.open_weights(&weights).map_err(js)?;
        // Nothing is held twice.
        drop(weights);
        self.backend.add(part, opened).map_err(js)
    }

    /// Columns and rows of what a wish makes of an image of so many.
    ///
    /// # Errors
    /// With a code: a size that is not offered.
    pub fn size(&self, wish: &Wish, width: usize, height: usize) -> Result<Vec<usize>, JsValue> {
        let scale = self.manifest.scale().map_err(js)?;
        let options = wish.options(scale, 1)?;
        let way = options.passes(Size::new(width, height), scale);
        let size = way.map_err(js)?.size;
        Ok(vec![size.width, size.height])
    }

    /// Enlarges an image. `progress(done, total, fraction)` is called before the first and after every step, with tiles and the share of
    /// all the work; `rows(layer, samples)` with whole rows that are finished, from the top, of the result, 0, or the posterior mean, 1, as
    /// a PNG of the photo's layout and depth holds them; `shown(first, width, rgba)` with those of the result for a canvas. With `lanes`
    /// above zero `elsewhere(tile, width, height, x0, y0, columns, rows, again)` runs so many tiles at a time by [`Self::tile`] in other
    /// workers, those of the second pass in the mode `instant`, and gives a promise of the result.
    ///
    /// # Errors
    /// With a code: a size that is not offered, too large, what `rows` threw, or the device failed.
    #[expect(clippy::too_many_arguments, reason = "JavaScript's functions")]
    pub async fn upscale(
        &self,
        pixels: Pixels,
        wish: Wish,
        progress: Function,
        rows: Function,
        shown: Option<Function>,
        lanes: usize,
        elsewhere: Function,
    ) -> Result<Report, JsValue> {
        let Pixels(photo) = pixels;
        let size = photo.size();
        // One tile is done here before another worker is ready.
        let lanes = if size.longest() > Tiles::SMALL { lanes } else { 0 };
        let job = Job {
            photo: &photo,
            options: wish.options(self.backend.restorer.scale(), lanes.max(1))?,
            progress: &progress,
            rows: &rows,
            shown: shown.as_ref(),
        };
        let elsewhere = |of: &Way<'_>, again| Elsewhere {
            scale: of.scale(),
            halo: of.halo(),
            grid: of.grid(),
            lanes,
            beside: of.beside(),
            image: size,
            again,
            run: &elsewhere,
        };
        let restorer = Way::Restored(&self.backend.restorer);
        let drawn = self.sampler(&wish, size)?.map(|s| Way::Drawn(Box::new(s)));
        if lanes == 0 {
            return job.run(drawn.as_ref().unwrap_or(&restorer), &restorer).await;
        }
        let again = Way::Elsewhere(elsewhere(&restorer, true));
        match drawn {
            None => {
                job.run(&Way::Elsewhere(elsewhere(&restorer, false)), &again)
                    .await
            }
            Some(drawn) => job.run(&Way::Elsewhere(elsewhere(&drawn, false)), &again).await,
        }
    }

    /// Enlarges a video's frame of `width` by `height` pixels: `data` are its planes, without gaps, of the pixel format of that name in
    /// `WebCodecs`, and `matrix` is called as there. The result is of the format I420, of the same matrix and range.
    ///
    /// # Errors
    /// With a code: a format or a matrix that is not known, a size that is not offered, or the device failed.
    #[expect(clippy::too_many_arguments, reason = "a frame as JavaScript has it")]
    pub async fn frame(
        &self,
        data: Vec<u8>,
        format: String,
        width: usize,
        height: usize,
        matrix: String,
        full: bool,
        wish: Wish,
    ) -> Result<Vec<u8>, JsValue> {
        let size = Size::new(width, height);
        let colours = Colours::new(&matrix, full).ok_or_else(|| {
            js(Error::Size(format!(
                "frames of the matrix {matrix} are not taken"
            )))
        })?;
        let photo = planes(&data, &format, size, colours).map_err(js)?;
        drop(data);
        let own = self.backend.restorer.scale();
        let options = Options {
            consistency: false,
            ..wish.options(own, 1)?
        };
        let made = options.passes(size, own).map_err(js)?.size;
        let mut frame = Frame::new(made, colours);
        let on_event = |event: Event<'_>| match event {
            Event::Rows {
                output: Output::Image,
                rows,
                ..
            } => frame.add(rows),
            _ => Ok(()),
        };
        let restorer = Way::Restored(&self.backend.restorer);
        let drawn = self.sampler(&wish, size)?.map(|s| Way::Drawn(Box::new(s)));
        let way = drawn.as_ref().unwrap_or(&restorer);
        let report = pipeline::enlarge(way, &restorer, &photo, &options, on_event).await;
        report.map_err(js)?;
        frame.finish().map_err(js)
    }

    /// Runs one tile of an image of `image` columns and rows, for a worker that puts tiles together: `tile` is `[3, height, width]`,
    /// from column and row `at` on; the result is what an executor gives. `progress(share)` is called after every step.
    ///
    /// # Errors
    /// With a code, when the device failed.
    pub async fn tile(
        &self,
        tile: Vec<f32>,
        size: Vec<usize>,
        at: Vec<usize>,
        image: Vec<usize>,
        wish: Wish,
        progress: Function,
    ) -> Result<Vec<f32>, JsValue> {
        let (&[width, height], &[x0, y0], &[columns, rows]) = (&size[..], &at[..], &image[..]) else {
            return Err(js(Error::Size("a tile has a size, a place and an image".into())));
        };
        let tile = Planes::new(3, height, width, tile).map_err(js)?;
        let place = Rect {
            x0,
            y0,
            x1: x0 + width,
            y1: y0 + height,
        };
        let on_step = &|step: usize, steps: usize| {
            let share = step as f64 / steps as f64;
            progress.call1(&JsValue::NULL, &share.into()).is_ok()
        };
        let result = match self.sampler(&wish, Size::new(columns, rows))? {
            None => self.backend.restorer.run(&tile, place, on_step).await,
            Some(sampler) => sampler.run(&tile, place, on_step).await,
        };
        Ok(result.map_err(js)?.into_data())
    }

    /// What draws an image of that many columns and rows; none where the restorer answers.
    fn sampler(&self, wish: &Wish, size: Size) -> Result<Option<Sampler<&Flow>>, JsValue> {
        let Some((part, steps)) = self.manifest.sampler(wish.mode(&self.manifest)?) else {
            return Ok(None);
        };
        let drawing = Drawing {
            seed: wish.seed.into(),
            steps,
            // What comes in layers is blended later.
            fidelity: if wish.layers { 0.0 } else { wish.fidelity },
            mean: wish.layers,
            samples: wish.samples,
        };
        let flow = self.backend.flow(part);
        let flow = flow.ok_or_else(|| js(Error::Weights("the flow's are not loaded".into())))?;
        let mut sampling = part.require_sampling().map_err(js)?;
        if !wish.hold || wish.anchor.is_some() {
            sampling = sampling.anchored(wish.anchor.filter(|_| wish.hold), steps);
        }
        Sampler::new(flow, sampling, drawing, size).map(Some).map_err(js)
    }
}

/// Any executor of the page: the pipeline is compiled once for all of them.
enum Way<'a> {
    Restored(&'a Restorer),
    Drawn(Box<Sampler<&'a Flow>>),
    Elsewhere(Elsewhere<'a>),
}

asasr_core::executor_of_variants!(
    Way<'_>,
    Way {
        Restored,
        Drawn,
        Elsewhere
    }
);

/// Runs tiles in other workers.
struct Elsewhere<'a> {
    scale: usize,
    halo: usize,
    grid: usize,
    lanes: usize,
    beside: Beside,
    /// The whole image's.
    image: Size,
    /// Whether they are of the second pass.
    again: bool,
    run: &'a Function,
}

impl Executor for Elsewhere<'_> {
    fn scale(&self) -> usize {
        self.scale
    }

    fn halo(&self) -> usize {
        self.halo
    }

    fn grid(&self) -> usize {
        self.grid
    }

    fn lanes(&self) -> usize {
        self.lanes
    }

    fn beside(&self) -> Beside {
        self.beside
    }

    async fn run(&self, tile: &Planes, place: Rect, _on_step: OnStep<'_>) -> asasr_core::Result<Planes> {
        let failed = |e: JsValue| Error::Device(said(&e, "a worker ended"));
        let (width, height) = (tile.width(), tile.height());
        let Size {
            width: columns,
            height: rows,
        } = self.image;
        let numbers = [width, height, place.x0, place.y0, columns, rows].map(JsValue::from);
        let arguments: Array = numbers.into_iter().collect();
        arguments.unshift(&Float32Array::from(tile.data()));
        arguments.push(&self.again.into());
        let promise = self.run.apply(&JsValue::NULL, &arguments).map_err(failed)?;
        let result = JsFuture::from(Promise::resolve(&promise)).await.map_err(failed)?;
        let values = Float32Array::new(&result).to_vec();
        let (width, height) = (width * self.scale, height * self.scale);
        Planes::new(values.len() / (width * height), height, width, values)
    }
}

/// What a value that was thrown says.
fn said(thrown: &JsValue, otherwise: &str) -> String {
    let message = js_sys::Reflect::get(thrown, &"message".into()).ok();
    message
        .and_then(|m| m.as_string())
        .unwrap_or_else(|| otherwise.into())
}

/// An image and what is to be done with it.
struct Job<'a> {
    photo: &'a Raster,
    options: Options,
    progress: &'a Function,
    rows: &'a Function,
    shown: Option<&'a Function>,
}

impl Job<'_> {
    async fn run(&self, executor: &Way<'_>, again: &Way<'_>) -> Result<Report, JsValue> {
        let mut bytes = Vec::new();
        let on_event = |event: Event<'_>| match event {
            // Before the first tile, so that what is done of it has a measure.
            Event::Begun { tiles } => self.tell(0, tiles, 0.0),
            Event::Progress(p) => self.tell(p.done, p.total, p.fraction),
            Event::Rows { output, first, rows } => {
                bytes.clear();
                let (layout, bits) = (self.photo.layout, self.photo.samples.bits());
                (0..rows.height()).for_each(|y| layout.interleave(rows, y, bits, &mut bytes));
                let layer = JsValue::from(u8::from(output == Output::Mean));
                let written = self
                    .rows
                    .call2(&JsValue::NULL, &layer, &Uint8Array::from(bytes.as_slice()));
                written.map_err(|e| Error::Output(said(&e, "the page stopped")))?;
                if let (Some(shown), Output::Image) = (self.shown, output) {
                    let rgba = Uint8ClampedArray::from(rgba(rows).as_slice());
                    // A page that cannot show them gets its file all the same.
                    let _ = shown.call3(&JsValue::NULL, &first.into(), &rows.width().into(), &rgba);
                }
                Ok(())
            }
        };
        let report = pipeline::enlarge(executor, again, self.photo, &self.options, on_event).await;
        report.map(Report::from).map_err(js)
    }

    fn tell(&self, done: usize, total: usize, fraction: f64) -> asasr_core::Result<()> {
        let (done, total) = (done.into(), total.into());
        let told = self
            .progress
            .call3(&JsValue::NULL, &done, &total, &fraction.into());
        told.map(drop).map_err(|_| Error::Cancelled)
    }
}

/// Rows of `[3 or 4, h, w]` as interleaved bytes.
fn rgba(rows: &Planes) -> Vec<u8> {
    let n = rows.width() * rows.height();
    let mut bytes = vec![255; 4 * n];
    for c in 0..rows.channels().min(4) {
        for (i, v) in rows.plane(c).iter().enumerate() {
            bytes[4 * i + c] = metrics::to_u8(*v);
        }
    }
    bytes
}
