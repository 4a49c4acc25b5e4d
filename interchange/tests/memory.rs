//! How many bytes a model takes while it is imported, and once it is loaded.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use asasr_core::exec::CpuExecutor;
use asasr_core::graph::{conformance, nets::Rrdb};
use asasr_core::model::{Dtype, Manifest, Role};
use asasr_interchange::{Imported, OwnFile, Stated, import};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// Bytes held at most while `work` runs and those held after it, beside those held before.
fn held<T>(work: impl FnOnce() -> T) -> (T, usize, usize) {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let made = work();
    let most = ALLOCATOR.peak_usage() - before;
    (made, most, ALLOCATOR.current_usage().saturating_sub(before))
}

/// One test alone, for it looks at the memory of the whole process.
#[test]
fn weights_are_held_once_when_loaded_and_twice_while_imported() {
    let mean = Manifest::from_json(asasr_weights::DEFAULT.manifest).unwrap();
    let net = Rrdb {
        colours: 3,
        features: 64,
        growth: 32,
        blocks: 3,
        doublings: 2,
        unshuffle: 1,
        plus: false,
    };
    let graph = net.graph().check().unwrap();
    let values = graph.parameter_count() as usize;
    for dtype in [Dtype::F32, Dtype::F16] {
        let bytes = {
            let weights = conformance::weights(&graph, 1);
            weights.to_safetensors(dtype).unwrap()
        };
        let file = bytes.len();
        let name = "model.safetensors".into();
        let files = vec![OwnFile { name, bytes }];
        let (imported, most, _) = held(|| import(files, &Stated::default(), &mean).unwrap());
        let Imported { manifest, weights } = imported;
        assert_eq!(weights.len() / values, file / values);
        // The file was there before.
        let allowed = 4 * values * 11 / 10 + (weights.len() - file.min(weights.len()));
        assert!(
            most < allowed,
            "{most} bytes beside the file's {file} to import {values} values"
        );

        let part = manifest.network(Role::Community).unwrap().clone();
        let (executor, most, held) = held(|| {
            let opened = part.open_weights(&weights).unwrap();
            drop(weights);
            CpuExecutor::new(&part.graph, opened).unwrap()
        });
        // What was the file's is free again.
        let held = held + file;
        assert!(held < 4 * values * 12 / 10, "{held} bytes hold {values} values");
        assert!(most < 4 * values * 3, "{most} bytes to load {values} values");
        println!("{dtype:?}: {values} values, {held} bytes loaded, {most} at most beside the file");
        drop(executor);
    }
}
