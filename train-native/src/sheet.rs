//! Images beside one another, to look at.

use asasr_core::Planes;

/// Between images, in pixels.
const GAP: usize = 4;

/// Each pixel of an image, `scale` by `scale` times.
pub(crate) fn repeated(image: &Planes, scale: usize) -> Planes {
    let mut out = Planes::zeros(3, scale * image.height(), scale * image.width());
    for c in 0..3 {
        for y in 0..out.height() {
            let from = image.row(c, y / scale);
            for (x, v) in out.row_mut(c, y).iter_mut().enumerate() {
                *v = from[x / scale];
            }
        }
    }
    out
}

/// `rows` of images `[3, h, w]` on white; each has a place as large as the largest of all.
pub(crate) fn sheet(rows: &[Vec<Planes>]) -> Planes {
    let most = |size: fn(&Planes) -> usize| rows.iter().flatten().map(size).max().unwrap_or(0);
    let (width, height) = (most(Planes::width), most(Planes::height));
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut out = Planes::zeros(
        3,
        GAP + rows.len() * (height + GAP),
        GAP + columns * (width + GAP),
    );
    out.data_mut().fill(1.0);
    for (r, row) in rows.iter().enumerate() {
        for (i, image) in row.iter().enumerate() {
            let (x0, y0) = (GAP + i * (width + GAP), GAP + r * (height + GAP));
            for c in 0..3 {
                for y in 0..image.height() {
                    out.row_mut(c, y0 + y)[x0..x0 + image.width()].copy_from_slice(image.row(c, y));
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_have_their_places_on_white() {
        let grey =
            |v: f32, w: usize, h: usize| Planes::new(3, h, w, vec![v; 3 * w * h]).expect("sizes agree");
        let drawn = sheet(&[vec![grey(0.1, 5, 6), grey(0.2, 3, 2)], vec![grey(0.3, 1, 1)]]);
        assert_eq!((drawn.width(), drawn.height()), (4 + 2 * 9, 4 + 2 * 10));
        for (x, y, v) in [
            (4, 4, 0.1),
            (8, 9, 0.1),
            (9, 4, 1.0),
            (13, 4, 0.2),
            (16, 4, 1.0),
            (4, 14, 0.3),
        ] {
            assert!((0..3).all(|c| drawn.row(c, y)[x] == v), "{x},{y}");
        }
        assert_eq!(sheet(&[]).width(), 4);
    }
}
