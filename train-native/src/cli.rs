use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use asasr_core::flow::ColourAnchor;
use asasr_core::pipeline::{OutputScale, Target};
use clap::builder::{OsStringValueParser, PossibleValue, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::degrade::Protocol;
use crate::device::{DeviceChoice, Precision};

/// Faithful image super-resolution.
#[derive(Debug, Parser)]
#[command(version, about, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Enlarge images
    Upscale(Upscale),
    /// Measure models and other tools' results on a folder of sharp images
    Eval(Eval),
    /// Make a page of what `eval` and `train sweep` measured
    Results(Results),
    /// Make low-quality images from sharp ones, as training and evaluation do
    Degrade(Degrade),
    /// Measure what this machine does
    #[command(subcommand)]
    Bench(Bench),
    /// Put photos into one file of a given size, to carry them where training runs
    Pack(Pack),
    /// Train a network
    #[command(subcommand)]
    Train(Train),
    /// Publish models for servers, look after what was published, sign
    #[command(subcommand)]
    Weights(StoreCommand),
}

impl Command {
    /// Whether what it prints is all that it makes.
    pub(crate) fn only_tells(&self) -> bool {
        match self {
            Self::Bench(_) => true,
            Self::Eval(eval) => eval.files().next().is_none(),
            Self::Weights(command) => matches!(
                command,
                StoreCommand::List(_)
                    | StoreCommand::Verify(_)
                    | StoreCommand::Gc(StoreSweep { dry_run: true, .. })
            ),
            _ => false,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Check a model and put it into a store as the newest release; servers show it within their --refresh time
    Publish(Publish),
    /// What a store serves, and what it served before
    List(StoreList),
    /// Read everything in a store and check it
    Verify(StoreVerify),
    /// Serve an older release's model again
    Rollback(Rollback),
    /// Delete old releases, and files that no release needs
    Gc(StoreSweep),
    /// Make an ed25519 key pair: KEY.pem, to be kept secret, and KEY.pub.pem
    Keygen(Keygen),
    /// Sign a model's manifest: writes manifest.json.sig beside it
    Sign(Sign),
}

/// Where models are kept.
#[derive(Debug, Args)]
pub(crate) struct StorePlace {
    /// A folder, or `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX`, `az://CONTAINER/PREFIX`; keys come from the environment
    /// (`AWS_...`, `GOOGLE_...`, `AZURE_...`)
    #[arg(value_name = "STORE")]
    pub(crate) place: String,
}

#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// A folder with manifest.json and the weights it names
    #[arg(value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// The store: a folder, which is made where there is none, or a URL such as `s3://BUCKET/PREFIX`
    #[arg(long, value_name = "STORE")]
    pub(crate) to: String,
    /// Refuse unless this key signed the manifest: a PEM file or the base64 inside it
    #[arg(long, value_name = "KEY", env = "ASASR_PUBLIC_KEY")]
    pub(crate) public_key: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct StoreList {
    #[command(flatten)]
    pub(crate) store: StorePlace,
}

#[derive(Debug, Args)]
pub(crate) struct StoreVerify {
    #[command(flatten)]
    pub(crate) store: StorePlace,
    /// Check every manifest's signature as well: a PEM file or the base64 inside it
    #[arg(long, value_name = "KEY", env = "ASASR_PUBLIC_KEY")]
    pub(crate) public_key: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Rollback {
    #[command(flatten)]
    pub(crate) store: StorePlace,
    /// The model's id
    #[arg(value_name = "ID")]
    pub(crate) model: String,
    /// The release to serve again, instead of the one before that differs
    #[arg(long, value_name = "N")]
    pub(crate) release: Option<u32>,
    /// Go back only to what this key signed: a PEM file or the base64 inside it
    #[arg(long, value_name = "KEY", env = "ASASR_PUBLIC_KEY")]
    pub(crate) public_key: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct StoreSweep {
    #[command(flatten)]
    pub(crate) store: StorePlace,
    /// Newest releases to keep of each model
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) keep: u32,
    /// Hours for which a file without a release is kept: someone may be publishing it
    #[arg(long, value_name = "N", default_value_t = 24)]
    pub(crate) hours: u32,
    /// Only tell what would be deleted
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// The secret key's file, which must not exist yet
    #[arg(short, long, value_name = "KEY.pem")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// A folder with manifest.json
    #[arg(value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// The secret key
    #[arg(long, value_name = "KEY.pem")]
    pub(crate) key: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// A training step of a flow: speed, where the time goes, memory
    Train(BenchTrain),
    /// Every kernel on a GPU beside what the GPU is capable of, and a convolution beside burn's
    Kernels(BenchKernels),
}

#[derive(Debug, Args)]
pub(crate) struct BenchKernels {
    /// Side of a tile in pixels
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u16).range(8..=1024))]
    pub(crate) side: u16,
}

#[derive(Debug, Args)]
pub(crate) struct BenchTrain {
    /// The network
    #[arg(long, value_enum, default_value = "conv")]
    pub(crate) backbone: Backbone,
    /// Feature channels
    #[arg(long, default_value_t = 96, value_parser = clap::value_parser!(u16).range(4..=512))]
    pub(crate) channels: u16,
    /// Residual or transformer blocks
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) blocks: u16,
    /// Crops per step; twice as many are measured as well
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=512))]
    pub(crate) batch: u16,
    /// Side of a crop in low-quality pixels; twice that is measured as well
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u16).range(8..=128))]
    pub(crate) patch: u16,
    /// Steps measured
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) rounds: u8,
    /// How low-quality crops are made
    #[arg(long, value_enum, default_value_t)]
    pub(crate) protocol: Protocol,
    /// What the network computes in
    #[arg(long, value_enum, default_value_t)]
    pub(crate) precision: Precision,
    /// Where to compute
    #[arg(long, value_enum, default_value = "cpu")]
    pub(crate) device: DeviceChoice,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Train {
    /// The posterior-mean restorer: the sharpest image that invents nothing
    Restorer(Restorer),
    /// The flow: detail on top of the restorer, one likely image at a time
    Flow(Flow),
    /// An adapter of the flow that makes realistic wrong answers
    Adversary(Adversary),
    /// Preference optimisation of the flow: prefer the truth to wrong answers (S-DPO, AS-DPO)
    Align(Align),
    /// The flow in one to four steps
    Distill(Distill),
    /// A model's folder, put together of what the stages made
    Export(Export),
    /// Every stage in turn, as a configuration file says
    All(All),
    /// Many runs over several seeds, as a configuration file says, and their scores: an ablation
    Sweep(Sweep),
}

/// All stages.
#[derive(Debug, Args)]
pub(crate) struct All {
    /// TOML: a section for each stage to run, its keys the options of that stage without dashes; [common] goes to all, and
    /// [export] has options of the finished model
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Folder of training images, searched recursively
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Folder of validation images; without it every 20th training image is set aside
    #[arg(long, value_name = "DIR")]
    pub(crate) val: Option<PathBuf>,
    /// Where every stage gets a folder, and the finished model the folder `model`
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Go on where an earlier run stopped; finished stages are passed over
    #[arg(long)]
    pub(crate) resume: bool,
}

/// Many runs.
#[derive(Debug, Args)]
pub(crate) struct Sweep {
    /// TOML: `seeds`, [common], and a [[run]] for each run with its name, its stage and that stage's options without dashes
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Folder of training images, searched recursively
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Folder of images to validate and score on
    #[arg(long, value_name = "DIR")]
    pub(crate) val: PathBuf,
    /// Where every run gets a folder for each seed, and the scores the file `sweep.json`
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Go on where an earlier sweep stopped; finished runs are passed over
    #[arg(long)]
    pub(crate) resume: bool,
    /// The commit of this program's source, for the JSON
    #[arg(long)]
    pub(crate) commit: Option<String>,
    #[command(flatten)]
    pub(crate) networks: MetricNetworks,
}

/// How much work an image is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Mode {
    /// The restorer's answer: the mean of all likely images
    #[default]
    Instant,
    /// The flow in four steps
    Fast,
    /// The flow in 28 steps
    Quality,
}

impl Mode {
    /// As a model knows it.
    pub(crate) fn of_model(self) -> asasr_core::model::Mode {
        match self {
            Self::Instant => asasr_core::model::Mode::Instant,
            Self::Fast => asasr_core::model::Mode::Fast,
            Self::Quality => asasr_core::model::Mode::Quality,
        }
    }

    /// As users type it.
    pub(crate) fn name(self) -> &'static str {
        self.of_model().name()
    }
}

/// Which of the likely images a flow draws.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Draw {
    /// Seed of the flow's noise
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// How far to go back from the flow's sample, 0, to the restorer's answer, 1, which invents nothing
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub(crate) fidelity: f64,
}

/// How `upscale` tells what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Telling {
    /// A bar for each image, and a line when it is done
    #[default]
    Bar,
    /// A line of JSON on standard output for everything that happens, for other programs
    Json,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Upscale {
    /// Images to enlarge: PNG, JPEG, WebP, TIFF, GIF (first frame) or BMP; - is standard input
    #[arg(required = true, value_name = "IN", value_parser = any_path())]
    pub(crate) inputs: Vec<PathBuf>,
    /// A PNG file for one image, - for standard output, or a folder, where IN.jpg becomes IN-x4.png
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: PathBuf,
    /// How many times wider and higher
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(2..=4))]
    pub(crate) scale: u8,
    /// So many columns instead, and rows in proportion: from the image's own to four times as many
    #[arg(long, value_name = "PIXELS", conflicts_with = "scale", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) width: Option<u32>,
    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    pub(crate) device: DeviceChoice,
    /// A folder with manifest.json and the weights it names, or the id of a built-in model, instead of the default one
    #[arg(long, value_name = "DIR|ID")]
    pub(crate) weights: Option<PathBuf>,
    /// Use the model of --weights only if this ed25519 key signed its manifest: a PEM file or the base64 inside it
    #[arg(long, value_name = "KEY", requires = "weights")]
    pub(crate) public_key: Option<String>,
    /// The restorer alone, or the flow in few or in many steps, where the model has one
    #[arg(long, value_enum, default_value_t)]
    pub(crate) mode: Mode,
    #[command(flatten)]
    pub(crate) draw: Draw,
    /// Draw so many images, of which the first is the result, for --spread
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) samples: u8,
    /// Draw where the samples differ: a grey PNG of the input's size, 8 times as bright as they deviate, in grey levels; a folder for
    /// several images
    #[arg(long, value_name = "PNG|DIR")]
    pub(crate) spread: Option<PathBuf>,
    /// Draw where the result, made as small again, departs from the input: a grey PNG of the input's size, 8 times as bright as it
    /// departs, in grey levels; a folder for several images
    #[arg(long, value_name = "PNG|DIR")]
    pub(crate) consistency: Option<PathBuf>,
    /// Leave out colour profile, EXIF and other data, which results otherwise carry on; colours become sRGB
    #[arg(long)]
    pub(crate) strip: bool,
    /// Take JPEG files that are cut short, too: what is missing is grey
    #[arg(long)]
    pub(crate) shortened: bool,
    /// Largest image taken, in megapixels
    #[arg(long, default_value_t = 100)]
    pub(crate) max_megapixels: u32,
    /// Side of a tile in input pixels: smaller tiles need less memory
    #[arg(long, default_value_t = 192, value_parser = clap::value_parser!(u16).range(16..=4096))]
    pub(crate) tile: u16,
    /// How the work is told
    #[arg(long, value_enum, default_value_t)]
    pub(crate) progress: Telling,
    /// For a process that enlarges one image of several: its failure is told alone
    #[arg(long, hide = true)]
    pub(crate) alone: bool,
}

impl Upscale {
    /// How large results are to be.
    ///
    /// # Errors
    /// For a scale that is not offered.
    pub(crate) fn target(&self) -> asasr_core::Result<Target> {
        match self.width {
            Some(width) => Ok(Target::Width(width as usize)),
            None => OutputScale::new(usize::from(self.scale)).map(Target::Scale),
        }
    }

    /// What tells results from inputs in their names: `x4`, or `w1920`.
    pub(crate) fn suffix(&self) -> String {
        self.width
            .map_or_else(|| format!("x{}", self.scale), |width| format!("w{width}"))
    }

    /// The command line that does what this says, for an image alone.
    pub(crate) fn words(&self) -> Vec<OsString> {
        // Every option is named, so that none is forgotten.
        let Self {
            inputs,
            output,
            scale,
            width,
            device,
            weights,
            public_key,
            mode,
            draw: Draw { seed, fidelity },
            samples,
            spread,
            consistency,
            strip,
            shortened,
            max_megapixels,
            tile,
            progress,
            alone,
        } = self;
        let option = |name: &str, value: &OsStr| {
            let mut word = OsString::from(format!("--{name}="));
            word.push(value);
            word
        };
        let text = |name: &str, value: &dyn ToString| option(name, value.to_string().as_ref());
        let path = |name: &str, value: &Option<PathBuf>| value.as_ref().map(|v| option(name, v.as_os_str()));
        let named = |name: &str, value: Option<PossibleValue>| value.map(|v| text(name, &v.get_name()));
        let mut words = vec![
            "upscale".into(),
            option("output", output.as_os_str()),
            match width {
                Some(width) => text("width", width),
                None => text("scale", scale),
            },
            text("mode", &mode.name()),
            text("seed", seed),
            text("fidelity", fidelity),
            text("samples", samples),
            text("max-megapixels", max_megapixels),
            text("tile", tile),
        ];
        words.extend(named("device", device.to_possible_value()));
        words.extend(named("progress", progress.to_possible_value()));
        words.extend(path("weights", weights));
        words.extend(path("spread", spread));
        words.extend(path("consistency", consistency));
        words.extend(public_key.as_ref().map(|k| text("public-key", k)));
        words.extend(strip.then(|| "--strip".into()));
        words.extend(shortened.then(|| "--shortened".into()));
        words.extend(alone.then(|| "--alone".into()));
        words.push("--".into());
        words.extend(inputs.iter().map(Into::into));
        words
    }
}

/// A path as it is; an empty one is told with the other inputs that cannot be read.
fn any_path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// Networks that measure, with weights that the user brings.
#[derive(Debug, Args)]
pub(crate) struct MetricNetworks {
    /// Weights of LPIPS or shift-tolerant LPIPS as published, .pth or .safetensors; may be given several times
    #[arg(long, value_name = "FILE")]
    pub(crate) lpips: Vec<PathBuf>,
    /// Weights of DISTS as published
    #[arg(long, value_name = "FILE")]
    pub(crate) dists: Option<PathBuf>,
    /// The network's weights as torchvision has them, for files of --lpips and --dists that are without them
    #[arg(long, value_name = "FILE")]
    pub(crate) backbone: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Eval {
    /// Folder of sharp images, searched recursively
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// How the inputs are made of them, with seed 0
    #[arg(long, value_enum, default_value_t)]
    pub(crate) protocol: Protocol,
    /// Folder of inputs under the names of the sharp images, instead of making them; they should be of the protocol named
    #[arg(long, value_name = "DIR")]
    pub(crate) inputs: Option<PathBuf>,
    /// Folder of another tool's results for these inputs, under the names of the sharp images; may be given several times.
    /// Alone, without --mode or --weights, no model is run
    #[arg(long, value_name = "[NAME=]DIR")]
    pub(crate) results: Vec<String>,
    /// Megapixels of output per second of another tool, as measured apart on this machine; may be given several times
    #[arg(long, value_name = "NAME=MP/S", value_parser = speed)]
    pub(crate) speed: Vec<(String, f64)>,
    /// The commit of this program's source, for the JSON
    #[arg(long, value_name = "HASH")]
    pub(crate) commit: Option<String>,
    /// The model's modes to run, separated by commas; without it all it has
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) mode: Vec<Mode>,
    #[command(flatten)]
    pub(crate) draw: Draw,
    /// A folder with manifest.json and the weights it names, or the id of a built-in model, instead of the default one
    #[arg(long, value_name = "DIR|ID")]
    pub(crate) weights: Option<PathBuf>,
    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    pub(crate) device: DeviceChoice,
    #[command(flatten)]
    pub(crate) networks: MetricNetworks,
    /// Have the program tesseract read text in each result, and score it by what it reads in the sharp image
    #[arg(long)]
    pub(crate) ocr: bool,
    /// Write the scores of each image as CSV
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
    /// Write all scores, with the command and the machine, as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write a page with crops side by side, their differences from the truth, and spectra
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Draw a sheet: a row of crops of each of the first images, the input, the truth, and all results in the table's order
    #[arg(long, value_name = "PNG")]
    pub(crate) sheet: Option<PathBuf>,
}

impl Eval {
    /// The files to write.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        let all = [&self.csv, &self.json, &self.html, &self.sheet];
        all.into_iter().flatten().map(PathBuf::as_path)
    }
}

#[derive(Debug, Args)]
pub(crate) struct Results {
    /// Folder with the JSON files, comments under their names (NAME.md), and goals.toml
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// The Markdown page to write; charts go into the folder `images` beside it
    #[arg(short, long, value_name = "FILE.md")]
    pub(crate) output: PathBuf,
    /// Another page whose marked tables are renewed: between `<!-- results NAME: METHOD; METHOD -->` and `<!-- end -->`
    #[arg(long, value_name = "FILE.md")]
    pub(crate) insert: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Pack {
    /// Folder of images, searched recursively
    #[arg(value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The file to write; `--data` and `--val` take it in place of a folder
    #[arg(short, long, value_name = "FILE.tar")]
    pub(crate) output: PathBuf,
    /// Largest size of the file in MB; images that do not fit are cropped to the middle half of each side, then left out
    #[arg(long, value_name = "MB", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_size: u32,
}

#[derive(Debug, Args)]
pub(crate) struct Degrade {
    /// Folder of sharp images, searched recursively
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// Where pairs go: OUT/hq and OUT/lq, as PNG
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// How the low-quality image is made
    #[arg(long, value_enum, default_value_t)]
    pub(crate) protocol: Protocol,
    /// Seed; a pair depends on it, the file's name and STEP only
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Another draw of every image
    #[arg(long, default_value_t = 0)]
    pub(crate) step: u64,
    /// Also draw a sheet: a row of crops of each of the first images, truth first, then eight draws
    #[arg(long, value_name = "PNG")]
    pub(crate) sheet: Option<PathBuf>,
}

/// The measure that training makes small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Loss {
    /// Mean absolute error
    L1,
    /// Mean squared error, whose minimiser is the posterior mean
    L2,
}

/// The learning rate after its warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Schedule {
    /// A cosine down to nothing at --steps
    #[default]
    Cosine,
    /// As it is
    Constant,
}

/// How parameters follow their gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum OptimiserKind {
    /// Adam
    #[default]
    Adam,
    /// Muon for matrices and kernels, whose steps it makes orthogonal, and Adam for the rest
    Muon,
}

/// What every stage of training takes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// Folder of training images, searched recursively, or a file that `asasr pack` wrote
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,
    /// The same for validation; without it every 20th training image is set aside
    #[arg(long, value_name = "DIR")]
    pub(crate) val: Option<PathBuf>,
    /// Where checkpoints, metrics and the best model go
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Go on from the newest checkpoint in OUT
    #[arg(long)]
    pub(crate) resume: bool,
    /// With --resume: go back to this checkpoint of OUT/checkpoints and forget what came after it
    #[arg(long, value_name = "FILE", requires = "resume")]
    pub(crate) from: Option<PathBuf>,
    /// Checkpoints kept in OUT/checkpoints beside the newest: so many of the last, and the one that validated best
    #[arg(long, value_name = "COUNT", default_value_t = 2)]
    pub(crate) keep: u16,
    /// Optimiser steps in all
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..16_000_000))]
    pub(crate) steps: u64,
    /// End this run early, after so many steps in all; the schedule still spans --steps
    #[arg(long, value_name = "STEPS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) stop_after: Option<u64>,
    /// Crops per step
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) batch: u16,
    /// Batches whose gradients are averaged for a step: more crops than memory holds at once
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) accumulate: u16,
    /// Side of a crop in low-quality pixels
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(8..=512))]
    pub(crate) patch: u16,
    /// Peak learning rate, reached after --warm-up steps. Without it 5e-4 for restorer and flow,
    /// 2e-4 for the adversary, 1e-4 for distillation, 5e-5 for alignment
    #[arg(long, value_parser = rate)]
    pub(crate) learning_rate: Option<f64>,
    /// Steps over which the learning rate rises to its peak
    #[arg(long, value_name = "STEPS", default_value_t = 200)]
    pub(crate) warm_up: u32,
    /// How parameters follow their gradients
    #[arg(long, value_enum, default_value_t)]
    pub(crate) optimiser: OptimiserKind,
    /// Take the learning rate as a share of the root mean square of each tensor's first values: for weights to go on from whose
    /// layers differ in scale
    #[arg(long)]
    pub(crate) relative_rates: bool,
    /// How the learning rate goes on after its peak
    #[arg(long, value_enum, default_value_t)]
    pub(crate) schedule: Schedule,
    /// How low-quality crops are made
    #[arg(long, value_enum, default_value_t)]
    pub(crate) protocol: Protocol,
    /// Shares of clean, mildly and fully degraded crops under --protocol real, in place of a third each: such as 0.1,0.45,0.45
    #[arg(long, value_name = "CLEAN,MILD,FULL", value_parser = shares)]
    pub(crate) shares: Option<[f64; 3]>,
    /// Share of the crops that are drawn instead of photographed: text, lines, charts, flat shapes, patterns
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub(crate) drawn: Option<f64>,
    /// Folder of fonts, .ttf or .otf, searched recursively, for the text in drawn crops; without it they have none
    #[arg(long, value_name = "DIR", requires = "drawn")]
    pub(crate) fonts: Option<PathBuf>,
    /// Share of the crops that are blurred first, truth and all, as what is out of focus: by a Gaussian of 1 to 6 pixels
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub(crate) blurred: f64,
    /// Seed of weights, crops and order
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Steps between validations and checkpoints
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) val_every: u64,
    /// Memory for decoded training images, in MB
    #[arg(long, default_value_t = 2048)]
    pub(crate) cache_mb: usize,
    /// Where to compute
    #[arg(long, value_enum, default_value = "cpu")]
    pub(crate) device: DeviceChoice,
    /// GPUs that share the work: each takes --batch crops a step. On the CPU it takes so many turns
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) devices: u8,
    /// What networks compute in while they learn; parameters and losses are always 32 bits wide
    #[arg(long, value_enum, default_value_t)]
    pub(crate) precision: Precision,
    /// The model's name in its manifest
    #[arg(long, default_value = "asasr-x4-custom", value_parser = id)]
    pub(crate) id: String,
    /// SPDX licence of the trained weights in their manifest
    #[arg(long, default_value = "MIT OR Apache-2.0", value_parser = licence)]
    pub(crate) licence: String,
}

/// A perceptual term of a loss.
#[derive(Debug, Args)]
pub(crate) struct Perceptual {
    /// Weights of the shift-tolerant LPIPS on VGG-16, .pth or .safetensors: adds its distance to the loss
    #[arg(long, value_name = "FILE")]
    pub(crate) perceptual: Option<PathBuf>,
    /// Weight of the perceptual distance in the loss
    #[arg(long, value_name = "WEIGHT", default_value_t = 0.05, value_parser = positive, requires = "perceptual")]
    pub(crate) perceptual_weight: f64,
}

/// How wide the source of a flow is.
#[derive(Debug, Args)]
pub(crate) struct SourceOptions {
    /// Deviation of the source's noise around the posterior mean, 0.1 for a fresh flow; the largest where it is local
    #[arg(long, value_parser = sigma)]
    pub(crate) sigma: Option<f32>,
    /// Make that deviation local: so many times the gradient of the input about a pixel, and at most the one it was
    #[arg(long, value_name = "SLOPE", value_parser = slope)]
    pub(crate) local_slope: Option<f32>,
    /// The least local deviation, 0.005 unless the flow has another
    #[arg(long, value_name = "SIGMA", value_parser = sigma)]
    pub(crate) least_sigma: Option<f32>,
}

#[derive(Debug, Args)]
pub(crate) struct Restorer {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) perceptual: Perceptual,
    /// What is minimised
    #[arg(long, value_enum, default_value = "l1")]
    pub(crate) loss: Loss,
    /// Begin with the weights of the model in this folder or built in, and its architecture, instead of fresh ones
    #[arg(long, value_name = "DIR", conflicts_with_all = ["channels", "blocks"])]
    pub(crate) init: Option<PathBuf>,
    /// Feature channels
    #[arg(long, default_value_t = 48, value_parser = clap::value_parser!(u16).range(4..=256))]
    pub(crate) channels: u16,
    /// Residual blocks
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) blocks: u16,
}

/// The network that learns the velocity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Backbone {
    /// Convolutions modulated by the time
    Conv,
    /// A transformer with attention in windows
    Dit,
}

/// What lies beyond an image's edge, for the energies of its residuals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Edge {
    /// Its even reflection (DCT-II)
    #[default]
    Neumann,
    /// The opposite edge, as under an FFT
    Periodic,
}

/// How training draws its times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Times {
    /// Each on its own
    Uniform,
    /// One in each of as many equal intervals as there are crops
    Stratified,
    /// More in the middle
    LogitNormal,
}

#[derive(Debug, Args)]
pub(crate) struct Flow {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) perceptual: Perceptual,
    /// A folder with the restorer the flow starts from, or a built-in model; without it the default one
    #[arg(long, value_name = "DIR")]
    pub(crate) restorer: Option<PathBuf>,
    /// Begin with the flow of the model in this folder or built in, its source and its restorer, instead of a fresh one
    #[arg(long, value_name = "DIR", conflicts_with_all = ["channels", "blocks", "backbone", "rho", "s", "restorer"])]
    pub(crate) init: Option<PathBuf>,
    /// The network that learns the velocity
    #[arg(long, value_enum, default_value = "conv")]
    pub(crate) backbone: Backbone,
    /// Feature channels
    #[arg(long, default_value_t = 96, value_parser = clap::value_parser!(u16).range(4..=512))]
    pub(crate) channels: u16,
    /// Residual or transformer blocks
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) blocks: u16,
    #[command(flatten)]
    pub(crate) source: SourceOptions,
    /// Deviation of the truth around the posterior mean: what a skip past the network takes it for. 0 leaves the skip out
    #[arg(long, default_value_t = 0.03, value_parser = rho)]
    pub(crate) rho: f64,
    /// Sobolev order of noise and loss, 0 to 3
    #[arg(long, default_value_t = 1.5)]
    pub(crate) s: f64,
    /// Sobolev order of the noise where it is another than the loss's; 0 makes it white
    #[arg(long, value_name = "S", conflicts_with = "init")]
    pub(crate) source_s: Option<f64>,
    /// Share of the Sobolev term in the loss, 0 (plain L2) to 1
    #[arg(long, default_value_t = 0.5, value_parser = share)]
    pub(crate) mix: f64,
    /// How times are drawn
    #[arg(long, value_enum, default_value = "stratified")]
    pub(crate) times: Times,
    /// Take the perceptual distance at states that a sample in so many steps passes through, in place of points between source and
    /// truth
    #[arg(long, value_name = "STEPS", requires = "perceptual", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) rollout: Option<u16>,
}

#[derive(Debug, Args)]
pub(crate) struct Adversary {
    #[command(flatten)]
    pub(crate) common: Common,
    /// Results of real upscalers to learn from: a folder as `asasr degrade` writes it, with a folder of results beside `lq`
    /// for each upscaler, named as the inputs. Every other batch is then taken from there; they have a cache of --cache-mb of
    /// their own
    #[arg(long, value_name = "PAIRS")]
    pub(crate) artefacts: Option<PathBuf>,
    /// A folder with the flow the adversary is an adapter of, or a built-in model
    #[arg(long, value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// LoRA rank; alpha is the same
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) rank: u16,
}

/// Who supplies wrong answers beside the enlarged input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Negatives {
    /// Nobody: S-DPO
    None,
    /// The Riesz step on the policy's own energy: AS-DPO without an adversary network
    Riesz,
    /// An adversary trained with `train adversary`, named by --adapter: AS-DPO
    Learned,
}

#[derive(Debug, Args)]
pub(crate) struct Align {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) perceptual: Perceptual,
    /// Steps of the samples through whose states the policy passes where the perceptual distance is taken
    #[arg(long, value_name = "STEPS", default_value_t = 28, requires = "perceptual", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) rollout: u16,
    /// A folder with the flow to align, or a built-in model
    #[arg(long, value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// LoRA rank; alpha is the same
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) rank: u16,
    /// Inverse temperature of the preference, on mean-normalised energies; those of a flow around a restorer are some
    /// thousandths. 0 leaves the anchor alone: the same adapter under supervision
    #[arg(long, default_value_t = 30000.0, value_parser = not_negative)]
    pub(crate) beta: f64,
    /// Weight of the winner's own energy; much below half of beta, the winner gets worse with the loser
    #[arg(long, default_value_t = 15000.0, value_parser = not_negative)]
    pub(crate) anchor: f64,
    /// Sobolev order of the energies, 0 (Diffusion-DPO) to 3
    #[arg(long, default_value_t = 1.5)]
    pub(crate) s: f64,
    /// What lies beyond an image's edge, for the energies
    #[arg(long, value_enum, default_value_t)]
    pub(crate) boundary: Edge,
    /// Who supplies wrong answers beside the enlarged input
    #[arg(long, value_enum, default_value = "riesz")]
    pub(crate) negatives: Negatives,
    /// The adversary's folder, for --negatives learned
    #[arg(long, value_name = "DIR")]
    pub(crate) adapter: Option<PathBuf>,
    /// Radius of the Sobolev ball around the truth, as the deviation in grey levels of white noise as far away
    #[arg(long, default_value_t = 4.0, value_parser = positive, conflicts_with = "lambda")]
    pub(crate) eps: f64,
    /// Instead of the ball: go this share of the way to the adversary's answer; the authors take 0.1
    #[arg(long, value_parser = share)]
    pub(crate) lambda: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct Distill {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) perceptual: Perceptual,
    /// A folder with the flow to distil, or a built-in model
    #[arg(long, value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// Steps of the distilled flow
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=4))]
    pub(crate) to: u8,
    /// Steps of the teacher for each of them
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=28))]
    pub(crate) teacher_steps: u8,
    /// Share of the Sobolev term in the loss
    #[arg(long, default_value_t = 0.5, value_parser = share)]
    pub(crate) mix: f64,
}

/// How weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Stored {
    /// Half precision
    #[default]
    F16,
    /// Single precision
    F32,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// A folder with the restorer, and with the flow unless --flow names another
    #[arg(long, value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// A folder with the flow for the mode quality
    #[arg(long, value_name = "DIR")]
    pub(crate) flow: Option<PathBuf>,
    /// How much of that flow, where the model has one that it was trained from: 0 is the model's own, 1 the other
    #[arg(long, default_value_t = 1.0, value_parser = share, requires = "flow")]
    pub(crate) share: f64,
    /// An adapter to merge into the flow, as `train align` leaves it in best/adapter, or from PEFT
    #[arg(long, value_name = "DIR")]
    pub(crate) adapter: Option<PathBuf>,
    /// How much of the adapter: 0 is the flow alone, 1 as it was trained
    #[arg(long, default_value_t = 1.0, value_parser = strength, requires = "adapter")]
    pub(crate) strength: f64,
    /// A folder with a distilled flow for the mode fast
    #[arg(long, value_name = "DIR")]
    pub(crate) fast: Option<PathBuf>,
    /// Give samples the low frequencies of the restorer's answer: the deviation in output pixels of the Gaussian that parts them in the
    /// mode quality, 0.8 to 16, or 0 for none, instead of the flow's own; in the mode fast, where the flow is not distilled, it is half
    /// as wide again
    #[arg(long, value_name = "PIXELS", value_parser = anchor)]
    pub(crate) colour_anchor: Option<f64>,
    #[command(flatten)]
    pub(crate) source: SourceOptions,
    /// Where the model goes
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// How weights are stored
    #[arg(long, value_enum, default_value_t)]
    pub(crate) dtype: Stored,
    /// The model's name in its manifest, instead of the old one
    #[arg(long, value_parser = id)]
    pub(crate) id: Option<String>,
    /// SPDX licence of the weights in the manifest, instead of the old one
    #[arg(long, value_parser = licence)]
    pub(crate) licence: Option<String>,
}

/// A model's name, which is part of addresses.
fn id(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(fits) {
        Ok(text.into())
    } else {
        Err("letters, digits, '.', '_' and '-' only, a letter or digit first".into())
    }
}

/// A licence, which readers of the manifest are shown.
fn licence(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.chars().any(char::is_control) {
        return Err("a licence is one line of text, such as \"MIT OR Apache-2.0\"".into());
    }
    Ok(text.into())
}

fn anchor(text: &str) -> Result<f64, String> {
    match within(text, 0.0, 16.0)? {
        none if none == 0.0 => Ok(none),
        some => ColourAnchor::new(some).map(|_| some).map_err(|e| e.to_string()),
    }
}

fn strength(text: &str) -> Result<f64, String> {
    within(text, -2.0, 2.0)
}

fn rate(text: &str) -> Result<f64, String> {
    within(text, 1e-9, 1.0)
}

fn positive(text: &str) -> Result<f64, String> {
    within(text, 1e-9, 1e9)
}

fn speed(text: &str) -> Result<(String, f64), String> {
    let parts = text.split_once('=');
    let parts = parts.and_then(|(name, v)| Some((name.to_owned(), v.parse().ok()?)));
    parts.ok_or_else(|| "not of the form NAME=MP/S, as in span=0.43".into())
}

fn not_negative(text: &str) -> Result<f64, String> {
    within(text, 0.0, 1e9)
}

fn within(text: &str, low: f64, high: f64) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(v) if (low..=high).contains(&v) => Ok(v),
        _ => Err(format!("not a number from {low} to {high}")),
    }
}

fn share(text: &str) -> Result<f64, String> {
    within(text, 0.0, 1.0)
}

/// Three shares, their sum made one.
fn shares(text: &str) -> Result<[f64; 3], String> {
    let all: Vec<f64> = text.split(',').map(share).collect::<Result<_, _>>()?;
    let all: [f64; 3] = all
        .try_into()
        .map_err(|_| "three numbers with commas between them: of clean, mild and full".to_string())?;
    let sum: f64 = all.iter().sum();
    if sum > 0.0 {
        Ok(all.map(|v| v / sum))
    } else {
        Err("at least one of the shares is above 0".into())
    }
}

fn rho(text: &str) -> Result<f64, String> {
    within(text, 0.0, 1.0).and_then(|v| {
        if v == 0.0 || v >= 0.001 {
            Ok(v)
        } else {
            Err("0, or a number from 0.001 to 1".into())
        }
    })
}

fn sigma(text: &str) -> Result<f32, String> {
    within(text, 0.001, 10.0).map(|v| v as f32)
}

fn slope(text: &str) -> Result<f32, String> {
    within(text, 0.01, 100.0).map(|v| v as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_alone_has_all_options() {
        let common = "--device cpu --weights w --public-key k --mode fast --seed 7 --fidelity 0.3 --samples 3 --spread s --consistency c \
                      --strip --shortened --max-megapixels 5 --tile 64 --progress json";
        for size in ["--scale 3", "--width 800"] {
            let words = format!("asasr upscale a.png b.png -o out {size} {common}");
            let read = |words: Vec<OsString>| match Cli::try_parse_from(words).map(|c| c.command) {
                Ok(Command::Upscale(args)) => args,
                other => panic!("{other:?}"),
            };
            let mut one = read(words.split_whitespace().map(OsString::from).collect());
            (one.inputs, one.output) = (vec![PathBuf::from("-b.png")], "-out/b-x3.png".into());
            one.alone = true;
            let mut words = vec![OsString::from("asasr")];
            words.extend(one.words());
            assert_eq!(format!("{:?}", read(words)), format!("{one:?}"));
        }
    }
}
