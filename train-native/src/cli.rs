use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use asasr_codec::Format;
use asasr_core::flow::ColourAnchor;
use asasr_core::pipeline::{OutputScale, Target, Tiles};
use clap::builder::{OsStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::degrade::Protocol;
use crate::device::{DeviceChoice, Precision};
use crate::files;
use crate::train::config::{Backbone, Export, Job, Share};
use crate::video::options::Video;

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
    /// Enlarge videos, by way of the installed ffmpeg
    Video(Box<Video>),
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
    /// Print what makes a shell complete this program's commands and options
    Completions(Completions),
    /// Write this program's manual pages, one for each command
    Manual(Manual),
}

/// What somebody probably meant who gave a file where a command is expected.
pub(crate) fn hint(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    let file = Path::new(given);
    if error.kind() != ErrorKind::InvalidSubcommand || !file.exists() {
        return None;
    }
    let ending = file.extension().unwrap_or_default().to_ascii_lowercase();
    let is_video = ["mp4", "m4v", "mov", "mkv", "webm", "avi"]
        .iter()
        .any(|e| ending == *e);
    let words = if file.is_dir() {
        format!("asasr upscale -r {} -o larger/", quoted(file))
    } else if is_video {
        format!("asasr video {}", quoted(file))
    } else if files::is_image(file) {
        format!("asasr upscale {}", quoted(file))
    } else {
        return None;
    };
    Some(format!("To enlarge it: {words}"))
}

/// A path as a shell takes it for one word.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "-_./\\:".contains(c);
    if text.chars().all(plain) {
        text
    } else if cfg!(windows) {
        format!("\"{text}\"")
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

impl Command {
    /// Whether what it prints is all that it makes.
    pub(crate) fn only_tells(&self) -> bool {
        match self {
            Self::Bench(_) | Self::Train(Train::Command(_)) | Self::Completions(_) => true,
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
    /// Make a model's folder of a community's file, which `publish` and `upscale` take
    Import(Import),
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

#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell; its own manual says where it looks for the file
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

#[derive(Debug, Args)]
pub(crate) struct Manual {
    /// The folder, as /usr/local/share/man/man1; it is made where it is missing
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
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
pub(crate) struct Import {
    /// A .pth, .safetensors or .onnx file, or ncnn's .param beside its .bin
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The folder to make
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// The model's id, instead of one made of the file's name
    #[arg(long, value_name = "ID")]
    pub(crate) name: Option<String>,
    /// Its licence, an SPDX expression
    #[arg(long, value_name = "SPDX")]
    pub(crate) licence: Option<String>,
    /// Who made it
    #[arg(long, value_name = "TEXT")]
    pub(crate) author: Option<String>,
    /// Where it is from
    #[arg(long, value_name = "TEXT")]
    pub(crate) source: Option<String>,
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
    /// Every operation of graphs on every executor of this build
    Ops(BenchOps),
    /// A model's network alone on the processor
    Model(BenchModel),
}

#[derive(Debug, Args)]
pub(crate) struct BenchModel {
    /// A community's file, a folder with manifest.json, or the id of a built-in model, instead of the default one
    #[arg(long, value_name = "FILE|DIR|ID")]
    pub(crate) weights: Option<PathBuf>,
    /// Side of the image in pixels
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u16).range(8..=1024))]
    pub(crate) side: u16,
    /// Runs, of which the best counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
    pub(crate) rounds: u8,
}

#[derive(Debug, Args)]
pub(crate) struct BenchOps {
    /// Side of the image in pixels
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u16).range(8..=1024))]
    pub(crate) side: u16,
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
    #[command(flatten)]
    Stage(Box<Job>),
    /// A model's folder, put together of what the stages made
    Export(Export),
    /// Every stage in turn, as a configuration file says
    All(All),
    /// Many runs over several seeds, as a configuration file says, and their scores: an ablation
    Sweep(Sweep),
    /// Print the command that made a run
    Command(Printed),
}

/// The command of a run.
#[derive(Debug, Args)]
pub(crate) struct Printed {
    /// The run's folder, or a checkpoint of it
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
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
    #[value(alias = "faithful")]
    Instant,
    /// A likely image, in one step or a few
    #[value(alias = "detail")]
    Fast,
    /// A likely image, in all the steps of the flow
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

    /// The mode of a model.
    pub(crate) fn of(mode: asasr_core::model::Mode) -> Self {
        match mode {
            asasr_core::model::Mode::Instant => Self::Instant,
            asasr_core::model::Mode::Fast => Self::Fast,
            asasr_core::model::Mode::Quality => Self::Quality,
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
    /// Which of the likely images, of a mode that draws more than one
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// How far to go back from likely detail, 0, to the restorer's answer, 1, which invents nothing
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub(crate) fidelity: f64,
}

/// What of a result is the photo's.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) enum HoldTo {
    /// What each model is made for.
    #[default]
    On,
    /// Nothing: the network's own answer.
    Off,
    /// Low frequencies by a Gaussian of that deviation, in result pixels.
    Width(f64),
}

impl HoldTo {
    /// Whether a result is held at all.
    pub(crate) fn is_on(self) -> bool {
        self != Self::Off
    }
}

impl fmt::Display for HoldTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::On => f.write_str("on"),
            Self::Off => f.write_str("off"),
            Self::Width(width) => width.fmt(f),
        }
    }
}

/// Reads [`HoldTo`].
pub(crate) fn hold(text: &str) -> Result<HoldTo, String> {
    match text {
        "on" => Ok(HoldTo::On),
        "off" => Ok(HoldTo::Off),
        width => match width.parse() {
            Ok(width) if ColourAnchor::new(width).is_ok() => Ok(HoldTo::Width(width)),
            _ => Err("say on, off, or a width of 0.8 to 16 result pixels".into()),
        },
    }
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
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub(crate) struct Upscale {
    /// Images to enlarge: PNG, JPEG, WebP, TIFF, GIF (first frame) or BMP; patterns such as *.jpg; folders with -r; - is standard
    /// input
    #[arg(required = true, value_name = "IN", value_parser = any_path())]
    pub(crate) inputs: Vec<PathBuf>,
    /// A file for one image, - for standard output, or a folder, where IN.jpg becomes IN-x4.png; otherwise results lie beside their images
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    /// Take the images in folders and in those inside, and keep that structure below OUT
    #[arg(short, long)]
    pub(crate) recursive: bool,
    /// The format of results; otherwise that of OUT's ending, and PNG in folders and on standard output
    #[arg(long, value_name = "FORMAT", value_parser = format())]
    pub(crate) format: Option<Format>,
    /// Quality of JPEG, WebP and AVIF files, 1 to 100; 92 otherwise. From 90 on JPEG keeps colours at full size
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) quality: Option<u8>,
    /// Keep results that are there already, and pass over their images
    #[arg(long)]
    pub(crate) no_clobber: bool,
    /// How many times wider and higher; otherwise the model's own. Beyond that the faithful network enlarges the result once more
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=8))]
    pub(crate) scale: Option<u8>,
    /// So many columns instead, and rows in proportion: from the image's own to those of two passes
    #[arg(long, value_name = "PIXELS", conflicts_with = "scale", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) width: Option<u32>,
    #[command(flatten)]
    pub(crate) how: How,
    /// Draw so many images, of which the first is the result, for --spread; otherwise 4, where a mode draws more than one
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    pub(crate) samples: Option<u8>,
    /// Draw what is invented: where the samples differ, or where the only one that a mode has departs from the mean; a grey PNG of the
    /// input's size, 8 times as bright as they deviate, in grey levels; a folder for several images
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
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_megapixels: u32,
    /// For a process that enlarges one image of several: its failure is told alone
    #[arg(long, hide = true)]
    pub(crate) alone: bool,
}

/// How images and the frames of videos are enlarged.
#[derive(Debug, Clone, Args)]
pub(crate) struct How {
    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    pub(crate) device: DeviceChoice,
    /// A model; otherwise a built-in one, for each image that which suits it, for videos asasr-x4-real: a community's file (.pth, .safetensors, .onnx, or ncnn's .param beside its .bin), a folder with
    /// manifest.json and the weights it names, or the id of a built-in model
    #[arg(long, value_name = "FILE|DIR|ID")]
    pub(crate) weights: Option<PathBuf>,
    /// Use the model of --weights only if this ed25519 key signed its manifest: a PEM file or the base64 inside it
    #[arg(long, value_name = "KEY", requires = "weights")]
    pub(crate) public_key: Option<String>,
    /// instant or faithful: the restorer alone; fast or detail: likely detail as well, where the model has it; quality: the same in
    /// many steps. Otherwise instant, and fast for a community's model
    #[arg(long, value_enum)]
    pub(crate) mode: Option<Mode>,
    /// Keep colours and shapes those of what was given: on; off, which gives the network's own answer; or a width of 0.8 to 16 result
    /// pixels: detail coarser than that is the restorer's
    #[arg(long, value_name = "on|off|WIDTH", default_value = "on", value_parser = hold)]
    pub(crate) hold: HoldTo,
    #[command(flatten)]
    pub(crate) draw: Draw,
    /// Side of a tile in input pixels: smaller tiles need less memory
    #[arg(long, default_value_t = Tiles::MEDIUM as u16, value_parser = clap::value_parser!(u16).range(16..=4096))]
    pub(crate) tile: u16,
    /// How the work is told
    #[arg(long, value_enum, default_value_t)]
    pub(crate) progress: Telling,
}

impl Upscale {
    /// How large results are to be.
    ///
    /// # Errors
    /// For a scale that is not offered.
    pub(crate) fn target(&self) -> asasr_core::Result<Target> {
        match self.width {
            Some(width) => Ok(Target::Width(width as usize)),
            None => OutputScale::new(usize::from(self.scale())).map(Target::Scale),
        }
    }

    /// The same with what the model says where nothing was asked for.
    pub(crate) fn with_defaults(&self, scale: usize, mode: Mode) -> Self {
        Self {
            scale: Some(self.scale.unwrap_or(scale as u8)),
            how: How {
                mode: Some(self.how.mode.unwrap_or(mode)),
                ..self.how.clone()
            },
            ..self.clone()
        }
    }

    /// How many times wider and higher.
    pub(crate) fn scale(&self) -> u8 {
        self.scale.unwrap_or(4)
    }

    /// How much work an image is worth.
    pub(crate) fn mode(&self) -> Mode {
        self.how.mode.unwrap_or_default()
    }

    /// What tells results from inputs in their names: `x4`, or `w1920`.
    pub(crate) fn suffix(&self) -> String {
        self.width
            .map_or_else(|| format!("x{}", self.scale()), |width| format!("w{width}"))
    }

    /// The command line that does what this says, for an image alone.
    pub(crate) fn words(&self) -> Vec<OsString> {
        // Every option is named, so that none is forgotten.
        let Self {
            inputs,
            output,
            // What folders hold is named one by one.
            recursive: _,
            format,
            quality,
            no_clobber,
            scale: _,
            width,
            how:
                How {
                    device,
                    weights,
                    public_key,
                    mode: _,
                    hold,
                    draw: Draw { seed, fidelity },
                    tile,
                    progress,
                },
            samples,
            spread,
            consistency,
            strip,
            shortened,
            max_megapixels,
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
            match width {
                Some(width) => text("width", width),
                None => text("scale", &self.scale()),
            },
            text("mode", &self.mode().name()),
            text("hold", hold),
            text("seed", seed),
            text("fidelity", fidelity),
            text("max-megapixels", max_megapixels),
            text("tile", tile),
        ];
        words.extend(named("device", device.to_possible_value()));
        words.extend(named("progress", progress.to_possible_value()));
        words.extend(format.map(|f| text("format", &f.ending())));
        words.extend(samples.as_ref().map(|n| text("samples", n)));
        words.extend(quality.as_ref().map(|q| text("quality", q)));
        words.extend(no_clobber.then(|| "--no-clobber".into()));
        words.extend(path("output", output));
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

/// Reads [`Format`].
fn format() -> impl TypedValueParser<Value = Format> {
    let values = Format::ALL.map(|format| match format {
        Format::Jpeg => PossibleValue::new("jpeg").alias("jpg"),
        Format::Tiff => PossibleValue::new("tiff").alias("tif"),
        _ => PossibleValue::new(format.ending()),
    });
    // The names are endings as well.
    PossibleValuesParser::new(values).try_map(|name| Format::of_ending(&name).ok_or("no such format"))
}

/// A path as it is; an empty one is told with the other inputs that cannot be read.
pub(crate) fn any_path() -> impl TypedValueParser<Value = PathBuf> {
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
    /// The models' modes to run, separated by commas; without it all of ours, and of a community's its own
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) mode: Vec<Mode>,
    #[command(flatten)]
    pub(crate) draw: Draw,
    /// Another model than the default one: a community's file, a folder with manifest.json, or the id of a built-in model; may be given
    /// several times, of one scale
    #[arg(long, value_name = "FILE|DIR|ID")]
    pub(crate) weights: Vec<PathBuf>,
    /// Hold results to the inputs: on, off, or a width, as in upscale
    #[arg(long, value_name = "on|off|WIDTH", default_value = "on", value_parser = hold)]
    pub(crate) hold: HoldTo,
    /// Where to compute
    #[arg(long, value_enum, default_value_t)]
    pub(crate) device: DeviceChoice,
    #[command(flatten)]
    pub(crate) networks: MetricNetworks,
    /// The images are frames of one video, in the order of their names: the warping error is measured too
    #[arg(long)]
    pub(crate) video: bool,
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

fn speed(text: &str) -> Result<(String, f64), String> {
    let parts = text.split_once('=');
    let parts = parts.and_then(|(name, v)| Some((name.to_owned(), v.parse().ok()?)));
    parts.ok_or_else(|| "not of the form NAME=MP/S, as in span=0.43".into())
}

fn share(text: &str) -> Result<f64, String> {
    text.parse::<Share>().map(Share::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_alone_has_all_options() {
        let common = "--device cpu --weights w --public-key k --mode fast --seed 7 --fidelity 0.3 --samples 3 --spread s --consistency c \
                      --strip --shortened --max-megapixels 5 --tile 64 --progress json --format jpeg --quality 80 --no-clobber";
        for size in ["--scale 3", "--width 800"] {
            let words = format!("asasr upscale a.png b.png -o out {size} {common}");
            let read = |words: Vec<OsString>| match Cli::try_parse_from(words).map(|c| c.command) {
                Ok(Command::Upscale(args)) => args,
                other => panic!("{other:?}"),
            };
            let mut one = read(words.split_whitespace().map(OsString::from).collect());
            (one.inputs, one.output) = (vec![PathBuf::from("-b.png")], Some("-out/b-x3.png".into()));
            one.alone = true;
            let mut words = vec![OsString::from("asasr")];
            words.extend(one.words());
            assert_eq!(format!("{:?}", read(words)), format!("{one:?}"));
        }
    }
}
