//! What holds for every stage's options.

use std::path::Path;

use asasr_core::model::{Tensor, Weights};
use asasr_core::random::SplitMix64;
use clap::{Arg, Args as _, Command, Subcommand as _};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::options::{Effect, Paths, differences, effect, from_map, from_recipe, map, parsed, printed};
use super::record::Record;
use super::*;

/// The same for each stage.
macro_rules! for_all {
    ($check:ident($($given:expr),*)) => {
        $check::<Restorer>($($given),*);
        $check::<Flow>($($given),*);
        $check::<Adversary>($($given),*);
        $check::<Align>($($given),*);
        $check::<Distill>($($given),*);
        $check::<OneStep>($($given),*);
        $check::<Video>($($given),*);
    };
}

fn words(line: &str) -> Vec<String> {
    shlex::split(line).expect("is quoted right")
}

fn stage<O: Run>(rest: &str) -> O {
    let name = O::NAME;
    let command = O::augment_args(Command::new(name));
    let needed = |option: &str| {
        let is = |a: &Arg| a.get_id() == option && a.is_required_set();
        command.get_arguments().any(is)
    };
    let given = [("model", "--model M"), ("init", "--init M")];
    let model = given.iter().find(|(option, _)| needed(option));
    let model = model.map_or("", |(_, words)| words);
    parsed(&words(&format!(
        "asasr train {name} --data D --out O {model} {rest}"
    )))
    .expect("parses")
}

/// Something that may be an option's value, or not.
fn anything(random: &mut SplitMix64, option: &Arg) -> Value {
    let named = option.get_possible_values();
    let text = |random: &mut SplitMix64| {
        let letters: Vec<char> = "ab-_ '\"\\$`!#*?(){};&|<>~ü\t=,".chars().collect();
        let word: String = (0..random.below(9))
            .map(|_| letters[random.below(letters.len())])
            .collect();
        Value::from(format!("/{word}"))
    };
    match random.below(7) {
        0 => true.into(),
        1 if !named.is_empty() => named[random.below(named.len())].get_name().into(),
        2 => (random.next_u64() >> random.below(64)).into(),
        3 => random.unit().into(),
        4 => (random.unit()
            * 10f64.powi(random.below(6) as i32 - 1)
            * if random.below(4) == 0 { -1.0 } else { 1.0 })
        .into(),
        5 => json!([random.unit(), random.unit(), 0.5]),
        6 if option.get_id() == "id" || option.get_id() == "licence" => "A-1.b".into(),
        _ => text(random),
    }
}

/// Options with values of all kinds that they take.
fn drawn<O: Run>(random: &mut SplitMix64) -> O {
    let mut given = Map::new();
    let command = O::augment_args(Command::new(O::NAME));
    for option in command.get_arguments() {
        let key = option.get_long().expect("has a long name");
        if !option.is_required_set() && random.below(2) == 0 {
            continue;
        }
        for _ in 0..20 {
            let value = anything(random, option);
            let one = Map::from_iter([(key.to_owned(), value.clone())]);
            if from_map::<O>(&one).is_ok() {
                given.insert(key.into(), value);
                break;
            }
        }
    }
    from_map(&given).expect("each fits")
}

fn printed_is_parsed<O: Run>(random: &mut SplitMix64) {
    let options: O = drawn(random);
    let line = printed(&options, Paths::Whole).expect("prints");
    let again: O = parsed(&words(&line)).unwrap_or_else(|e| panic!("{line}: {e}"));
    assert_eq!(
        map(&again).expect("a map"),
        map(&options).expect("a map"),
        "{line}"
    );
    // And the record of a checkpoint has them all.
    let record = Record::new(&options, "b".into(), "d".into()).expect("is written");
    let read = Record::from_json(&record.to_json().expect("is written")).expect("is read");
    assert_eq!(read, record);
    let (command, history) = read.command::<O>(&options.common().files.out).expect("prints");
    assert_eq!((command, history), (line, String::new()));
    assert!(read.differences::<O>(&record).expect("compares").is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_printed_command_is_the_configuration(seed in any::<u64>()) {
        let random = &mut SplitMix64::new(seed);
        for_all!(printed_is_parsed(random));
    }
}

proptest! {
    /// To the last bit, through the text of a checkpoint's record.
    #[test]
    fn scores_are_kept_exactly(best in any::<f64>().prop_filter("a score", |v| v.is_finite()), step in any::<u64>()) {
        let record = Record::new(&stage::<Flow>(""), String::new(), String::new()).expect("is written").at(step, Some(best));
        let text = record.to_json().expect("is written");
        let mut weights = Weights::default();
        weights.set_note(text);
        let now = &mut Record::new(&stage::<Flow>(""), String::new(), String::new()).expect("is written");
        let read = Record::of(&weights, Path::new("c")).expect("is read");
        let resumed = now.go_on::<Flow>(&read, Path::new("c")).expect("goes on");
        prop_assert_eq!(resumed.best.map(f64::to_bits), Some(best.to_bits()));
        prop_assert_eq!(resumed.step, step);
    }
}

#[test]
fn only_what_is_given_is_printed() {
    let line = |options: &Flow, paths| printed(options, paths).expect("prints");
    let mut flow: Flow = stage(
        "--relative-rates --shares 0.2,0.4,0.2 --protocol real --drawn 0.1 --learning-rate 1e-3 --batch 16",
    );
    flow.restorer = Some(ModelPlace::from(std::ffi::OsString::from("asasr-x4-clean")));
    flow.common.files.data = Place::from(std::ffi::OsString::from("/home/me/it's mine"));
    assert_eq!(
        line(&flow, Paths::Published),
        "asasr train flow --data \"it's mine\" --out O --restorer asasr-x4-clean --learning-rate 0.001 --relative-rates \
         --protocol real --shares '0.2,0.4,0.2' --drawn 0.1"
    );
    let here = std::env::current_dir().expect("is somewhere");
    assert_eq!(
        line(&flow, Paths::Whole),
        line(&flow, Paths::Published)
            .replace("it's mine", "/home/me/it's mine")
            .replace("--out O", &format!("--out {}", here.join("O").display()))
    );
    let export: Export = parsed(&words(
        "asasr train export --model M -o RUN/m --adapter ../a/b --strength=-0.5",
    ))
    .expect("parses");
    assert_eq!(
        printed(&export, Paths::Published).expect("prints"),
        "asasr train export --model M --output RUN/m --adapter b '--strength=-0.5'"
    );
}

#[test]
fn every_option_says_what_another_value_means() {
    fn check<O: Run>() {
        for option in O::augment_args(Command::new(O::NAME)).get_arguments() {
            let heading = option.get_help_heading();
            let known = [Effect::Free, Effect::Told, Effect::Measure, Effect::Fixed];
            assert!(
                known.iter().any(|e| Some(e.heading()) == heading),
                "{} {:?}",
                O::NAME,
                option.get_id()
            );
            assert!(option.get_help().is_some(), "{} {:?}", O::NAME, option.get_id());
        }
    }
    for_all!(check());
    for (key, means) in [
        ("data", Effect::Free),
        ("cache-mb", Effect::Free),
        ("val-every", Effect::Free),
        ("stop-after", Effect::Free),
        ("seed", Effect::Told),
        ("steps", Effect::Told),
        ("protocol", Effect::Measure),
        ("sigma", Effect::Measure),
        ("perceptual", Effect::Measure),
        ("times", Effect::Told),
        ("channels", Effect::Fixed),
    ] {
        assert_eq!(effect::<Flow>(key), means, "{key}");
    }
    assert_eq!(
        (effect::<Align>("rank"), effect::<Align>("beta")),
        (Effect::Fixed, Effect::Measure)
    );
}

#[test]
fn stages_have_one_name() {
    let command = Job::augment_subcommands(Command::new("train"));
    let names: Vec<&str> = command.get_subcommands().map(Command::get_name).collect();
    assert_eq!(names, Job::NAMES);
}

#[test]
fn what_differs_is_named_with_both_values() {
    let differ = |before: &str, now: &str| {
        differences(&stage::<Flow>(before).settled(), &stage::<Flow>(now).settled()).expect("compares")
    };
    assert!(differ("--cache-mb 5 --val-every 3", "--stop-after 7 --keep 9").is_empty());
    // What is not given is what it is without it.
    assert!(
        differ(
            "",
            "--channels 96 --rho 0.03 --learning-rate 5e-4 --sigma 0.1 --s 1.5"
        )
        .is_empty()
    );
    let told = differ(
        "--seed 3 --relative-rates",
        "--seed 9 --precision bf16 --channels 8",
    );
    let texts: Vec<(&str, &str, Effect)> = told
        .iter()
        .map(|d| (d.text.as_str(), d.remedy.as_str(), d.effect))
        .collect();
    assert_eq!(
        texts,
        [
            ("--channels 8 instead of 96", "with --channels 96", Effect::Fixed),
            (
                "--relative-rates false instead of true",
                "with --relative-rates",
                Effect::Told
            ),
            ("--seed 9 instead of 3", "with --seed 3", Effect::Told),
            (
                "--precision bf16 instead of f32",
                "with --precision f32",
                Effect::Told
            ),
        ]
    );
    let place = differ("", "--perceptual a.pth");
    assert_eq!(
        (place[0].text.as_str(), place[0].remedy.as_str()),
        ("--perceptual a.pth instead of nothing", "without --perceptual")
    );
    assert!(
        differ("--perceptual a.pth", "--perceptual /b/c.pth").is_empty(),
        "a path may be another"
    );
}

/// A run that was begun before options were kept as such goes on.
#[test]
fn records_of_command_lines_are_read() {
    fn read<O: Run>(command: &str, best: f32) -> Result<Record> {
        let mut weights = Weights::default();
        for (name, value) in [("state.step", 7.0), ("state.best", best)] {
            let (shape, values) = (vec![1], vec![value]);
            weights.insert(name.into(), Tensor { shape, values });
        }
        weights.set_note(json!({ "format": 2, "command": command, "base": "b", "data": "d" }).to_string());
        Record::of(&weights, Path::new("old"))
    }
    fn goes_on<O: Run>(command: &str, now: &str) {
        let before = read::<O>(command, 0.5).expect("reads");
        let mut now = Record::new(&stage::<O>(now), "b".into(), "d".into()).expect("is written");
        let changed = before.differences::<O>(&now).expect("compares");
        assert!(changed.is_empty(), "{changed:?}");
        let resumed = now.go_on::<O>(&before, Path::new("old")).expect("goes on");
        assert_eq!((resumed.step, resumed.best), (7, Some(0.5)));
    }
    goes_on::<Restorer>(
        "asasr train restorer --data train --val val --steps 60 --batch 16 --patch 32 --accumulate 1 --learning-rate 0.0005 \
         --protocol clean --loss l2 --channels 48 --blocks 6 --optimiser muon --blurred 0.25 --seed 5 --val-every 3000 --cache-mb 4000 \
         --id a --licence 'MIT OR Apache-2.0'",
        "--steps 60 --loss l2 --optimiser muon --blurred 0.25 --seed 5 --id a",
    );
    goes_on::<Flow>(
        "asasr train flow --data train --steps 60 --batch 3 --patch 32 --accumulate 1 --learning-rate 0.0005 --protocol clean \
         --backbone conv --channels 96 --blocks 8 --rho 0.03 --s 1.5 --sigma 0.1 --mix 0.5 --times stratified --perceptual v.pth \
         --perceptual-weight 0.05 --rollout 28 --seed 3 --val-every 250 --cache-mb 4000 --id asasr-x4-custom --licence 'MIT OR Apache-2.0'",
        "--steps 60 --batch 3 --perceptual /x/v.pth --rollout 28 --seed 3",
    );
    goes_on::<Align>(
        "asasr train align --data train --steps 300 --batch 3 --patch 32 --accumulate 1 --learning-rate 0.00005 --protocol clean \
         --model before --rank 16 --beta 30000 --anchor 15000 --s 1.5 --negatives learned --adapter adversary --eps 4 --seed 0 \
         --val-every 500 --cache-mb 2048 --id asasr-x4-custom --licence 'MIT OR Apache-2.0'",
        "--steps 300 --batch 3 --negatives learned --adapter x/adversary",
    );
    let none = read::<Flow>("asasr train flow --data d --warm-up 3", f32::MIN).expect("reads");
    assert_eq!(
        none.command::<Flow>(Path::new("/r/run")).expect("prints"),
        (
            "asasr train flow --data d --out run --warm-up 3".into(),
            "; of its paths only the last part is known".into()
        )
    );
    let mut now = Record::new(&stage::<Flow>("--warm-up 3"), "b".into(), "d".into()).expect("is written");
    assert_eq!(
        now.go_on::<Flow>(&none, Path::new("old")).expect("goes on").best,
        None
    );
    for (command, why) in [
        (
            "asasr train flow --data my photos",
            "resume it with the version that wrote it",
        ),
        ("asasr train dream --data d", "is no stage"),
    ] {
        let refused = read::<Flow>(command, 0.0).expect_err("is refused").to_string();
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn a_run_that_goes_on_keeps_what_it_must() {
    let record = |options: &str, base: &str, data: &str| {
        Record::new(&stage::<Flow>(options), base.into(), data.into()).expect("is written")
    };
    let before = record("--channels 8", "b", "d").at(5, Some(0.25));
    let path = Path::new("c");
    let go_on = |mut now: Record| now.go_on::<Flow>(&before, path).map(|r| (r.best, now.history()));
    assert_eq!(
        go_on(record("--channels 8 --keep 4", "b", "d")),
        Ok((Some(0.25), String::new()))
    );
    let told = "; from step 5 on --seed 9 instead of 0";
    assert_eq!(
        go_on(record("--channels 8 --seed 9", "b", "d")),
        Ok((Some(0.25), told.into()))
    );
    let (best, _) = go_on(record("--channels 8 --mix 0.25", "b", "d")).expect("goes on");
    assert_eq!(best, None, "scores say something else");
    assert_eq!(go_on(record("--channels 8", "b", "e")).expect("goes on").0, None);
    for (now, why) in [
        (
            record("--channels 9", "b", "d"),
            "resume with --channels 8, or begin anew",
        ),
        (record("--channels 8", "c", "d"), "another model"),
    ] {
        let refused = go_on(now).expect_err("is refused").to_string();
        assert!(refused.contains(why), "{refused}");
    }
    let mut other = Record::new(&stage::<Align>(""), "b".into(), "d".into()).expect("is written");
    let refused = other.go_on::<Align>(&before, path).err().map(|e| e.to_string());
    assert!(refused.is_some_and(|why| why.contains("a checkpoint of the stage flow, not of align")));
}

#[test]
fn recipes_are_read_into_options() {
    let table = |text: &str| text.parse::<Table>().expect("is TOML");
    let fixed = Map::from_iter([("data".into(), json!("D")), ("out".into(), json!("O"))]);
    let read =
        |shared: &str, own: &str| from_recipe::<Flow>((&fixed, &Map::new()), (&table(shared), &table(own)));
    let flow = read(
        "steps = 5\nseed = 1",
        "seed = 2\ns = 0\nrelative-rates = true\nshares = \"0.2,0.4,0.4\"\nprotocol = \"real\"",
    );
    let asked: Flow = stage("--steps 5 --seed 2 --s 0 --relative-rates --shares 0.2,0.4,0.4 --protocol real");
    let flow = flow.expect("reads");
    assert_eq!(
        printed(&flow, Paths::Published),
        printed(&asked, Paths::Published)
    );
    for (own, why) in [
        ("val-evry = 3", "val-evry is not known here; is val-every meant?"),
        ("val_every = 3", "is val-every meant?"),
        ("xyz = 3", "there are rollout, restorer,"),
        ("steps = 0", "steps = 0: not a whole number from 1 to 15999999"),
        (
            "steps = 1.5",
            "steps = 1.5: invalid type: floating point `1.5`, a whole number is expected",
        ),
        ("steps = \"many\"", "steps = \"many\""),
        ("mix = 2", "mix = 2: not a number from 0 to 1"),
        ("sigma = nan", "sigma = nan"),
        ("times = \"never\"", "`uniform`, `stratified`, `logit-normal`"),
        ("out = \"elsewhere\"", "out is given by the command"),
        ("resume = true", "resume is given by the command"),
        ("restorer = \"nowhere\"", "asasr-x4-clean"),
        ("perceptual = \"nowhere.pth\"", "does not exist"),
        ("perceptual-weight = 1", "--perceptual"),
        (
            "init = \"asasr-x4-clean\"\nchannels = 96",
            "--channels cannot be used with --init",
        ),
    ] {
        let refused = read("", own).expect_err(own).to_string();
        assert!(refused.contains(why), "{own}: {refused}");
    }
    let none = Map::new();
    let refused =
        from_recipe::<Align>((&fixed, &none), (&Table::new(), &Table::new())).expect_err("lacks a model");
    assert!(refused.to_string().contains("model is missing"), "{refused}");
}

/// The tables of docs/guide/train.md name options that there are.
#[test]
fn documented_options_are_there() {
    let docs = include_str!("../../../../docs/guide/train.md");
    let command = Flow::augment_args(Command::new("flow"));
    let known: Vec<String> = command
        .get_arguments()
        .filter_map(|a| Some(format!("--{}", a.get_long()?)))
        .collect();
    let mut named = 0;
    let rows = docs
        .lines()
        .skip_while(|l| *l != "Options of every stage:")
        .skip(2);
    for row in rows.take_while(|l| l.starts_with('|')) {
        let first = row.trim_start_matches("| ").split('|').next().unwrap_or_default();
        for option in first
            .split('`')
            .filter_map(|code| code.split(' ').next())
            .filter(|w| w.starts_with("--"))
        {
            assert!(known.iter().any(|k| k == option), "{option}");
            named += 1;
        }
    }
    assert!(named >= 10, "{named}");
}
