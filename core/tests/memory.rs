//! What an enlargement holds depends on its tiles: of the image only a row of enlarged tiles, as wide as the output.
#![cfg(feature = "burn")]

use asasr_core::model::Architecture;
use asasr_core::nn::{BurnExecutor, Network, init_weights};
use asasr_core::pipeline::{Event, Options, OutputScale, Photo, enlarge};
use asasr_core::{Planes, Rect, Size};
use burn::tensor::Device;
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const CORE: usize = 32;
const SCALE: usize = 4;

/// A black image that takes no memory.
struct Blank(Size);

impl Photo for Blank {
    fn size(&self) -> Size {
        self.0
    }

    fn has_alpha(&self) -> bool {
        false
    }

    fn planes(&self, rect: Rect) -> Planes {
        Planes::zeros(3, rect.height(), rect.width())
    }
}

/// Bytes that are held at most beside what was held before, while an image is read and its rows are passed on.
fn most_held(executor: &BurnExecutor, (width, height): (usize, usize)) -> usize {
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let mut rows = 0;
    let photo = Blank(Size::new(width, height));
    let options = Options::new(OutputScale::new(SCALE).expect("offered"), CORE);
    let work = enlarge(executor, executor, &photo, &options, |event| {
        if let Event::Rows { rows: strip, .. } = event {
            rows += strip.height();
        }
        Ok(())
    });
    pollster::block_on(work).expect("runs");
    assert_eq!(rows, SCALE * height);
    ALLOCATOR.peak_usage() - before
}

/// One test alone, for it looks at the memory of the whole process.
#[test]
fn memory_grows_with_the_width_of_the_output_alone() {
    let architecture = Architecture::restorer(SCALE, 16, 4);
    let weights = init_weights(&architecture, 1);
    let network = Network::new(&architecture, &weights, &Device::flex()).expect("fits");
    let executor = BurnExecutor::new(network);
    let side = 6 * CORE;
    // What is made once and kept.
    most_held(&executor, (side, side));
    let square = most_held(&executor, (side, side));
    let tall = most_held(&executor, (side, 8 * side));
    let wide = most_held(&executor, (8 * side, side));
    // How the threads' work falls together differs from run to run.
    let about = square / 10;
    assert!(
        tall < square + about,
        "{tall} bytes for eight times the height, {square} before"
    );
    // A row of tiles with the margin that they share, and less than half of it once more on its way out.
    let row = |width: usize| 3 * SCALE * SCALE * width * (CORE + 4) * size_of::<f32>();
    // 64 of its 144 rows are copied at a time.
    let copied = (row(8 * side) - row(side)) * 3 / 2;
    // What holds the result to the photo keeps rows back: those of 16 + 48 input pixels, and their sums.
    let held = 64 * (3 * SCALE * SCALE + 80) * 7 * side * size_of::<f32>();
    let grown = copied + held;
    assert!(
        wide < square + grown + about,
        "{wide} bytes for eight times the width, {square} before"
    );

    // Of the layers' values only those are held that a later layer reads: a deeper network needs more for its wider halo alone.
    let deep = Architecture::restorer(SCALE, 16, 16);
    let network = Network::new(&deep, &init_weights(&deep, 1), &Device::flex()).expect("fits");
    let area = |a: &Architecture| (CORE + 4 + 2 * a.receptive_radius()).pow(2);
    let most = square * area(&deep) / area(&architecture);
    let deep = most_held(&BurnExecutor::new(network), (side, side));
    assert!(deep < most, "{deep} bytes where {most} are enough");
}
