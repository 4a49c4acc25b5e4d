//! Which kernels run, and which buffers they read and write.
//!
//! A convolution takes along what follows it where nothing else needs its bare result: a modulation by the time, and an
//! addition. A value (the input, or a layer's output) lives from the kernel that makes it to the last one that reads it;
//! values that do not live at the same time share a slot.

use asasr_core::model::{Activation, Layer};

/// Where a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The network's input.
    Input,
    /// A slot of features.
    Slot(usize),
}

/// What one kernel does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Step {
    /// The convolution, by its layer's index; without one the kernel works pixel by pixel.
    pub(crate) convolution: Option<usize>,
    /// The modulation, by its layer's index.
    pub(crate) film: Option<usize>,
    /// Applied after both, before the addition; learned slopes are those of the last of the two.
    pub(crate) activation: Activation,
    pub(crate) input: Place,
    /// The second summand of an addition.
    pub(crate) other: Option<Place>,
    pub(crate) output: usize,
    /// Channels of the result.
    pub(crate) channels: usize,
}

/// The kernels of a network in order, and the number of slots.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    pub(crate) slots: usize,
}

/// A step whose values have numbers instead of places: 0 is the input, `i` the output of the `i`-th layer from one.
struct Fused {
    step: Step,
    input: usize,
    other: Option<usize>,
    output: usize,
}

/// Puts layers together that one kernel does.
fn fuse(layers: &[Layer], inputs: usize) -> Vec<Fused> {
    let read_later = |value: usize| {
        layers
            .iter()
            .any(|l| matches!(l, Layer::Add { with } if *with == value))
    };
    let mut channels = inputs;
    let mut all = Vec::new();
    let mut i = 0;
    while i < layers.len() {
        let mut step = Step {
            convolution: None,
            film: None,
            activation: Activation::None,
            input: Place::Input,
            other: None,
            output: 0,
            channels,
        };
        let input = i;
        let mut other = None;
        if let Layer::Conv {
            outputs, activation, ..
        } = &layers[i]
        {
            step.convolution = Some(i);
            step.activation = *activation;
            step.channels = *outputs;
            i += 1;
        }
        let bare = |i: usize| i == input || !read_later(i);
        if let Some(Layer::Film { activation, .. }) = layers.get(i)
            && step.activation == Activation::None
            && bare(i)
        {
            step.film = Some(i);
            step.activation = *activation;
            i += 1;
        }
        if let Some(Layer::Add { with }) = layers.get(i)
            && bare(i)
        {
            other = Some(*with);
            i += 1;
        }
        channels = step.channels;
        all.push(Fused {
            step,
            input,
            other,
            output: i,
        });
    }
    all
}

impl Plan {
    /// The plan of valid layers that read `inputs` channels.
    pub(crate) fn new(layers: &[Layer], inputs: usize) -> Self {
        let fused = fuse(layers, inputs);
        let last_read = |value: usize| {
            let reads = |f: &Fused| f.input == value || f.other == Some(value);
            // What nobody reads is the network's output.
            fused.iter().rposition(reads).unwrap_or(usize::MAX)
        };
        let mut places = vec![Place::Input; layers.len() + 1];
        let mut holder: Vec<Option<usize>> = Vec::new();
        let mut steps = Vec::with_capacity(fused.len());
        for (i, f) in fused.iter().enumerate() {
            let free = holder
                .iter()
                .position(|held| held.is_none_or(|value| last_read(value) < i));
            let slot = free.unwrap_or_else(|| {
                holder.push(None);
                holder.len() - 1
            });
            holder[slot] = Some(f.output);
            steps.push(Step {
                input: places[f.input],
                other: f.other.map(|v| places[v]),
                output: slot,
                ..f.step
            });
            places[f.output] = Place::Slot(slot);
        }
        Self {
            steps,
            slots: holder.len(),
        }
    }

    /// Channels of the widest value that a kernel makes.
    pub(crate) fn widest(&self) -> usize {
        self.steps.iter().map(|s| s.channels).max().unwrap_or(1)
    }

    /// The slot of the network's output.
    pub(crate) fn output(&self) -> usize {
        self.steps.last().map_or(0, |s| s.output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use asasr_core::model::{Architecture, VelocityArchitecture};

    /// Plays the plan with the layers' numbers in the slots: every read finds the value it should.
    fn play(layers: &[Layer], inputs: usize) -> Plan {
        let plan = Plan::new(layers, inputs);
        let mut slots = vec![usize::MAX; plan.slots];
        let mut done = 0;
        for step in &plan.steps {
            let value = |p: Place| match p {
                Place::Input => 0,
                Place::Slot(s) => slots[s],
            };
            assert_eq!(value(step.input), done);
            for place in [Some(step.input), step.other].into_iter().flatten() {
                assert_ne!(
                    place,
                    Place::Slot(step.output),
                    "a kernel cannot write what it reads"
                );
            }
            for layer in [step.convolution, step.film].into_iter().flatten() {
                assert_eq!(layer, done);
                done += 1;
            }
            if let Some(other) = step.other {
                let Layer::Add { with } = &layers[done] else {
                    panic!("{done} adds nothing")
                };
                assert_eq!(value(other), *with);
                done += 1;
            }
            slots[step.output] = done;
        }
        assert_eq!(done, layers.len());
        assert_eq!(slots[plan.output()], layers.len());
        plan
    }

    #[test]
    fn no_value_is_overwritten_before_its_last_read() {
        for blocks in 1..6 {
            let restorer = play(&Architecture::restorer(4, 8, blocks).layers, 3);
            assert_eq!(restorer.steps.len(), 2 * blocks + 3);
            let VelocityArchitecture::Conv(field) = VelocityArchitecture::conv(4, 8, blocks) else {
                panic!("convolutions")
            };
            let field = play(&field.layers, 99);
            assert_eq!(field.steps.len(), 2 * blocks + 3);
            for plan in [restorer, field] {
                assert!(plan.slots <= 4, "{} slots", plan.slots);
            }
        }
    }

    #[test]
    fn what_is_read_twice_stays_apart() {
        let conv = |name: &str| Layer::Conv {
            name: name.into(),
            inputs: 4,
            outputs: 4,
            kernel: 1,
            activation: Activation::None,
        };
        let film = |name: &str| Layer::Film {
            name: name.into(),
            channels: 4,
            activation: Activation::None,
        };
        let add = |with| Layer::Add { with };
        // The bare convolution is added later, a modulation stands alone, a value is added to itself.
        let plan = play(&[conv("a"), film("b"), add(1), film("c"), add(0), add(5)], 4);
        assert_eq!(plan.steps.len(), 4);
    }
}
