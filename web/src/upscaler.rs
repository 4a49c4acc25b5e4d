use asasr_codec::{Metadata, Picture, PngLines};
use asasr_core::flow::{self, Drawing, Sampler};
use asasr_core::metrics::SpreadMeter;
use asasr_core::model::{Manifest, Mode};
use asasr_core::{Error, Executor, OnStep, OutputScale, Planes, Rect, TilePlan};
use js_sys::{Array, Float32Array, Function, Promise};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

use crate::MAX_PIXELS;
use crate::backend::{Backend, Flow};
use crate::output::Sink;

/// Sides of a tile's core in input pixels. Small ones keep several workers busy, large ones compute less twice; beyond
/// them a tile's features fill a worker's memory.
const SIDES: [usize; 3] = [128, 192, 256];
/// Most bytes that one row of enlarged tiles may take: WebAssembly's memory ends at 4 GB, and the image is there too.
const MAX_STRIP: usize = 512 << 20;
/// Rows that are blended at a time.
const ROWS: usize = 64;

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
    /// `instant`, `fast` or `quality`.
    pub mode: String,
    /// How many times wider and higher: 2, 3 or 4.
    pub scale: usize,
    /// Columns of the result, instead of a scale.
    pub width: Option<usize>,
    /// Longest side of the result that its format takes.
    pub longest: usize,
    /// Whether the PNG carries colour profile and EXIF data.
    pub carry: bool,
    /// Names the image among all that are likely.
    pub seed: u32,
    /// From the full sample, 0, to the posterior mean, 1.
    pub fidelity: f32,
    /// Whether the posterior mean is given as a second PNG.
    pub layers: bool,
    /// Samples whose spread is measured; fewer than 2 measure none.
    pub samples: usize,
}

#[wasm_bindgen]
impl Wish {
    /// The mode `instant` at the model's own scale, and nothing beside it.
    #[wasm_bindgen(constructor)]
    #[must_use]
    #[expect(clippy::new_without_default, reason = "JavaScript calls it")]
    pub fn new() -> Self {
        Self {
            mode: Mode::default().name().into(),
            scale: 4,
            width: None,
            longest: usize::MAX,
            carry: true,
            seed: 0,
            fidelity: 0.0,
            layers: false,
            samples: 1,
        }
    }

    /// The whole factor that the network's result has, and the size of the file.
    fn size(&self, picture: &Picture, most: usize) -> Result<(OutputScale, (usize, usize)), JsError> {
        let (width, height) = (picture.width(), picture.height());
        let (scale, size) = match self.width {
            None => {
                let scale = OutputScale::new(self.scale).map_err(js)?;
                (scale, (width * scale.get(), height * scale.get()))
            }
            Some(wanted) if wanted < width || wanted > width * most => {
                return Err(js(format!(
                    "an image {width} pixels wide can be made {width} to {} wide, not {wanted}",
                    width * most
                )));
            }
            Some(wanted) => {
                let scale = OutputScale::new(wanted.div_ceil(width).max(2)).map_err(js)?;
                let scaled = (height as f64 * wanted as f64 / width as f64).round() as usize;
                (scale, (wanted, scaled.max(1)))
            }
        };
        if size.0.max(size.1) > self.longest {
            return Err(js(format!(
                "the result would have {}x{} pixels, and its format holds {} a side: save it as PNG, or smaller",
                size.0, size.1, self.longest
            )));
        }
        Ok((scale, size))
    }

    fn mode(&self) -> Result<Mode, JsError> {
        let known = Mode::from_name(&self.mode);
        known.ok_or_else(|| js(format!("{} is no mode: use instant, fast or quality", self.mode)))
    }
}

/// An enlarged image.
#[wasm_bindgen(getter_with_clone)]
#[derive(Debug)]
pub struct Upscaled {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Whether it has transparency.
    pub alpha: bool,
    /// Whether nothing of it is transparent, with an alpha channel or without.
    pub opaque: bool,
    /// Bits of a sample.
    pub bits: u8,
    /// What decoding changed, a sentence each.
    pub notes: Vec<String>,
    /// The PNG file: blobs to be put together in this order.
    pub png: Array,
    /// The posterior mean, likewise, where layers were wished for and the mode has some.
    pub mean: Option<Array>,
    /// The ICC profile and EXIF data that other formats are to carry.
    pub icc: Option<Vec<u8>>,
    /// See [`Self::icc`].
    pub exif: Option<Vec<u8>>,
    /// XMP data in UTF-8, see [`Self::icc`].
    pub xmp: Option<Vec<u8>>,
    /// Pixels along a row and along a column, and 1 where these are for a metre or 0 where only their ratio means something; see [`Self::icc`].
    pub resolution: Option<Vec<u32>>,
    /// PSNR in dB between the input and the result put through antialiased bicubic reduction; infinite where they agree.
    pub consistency: f64,
    /// For each input pixel the largest difference of that over the channels, in grey levels.
    pub differences: Vec<u8>,
    /// Columns of the input, and thus of both maps.
    pub map_width: usize,
    /// For each input pixel the deviation of the samples, weighed in the `H^s` norm, in grey levels; empty where it was not
    /// measured.
    pub spread: Vec<f32>,
    /// The deviation over the whole image, in grey levels.
    pub deviation: f64,
}

fn js(error: impl std::fmt::Display) -> JsError {
    JsError::new(&error.to_string())
}

/// Side of the tiles with which `lanes` workers are done first; refuses an image so wide that even a row of the smallest
/// tiles, `planes` planes each, would not fit.
fn side(
    picture: &Picture,
    scale: OutputScale,
    planes: usize,
    (halo, lanes): (usize, usize),
) -> Result<usize, JsError> {
    let (width, height) = (picture.width(), picture.height());
    let fits = |side: &usize| {
        // With the rows that are kept back until they are held to the photo.
        let samples = width * scale.get() * height.min(*side + 64) * scale.get();
        samples.saturating_mul(planes * size_of::<f32>()) <= MAX_STRIP
    };
    let sides: Vec<usize> = SIDES.into_iter().filter(fits).collect();
    TilePlan::quickest((width, height), halo, lanes, &sides).ok_or_else(|| {
        js(format!(
            "an image of {width}x{height} pixels is too wide for the browser's memory: cut it into parts"
        ))
    })
}

#[wasm_bindgen]
impl Upscaler {
    /// Opens a model from the bytes of its `manifest.json` and of the restorer's weights that it describes. `tuning` is that of
    /// an earlier one on the same adapter.
    ///
    /// # Errors
    /// A sentence for the user: a damaged manifest, weights with another sha256, no device.
    pub async fn open(
        manifest: Vec<u8>,
        weights: Vec<u8>,
        tuning: Option<String>,
    ) -> Result<Upscaler, JsError> {
        let manifest = Manifest::from_json(&manifest).map_err(js)?;
        let weights = manifest.open_weights(&weights).map_err(js)?;
        let backend = Backend::open(&manifest, &weights, tuning.as_deref())
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

    fn offers(&self) -> impl Iterator<Item = (Mode, f64)> {
        let own = self.manifest.parameters as f64;
        let work = move |mode| match self.manifest.flow_of(mode) {
            Some((flow, steps)) => Some(1.0 + (flow.parameters * steps) as f64 / own),
            None => (mode == Mode::Instant).then_some(1.0),
        };
        Mode::ALL
            .into_iter()
            .filter_map(move |mode| Some((mode, work(mode)?)))
    }

    /// The file of weights that a wish needs first, and its sha256; nothing where all is here.
    ///
    /// # Errors
    /// A sentence for the user: an unknown mode, or one that the model does not have.
    pub fn needs(&self, wish: &Wish) -> Result<Vec<String>, JsError> {
        let mode = wish.mode()?;
        if mode == Mode::Instant {
            return Ok(Vec::new());
        }
        let Some((part, _)) = self.manifest.flow_of(mode) else {
            return Err(js(format!(
                "the model {} has no mode {}: use instant",
                self.manifest.id, wish.mode
            )));
        };
        Ok(match self.backend.flow(part) {
            Some(_) => Vec::new(),
            None => vec![part.file.clone(), part.sha256.clone()],
        })
    }

    /// Takes the file that a wish [needs](Self::needs).
    ///
    /// # Errors
    /// A sentence for the user: other bytes, or a flow that the device does not run.
    pub fn add(&mut self, wish: &Wish, weights: &[u8]) -> Result<(), JsError> {
        let Some((part, _)) = self.manifest.flow_of(wish.mode()?) else {
            return Ok(());
        };
        let opened = part.open_weights(weights).map_err(js)?;
        self.backend.add(part, &opened).map_err(js)
    }

    /// Enlarges an image file. `progress(done, total, fraction)` is called before the first and after every step, with tiles and the share of all the
    /// work, `rows(first, width, rgba)` for rows that are finished. With `lanes` above zero `elsewhere(tile, width, height, x0, y0, columns, rows)` runs so
    /// many tiles at a time by [`Self::tile`] in other workers, and gives a promise of the result.
    ///
    /// # Errors
    /// A sentence for the user: not an image, too large, cut short, or the device failed.
    pub async fn upscale(
        &self,
        file: Vec<u8>,
        wish: Wish,
        progress: Function,
        rows: Option<Function>,
        lanes: usize,
        elsewhere: Function,
    ) -> Result<Upscaled, JsError> {
        let picture = asasr_codec::decode(&file, MAX_PIXELS).map_err(js)?;
        drop(file);
        let size = (picture.width(), picture.height());
        let job = Job {
            wish: &wish,
            picture: &picture,
            progress: &progress,
            rows: rows.as_ref(),
        };
        // One tile is done here before another worker is ready.
        let lanes = if size.0.max(size.1) > SIDES[0] { lanes } else { 0 };
        let elsewhere = |scale, halo, images| Elsewhere {
            scale,
            halo,
            lanes,
            images,
            image: size,
            run: &elsewhere,
        };
        let restorer = &self.backend.restorer;
        let told = (wish.layers, wish.samples > 1);
        match self.sampler(&wish, size)? {
            None if lanes > 0 => {
                let executor = elsewhere(restorer.scale(), restorer.halo(), 1);
                job.run(&executor, lanes, (false, false)).await
            }
            None => job.run(restorer, 1, (false, false)).await,
            Some(sampler) if lanes > 0 => {
                let executor = elsewhere(sampler.scale(), sampler.halo(), sampler.images());
                job.run(&executor, lanes, told).await
            }
            Some(sampler) => job.run(&sampler, 1, told).await,
        }
    }

    /// Runs one tile of an image of `image` columns and rows, for a worker that puts tiles together: `tile` is `[3, height, width]`,
    /// from column and row `at` on; the result is what an executor gives. `progress(share)` is called after every step.
    ///
    /// # Errors
    /// A sentence for the user, when the device failed.
    pub async fn tile(
        &self,
        tile: Vec<f32>,
        size: Vec<usize>,
        at: Vec<usize>,
        image: Vec<usize>,
        wish: Wish,
        progress: Function,
    ) -> Result<Vec<f32>, JsError> {
        let (&[width, height], &[x0, y0], &[columns, rows]) = (&size[..], &at[..], &image[..]) else {
            return Err(js("a tile has a size, a place and an image"));
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
        let result = match self.sampler(&wish, (columns, rows))? {
            None => self.backend.restorer.run(&tile, place, on_step).await,
            Some(sampler) => sampler.run(&tile, place, on_step).await,
        };
        Ok(result.map_err(js)?.into_data())
    }

    /// What draws an image of that many columns and rows; none where the restorer answers.
    fn sampler(&self, wish: &Wish, size: (usize, usize)) -> Result<Option<Sampler<&Flow>>, JsError> {
        let Some((part, steps)) = self.manifest.flow_of(wish.mode()?) else {
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
        let flow = flow.ok_or_else(|| js("the flow's weights are not loaded"))?;
        Sampler::new(flow, part, drawing, size).map(Some).map_err(js)
    }
}

/// Runs tiles in other workers.
struct Elsewhere<'a> {
    scale: usize,
    halo: usize,
    lanes: usize,
    images: usize,
    /// Columns and rows of the whole image.
    image: (usize, usize),
    run: &'a Function,
}

impl Executor for Elsewhere<'_> {
    fn scale(&self) -> usize {
        self.scale
    }

    fn halo(&self) -> usize {
        self.halo
    }

    fn lanes(&self) -> usize {
        self.lanes
    }

    fn images(&self) -> usize {
        self.images
    }

    async fn run(&self, tile: &Planes, place: Rect, _on_step: OnStep<'_>) -> asasr_core::Result<Planes> {
        let failed = |e: JsValue| {
            let message = js_sys::Reflect::get(&e, &"message".into())
                .ok()
                .and_then(|m| m.as_string());
            Error::Device(message.unwrap_or_else(|| "a worker ended".into()))
        };
        let (width, height) = (tile.width(), tile.height());
        let (columns, rows) = self.image;
        let numbers = [width, height, place.x0, place.y0, columns, rows].map(JsValue::from);
        let arguments: Array = numbers.into_iter().collect();
        arguments.unshift(&Float32Array::from(tile.data()));
        let promise = self.run.apply(&JsValue::NULL, &arguments).map_err(failed)?;
        let result = JsFuture::from(Promise::resolve(&promise)).await.map_err(failed)?;
        let values = Float32Array::new(&result).to_vec();
        let (width, height) = (width * self.scale, height * self.scale);
        Planes::new(values.len() / (width * height), height, width, values)
    }
}

/// The result at another fidelity: `(1 - fidelity) sample + fidelity mean`, of two PNG files that [`Upscaler::upscale`] gave for
/// the image `file`. No network runs.
///
/// # Errors
/// A sentence for the user, when the files do not belong together.
#[wasm_bindgen]
pub fn blend(file: &[u8], sample: &[u8], mean: &[u8], wish: &Wish) -> Result<Upscaled, JsError> {
    let picture = asasr_codec::decode(file, MAX_PIXELS).map_err(js)?;
    let mut lines = [sample, mean].map(PngLines::open).map(|l| l.map_err(js));
    let [Ok(sample), Ok(mean)] = &mut lines else {
        let failed = lines.into_iter().find_map(Result::err);
        return Err(failed.unwrap_or_else(|| js("the layers cannot be read")));
    };
    let size = sample.size();
    let format = (picture.layout(), picture.bits());
    if mean.size() != size
        || [&*sample, &*mean]
            .iter()
            .any(|l| (l.layout(), l.bits()) != format)
    {
        return Err(js("the layers are not those of this image"));
    }
    let none = Metadata::default();
    let metadata = if wish.carry { picture.metadata() } else { &none };
    let sink = Sink::new(&picture, (size, size), metadata).map_err(js)?;
    let mut sink = sink.measured().map_err(js)?;
    while let Some((first, mut rows)) = sample.next(ROWS).map_err(js)? {
        let Some((_, certain)) = mean.next(ROWS).map_err(js)? else {
            return Err(js("the layers are not those of this image"));
        };
        flow::blend(&mut rows, &certain, wish.fidelity);
        sink.add(first, &rows).map_err(js)?;
    }
    upscaled(&picture, size, sink, None, None).map_err(js)
}

/// An image and what is to be done with it.
struct Job<'a> {
    wish: &'a Wish,
    picture: &'a Picture,
    progress: &'a Function,
    rows: Option<&'a Function>,
}

impl Job<'_> {
    /// Runs an executor of so many workers that tells the mean, or the spread, or both.
    async fn run(
        &self,
        executor: &impl Executor,
        workers: usize,
        (tells_mean, tells_spread): (bool, bool),
    ) -> Result<Upscaled, JsError> {
        let Self { wish, picture, .. } = *self;
        let given = (picture.width(), picture.height());
        let (scale, size) = wish.size(picture, executor.scale())?;
        let alpha = usize::from(picture.layout().has_alpha());
        let told = 3 * usize::from(tells_mean) + usize::from(tells_spread);
        let side = side(picture, scale, 3 + alpha + told, (executor.halo(), workers))?;
        let from = (given.0 * scale.get(), given.1 * scale.get());
        let none = Metadata::default();
        let metadata = if wish.carry { picture.metadata() } else { &none };
        let sink = Sink::new(picture, (from, size), metadata).map_err(js)?;
        let mut sink = sink.measured().map_err(js)?.shown(self.rows);
        let mut mean = if tells_mean {
            Some(Sink::new(picture, (from, size), &none).map_err(js)?)
        } else {
            None
        };
        let mut spread = if tells_spread {
            Some(SpreadMeter::new(given, scale.get()).map_err(js)?)
        } else {
            None
        };
        let write = |first: usize, strip: &Planes| -> asasr_core::Result<()> {
            if told == 0 {
                return sink.add(first, strip);
            }
            let (image, beside) = strip.clone().split_channels(3 + alpha);
            sink.add(first, &image)?;
            let Some(beside) = beside else { return Ok(()) };
            let (colours, variance) = beside.split_channels(if tells_mean { 3 } else { 1 });
            let variance = if let Some(mean) = &mut mean {
                // The mean has the transparency of the sample.
                let clear = image.split_channels(3).1;
                let whole = match clear {
                    Some(clear) => colours.with_channels(clear),
                    None => colours,
                };
                mean.add(first, &whole)?;
                variance
            } else {
                Some(colours)
            };
            match (&mut spread, variance) {
                (Some(spread), Some(mut variance)) => {
                    // What is not seen is not invented.
                    if alpha == 1 {
                        let seen = strip.plane(3).iter().map(|a| a.clamp(0.0, 1.0));
                        variance
                            .data_mut()
                            .iter_mut()
                            .zip(seen)
                            .for_each(|(v, a)| *v *= a * a);
                    }
                    spread.add(first, &variance)
                }
                _ => Ok(()),
            }
        };
        let tell = |done: usize, total: usize, fraction: f64| {
            let (done, total) = (done.into(), total.into());
            let told = self
                .progress
                .call3(&JsValue::NULL, &done, &total, &fraction.into());
            told.is_ok()
        };
        let read = |rect| picture.planes(rect);
        // Before the first tile, so that what is done of it has a measure.
        tell(0, given.0.div_ceil(side) * given.1.div_ceil(side), 0.0);
        let on_progress = |p: asasr_core::Progress| tell(p.done, p.total, p.fraction);
        asasr_core::upscale(executor, given, side, scale, read, write, on_progress)
            .await
            .map_err(js)?;
        upscaled(picture, size, sink, mean, spread).map_err(js)
    }
}

/// What was made, as JavaScript takes it.
fn upscaled(
    picture: &Picture,
    (width, height): (usize, usize),
    sink: Sink<'_>,
    mean: Option<Sink<'_>>,
    spread: Option<SpreadMeter>,
) -> asasr_core::Result<Upscaled> {
    let (png, differences, consistency) = sink.finish()?;
    let mean = mean.map(Sink::finish).transpose()?;
    let spread = spread.map(SpreadMeter::finish).transpose()?;
    let (spread, deviation) = spread.unwrap_or_default();
    let metadata = picture.metadata().sized((width, height));
    Ok(Upscaled {
        width,
        height,
        alpha: picture.layout().has_alpha(),
        opaque: picture.is_opaque(),
        bits: picture.bits(),
        notes: picture.notes().iter().map(ToString::to_string).collect(),
        png,
        mean: mean.map(|(parts, ..)| parts),
        icc: metadata.icc,
        exif: metadata.exif,
        xmp: metadata.xmp.map(String::into_bytes),
        resolution: metadata.resolution.map(|r| vec![r.x, r.y, u32::from(r.metre)]),
        consistency,
        differences,
        map_width: picture.width(),
        spread,
        deviation,
    })
}
