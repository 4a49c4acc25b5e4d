//! What can be done with any struct of options: read it from a recipe, print the command that gives it, compare two of them.
//!
//! The struct's fields are the only list of options there is. Their names, defaults and texts are asked of clap, their values of serde.

use std::any::TypeId;
use std::fs;
use std::path::{Component, Path, PathBuf};

use asasr_core::model::sha256_hex;
use clap::{Arg, Args, Command};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::values::{ModelPlace, Place};
use crate::error::{Error, Result};
use crate::model;

/// Options of one command under `asasr train`.
pub(crate) trait Options: Args + Clone + Serialize + DeserializeOwned {
    /// Its name on the command line and in recipes.
    const NAME: &'static str;

    /// Refuses options that do not go together.
    fn consistent(&self) -> Result<()>;
}

/// What it means to a run that goes on when an option is another than before. The heading that an option has in `--help` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing: the run ends with the same weights.
    Free,
    /// The run goes on, and is another than one that never stopped; it is told.
    Told,
    /// The same, and scores say something else: the best model is found anew.
    Measure,
    /// The run cannot go on.
    Fixed,
}

impl Effect {
    const ALL: [Self; 4] = [Self::Free, Self::Told, Self::Measure, Self::Fixed];

    /// The heading of such options in `--help`.
    pub(crate) const fn heading(self) -> &'static str {
        match self {
            Self::Free => "Where and how it runs (may be another with --resume)",
            Self::Told => "How it learns (told where it is another with --resume)",
            Self::Measure => "What it learns (told, and the best model is found anew)",
            Self::Fixed => "The network (stays what it is with --resume)",
        }
    }

    fn of(option: &Arg) -> Self {
        let heading = option.get_help_heading();
        let named = |e: &Self| Some(e.heading()) == heading;
        // A test sees to it that all have a heading.
        Self::ALL.into_iter().find(named).unwrap_or(Self::Fixed)
    }
}

/// Whether `O` has an option `key` that names a file, a folder or a model.
pub(crate) fn names_a_place<O: Options>(key: &str) -> bool {
    let command = command::<O>();
    option(&command, key).is_some_and(is_place)
}

/// The options as a map from their names to their values, paths as text.
pub(crate) fn map<O: Options>(options: &O) -> Result<Map<String, Value>> {
    match serde_json::to_value(options) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) | Err(_) => Err(Error::new(format!(
            "the options of {} cannot be written down",
            O::NAME
        ))),
    }
}

/// Splits such a map into what is no place and what is one; a place that is not given is left out.
pub(crate) fn split<O: Options>(map: Map<String, Value>) -> (Map<String, Value>, Map<String, Value>) {
    let command = command::<O>();
    let place = |key: &str| option(&command, key).is_some_and(is_place);
    let (places, values): (Map<_, _>, Map<_, _>) = map.into_iter().partition(|(key, _)| place(key));
    (values, places.into_iter().filter(|(_, v)| !v.is_null()).collect())
}

/// Options from a map of some of them; the others are as without them on the command line.
pub(crate) fn from_map<O: Options>(given: &Map<String, Value>) -> Result<O> {
    let mut all = standard::<O>()?;
    // One after the other, so that a value that does not fit is named.
    for (key, value) in given {
        if !all.contains_key(key) {
            return Err(Error::new(unknown::<O>(key)));
        }
        all.insert(key.clone(), value.clone());
        if let Err(e) = serde_json::from_value::<O>(Value::Object(all.clone())) {
            return Err(Error::new(format!("{key} = {value}: {}", plain(&e.to_string()))));
        }
    }
    serde_json::from_value(Value::Object(all)).map_err(|e| Error::new(e.to_string()))
}

/// What serde says of a value that does not fit, for those who do not know this program's types.
fn plain(why: &str) -> String {
    let whole = ["u64", "u32", "u16", "usize"];
    let plain = whole.into_iter().fold(why.to_owned(), |why, name| {
        why.replace(&format!("expected {name}"), "a whole number is expected")
    });
    plain.replace("expected f64", "a number is expected")
}

/// Options from a section of a recipe: its own keys, those of the section for all, and what the program gives. `fixed` is the
/// program's alone, `usual` only where the section has nothing else.
pub(crate) fn from_recipe<O: Options>(
    (fixed, usual): (&Map<String, Value>, &Map<String, Value>),
    (shared, own): (&toml::Table, &toml::Table),
) -> Result<O> {
    let command = command::<O>();
    let in_struct = standard::<O>()?;
    let mut given = usual.clone();
    for (key, value) in shared.iter().filter(|(k, _)| !own.contains_key(*k)).chain(own) {
        let Some(known) = option(&command, key) else {
            return Err(Error::new(unknown::<O>(key)));
        };
        if fixed.contains_key(key) || !in_struct.contains_key(key) {
            return Err(Error::new(format!(
                "{key} is given by the command, not here: take it out"
            )));
        }
        let read = serde_json::to_value(value).unwrap_or_default();
        if read.is_null() {
            return Err(Error::new(format!("{key} = {value} is not a number")));
        }
        // What would fail hours later fails now.
        if is_place(known)
            && let Some(text) = read.as_str()
        {
            exists(known, text).map_err(|why| Error::new(format!("{key} = {text:?}: {why}")))?;
        }
        given.insert(key.clone(), read);
    }
    given.extend(fixed.clone());
    let absent = |o: &&Arg| o.is_required_set() && o.get_long().is_some_and(|key| !given.contains_key(key));
    if let Some(key) = command.get_arguments().find(absent).and_then(Arg::get_long) {
        return Err(Error::new(format!("{key} is missing: it has to be given here")));
    }
    let options: O = from_map(&given)?;
    options.consistent()?;
    Ok(options)
}

/// How paths are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paths {
    /// So that the command runs anywhere on this machine.
    Whole,
    /// For those who read a published manifest: as they were given below the working folder, else their last part alone.
    Published,
}

/// The command that gives these options: those that are other than without them, quoted for a POSIX shell.
pub(crate) fn printed<O: Options>(options: &O, paths: Paths) -> Result<String> {
    let command = command::<O>();
    let (map, standard) = (map(options)?, standard::<O>()?);
    let mut words: Vec<String> = ["asasr", "train", O::NAME].map(String::from).to_vec();
    let (required, others): (Vec<_>, Vec<_>) = command.get_arguments().partition(|o| o.is_required_set());
    for option in required.into_iter().chain(others) {
        let Some((key, value)) = option.get_long().and_then(|key| Some((key, map.get(key)?))) else {
            continue;
        };
        if !option.is_required_set() && standard.get(key) == Some(value) {
            continue;
        }
        let text = match value {
            Value::Null | Value::Bool(false) => continue,
            Value::Bool(true) => {
                words.push(format!("--{key}"));
                continue;
            }
            Value::String(path) if is_place(option) => place(option, path, paths),
            value => text(value),
        };
        if text.starts_with('-') {
            words.push(format!("--{key}={text}"));
        } else {
            words.extend([format!("--{key}"), text]);
        }
    }
    shlex::try_join(words.iter().map(String::as_str)).map_err(|e| Error::new(e.to_string()))
}

/// Options from the words of a command, the program's and the command's names first.
pub(crate) fn parsed<O: Options>(words: &[String]) -> Result<O> {
    let matches = command::<O>().try_get_matches_from(words.iter().skip(2));
    matches
        .and_then(|m| O::from_arg_matches(&m))
        .map_err(|e| Error::new(e.to_string()))
}

/// An option that differs between two runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) effect: Effect,
    /// The option, its value now and before.
    pub(crate) text: String,
    /// What makes it as it was.
    pub(crate) remedy: String,
}

/// The options in which `now` differs from `before`, but for those that are free. Places are alike when both are given or both not.
pub(crate) fn differences<O: Options>(before: &O, now: &O) -> Result<Vec<Difference>> {
    let (before, now) = (map(before)?, map(now)?);
    let mut all = Vec::new();
    for option in command::<O>().get_arguments() {
        let effect = Effect::of(option);
        let Some(key) = option.get_long().filter(|_| effect != Effect::Free) else {
            continue;
        };
        let [old, new] = [&before, &now].map(|m| m.get(key).unwrap_or(&Value::Null));
        if old == new || is_place(option) && old.is_null() == new.is_null() {
            continue;
        }
        let shown = |v: &Value| if v.is_null() { "nothing".into() } else { text(v) };
        all.push(Difference {
            effect,
            text: format!("--{key} {} instead of {}", shown(new), shown(old)),
            remedy: match old {
                Value::Null | Value::Bool(false) => format!("without --{key}"),
                Value::Bool(true) => format!("with --{key}"),
                old => format!("with --{key} {}", shown(old)),
            },
        });
    }
    Ok(all)
}

/// What another value of the option `key` means.
pub(crate) fn effect<O: Options>(key: &str) -> Effect {
    option(&command::<O>(), key).map_or(Effect::Fixed, Effect::of)
}

/// The sha256 of what a place holds, where that is one file, an adapter or a model, and not free to be another.
pub(crate) fn content<O: Options>(key: &str, path: &str) -> Option<String> {
    let command = command::<O>();
    let option = option(&command, key).filter(|o| Effect::of(o) != Effect::Free)?;
    let place = Path::new(path);
    if is_model(option) && !place.exists() {
        return Some(sha256_hex(model::shipped(path)?.manifest));
    }
    let file = if place.is_dir() {
        let inside = ["manifest.json", "adapter_model.safetensors"].map(|n| place.join(n));
        inside.into_iter().find(|p| p.exists())?
    } else {
        place.to_owned()
    };
    Some(sha256_hex(&fs::read(file).ok()?))
}

/// A place so that it can be found from any folder; a built-in model's id as it is.
pub(crate) fn whole<O: Options>(key: &str, path: &str) -> String {
    let command = command::<O>();
    match option(&command, key) {
        Some(option) => place(option, path, Paths::Whole),
        None => path.to_owned(),
    }
}

/// Of clap, with the options of `O`.
fn command<O: Options>() -> Command {
    O::augment_args(Command::new(O::NAME))
}

fn option<'a>(command: &'a Command, key: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|o| o.get_long() == Some(key))
}

fn is_model(option: &Arg) -> bool {
    option.get_value_parser().type_id() == TypeId::of::<ModelPlace>()
}

fn is_place(option: &Arg) -> bool {
    is_model(option) || option.get_value_parser().type_id() == TypeId::of::<Place>()
}

/// All options as they are where none is given; those that must be given have an empty text.
fn standard<O: Options>() -> Result<Map<String, Value>> {
    let command = command::<O>();
    let required = command.get_arguments().filter(|o| o.is_required_set());
    let words = required.filter_map(|o| Some(format!("--{}=", o.get_long()?)));
    let words: Vec<String> = [O::NAME.to_owned()].into_iter().chain(words).collect();
    let options = command
        .try_get_matches_from(words)
        .and_then(|m| O::from_arg_matches(&m))
        .map_err(|e| Error::new(e.to_string()))?;
    map(&options)
}

/// Why a key is no option, and which is meant.
fn unknown<O: Options>(key: &str) -> String {
    let command = command::<O>();
    let known: Vec<&str> = command.get_arguments().filter_map(Arg::get_long).collect();
    let near = known
        .iter()
        .map(|k| (strsim::normalized_damerau_levenshtein(key, k), k))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness > 0.5);
    match near {
        Some((_, near)) => format!("{key} is not known here; is {near} meant?"),
        None => format!("{key} is not known here; there are {}", known.join(", ")),
    }
}

/// Refuses a path where nothing is, unless it is a built-in model's id.
fn exists(option: &Arg, path: &str) -> std::result::Result<(), String> {
    let built_in = is_model(option) && model::shipped(path).is_some();
    if Path::new(path).exists() || built_in {
        return Ok(());
    }
    Err(if is_model(option) {
        model::unknown()
    } else {
        "does not exist".into()
    })
}

/// A value as on the command line.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(text).collect::<Vec<_>>().join(","),
        // Display of a float has no exponent and no more digits than lead back to it.
        Value::Number(n) if n.is_f64() => n.as_f64().map_or_else(|| n.to_string(), |v| v.to_string()),
        other => other.to_string(),
    }
}

/// A path as a command shows it.
fn place(option: &Arg, path: &str, paths: Paths) -> String {
    let path = Path::new(path);
    let built_in =
        is_model(option) && !path.exists() && path.to_str().is_some_and(|p| model::shipped(p).is_some());
    let below = |p: &Path| {
        p.components()
            .all(|c| matches!(c, Component::Normal(_) | Component::CurDir))
    };
    let shown = match paths {
        _ if built_in => path.to_owned(),
        Paths::Whole => std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
        Paths::Published if below(path) => path.to_owned(),
        Paths::Published => PathBuf::from(path.file_name().unwrap_or_default()),
    };
    let text = shown.to_string_lossy().into_owned();
    match paths {
        Paths::Whole => text,
        Paths::Published => one_line(&text),
    }
}

/// A text on one line, for manifests are published: what would begin another, or draw elsewhere, is a question mark.
pub(crate) fn one_line(text: &str) -> String {
    text.replace(
        |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'),
        "?",
    )
}
