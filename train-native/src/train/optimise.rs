//! One optimiser step, its gradient taken on one device or on several.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};

use asasr_core::nn::Parameters;
use burn::tensor::{Device, Tensor};
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::checkpoint::State;
use super::config::Schedule;
use super::optimiser::Optimiser;
use crate::device::Precision;
use crate::error::{Error, Result};

/// Most of the old average kept at each step: it forgets over about a thousand steps.
const AVERAGE_DECAY: f32 = 0.999;

/// A loss in named parts, each `[1]`; their sum is what is minimised.
pub(crate) type Terms = Vec<(&'static str, Tensor<1>)>;
/// The values of [`Terms`].
pub(crate) type Values = Vec<(&'static str, f32)>;

/// Where and how gradients are computed.
pub(crate) struct Workers<'a> {
    /// The parameters live on the first.
    devices: &'a [Device],
    precision: Precision,
    /// Batches of a step on each device, one after the other.
    accumulate: u64,
    /// Where the devices are the processor, several times: the threads of each.
    pools: Vec<ThreadPool>,
}

impl<'a> Workers<'a> {
    pub(crate) fn new(devices: &'a [Device], precision: Precision, accumulate: u64) -> Result<Self> {
        let shared = devices.len() > 1 && devices.iter().all(|d| *d == devices[0]);
        let threads = (rayon::current_num_threads() / devices.len()).max(1);
        let pool = |_| ThreadPoolBuilder::new().num_threads(threads).build();
        let pools = (0..if shared { devices.len() } else { 0 }).map(pool);
        let pools = pools.collect::<std::result::Result<_, _>>();
        Ok(Self {
            devices,
            precision,
            accumulate,
            pools: pools.map_err(|e| Error::new(format!("no threads to train on: {e}")))?,
        })
    }

    /// Batches of a step.
    pub(crate) fn parts(&self) -> u64 {
        self.accumulate * self.devices.len() as u64
    }
}

/// Moves the parameters against the gradient of the loss, averaged over the batches of all workers, and the average after
/// them; returns the mean of the terms. `loss` is given the number of the device and of the batch.
///
/// A loss or gradient that is not finite changes nothing and is returned as NaN, by its name.
pub(crate) fn step(
    state: &mut State,
    optimiser: &Optimiser,
    rate: f64,
    workers: &Workers,
    loss: impl Fn(&Parameters, usize, u64) -> Result<Terms> + Sync,
) -> Result<Values> {
    let scale = workers.precision.loss_scale();
    let own = |worker: usize| {
        let device = &workers.devices[worker];
        let parameters: Parameters = if worker == 0 {
            state.parameters.clone()
        } else {
            let to = |(n, p): (&String, &Tensor<1>)| (n.clone(), p.clone().to_device(device));
            state.parameters.iter().map(to).collect()
        };
        let first = worker as u64 * workers.accumulate;
        let batches = first..first + workers.accumulate;
        gradient(&parameters, scale, batches, |p, part| loss(p, worker, part))
    };
    let shares = match (workers.devices.len(), workers.pools.is_empty()) {
        (1, _) => vec![own(0)],
        (_, true) => exchanging(workers.devices, &own),
        (_, false) => in_pools(&workers.pools, &own),
    };
    let mut shares = shares.into_iter().collect::<Result<Vec<_>>>()?.into_iter();
    let (mut values, mut sums) = shares.next().ok_or_else(|| Error::new("no device to train on"))?;
    for (more, gradients) in shares {
        for ((_, sum), (_, value)) in values.iter_mut().zip(more) {
            *sum += value;
        }
        add(&mut sums, gradients, &workers.devices[0]);
    }
    let parts = workers.parts() as f32;
    values.iter_mut().for_each(|(_, v)| *v /= parts);
    let factor = 1.0 / (parts * scale);
    let gradients: Vec<(String, Tensor<1>)> = if factor == 1.0 {
        sums.into_iter().collect()
    } else {
        sums.into_iter().map(|(n, g)| (n, g * factor)).collect()
    };
    let norm = gradients
        .iter()
        .map(|(_, g)| g.clone().square().sum())
        .reduce(|a, b| a + b);
    let norm = norm.map_or(Ok(0.0), scalar)?.sqrt();
    // Nothing was changed yet: the state is still the one before this step.
    if values.iter().any(|(_, v)| !v.is_finite()) {
        return Ok(vec![("loss", f32::NAN)]);
    }
    if !norm.is_finite() {
        return Ok(vec![("gradient", f32::NAN)]);
    }
    // Rare bad batches must not throw the run.
    let shrink = (optimiser.clip / norm).min(1.0);
    // A young average forgets faster, so that the untrained weights do not linger in it.
    let decay = AVERAGE_DECAY.min((1 + state.step) as f32 / (10 + state.step) as f32);
    for (name, gradient) in gradients {
        let old = state.parameters[&name].clone();
        let moments = state.moments.remove(&name);
        let (new, moments) = optimiser.update(&name, rate, old, gradient * shrink, moments);
        let average = state.average[&name].clone() * decay + new.clone() * (1.0 - decay);
        state.average.insert(name.clone(), average);
        state.parameters.insert(name.clone(), new);
        if let Some(moments) = moments {
            state.moments.insert(name, moments);
        }
    }
    state.step += 1;
    Ok(values)
}

/// The sums of the terms and of their gradients over some batches.
fn gradient(
    parameters: &Parameters,
    scale: f32,
    parts: Range<u64>,
    loss: impl Fn(&Parameters, u64) -> Result<Terms>,
) -> Result<(Values, Parameters)> {
    let mut values = Values::new();
    let mut sums = Parameters::new();
    for part in parts {
        let tracked: Parameters = parameters
            .iter()
            .map(|(n, t)| (n.clone(), t.clone().autodiff().require_grad()))
            .collect();
        let terms = loss(&tracked, part)?;
        let total = terms.iter().map(|(_, t)| t.clone()).reduce(|a, b| a + b);
        let total = total.ok_or_else(|| Error::new("a loss without terms"))?;
        let total = if scale == 1.0 { total } else { total * scale };
        let mut gradients = total.backward();
        for (i, (name, term)) in terms.into_iter().enumerate() {
            let value = scalar(term.inner())?;
            match values.get_mut(i) {
                Some((_, sum)) => *sum += value,
                None => values.push((name, value)),
            }
        }
        let mut own = Parameters::new();
        for (name, t) in tracked {
            let gradient = t
                .grad_remove(&mut gradients)
                .ok_or_else(|| Error::new("a parameter does not reach the loss"))?;
            own.insert(name, gradient);
        }
        if sums.is_empty() {
            sums = own;
        } else {
            let device = sums.values().next().map(Tensor::device);
            add(&mut sums, own, &device.unwrap_or_default());
        }
    }
    Ok((values, sums))
}

/// Adds gradients to others of the same names on `device`; what has been added up elsewhere is empty.
fn add(sums: &mut Parameters, more: Parameters, device: &Device) {
    for (name, gradient) in more {
        if let Some(sum) = sums.remove(&name) {
            sums.insert(name, sum + gradient.to_device(device));
        }
    }
}

/// What a device's batches come to: the sums of the terms and of their gradients.
type Summed = Result<(Values, Parameters)>;

/// What every worker's share comes to, each on threads of its own: whole steps side by side keep them busier than each operation
/// shared out among them.
fn in_pools(pools: &[ThreadPool], own: &(impl Fn(usize) -> Summed + Sync)) -> Vec<Summed> {
    let share = |(worker, pool): (usize, &ThreadPool)| pool.install(|| own(worker));
    std::thread::scope(|scope| {
        let spawned = pools.iter().enumerate().map(|at| scope.spawn(move || share(at)));
        let threads: Vec<_> = spawned.collect();
        let lost = |_| Err(Error::new("a worker failed: see the message above"));
        threads
            .into_iter()
            .map(|t| t.join().unwrap_or_else(lost))
            .collect()
    })
}

/// What every device's share comes to, each on a thread of its own; gradients are then exchanged, unless one failed.
fn exchanging(devices: &[Device], own: &(impl Fn(usize) -> Summed + Sync)) -> Vec<Summed> {
    let (failed, all_there) = (AtomicBool::new(false), Barrier::new(devices.len()));
    let worker = |worker: usize| {
        let share = catch_unwind(AssertUnwindSafe(|| own(worker)));
        let share = share.unwrap_or_else(|_| Err(Error::new("a device failed: see the message above")));
        failed.fetch_or(share.is_err(), Ordering::SeqCst);
        // Nobody waits for gradients that will not come.
        all_there.wait();
        let (values, gradients) = share?;
        if failed.load(Ordering::SeqCst) {
            return Ok((values, Parameters::new()));
        }
        Ok((values, exchanged(worker, gradients, devices)))
    };
    std::thread::scope(|scope| {
        let worker = &worker;
        let threads: Vec<_> = (0..devices.len())
            .map(|i| scope.spawn(move || worker(i)))
            .collect();
        let lost = |_| {
            Err(Error::new(
                "the exchange of gradients failed: see the message above",
            ))
        };
        threads
            .into_iter()
            .map(|t| t.join().unwrap_or_else(lost))
            .collect()
    })
}

/// On NVIDIA GPUs the sum of all gradients, by burn's collective operation, for the first of them; elsewhere a device's own,
/// to be added up.
#[cfg(feature = "cuda")]
fn exchanged(worker: usize, gradients: Parameters, devices: &[Device]) -> Parameters {
    use burn::tensor::distributed::{ReduceOperation, all_reduce};

    // Every worker takes part, in the same order.
    let sums: Parameters = gradients
        .into_iter()
        .map(|(n, g)| (n, all_reduce(g, ReduceOperation::Sum, devices.to_vec()).resolve()))
        .collect();
    if worker == 0 { sums } else { Parameters::new() }
}

#[cfg(not(feature = "cuda"))]
fn exchanged(_: usize, gradients: Parameters, _: &[Device]) -> Parameters {
    gradients
}

/// Reads a number from the device.
pub(crate) fn scalar(x: Tensor<1>) -> Result<f32> {
    x.try_into_scalar::<f32>()
        .map_err(|e| Error::new(format!("the device failed: {e}")))
}

/// The rate of `step` of `steps`: a warm-up, then a cosine down to nothing, or the peak to the end.
pub(crate) fn learning_rate(peak: f64, step: u64, steps: u64, warm_up: u32, schedule: Schedule) -> f64 {
    let warm = ((step + 1) as f64 / f64::from(warm_up.max(1))).min(1.0);
    let progress = step as f64 / steps as f64;
    match schedule {
        Schedule::Cosine => peak * warm * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()),
        Schedule::Constant => peak * warm,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::config::OptimiserKind;
    use asasr_core::model::{Tensor as Stored, Weights};
    use burn::tensor::Device;

    #[test]
    fn rates_warm_up_and_fall_or_stay() {
        let at = |step, schedule| learning_rate(2.0, step, 1000, 200, schedule);
        for schedule in [Schedule::Cosine, Schedule::Constant] {
            assert!(at(0, schedule) < 0.02 && at(100, schedule) < at(199, schedule));
        }
        assert!((at(500, Schedule::Cosine) - 1.0).abs() < 1e-9 && at(999, Schedule::Cosine) < 1e-4);
        assert!((at(999, Schedule::Constant) - 2.0).abs() < 1e-9);
        assert!((learning_rate(2.0, 0, 1000, 0, Schedule::Constant) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn the_gradient_of_parts_is_their_mean() {
        // Two parts pull towards 1 and towards 3: together they pull as one towards 2.
        let device = Device::flex();
        let mut weights = Weights::default();
        weights.insert(
            "x".into(),
            Stored {
                shape: vec![1],
                values: vec![0.0],
            },
        );
        let optimiser = Optimiser::new(OptimiserKind::Adam, (false, 1.0), &weights);
        let devices = vec![device.clone(); 2];
        let run = |(workers, accumulate): (usize, u64), target: fn(u64) -> f32| {
            let mut state = State::fresh(&weights, &device);
            let mut values = Vec::new();
            for _ in 0..5 {
                let towards = |p: &Parameters, _: usize, part: u64| {
                    Ok(vec![("loss", (p["x"].clone() - target(part)).square().sum())])
                };
                let workers = Workers::new(&devices[..workers], Precision::F32, accumulate).expect("threads");
                let value = step(&mut state, &optimiser, 0.01, &workers, towards).expect("steps");
                values.push((value[0].1, scalar(state.parameters["x"].clone()).expect("reads")));
            }
            values
        };
        let (apart, one) = (|part| 1.0 + 2.0 * part as f32, run((1, 1), |_| 2.0));
        let two = run((1, 2), apart);
        // Two devices with a batch each are two batches of one device.
        assert_eq!(two, run((2, 1), apart));
        for ((loss, x), (single_loss, single_x)) in two.iter().zip(&one) {
            assert!((x - single_x).abs() < 1e-6, "{x} {single_x}");
            // The mean of the two squares is one above the square of the mean.
            assert!((loss - single_loss - 1.0).abs() < 1e-5, "{loss} {single_loss}");
        }
    }
}
