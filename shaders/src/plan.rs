//! Which kernel reads and writes which buffer.
//!
//! A value (the input, or a layer's output) lives from the layer that makes it to the last one that reads it; values
//! that do not live at the same time share a slot.

use asasr_core::model::{Architecture, Layer};

/// Where a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The image itself.
    Image,
    /// A slot of features.
    Slot(usize),
}

/// One layer's places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) input: Place,
    /// The second summand of an addition.
    pub(crate) other: Option<Place>,
    pub(crate) output: usize,
}

/// The steps of a network, one a layer, and the number of slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    pub(crate) slots: usize,
}

impl Plan {
    /// The plan of a valid architecture.
    pub(crate) fn new(architecture: &Architecture) -> Self {
        let n = architecture.layers.len();
        // The last layer that reads each value; the output of the last is read after all.
        let mut last_read: Vec<usize> = (0..=n).collect();
        for (i, layer) in architecture.layers.iter().enumerate() {
            if let Layer::Add { with } = layer {
                last_read[*with] = last_read[*with].max(i);
            }
        }
        let mut places = vec![Place::Image];
        let mut holder: Vec<Option<usize>> = Vec::new();
        let mut steps = Vec::with_capacity(n);
        for (i, layer) in architecture.layers.iter().enumerate() {
            let other = match layer {
                Layer::Add { with } => Some(places[*with]),
                Layer::Conv { .. } | Layer::Film { .. } => None,
            };
            let free = holder
                .iter()
                .position(|held| held.is_none_or(|value| last_read[value] < i));
            let slot = free.unwrap_or_else(|| {
                holder.push(None);
                holder.len() - 1
            });
            holder[slot] = Some(i + 1);
            steps.push(Step {
                input: places[i],
                other,
                output: slot,
            });
            places.push(Place::Slot(slot));
        }
        Self {
            steps,
            slots: holder.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays the plan with value numbers in the slots: every read finds the value it should.
    #[test]
    fn no_value_is_overwritten_before_its_last_read() {
        for blocks in 1..6 {
            let architecture = Architecture::restorer(4, 8, blocks);
            let plan = Plan::new(&architecture);
            let mut slots = vec![usize::MAX; plan.slots];
            for (i, (step, layer)) in plan.steps.iter().zip(&architecture.layers).enumerate() {
                let value = |p: Place| match p {
                    Place::Image => 0,
                    Place::Slot(s) => slots[s],
                };
                assert_eq!(value(step.input), i);
                if let Layer::Add { with } = layer {
                    assert_eq!(step.other.map(value), Some(*with));
                }
                assert_ne!(
                    step.input,
                    Place::Slot(step.output),
                    "a kernel cannot write what it reads"
                );
                slots[step.output] = i + 1;
            }
            assert!(plan.slots <= 4, "{} slots", plan.slots);
        }
    }
}
