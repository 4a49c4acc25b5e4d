use std::f64::consts::PI;

/// Kinds of blur kernels, as the recipe's table names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Iso,
    Aniso,
    GeneralisedIso,
    GeneralisedAniso,
    PlateauIso,
    PlateauAniso,
    Sinc,
}

/// A kernel's profile over the squared Mahalanobis distance `q`, or over the radius.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Shape {
    /// `exp(-q^beta / 2)`; a beta of one is the Gaussian.
    Generalised(f64),
    /// `1 / (1 + q^beta)`.
    Plateau(f64),
    /// The circular ideal low-pass of that cut-off in radians per pixel.
    LowPass(f64),
}

/// A blur kernel as drawn.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Blur {
    /// Odd side in pixels.
    pub(crate) size: usize,
    pub(crate) family: Family,
    /// Deviations along the two axes in pixels.
    pub(crate) sigma: (f64, f64),
    /// Of the first axis, in radians.
    pub(crate) angle: f64,
    pub(crate) shape: Shape,
}

/// A square kernel that sums to one, `[side, side]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Kernel {
    pub(crate) side: usize,
    pub(crate) values: Vec<f32>,
}

impl Kernel {
    /// How many pixels away what matters lies: beyond, there is a tenth of the weights.
    pub(crate) fn reach(&self) -> usize {
        let radius = self.side / 2;
        let mut rings = vec![0.0; radius + 1];
        for (i, v) in self.values.iter().enumerate() {
            let (x, y) = (i % self.side, i / self.side);
            rings[x.abs_diff(radius).max(y.abs_diff(radius))] += v.abs();
        }
        let enough = 0.9 * rings.iter().sum::<f32>();
        let mut sum = 0.0;
        let within = rings.iter().position(|ring| {
            sum += ring;
            sum >= enough
        });
        within.unwrap_or(radius)
    }
}

impl Blur {
    pub(crate) fn values(&self) -> Kernel {
        let reach = (self.size / 2) as isize;
        let (sin, cos) = self.angle.sin_cos();
        let mut values = Vec::with_capacity(self.size * self.size);
        for y in -reach..=reach {
            for x in -reach..=reach {
                let (x, y) = (x as f64, y as f64);
                let q = || {
                    let (u, v) = (
                        (x * cos + y * sin) / self.sigma.0,
                        (y * cos - x * sin) / self.sigma.1,
                    );
                    u * u + v * v
                };
                values.push(match self.shape {
                    Shape::Generalised(beta) => (-0.5 * q().powf(beta)).exp(),
                    Shape::Plateau(beta) => 1.0 / (1.0 + q().powf(beta)),
                    Shape::LowPass(cutoff) => {
                        let r = (x * x + y * y).sqrt();
                        if r == 0.0 {
                            cutoff * cutoff / (4.0 * PI)
                        } else {
                            cutoff * libm::j1(cutoff * r) / (2.0 * PI * r)
                        }
                    }
                });
            }
        }
        let sum: f64 = values.iter().sum();
        Kernel {
            side: self.size,
            values: values.iter().map(|v| (v / sum) as f32).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blur(shape: Shape, sigma: (f64, f64), angle: f64) -> Kernel {
        Blur {
            size: 21,
            family: Family::Aniso,
            sigma,
            angle,
            shape,
        }
        .values()
    }

    /// Second moments along both axes and across.
    fn moments(k: &Kernel) -> (f64, f64, f64) {
        let mut m = (0.0, 0.0, 0.0);
        for (i, v) in k.values.iter().enumerate() {
            let (x, y) = ((i % 21) as f64 - 10.0, (i / 21) as f64 - 10.0);
            let v = f64::from(*v);
            m = (m.0 + v * x * x, m.1 + v * y * y, m.2 + v * x * y);
        }
        m
    }

    #[test]
    fn kernels_sum_to_one_and_have_their_deviations() {
        for shape in [
            Shape::Generalised(0.7),
            Shape::Generalised(3.0),
            Shape::Plateau(1.5),
            Shape::LowPass(1.2),
        ] {
            let sum: f32 = blur(shape, (2.0, 1.0), 0.4).values.iter().sum();
            assert!((sum - 1.0).abs() < 1e-5);
        }
        let (xx, yy, xy) = moments(&blur(Shape::Generalised(1.0), (2.0, 1.0), 0.0));
        assert!(
            (xx - 4.0).abs() < 0.02 && (yy - 1.0).abs() < 0.02 && xy.abs() < 1e-6,
            "{xx} {yy} {xy}"
        );
        // Turned by a quarter the axes change places; by an eighth they couple.
        let (xx, yy, _) = moments(&blur(Shape::Generalised(1.0), (2.0, 1.0), PI / 2.0));
        assert!((xx - 1.0).abs() < 0.02 && (yy - 4.0).abs() < 0.02);
        let (_, _, xy) = moments(&blur(Shape::Generalised(1.0), (2.0, 1.0), PI / 4.0));
        assert!((xy - 1.5).abs() < 0.02, "{xy}");
    }

    #[test]
    fn a_kernel_reaches_as_far_as_it_is_wide() {
        // Of a Gaussian, a square of two deviations on each side holds nine tenths.
        let reach = |sigma| blur(Shape::Generalised(1.0), (sigma, sigma), 0.0).reach();
        assert_eq!((reach(0.2), reach(1.0), reach(3.0)), (0, 2, 6));
        let one = Kernel {
            side: 1,
            values: vec![1.0],
        };
        assert_eq!(one.reach(), 0);
        let even = Kernel {
            side: 9,
            values: vec![1.0 / 81.0; 81],
        };
        assert_eq!(even.reach(), 4);
    }

    #[test]
    fn the_low_pass_keeps_low_frequencies_and_stops_high_ones() {
        let k = blur(Shape::LowPass(PI / 2.0), (0.0, 0.0), 0.0);
        let response = |f: f64| -> f64 {
            let wave = |i: usize| (f * ((i % 21) as f64 - 10.0)).cos();
            k.values
                .iter()
                .enumerate()
                .map(|(i, v)| f64::from(*v) * wave(i))
                .sum()
        };
        assert!((response(PI / 4.0) - 1.0).abs() < 0.1);
        assert!(response(3.0 * PI / 4.0).abs() < 0.1);
    }
}
