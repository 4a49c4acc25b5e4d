//! `asasr bench model`: a network alone, without reading, holding and writing images.

use std::time::Instant;

use asasr_core::exec::CpuExecutor;
use asasr_core::model::Role;
use asasr_core::random::SplitMix64;
use asasr_core::{Executor as _, Planes, Rect};

use crate::cli::{BenchModel, Mode};
use crate::error::Result;
use crate::graphs::Graphs;

/// Runs the command.
pub(crate) fn run(args: &BenchModel) -> Result<()> {
    let mut model = Graphs::open(args.weights.as_deref())?;
    let id = model.id().to_owned();
    let (part, weights) = match model.take(Role::Community) {
        Some(own) => own,
        None => model.of_mode(Mode::Instant)?.0,
    };
    let executor = CpuExecutor::new(&part.graph, weights)?;
    let side = usize::from(args.side);
    let mut random = SplitMix64::new(1);
    let values = (0..3 * side * side).map(|_| random.unit() as f32).collect();
    let image = Planes::new(3, side, side, values)?;
    let mut best = f64::INFINITY;
    for _ in 0..args.rounds {
        let start = Instant::now();
        let made = pollster::block_on(executor.run(&image, Rect::whole(side, side), &|_, _| true))?;
        best = best.min(start.elapsed().as_secs_f64());
        std::hint::black_box(made);
    }
    let made = (side * executor.scale()).pow(2) as f64 / 1e6;
    say!(
        "{}: {} learned values, {side}x{side} pixels: {:.3} output MP/s, best of {}",
        id,
        part.graph.parameter_count(),
        made / best,
        args.rounds
    );
    Ok(())
}
