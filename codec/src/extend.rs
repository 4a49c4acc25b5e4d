//! Colour under transparency.
//!
//! A pixel that nobody sees has any colour, black as a rule; enlarging mixes it into its neighbours as a dark fringe. So it
//! takes the mean colour of the nearest visible ones: from a pyramid of means, whose levels halve the image until one pixel is
//! left (pull), and are filled in from coarse to fine (push).

/// A level: colour and the share of visible pixels below, `[height, width]`.
struct Level {
    width: usize,
    height: usize,
    values: Vec<[f32; 4]>,
}

/// Gives the invisible pixels of interleaved `samples`, whose last is alpha, the colour of what is near; `n` samples a pixel.
pub(crate) fn extend<T: Copy + Default + PartialEq + Into<f32>>(
    samples: &mut [T],
    (width, height, n): (usize, usize, usize),
    round: impl Fn(f32) -> T,
) {
    let invisible = |pixel: &[T]| pixel[n - 1] == T::default();
    if !samples.chunks_exact(n).any(&invisible) || samples.chunks_exact(n).all(&invisible) {
        return;
    }
    let first = halved(width, height, |x, y| {
        let pixel = &samples[(y * width + x) * n..][..n];
        let mut value = [0.0; 4];
        if !invisible(pixel) {
            value[..n - 1]
                .iter_mut()
                .zip(pixel)
                .for_each(|(v, p)| *v = (*p).into());
            value[3] = 1.0;
        }
        value
    });
    let mut levels = vec![first];
    while let Some(last) = levels.last()
        && last.values.len() > 1
    {
        let next = halved(last.width, last.height, |x, y| last.values[y * last.width + x]);
        levels.push(next);
    }
    for fine in (1..levels.len()).rev() {
        let (finer, coarser) = levels.split_at_mut(fine);
        let (finer, coarse) = (&mut finer[fine - 1], &coarser[0]);
        for (i, value) in finer.values.iter_mut().enumerate().filter(|(_, v)| v[3] == 0.0) {
            let (x, y) = (i % finer.width / 2, i / finer.width / 2);
            *value = coarse.values[y * coarse.width + x];
        }
    }
    let first = &levels[0];
    for (i, pixel) in samples.chunks_exact_mut(n).enumerate() {
        if pixel[n - 1] == T::default() {
            let colour = first.values[i / width / 2 * first.width + i % width / 2];
            pixel[..n - 1]
                .iter_mut()
                .zip(colour)
                .for_each(|(p, v)| *p = round(v));
        }
    }
}

/// The level above an image: the mean colour of what is visible in every 2x2 pixels.
fn halved(width: usize, height: usize, at: impl Fn(usize, usize) -> [f32; 4]) -> Level {
    let (w, h) = (width.div_ceil(2), height.div_ceil(2));
    let mut values = Vec::with_capacity(w * h);
    for y in 0..h {
        for x in 0..w {
            let mut sum = [0.0f32; 4];
            for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                if 2 * x + dx < width && 2 * y + dy < height {
                    let value = at(2 * x + dx, 2 * y + dy);
                    if value[3] > 0.0 {
                        sum.iter_mut().zip(value).take(3).for_each(|(s, v)| *s += v);
                        sum[3] += 1.0;
                    }
                }
            }
            let count = sum[3].max(1.0);
            values.push([sum[0] / count, sum[1] / count, sum[2] / count, sum[3].min(1.0)]);
        }
    }
    Level {
        width: w,
        height: h,
        values,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_invisible_takes_the_nearest_colour() {
        // Red at the left, blue at the right, black and invisible between and around.
        let (width, height) = (37, 11);
        let mut samples = vec![0u8; width * height * 4];
        for y in 3..8 {
            for (x, colour) in [(4, [200, 0, 0, 255]), (30, [0, 0, 200, 9])] {
                samples[(y * width + x) * 4..][..4].copy_from_slice(&colour);
            }
        }
        let given = samples.clone();
        extend(&mut samples, (width, height, 4), |v| v.round() as u8);
        let at = |x: usize, y: usize| &samples[(y * width + x) * 4..][..4];
        assert_eq!((at(5, 5), at(31, 5)), (&[200, 0, 0, 0][..], &[0, 0, 200, 0][..]));
        assert!(at(0, 0)[0] > 0 && at(36, 10)[2] > 0, "to the corners");
        for (old, new) in given.chunks(4).zip(samples.chunks(4)) {
            assert_eq!(old[3], new[3], "alpha stays");
            assert!(old[3] == 0 || old == new, "what is seen stays");
        }
    }

    #[test]
    fn nothing_is_done_where_all_or_nothing_is_visible() {
        for alpha in [0u16, 65535] {
            let mut samples = vec![7, alpha, 9, alpha];
            extend(&mut samples, (2, 1, 2), |_| 1);
            assert_eq!(samples, [7, alpha, 9, alpha]);
        }
    }
}
