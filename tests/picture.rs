//! The image the tests enlarge, and what the native CPU executor makes of it.

use asasr_codec::{Layout, Picture, PngRows, SharedBytes, decode};
use asasr_core::flow::{Drawing, Sampler};
use asasr_core::model::Mode;
use asasr_core::model::format1::Manifest;
use asasr_core::nn::{BurnExecutor, BurnFlow, Network};
use asasr_core::pipeline::{Event, Options, OutputScale, enlarge};
use asasr_core::{Executor, Planes};
use burn::tensor::Device;

/// A PNG with edges, a gradient and fine texture in every channel.
pub fn drawn(width: usize, height: usize) -> Vec<u8> {
    let mut planes = Planes::zeros(3, height, width);
    for y in 0..height {
        for x in 0..width {
            let disc = (x as f32 - 20.0).hypot(y as f32 - 12.0) < 9.0;
            let bars = (x / 3 + y / 5) % 2 == 0;
            let slope = x as f32 / width as f32;
            let values = [slope, if disc { 0.9 } else { 0.2 }, if bars { 0.8 } else { 0.35 }];
            for (c, v) in values.into_iter().enumerate() {
                planes.row_mut(c, y)[x] = v;
            }
        }
    }
    let bytes = SharedBytes::default();
    let mut rows = PngRows::new(bytes.clone(), width, height, Layout::Rgb, 8).unwrap();
    rows.write(0, &planes).unwrap();
    rows.finish().unwrap();
    bytes.take()
}

/// `file` four times larger by the shipped model on the native CPU backend, in one piece and rounded to 8 bits.
pub fn enlarged_natively(file: &[u8]) -> Picture {
    let (manifest, network) = shipped();
    assert_eq!(manifest.architecture.scale, 4);
    enlarged(file, &BurnExecutor::new(network))
}

/// Likewise, drawn from the shipped flow.
pub fn drawn_natively(file: &[u8], mode: Mode, seed: u64) -> Picture {
    let (manifest, network) = shipped();
    let (part, steps) = manifest.flow_of(mode).expect("the shipped model has a flow");
    let weights = asasr_weights::DEFAULT
        .flow(&part.file)
        .expect("its weights are there");
    let weights = part.open_weights(weights).unwrap();
    let flow = BurnFlow::new(network, part, &weights, &Device::flex()).unwrap();
    let picture = decode(file, 1 << 20).unwrap();
    let size = (picture.width(), picture.height());
    enlarged(
        file,
        &Sampler::new(flow, part, Drawing::new(seed, steps), size).unwrap(),
    )
}

fn shipped() -> (Manifest, Network) {
    let shipped = asasr_weights::DEFAULT;
    let manifest = Manifest::from_json(shipped.manifest).unwrap();
    let weights = manifest.open_weights(shipped.weights).unwrap();
    let network = Network::new(&manifest.architecture, &weights, &Device::flex()).unwrap();
    (manifest, network)
}

fn enlarged(file: &[u8], executor: &impl Executor) -> Picture {
    let picture = decode(file, 1 << 20).unwrap();
    let size = picture.size().times(4);
    let bytes = SharedBytes::default();
    let (layout, bits) = (picture.layout(), picture.bits());
    let mut png = PngRows::new(bytes.clone(), size.width, size.height, layout, bits).unwrap();
    let options = Options::new(OutputScale::new(4).unwrap(), 4096);
    let report = pollster::block_on(enlarge(executor, picture.raster(), &options, |event| {
        if let Event::Rows { first, rows, .. } = event {
            png.write(first, rows).unwrap();
        }
        Ok(())
    }));
    assert_eq!(report.unwrap().size, size);
    png.finish().unwrap();
    decode(&bytes.take(), 1 << 24).unwrap()
}
