//! What enlarges: a row of the table.

use std::path::PathBuf;
use std::time::Instant;

use asasr_core::{Planes, resample};

use super::dataset::{Pair, ResultFolder, colours, enlarge};
use crate::cli::{Eval, Mode};
use crate::error::{Error, Result};
use crate::executor::ExecutorMaker;
use crate::graphs::Graphs;

/// A way to enlarge an image.
pub(crate) struct Method {
    pub(crate) name: String,
    pub(super) way: Way,
    /// Megapixels per second, where they were measured apart.
    pub(super) speed: Option<f64>,
}

pub(super) enum Way {
    Bicubic,
    Model {
        maker: Box<ExecutorMaker>,
        /// Whether results are held to the inputs.
        hold: bool,
        id: String,
        mode: Mode,
        sha256: String,
        /// Where the mode's flow begins; the weights do not tell.
        begins: Option<asasr_core::flow::Source>,
    },
    Folder(ResultFolder),
}

/// The rows that the options ask for, bicubic first. A folder that lacks an image is refused here.
pub(super) fn all(args: &Eval, models: Vec<Graphs>, pairs: &[Pair]) -> Result<Vec<Method>> {
    let mut methods = vec![Method {
        name: "bicubic".into(),
        way: Way::Bicubic,
        speed: None,
    }];
    let truths: Vec<PathBuf> = pairs.iter().map(|p| p.path.clone()).collect();
    for (name, folder) in args.results.iter().map(named) {
        let results = ResultFolder::open(&folder, &truths)?;
        for pair in pairs {
            results.of(&pair.path)?;
        }
        let speed = args.speed.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
        methods.push(Method {
            name,
            way: Way::Folder(results),
            speed,
        });
    }
    if let Some((name, _)) = args
        .speed
        .iter()
        .find(|(n, _)| methods.iter().all(|m| m.name != *n))
    {
        return Err(Error::new(format!(
            "--speed {name}=…: no --results are named {name}"
        )));
    }
    for model in models {
        for mode in modes(args, &model) {
            let (id, sha256) = (model.id().to_owned(), model.hash(mode)?);
            let begins = model.source(mode)?;
            let maker = ExecutorMaker::new(model.clone(), args.device, mode, args.draw)?.held(args.hold);
            methods.push(Method {
                name: format!("{id} {}", mode.name()),
                way: Way::Model {
                    maker: Box::new(maker),
                    hold: args.hold.is_on(),
                    id,
                    mode,
                    sha256,
                    begins,
                },
                speed: None,
            });
        }
    }
    Ok(methods)
}

/// The models that are named, or the default one, after it was checked that they have the modes asked for.
pub(super) fn models(args: &Eval) -> Result<Vec<Graphs>> {
    let mut models = Vec::new();
    if args.weights.is_empty() {
        models.push(Graphs::open(None)?);
    }
    for weights in &args.weights {
        models.push(Graphs::open(Some(weights))?);
    }
    for model in &models {
        args.mode.iter().try_for_each(|m| model.check_mode(*m))?;
    }
    Ok(models)
}

/// How many times all models enlarge.
pub(super) fn scale(models: &[Graphs]) -> Result<usize> {
    let scales: Vec<usize> = models.iter().map(Graphs::scale).collect::<Result<_>>()?;
    match scales.as_slice() {
        [first, others @ ..] if others.iter().all(|scale| scale == first) => Ok(*first),
        _ => Err(Error::new(format!(
            "the models enlarge {scales:?} times: name models of one scale"
        ))),
    }
}

/// A model's modes to run: those asked for; else, where other tools' results are all that was named, none; else all it has, and of a
/// community's model its own.
fn modes(args: &Eval, model: &Graphs) -> Vec<Mode> {
    if !args.mode.is_empty() {
        return args.mode.clone();
    }
    if !args.results.is_empty() && args.weights.is_empty() {
        return Vec::new();
    }
    match model.default_mode() {
        Mode::Instant => model.modes(),
        own => vec![own],
    }
}

/// The folders of other tools' results.
pub(super) fn folders(args: &Eval) -> impl Iterator<Item = PathBuf> {
    args.results.iter().map(|text| named(text).1)
}

/// `NAME=DIR`, or `DIR`, whose last part is the name.
fn named(text: &String) -> (String, PathBuf) {
    if let Some((name, folder)) = text.split_once('=') {
        return (name.to_owned(), folder.into());
    }
    let folder = PathBuf::from(text);
    (super::name(&folder), folder)
}

impl Method {
    /// The image enlarged, and the seconds that it took where it was not read.
    pub(super) fn enlarge(&mut self, pair: &Pair) -> Result<(Planes, Option<f64>)> {
        let start = Instant::now();
        let image = match &mut self.way {
            Way::Bicubic => resample::enlarge(&pair.lq, pair.hq.width() / pair.lq.width()),
            Way::Model { maker, hold, .. } => {
                let [executor, _] = maker.for_image(pair.lq.size())?;
                enlarge(executor, &pair.lq, *hold).map_err(|e| Error::at(&pair.path, e))?
            }
            Way::Folder(results) => {
                let path = results.of(&pair.path)?;
                let image = colours(&path, 1)?;
                if (image.width(), image.height()) != (pair.hq.width(), pair.hq.height()) {
                    let (w, h) = (pair.hq.width(), pair.hq.height());
                    return Err(Error::at(
                        &path,
                        format!(
                            "{}x{} pixels, where the truth has {w}x{h} after it was cropped to multiples of the scale",
                            image.width(),
                            image.height()
                        ),
                    ));
                }
                return Ok((image, None));
            }
        };
        Ok((image, Some(start.elapsed().as_secs_f64())))
    }
}
