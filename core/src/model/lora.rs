//! Low-rank adapters (Hu et al. 2022): `W + alpha / r * B A` for linear and convolution weights.
//!
//! A weight of shape `[out, in]` or `[out, in, k, k]` is seen as a matrix of `out` rows; `A` has `r` rows and the
//! weight's columns, `B` has `out` rows and `r` columns. For a convolution this is the product of a `k x k`
//! convolution to `r` channels with a `1 x 1` convolution, as PEFT defines it. Files carry PEFT's names and its
//! `adapter_config.json`, so that either side reads the other's.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use serde_json::{Value, json};

use super::{Dtype, ParameterShape, Tensor, Weights};
use crate::random::SplitMix64;
use crate::{Error, Result};

/// What PEFT puts before a module's name.
const PEFT_PREFIX: &str = "base_model.model.";
const MAX_RANK: usize = 1024;
/// PEFT's options that are read here, that say nothing about the stored factors, or that other options switch on. Any
/// other must be off.
const KNOWN: [&str; 20] = [
    "auto_mapping",
    "base_model_name_or_path",
    "exclude_modules",
    "inference_mode",
    "init_lora_weights",
    "layers_pattern",
    "layers_to_transform",
    "lora_alpha",
    "lora_dropout",
    "megatron_core",
    "peft_type",
    "peft_version",
    "qalora_group_size",
    "r",
    "revision",
    "runtime_config",
    "target_modules",
    "task_type",
    "trainable_token_indices",
    "use_rslora",
];

/// The size of an adapter and where it sits.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraConfig {
    /// Rank `r`, 1 to 1024.
    pub rank: usize,
    /// The product `B A` is multiplied by `alpha / r`.
    pub alpha: f64,
    /// Modules to adapt: each adapts the module of that name and those whose name ends with a dot and it. Empty
    /// adapts every linear and convolution layer.
    pub targets: Vec<String>,
}

impl LoraConfig {
    /// Rank and alpha both `rank`, on every layer, those of the time embedding included; the paper's preference adapter has rank 16 (arXiv 2605.23264).
    pub fn new(rank: usize) -> Self {
        Self {
            rank,
            alpha: rank as f64,
            targets: Vec::new(),
        }
    }

    fn adapts(&self, module: &str) -> bool {
        let hit =
            |t: &String| module == t || module.strip_suffix(t.as_str()).is_some_and(|m| m.ends_with('.'));
        self.targets.is_empty() || self.targets.iter().any(hit)
    }
}

/// The two factors of one adapted weight.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraModule {
    shape: Vec<usize>,
    a: Vec<f32>,
    b: Vec<f32>,
}

/// One adapter: factors for some of a network's weights.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraAdapter {
    rank: usize,
    scaling: f64,
    modules: BTreeMap<String, LoraModule>,
}

impl LoraAdapter {
    /// A fresh adapter for the weights among `parameters`, the architecture's list of them, that `config` targets: `A` uniform in
    /// `+-1 / sqrt(in * k * k)` as PEFT draws it, `B` zero, so that it changes nothing yet. A pure function of
    /// `seed`.
    ///
    /// # Errors
    /// [`Error::Adapter`] when the rank is not within 1 to 1024, alpha is not positive, or a target names no
    /// module.
    pub fn new(config: &LoraConfig, parameters: &[ParameterShape], seed: u64) -> Result<Self> {
        check(config.rank, config.alpha)?;
        let mut random = SplitMix64::new(seed);
        let mut modules = BTreeMap::new();
        for parameter in parameters {
            let Some(module) = adaptable(parameter).filter(|m| config.adapts(m)) else {
                continue;
            };
            let fan_in: usize = parameter.shape[1..].iter().product();
            let bound = 1.0 / libm::sqrt(fan_in as f64);
            let a = (0..config.rank * fan_in).map(|_| (bound * (2.0 * random.unit() - 1.0)) as f32);
            modules.insert(
                module.to_string(),
                LoraModule {
                    shape: parameter.shape.clone(),
                    a: a.collect(),
                    b: vec![0.0; parameter.shape[0] * config.rank],
                },
            );
        }
        for target in &config.targets {
            let one = LoraConfig {
                targets: vec![target.clone()],
                ..config.clone()
            };
            if !modules.keys().any(|m| one.adapts(m)) {
                return Err(Error::Adapter(format!(
                    "the target {target:?} names no linear or convolution layer of the network; a target is a layer's \
                     name or the end of one, such as {:?}",
                    parameters
                        .iter()
                        .filter_map(adaptable)
                        .next_back()
                        .unwrap_or_default()
                )));
            }
        }
        if modules.is_empty() {
            return Err(Error::Adapter("the network has no layer to adapt".into()));
        }
        Ok(Self {
            rank: config.rank,
            scaling: config.alpha / config.rank as f64,
            modules,
        })
    }

    /// The rank `r`.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// What `B A` is multiplied by, `alpha / r`.
    pub fn scaling(&self) -> f64 {
        self.scaling
    }

    /// The factors by module name, the weight's name without `.weight`.
    pub fn modules(&self) -> &BTreeMap<String, LoraModule> {
        &self.modules
    }

    /// The factors as flat tensors `{module}.lora_A` and `{module}.lora_B`: what an optimiser learns.
    pub fn factors(&self) -> Weights {
        let mut all = Weights::default();
        for (name, module) in &self.modules {
            for (factor, values) in [("lora_A", &module.a), ("lora_B", &module.b)] {
                let tensor = Tensor {
                    shape: vec![values.len()],
                    values: values.clone(),
                };
                all.insert(format!("{name}.{factor}"), tensor);
            }
        }
        all
    }

    /// Every adapted weight's factors, to write.
    pub fn modules_mut(&mut self) -> impl Iterator<Item = &mut LoraModule> {
        self.modules.values_mut()
    }

    /// Of factors of that rank.
    #[cfg(feature = "burn")]
    pub(crate) fn from_parts(rank: usize, scaling: f64, modules: BTreeMap<String, LoraModule>) -> Self {
        Self {
            rank,
            scaling,
            modules,
        }
    }

    /// Number of learned values.
    pub fn parameter_count(&self) -> usize {
        self.modules.values().map(|m| m.a.len() + m.b.len()).sum()
    }

    /// Adds `strength * alpha / r * B A` to the weights: a strength of 1 merges the adapter, -1 takes it out again
    /// (to rounding). On an error nothing is changed.
    ///
    /// # Errors
    /// [`Error::Weights`] when an adapted weight is missing; [`Error::Adapter`] when its shape differs.
    pub fn merge(&self, weights: &mut Weights, strength: f64) -> Result<()> {
        for (name, module) in &self.modules {
            let found = &weights.get(&format!("{name}.weight"))?.shape;
            if *found != module.shape {
                return Err(Error::Adapter(format!(
                    "{name} was adapted at shape {:?}; the network's is {found:?}",
                    module.shape
                )));
            }
        }
        for (name, module) in &self.modules {
            let weight = weights.get_mut(&format!("{name}.weight"))?;
            for (w, d) in weight.values.iter_mut().zip(module.product(self.rank)) {
                *w = (f64::from(*w) + strength * self.scaling * d) as f32;
            }
        }
        Ok(())
    }

    /// The adapter as PEFT stores it: the text of `adapter_config.json` and the bytes of
    /// `adapter_model.safetensors`.
    ///
    /// # Errors
    /// [`Error::Weights`] when a value does not fit into `dtype`.
    pub fn to_peft(&self, dtype: Dtype) -> Result<(String, Vec<u8>)> {
        let mut weights = Weights::default();
        for (name, module) in &self.modules {
            let (out, rank) = (module.shape[0], self.rank);
            let mut shape_a = module.shape.clone();
            shape_a[0] = rank;
            let mut shape_b = vec![1; module.shape.len()];
            (shape_b[0], shape_b[1]) = (out, rank);
            let mut put = |factor: &str, shape, values: &Vec<f32>| {
                let values = values.clone();
                weights.insert(
                    format!("{PEFT_PREFIX}{name}.{factor}.weight"),
                    Tensor { shape, values },
                );
            };
            put("lora_A", shape_a, &module.a);
            put("lora_B", shape_b, &module.b);
        }
        let config = json!({
            "peft_type": "LORA",
            "task_type": null,
            "base_model_name_or_path": null,
            "inference_mode": true,
            "r": self.rank,
            "lora_alpha": self.scaling * self.rank as f64,
            "lora_dropout": 0.0,
            "target_modules": self.modules.keys().collect::<Vec<_>>(),
            "modules_to_save": null,
            "bias": "none",
            "fan_in_fan_out": false,
            "init_lora_weights": true,
            "use_rslora": false,
            "use_dora": false,
            "rank_pattern": {},
            "alpha_pattern": {},
        });
        let text = serde_json::to_string_pretty(&config).map_err(|e| Error::Adapter(e.to_string()))?;
        Ok((text, weights.to_safetensors(dtype)?))
    }

    /// Reads an adapter that PEFT or [`Self::to_peft`] stored, for a network of `parameters`.
    ///
    /// # Errors
    /// [`Error::Adapter`] when the configuration is not LoRA, uses an option that is not supported here, or the
    /// tensors do not fit it or the network; [`Error::Weights`] when the file is damaged.
    pub fn from_peft(config: &str, safetensors: &[u8], parameters: &[ParameterShape]) -> Result<Self> {
        let fail = |why: String| Err(Error::Adapter(why));
        let config: Value = serde_json::from_str(config)
            .map_err(|e| Error::Adapter(format!("adapter_config.json is not JSON ({e})")))?;
        if config["peft_type"] != "LORA" {
            return fail(format!("its peft_type is {}, not \"LORA\"", config["peft_type"]));
        }
        let off = |v: &Value| match v {
            Value::Null | Value::Bool(false) => true,
            Value::String(s) => s == "none",
            Value::Object(o) => o.is_empty(),
            Value::Array(a) => a.is_empty(),
            _ => false,
        };
        let mut options = config.as_object().into_iter().flatten();
        if let Some((option, value)) = options.find(|(o, v)| !KNOWN.contains(&o.as_str()) && !off(v)) {
            return fail(format!("its option {option} = {value} is not supported"));
        }
        // What starts from other weights than the base's adapts a base that is not this one.
        let init = &config["init_lora_weights"];
        let plain = ["gaussian", "eva", "orthogonal"].iter().any(|name| init == name);
        if !(init.is_null() || init.is_boolean() || plain) {
            return fail(format!("its option init_lora_weights = {init} is not supported"));
        }
        let rank = config["r"].as_u64().unwrap_or(0) as usize;
        let alpha = config["lora_alpha"].as_f64().unwrap_or(0.0);
        check(rank, alpha)?;
        let root = if off(&config["use_rslora"]) {
            rank as f64
        } else {
            libm::sqrt(rank as f64)
        };

        let file = Weights::from_safetensors(safetensors)?;
        let mut modules = BTreeMap::new();
        for parameter in parameters {
            let Some(name) = adaptable(parameter) else {
                continue;
            };
            let part = |factor: &str| file.get(&format!("{PEFT_PREFIX}{name}.{factor}.weight"));
            let (a, b) = match (part("lora_A"), part("lora_B")) {
                (Ok(a), Ok(b)) => (a, b),
                (Err(_), Err(_)) => continue,
                _ => return fail(format!("{name} has one of its two factors only")),
            };
            let fan_in: usize = parameter.shape[1..].iter().product();
            let fits = |t: &Tensor, rows: usize, columns: usize| {
                t.shape.first() == Some(&rows) && t.values.len() == rows * columns
            };
            if !fits(a, rank, fan_in) || !fits(b, parameter.shape[0], rank) {
                return fail(format!(
                    "the factors of {name}, {:?} and {:?}, do not fit rank {rank} and the weight's shape {:?}",
                    a.shape, b.shape, parameter.shape
                ));
            }
            modules.insert(
                name.to_string(),
                LoraModule {
                    shape: parameter.shape.clone(),
                    a: a.values.clone(),
                    b: b.values.clone(),
                },
            );
        }
        if let Some((extra, _)) = file.iter().find(|(name, _)| {
            let module = name
                .strip_prefix(PEFT_PREFIX)
                .and_then(|n| n.rsplit_once(".lora_"));
            !module.is_some_and(|(module, _)| modules.contains_key(module))
        }) {
            return fail(format!("its tensor {extra} belongs to no layer of the network"));
        }
        if modules.is_empty() {
            return fail("its file holds no tensor".into());
        }
        Ok(Self {
            rank,
            scaling: alpha / root,
            modules,
        })
    }
}

impl LoraModule {
    /// Of factors that fit the shape.
    #[cfg(feature = "burn")]
    pub(crate) fn new(shape: Vec<usize>, a: Vec<f32>, b: Vec<f32>) -> Self {
        Self { shape, a, b }
    }

    /// Shape of the weight, `[out, in]` or `[out, in, k, k]`.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// `[r, in * k * k]`.
    pub fn a(&self) -> &[f32] {
        &self.a
    }

    /// `[out, r]`.
    pub fn b(&self) -> &[f32] {
        &self.b
    }

    /// `[out, r]`, to write.
    pub fn b_mut(&mut self) -> &mut [f32] {
        &mut self.b
    }

    /// `B A` row by row, of the weight's layout.
    fn product(&self, rank: usize) -> Vec<f64> {
        let columns = self.a.len() / rank;
        let mut out = vec![0.0; self.shape[0] * columns];
        for (row, b) in out.chunks_exact_mut(columns).zip(self.b.chunks_exact(rank)) {
            for (b, a) in b.iter().zip(self.a.chunks_exact(columns)) {
                for (o, a) in row.iter_mut().zip(a) {
                    *o += f64::from(*b) * f64::from(*a);
                }
            }
        }
        out
    }
}

/// The module's name, if the parameter is a linear or convolution weight.
fn adaptable(parameter: &ParameterShape) -> Option<&str> {
    let name = parameter.name.strip_suffix(".weight")?;
    matches!(parameter.shape.len(), 2 | 4).then_some(name)
}

fn check(rank: usize, alpha: f64) -> Result<()> {
    if !(1..=MAX_RANK).contains(&rank) {
        return Err(Error::Adapter(format!(
            "rank {rank} is not within 1 to {MAX_RANK}"
        )));
    }
    if !(alpha.is_finite() && alpha > 0.0) {
        return Err(Error::Adapter(format!("alpha = {alpha} is not positive")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::VelocityArchitecture;
    use proptest::prelude::*;

    fn parameters() -> Vec<ParameterShape> {
        VelocityArchitecture::conv(2, 6, 2).parameters()
    }

    fn weights(seed: u64) -> Weights {
        let mut random = SplitMix64::new(seed);
        let mut weights = Weights::default();
        for p in parameters() {
            let values = (0..p.len()).map(|_| random.normal() as f32).collect();
            weights.insert(
                p.name,
                Tensor {
                    shape: p.shape,
                    values,
                },
            );
        }
        weights
    }

    /// An adapter that does something.
    fn lively(rank: usize, targets: &[&str]) -> LoraAdapter {
        let config = LoraConfig {
            targets: targets.iter().map(|t| (*t).to_string()).collect(),
            ..LoraConfig::new(rank)
        };
        let mut adapter = LoraAdapter::new(&config, &parameters(), 3).expect("fits");
        let mut random = SplitMix64::new(4);
        for module in adapter.modules_mut() {
            module.b.iter_mut().for_each(|v| *v = random.normal() as f32);
        }
        adapter
    }

    fn worst(a: &Weights, b: &Weights) -> f32 {
        a.iter()
            .map(|(name, t)| {
                let other = &b.get(name).expect("same names").values;
                t.values
                    .iter()
                    .zip(other)
                    .map(|(a, b)| (a - b).abs())
                    .fold(0.0, f32::max)
            })
            .fold(0.0, f32::max)
    }

    #[test]
    fn a_fresh_adapter_changes_nothing_and_knows_its_targets() {
        let base = weights(1);
        let adapter = LoraAdapter::new(&LoraConfig::new(4), &parameters(), 1).expect("fits");
        let mut merged = base.clone();
        adapter.merge(&mut merged, 1.0).expect("fits");
        assert_eq!(merged, base);
        // head, 2 x (conv1, film, conv2), body, tail and the two of the time embedding
        assert_eq!(adapter.modules().len(), 11);
        assert!(lively(2, &["conv2", "time.0"]).modules().keys().eq([
            "blocks.0.conv2",
            "blocks.1.conv2",
            "time.0"
        ]));
        // A suffix is whole words: `onv2` and `0` are not `conv2` and `10`.
        for bad in ["onv2", "nothing", ""] {
            let config = LoraConfig {
                targets: vec![bad.to_string()],
                ..LoraConfig::new(4)
            };
            assert!(
                matches!(
                    LoraAdapter::new(&config, &parameters(), 1),
                    Err(Error::Adapter(_))
                ),
                "{bad}"
            );
        }
    }

    #[test]
    fn merging_is_the_product_of_two_convolutions() {
        let base = weights(1);
        let adapter = lively(3, &["blocks.0.conv1"]);
        let mut merged = base.clone();
        adapter.merge(&mut merged, 0.5).expect("fits");
        let m = &adapter.modules()["blocks.0.conv1"];
        assert_eq!(m.shape, [6, 6, 3, 3]);
        let name = "blocks.0.conv1.weight";
        let (old, new) = (
            &base.get(name).expect("there").values,
            &merged.get(name).expect("there").values,
        );
        for (o, i, tap) in [(0, 0, 0), (5, 2, 7), (3, 5, 8)] {
            // PEFT: conv2d(A transposed, B) transposed, entry by entry.
            let delta: f32 = (0..3).map(|r| m.b[o * 3 + r] * m.a[(r * 6 + i) * 9 + tap]).sum();
            let at = (o * 6 + i) * 9 + tap;
            assert!((new[at] - old[at] - 0.5 * delta).abs() < 1e-5);
        }
        // Nothing else moved.
        assert_eq!(base.get("head.weight"), merged.get("head.weight"));
    }

    #[test]
    fn peft_files_round_trip_and_carry_its_names() {
        let adapter = lively(4, &[]);
        let (config, bytes) = adapter.to_peft(Dtype::F32).expect("writes");
        assert_eq!(
            LoraAdapter::from_peft(&config, &bytes, &parameters()).expect("reads"),
            adapter
        );
        let file = Weights::from_safetensors(&bytes).expect("reads");
        let shape = |n: &str| {
            file.get(&format!("base_model.model.{n}.weight"))
                .expect("there")
                .shape
                .clone()
        };
        assert_eq!(shape("blocks.1.conv1.lora_A"), [4, 6, 3, 3]);
        assert_eq!(shape("blocks.1.conv1.lora_B"), [6, 4, 1, 1]);
        assert_eq!(shape("time.0.lora_A"), [4, 128]);
        assert_eq!(shape("time.0.lora_B"), [128, 4]);
    }

    #[test]
    fn files_that_do_not_fit_are_named() {
        let (config, bytes) = lively(4, &[]).to_peft(Dtype::F32).expect("writes");
        let read = |config: &str, bytes: &[u8]| {
            LoraAdapter::from_peft(config, bytes, &parameters())
                .expect_err("refused")
                .to_string()
        };
        assert!(read("{", &bytes).contains("JSON"));
        assert!(read("{}", &bytes).contains("peft_type"));
        assert!(
            read(
                &config.replace("\"use_dora\": false", "\"use_dora\": true"),
                &bytes
            )
            .contains("use_dora")
        );
        let init = |kind: &str| config.replace("\"init_lora_weights\": true", kind);
        assert!(read(&init("\"init_lora_weights\": \"pissa\""), &bytes).contains("pissa"));
        assert!(read(&init("\"an_option_of_tomorrow\": 3"), &bytes).contains("tomorrow"));
        assert!(read(&config.replace("\"r\": 4", "\"r\": 8"), &bytes).contains("rank 8"));
        assert!(read(&config.replace("\"r\": 4", "\"r\": 0"), &bytes).contains("rank 0"));
        assert!(read(&config, &bytes[..bytes.len() - 9]).contains("safetensors"));
        let other = VelocityArchitecture::conv(2, 6, 1).parameters();
        let message = LoraAdapter::from_peft(&config, &bytes, &other)
            .expect_err("refused")
            .to_string();
        assert!(message.contains("blocks.1."), "{message}");
        // Rank-stabilised adapters scale by the root of the rank.
        let stable = config.replace("\"use_rslora\": false", "\"use_rslora\": true");
        let read = LoraAdapter::from_peft(&stable, &bytes, &parameters()).expect("reads");
        assert!((read.scaling() - 2.0).abs() < 1e-12);
        // Another network's weights are refused and left alone.
        let mut foreign = Weights::default();
        assert!(lively(2, &[]).merge(&mut foreign, 1.0).is_err());
    }

    proptest! {
        #[test]
        fn what_is_merged_comes_out_again_in_any_order(rank in 1usize..9, a in -2.0f64..2.0, b in -2.0f64..2.0) {
            let base = weights(2);
            let (first, second) = (lively(rank, &[]), lively(2, &["conv1"]));
            let mut w = base.clone();
            first.merge(&mut w, a).expect("fits");
            second.merge(&mut w, b).expect("fits");
            first.merge(&mut w, -a).expect("fits");
            second.merge(&mut w, -b).expect("fits");
            prop_assert!(worst(&w, &base) < 1e-4);
        }
    }
}
