use alloc::{format, vec, vec::Vec};
use core::ops::RangeInclusive;

use super::{Operation, Reference, map, map_at, params::params, within};
use crate::exec::shade::{self, By, Shade, Shader};
use crate::exec::{Compute, Value, for_each};
use crate::graph::types::{Kind, Windows};
use crate::graph::{Fault, Shape, Tensor, ValueType, limits};
#[cfg(feature = "burn")]
use crate::nn::graph::{Batch, Given, OnBurn};

/// A map cut into windows (Liu et al. 2021): a token for each pixel of each window of a grid that begins `shift` pixels before the
/// map's first; tokens beyond the edge are zero.
///
/// Where the map's sides are whole numbers of windows, attention in these is that of windows rolled round the edge whose parts from
/// opposite sides are masked from each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowPartition {
    /// Rows and columns of a window.
    pub window: [usize; 2],
    /// Rows and columns that the grid begins early, less than a window.
    pub shift: [usize; 2],
}

params!(WindowPartition { window, shift = [0, 0] });

impl Operation for WindowPartition {
    fn reads(&self) -> RangeInclusive<usize> {
        1..=1
    }

    fn check(&self, inputs: &[ValueType]) -> Result<ValueType, Fault> {
        let x = map_at(inputs, 0)?;
        for (window, shift) in self.window.into_iter().zip(self.shift) {
            within("a side of the window", window, 1..=limits::WINDOW)?;
            within("the shift", shift, 0..=window - 1)?;
        }
        if x.margin != 0 {
            return Err(Fault::Inputs(format!(
                "{x} cannot be cut into windows, for its tiles begin elsewhere"
            )));
        }
        let (window, shift) = (self.window, self.shift);
        Ok(ValueType {
            kind: Kind::Tokens(Windows { window, shift }),
            ..x
        })
    }

    fn multiply_adds(&self, _inputs: &[Shape], _output: &Shape) -> u64 {
        0
    }
}

impl Reference for WindowPartition {
    fn cases() -> Vec<(Self, Vec<ValueType>)> {
        let case = |window, shift| (Self { window, shift }, vec![map(3)]);
        vec![
            case([4, 4], [0, 0]),
            case([4, 4], [2, 2]),
            case([2, 8], [1, 3]),
            case([1, 1], [0, 0]),
        ]
    }

    fn run(&self, inputs: &[&Tensor], _parameters: &[Vec<f64>], output: Shape) -> Tensor {
        let grid = super::grid(&output);
        Tensor::build(output, |c, p| {
            let pixel = grid.pixel(p / grid.tokens(), p % grid.tokens());
            pixel.map_or(0.0, |(x, y)| inputs[0].pixel(c, x, y))
        })
    }
}

#[cfg(feature = "burn")]
impl OnBurn for WindowPartition {
    fn on_burn(&self, given: Given) -> Batch {
        use crate::graph::{Grid, Places, Size};
        use burn::tensor::ops::PadMode;

        let x = given.one().into_rows();
        let [n, height, width, c] = x.dims();
        let (window, shift) = (self.window, self.shift);
        let grid = Grid::new(Size::new(width, height), Windows { window, shift });
        let ([down, across], [rows, columns]) = (grid.count(), window);
        let below = down * rows - height - shift[0];
        let right = across * columns - width - shift[1];
        let beyond = vec![(0, 0), (shift[0], below), (shift[1], right), (0, 0)];
        let windows = x
            .pad(beyond, PadMode::Constant(0.0))
            .reshape([n, down, rows, across, columns, c])
            .permute([0, 1, 3, 2, 4, 5])
            .reshape([n, down * across, rows * columns, c]);
        Batch::rows(windows, Places::Tokens(grid))
    }
}

impl Compute for WindowPartition {
    fn compute(&self, inputs: &[&Value], _parameters: &[&[f32]], out: &mut Value) {
        let (grid, n, places) = (super::grid(&out.shape), out.channels(), inputs[0].places());
        let windows = out.data.chunks_exact_mut(grid.tokens() * n).enumerate();
        for_each(windows.collect(), |(window, made): (usize, &mut [f32])| {
            made.fill(0.0);
            let pixels = (0..grid.tokens()).map(|token| grid.pixel(window, token));
            let pixels: Vec<_> = pixels.map(|at| at.map(|(x, y)| y * grid.map.width + x)).collect();
            for (c, plane) in inputs[0].data.chunks_exact(places).enumerate() {
                for (at, made) in pixels.iter().zip(made.iter_mut().skip(c).step_by(n)) {
                    if let Some(at) = at {
                        *made = plane[*at];
                    }
                }
            }
        });
    }
}

impl Shade for WindowPartition {
    fn shader(&self, _inputs: &[ValueType], _output: &ValueType) -> Shader {
        let ([rows, columns], [down, right]) = (self.window, self.shift);
        shade::moved(
            By::Four,
            format!(
                "fn $value4(g: u32, x: u32, y: u32) -> vec4<f32> {{
    let map = $a_size().xy;
    let across = (map.x + {right}u + {columns}u - 1u) / {columns}u;
    let at = vec2<u32>(y % across * {columns}u + x % {columns}u, y / across * {rows}u + x / {columns}u);
    let shift = vec2<u32>({right}u, {down}u);
    if (any(at < shift) || any(at - shift >= map)) {{ return vec4<f32>(); }}
    return $a4(g, at.x - shift.x, at.y - shift.y);
}}
"
            ),
        )
    }
}
