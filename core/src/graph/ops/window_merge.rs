use alloc::{format, vec, vec::Vec};
use core::ops::RangeInclusive;

use super::{Operation, Reference, params::params, tokens};
use crate::exec::shade::{self, By, Shade, Shader};
use crate::exec::{Compute, Value, for_each};
#[cfg(feature = "burn")]
use crate::graph::Places;
use crate::graph::types::{Kind, Windows};
use crate::graph::{Fault, Shape, Tensor, ValueType};
#[cfg(feature = "burn")]
use crate::nn::graph::{Batch, Given, OnBurn};

/// The map that tokens were cut from, what undoes [`window_partition`](struct@super::WindowPartition); tokens beyond the edge are
/// left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowMerge {}

params!(WindowMerge {});

impl Operation for WindowMerge {
    fn reads(&self) -> RangeInclusive<usize> {
        1..=1
    }

    fn check(&self, inputs: &[ValueType]) -> Result<ValueType, Fault> {
        match inputs[0].kind {
            Kind::Tokens(_) => Ok(ValueType {
                kind: Kind::Map,
                ..inputs[0]
            }),
            _ => Err(Fault::Inputs(format!("tokens are needed, not {}", inputs[0]))),
        }
    }

    fn multiply_adds(&self, _inputs: &[Shape], _output: &Shape) -> u64 {
        0
    }
}

impl Reference for WindowMerge {
    fn cases() -> Vec<(Self, Vec<ValueType>)> {
        vec![
            (Self {}, vec![tokens(3, [4, 4], [2, 2])]),
            (Self {}, vec![tokens(1, [2, 8], [0, 5])]),
        ]
    }

    fn run(&self, inputs: &[&Tensor], _parameters: &[Vec<f64>], output: Shape) -> Tensor {
        let grid = super::grid(&inputs[0].shape());
        let mut token_at = vec![0; output.places.count()];
        for p in 0..inputs[0].shape().places.count() {
            if let Some((x, y)) = grid.pixel(p / grid.tokens(), p % grid.tokens()) {
                token_at[y * grid.map.width + x] = p;
            }
        }
        Tensor::build(output, |c, p| inputs[0].at(c, token_at[p]))
    }
}

#[cfg(feature = "burn")]
impl OnBurn for WindowMerge {
    fn on_burn(&self, given: Given) -> Batch {
        let x = given.one();
        let (n, channels, places) = (x.len(), x.channels(), x.places);
        let grid = super::grid(&Shape { channels, places });
        let ([down, across], [rows, columns]) = (grid.count(), grid.windows.window);
        let ([above, left], size) = (grid.windows.shift, grid.map);
        let whole = x
            .tensor
            .reshape([n, down, across, rows, columns, channels])
            .permute([0, 1, 3, 2, 4, 5])
            .reshape([n, down * rows, across * columns, channels]);
        let map = whole.slice([
            0..n,
            above..above + size.height,
            left..left + size.width,
            0..channels,
        ]);
        Batch::rows(map, Places::Map(size))
    }
}

impl Compute for WindowMerge {
    fn compute(&self, inputs: &[&Value], _parameters: &[&[f32]], out: &mut Value) {
        let (grid, n, places) = (super::grid(&inputs[0].shape), out.channels(), out.places());
        // Where in the windows each pixel is.
        let mut from = vec![0; places];
        for token in 0..inputs[0].places() {
            if let Some((x, y)) = grid.pixel(token / grid.tokens(), token % grid.tokens()) {
                from[y * grid.map.width + x] = token * n;
            }
        }
        let planes = out.data.chunks_exact_mut(places).enumerate();
        for_each(planes.collect(), |(c, plane)| {
            let pixels = plane.iter_mut().zip(&from);
            pixels.for_each(|(y, at)| *y = inputs[0].data[at + c]);
        });
    }
}

impl Shade for WindowMerge {
    fn shader(&self, inputs: &[ValueType], _output: &ValueType) -> Shader {
        let Kind::Tokens(Windows {
            window: [rows, columns],
            shift: [down, right],
        }) = inputs[0].kind
        else {
            unreachable!("the tokens were checked")
        };
        shade::moved(
            By::Four,
            format!(
                "fn $value4(g: u32, x: u32, y: u32) -> vec4<f32> {{
    let across = ($size().x + {right}u + {columns}u - 1u) / {columns}u;
    let at = vec2<u32>(x + {right}u, y + {down}u);
    return $a4(g, at.y % {rows}u * {columns}u + at.x % {columns}u, at.y / {rows}u * across + at.x / {columns}u);
}}
"
            ),
        )
    }
}
