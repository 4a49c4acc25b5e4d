//! What is drawn, and how often.

use std::f32::consts::{PI, TAU};

use asasr_core::Planes;

use super::Chance;
use super::canvas::{Canvas, Colour, Ink, Point, mixed};
use super::text::Fonts;

/// The colours of a picture.
struct Palette {
    paper: Colour,
    inks: Vec<Colour>,
}

impl Palette {
    /// Dark on light, light on dark, or of all colours.
    fn draw(chance: &mut Chance) -> Self {
        let dark = [chance.between(0.0, 0.25); 3];
        let light = [chance.between(0.85, 1.0); 3];
        let tinted = |c: Colour, chance: &mut Chance| mixed(c, chance.colour(), 0.15);
        let few = chance.count(1, 5);
        match chance.count(0, 9) {
            0..=3 => Self {
                paper: [1.0; 3],
                inks: vec![dark],
            },
            4 => Self {
                paper: tinted(light, chance),
                inks: vec![tinted(dark, chance)],
            },
            5 => Self {
                paper: tinted(dark, chance),
                inks: vec![light],
            },
            6 | 7 => Self {
                paper: light,
                inks: std::iter::once(dark)
                    .chain((0..few).map(|_| chance.colour()))
                    .collect(),
            },
            _ => Self {
                paper: chance.colour(),
                inks: (0..=few).map(|_| chance.colour()).collect(),
            },
        }
    }

    fn ink(&self, chance: &mut Chance) -> Ink {
        Ink::Flat(*chance.one_of(&self.inks))
    }

    /// Flat, or now and then from one colour to another.
    fn filling(&self, chance: &mut Chance, side: f32) -> Ink {
        if chance.happens(0.8) {
            return self.ink(chance);
        }
        let start = chance.between(-side / 2.0, side);
        Ink::Ramp {
            colours: [*chance.one_of(&self.inks), chance.colour()],
            ends: (start, start + chance.between(side / 8.0, side)),
            down: chance.happens(0.5),
        }
    }
}

/// A picture of one kind.
pub(super) fn draw(side: usize, fonts: &Fonts, chance: &mut Chance) -> Planes {
    let palette = Palette::draw(chance);
    let hard = chance.happens(0.12);
    let mut canvas = Canvas::new(side, palette.paper, hard);
    let kind = chance.count(0, 99);
    match kind {
        0..=34 if !fonts.is_empty() => page(&mut canvas, &palette, fonts, chance),
        0..=19 => lines(&mut canvas, &palette, chance),
        20..=49 => art(&mut canvas, &palette, chance),
        50..=56 => grating(&mut canvas, &palette, chance),
        57..=66 => chart(&mut canvas, &palette, fonts, chance),
        67..=80 => shapes(&mut canvas, &palette, chance),
        81..=88 => pattern(&mut canvas, &palette, chance),
        _ => window(&mut canvas, &palette, fonts, chance),
    }
    canvas.into_planes()
}

fn anywhere(side: f32, chance: &mut Chance) -> Point {
    let reach = 0.15 * side;
    (
        chance.between(-reach, side + reach),
        chance.between(-reach, side + reach),
    )
}

/// Lines of text, in one size or as headings and paragraphs.
fn page(canvas: &mut Canvas, palette: &Palette, fonts: &Fonts, chance: &mut Chance) {
    let side = canvas.side() as f32;
    let mut size = chance.scaled(8.0, 72.0);
    let mut font = fonts.one(chance);
    let left = chance.between(-0.3 * side, 0.2 * side);
    let mut y = chance.between(-size, size);
    let mut ink = palette.ink(chance);
    let spacing = chance.between(1.0, 1.6);
    while y < side {
        if chance.happens(0.08) {
            (size, font) = (chance.scaled(8.0, 72.0), fonts.one(chance));
            ink = palette.ink(chance);
        }
        let indent = if chance.happens(0.1) { size } else { 0.0 };
        font.line(canvas, (left + indent, y), size, &ink, chance);
        y += size * spacing * if chance.happens(0.1) { 1.6 } else { 1.0 };
    }
}

/// Straight lines in all directions, in bundles.
fn lines(canvas: &mut Canvas, palette: &Palette, chance: &mut Chance) {
    let side = canvas.side() as f32;
    for _ in 0..chance.count(1, 6) {
        let angle = match chance.count(0, 4) {
            0 => 0.0,
            1 => PI / 2.0,
            _ => chance.between(0.0, PI),
        };
        let (along, across) = ((angle.cos(), angle.sin()), (-angle.sin(), angle.cos()));
        let width = chance.scaled(0.7, 8.0);
        let (mut at, step) = (anywhere(side, chance), width * chance.between(1.5, 8.0));
        let length = chance.scaled(0.2, 2.0) * side;
        let ink = palette.ink(chance);
        for _ in 0..chance.count(1, 12) {
            let end = (at.0 + length * along.0, at.1 + length * along.1);
            canvas.stroke(&[at, end], width, &ink);
            at = (at.0 + step * across.0, at.1 + step * across.1);
        }
    }
}

/// A curve by two bends, as points.
fn curve(side: f32, chance: &mut Chance) -> Vec<Point> {
    const PIECES: usize = 24;
    let given: [Point; 4] = std::array::from_fn(|_| anywhere(side, chance));
    (0..=PIECES)
        .map(|i| {
            let t = i as f32 / PIECES as f32;
            let u = 1.0 - t;
            let weights = [u * u * u, 3.0 * u * u * t, 3.0 * u * t * t, t * t * t];
            let sum = |of: fn(&Point) -> f32| weights.iter().zip(&given).map(|(w, p)| w * of(p)).sum();
            (sum(|p| p.0), sum(|p| p.1))
        })
        .collect()
}

/// Outlines by pen, areas between them filled, hatching.
fn art(canvas: &mut Canvas, palette: &Palette, chance: &mut Chance) {
    let side = canvas.side() as f32;
    let pen = chance.scaled(0.8, 7.0);
    let black = Ink::Flat(palette.inks[0]);
    for _ in 0..chance.count(2, 7) {
        let points = curve(side, chance);
        if palette.inks.len() > 1 && chance.happens(0.6) {
            let filling = palette.filling(chance, side);
            canvas.polygon(&points, &filling);
        }
        let width = if chance.happens(0.3) {
            chance.scaled(0.8, 7.0)
        } else {
            pen
        };
        canvas.stroke(&points, width, &black);
        if chance.happens(0.2) {
            let (mut at, angle) = (anywhere(side, chance), chance.between(0.0, PI));
            let (length, step) = (chance.scaled(0.1, 0.5) * side, pen * chance.between(1.5, 4.0));
            for _ in 0..chance.count(5, 20) {
                let bend = chance.between(0.9, 1.1) * length;
                let end = (at.0 + bend * angle.cos(), at.1 + bend * angle.sin());
                canvas.stroke(&[at, end], 0.6 * pen, &black);
                at = (at.0 - step * angle.sin(), at.1 + step * angle.cos());
            }
        }
    }
    for _ in 0..chance.count(0, 4) {
        let at = anywhere(side, chance);
        let radius = chance.scaled(0.01, 0.2) * side;
        if chance.happens(0.5) {
            canvas.disc(at, radius, &black);
        } else {
            canvas.ring(at, (radius, pen), &black);
        }
    }
}

/// Waves: straight, in circles, or as the spokes of a star; soft or sharp.
fn grating(canvas: &mut Canvas, palette: &Palette, chance: &mut Chance) {
    let side = canvas.side() as f32;
    let (a, b) = (palette.paper, *chance.one_of(&palette.inks));
    let (centre, angle) = (anywhere(side, chance), chance.between(0.0, PI));
    let period = chance.scaled(3.0, 48.0);
    let growth = if chance.happens(0.5) {
        chance.between(0.0, 2.0) / side
    } else {
        0.0
    };
    let spokes = chance.count(8, 72) as f32;
    let (kind, sharp) = (chance.count(0, 3), chance.happens(0.5));
    let phase = chance.between(0.0, TAU);
    canvas.each(|x, y| {
        let (dx, dy) = (x as f32 + 0.5 - centre.0, y as f32 + 0.5 - centre.1);
        let radius = dx.hypot(dy);
        // Radians and, for the softness of an edge, radians a pixel.
        let (turns, slope) = match kind {
            0 => (spokes * dy.atan2(dx), spokes / radius.max(1.0)),
            1 => (TAU * radius * (1.0 + growth * radius) / period, TAU / period),
            _ => {
                let along = dx * angle.cos() + dy * angle.sin();
                (TAU * along * (1.0 + growth * along) / period, TAU / period)
            }
        };
        let wave = (turns + phase).sin();
        let share = if sharp {
            (0.5 + wave / slope.max(0.01)).clamp(0.0, 1.0)
        } else {
            0.5 + 0.5 * wave
        };
        mixed(a, b, share)
    });
}

/// Axes, a grid, and data as bars, lines, points or a pie.
fn chart(canvas: &mut Canvas, palette: &Palette, fonts: &Fonts, chance: &mut Chance) {
    let side = canvas.side() as f32;
    let (left, right) = (chance.between(-0.1, 0.2) * side, chance.between(0.8, 1.2) * side);
    let (top, bottom) = (chance.between(-0.1, 0.2) * side, chance.between(0.8, 1.1) * side);
    let axis = Ink::Flat(palette.inks[0]);
    let faint = Ink::Flat(mixed(palette.paper, palette.inks[0], 0.25));
    let thin = chance.count(1, 3) as f32;
    let at = |share: f32| (left + share * (right - left)).round();
    let up = |share: f32| (bottom - share * (bottom - top)).round();
    let ticks = chance.count(3, 12);
    let size = chance.scaled(9.0, 22.0);
    let font = (!fonts.is_empty()).then(|| fonts.one(chance));
    for i in 0..=ticks {
        let share = i as f32 / ticks as f32;
        canvas.plate((left, up(share)), (right, up(share) + thin), 0.0, &faint);
        if chance.happens(0.5) {
            canvas.plate((at(share), top), (at(share) + thin, bottom), 0.0, &faint);
        }
        if let Some(font) = &font {
            font.number(
                canvas,
                (left - 3.0 * size, up(share) - size / 2.0),
                size,
                &axis,
                chance,
            );
        }
    }
    let n = chance.count(4, 24);
    let mut value = chance.between(0.2, 0.8);
    let mut series = || {
        (0..=n)
            .map(|_| {
                value = (value + chance.between(-0.25, 0.25)).clamp(0.02, 0.98);
                value
            })
            .collect::<Vec<f32>>()
    };
    let all = [series(), series(), series()];
    let place = |i: usize, v: f32| (at(i as f32 / n as f32), up(v));
    match chance.count(0, 3) {
        0 => {
            let gap = chance.between(0.0, 0.5) / n as f32;
            for (i, v) in all[0].iter().enumerate() {
                let ink = palette.filling(chance, side);
                let end = at((i + 1) as f32 / n as f32 - gap);
                canvas.plate((at(i as f32 / n as f32), up(*v)), (end, bottom), 0.0, &ink);
            }
        }
        1 => {
            for series in &all {
                let points: Vec<Point> = series.iter().enumerate().map(|(i, v)| place(i, *v)).collect();
                let ink = palette.ink(chance);
                canvas.stroke(&points, chance.scaled(1.0, 5.0), &ink);
                if chance.happens(0.4) {
                    points.iter().for_each(|p| canvas.disc(*p, 4.0, &ink));
                }
            }
        }
        2 => {
            let radius = chance.scaled(1.0, 6.0);
            for (i, v) in all.iter().flatten().enumerate() {
                let ink = palette.ink(chance);
                let spread = chance.between(-0.5, 0.5);
                canvas.disc(
                    (at((i % n) as f32 / n as f32 + spread / n as f32), up(*v)),
                    radius,
                    &ink,
                );
            }
        }
        _ => {
            let centre = anywhere(side, chance);
            let radius = chance.scaled(0.2, 0.7) * side;
            let mut from = chance.between(0.0, TAU);
            for v in &all[0] {
                let to = from + 0.3 + v;
                let ink = Ink::Flat(mixed(*chance.one_of(&palette.inks), palette.paper, 0.7 * v));
                canvas.slice(centre, radius, (from, to), &ink);
                from = to;
            }
        }
    }
    canvas.plate((left, up(0.0)), (right, up(0.0) + thin), 0.0, &axis);
    canvas.plate((at(0.0), top), (at(0.0) + thin, bottom), 0.0, &axis);
}

/// Flat shapes over each other, with or without outlines: logos, icons, maps.
fn shapes(canvas: &mut Canvas, palette: &Palette, chance: &mut Chance) {
    let side = canvas.side() as f32;
    let pen = chance.scaled(1.0, 8.0);
    let (outlined, black) = (chance.happens(0.5), Ink::Flat(palette.inks[0]));
    for _ in 0..chance.count(3, 14) {
        let ink = palette.filling(chance, side);
        let at = anywhere(side, chance);
        let size = chance.scaled(0.03, 0.5) * side;
        match chance.count(0, 3) {
            0 => {
                canvas.disc(at, size, &ink);
                if outlined {
                    canvas.ring(at, (size, pen), &black);
                }
            }
            1 => {
                let least = (at.0.round(), at.1.round());
                let most = (
                    (at.0 + size * chance.between(0.5, 2.0)).round(),
                    (at.1 + size).round(),
                );
                if outlined && most.0 - least.0 > 2.0 * pen && most.1 - least.1 > 2.0 * pen {
                    canvas.plate(least, most, 0.0, &ink);
                    canvas.frame(least, most, pen.round(), &black);
                } else {
                    let rounding = chance.between(-0.3, 0.5) * size;
                    canvas.plate(least, most, rounding, &ink);
                }
            }
            kind => {
                // A polygon, or a star.
                let n = chance.count(3, 9);
                let (turn, dent) = (chance.between(0.0, TAU), chance.between(0.4, 0.9));
                let star = kind == 3;
                let mut corners: Vec<Point> = (0..n * if star { 2 } else { 1 })
                    .map(|i| {
                        let angle = turn + TAU * i as f32 / (n * if star { 2 } else { 1 }) as f32;
                        let radius = size * if star && i % 2 == 1 { dent } else { 1.0 };
                        (at.0 + radius * angle.cos(), at.1 + radius * angle.sin())
                    })
                    .collect();
                canvas.polygon(&corners, &ink);
                if outlined {
                    corners.push(corners[0]);
                    canvas.stroke(&corners, pen, &black);
                }
            }
        }
    }
}

/// Patterns of whole pixels: stripes, chequers, dither, dots, pictures made of large pixels.
fn pattern(canvas: &mut Canvas, palette: &Palette, chance: &mut Chance) {
    let cell = *chance.one_of(&[1, 1, 2, 2, 3, 4, 4, 5, 6, 8, 12]);
    let (paper, ink) = (palette.paper, *chance.one_of(&palette.inks));
    let kind = chance.count(0, 4);
    let side = canvas.side();
    // Two halves with different patterns meet in an edge.
    let (edge, slant) = (chance.between(0.2, 1.2) * side as f32, chance.between(-1.0, 1.0));
    let (columns, rows) = (chance.count(1, 4), chance.count(1, 4));
    let level = chance.between(0.1, 0.9);
    let mut colours = palette.inks.clone();
    colours.push(paper);
    let grid = side / cell + 1;
    let cells: Vec<Colour> = (0..grid * grid).map(|_| *chance.one_of(&colours)).collect();
    let mirrored = chance.happens(0.5);
    canvas.each(|x, y| {
        let (i, j) = (x / cell, y / cell);
        if kind != 3 && x as f32 + slant * y as f32 > edge {
            return paper;
        }
        let set = match kind {
            0 => i % (columns + 1) == 0,
            1 => (i / columns + j / rows) % 2 == 0,
            2 => {
                // Ordered dither (Bayer 1973), its level rising over the picture.
                const ORDER: [[u8; 4]; 4] = [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]];
                let threshold = (f32::from(ORDER[j % 4][i % 4]) + 0.5) / 16.0;
                f32::midpoint(level, x as f32 / side as f32) > threshold
            }
            3 => {
                let i = if mirrored { i.min(grid - 1 - i) } else { i };
                return cells[j * grid + i];
            }
            _ => {
                let pitch = (3 * cell.max(2)) as f32;
                let (dx, dy) = (x as f32 % pitch - pitch / 2.0, y as f32 % pitch - pitch / 2.0);
                dx.hypot(dy) < pitch * level / 1.5
            }
        };
        if set { ink } else { paper }
    });
}

/// Bars, buttons, borders of a pixel, rows of text: what a screen shows.
fn window(canvas: &mut Canvas, palette: &Palette, fonts: &Fonts, chance: &mut Chance) {
    let side = canvas.side() as f32;
    let black = Ink::Flat(palette.inks[0]);
    let font = (!fonts.is_empty()).then(|| fonts.one(chance));
    let size = chance.scaled(9.0, 26.0);
    let round = chance.between(-4.0, 10.0);
    let border = chance.count(1, 2) as f32;
    for _ in 0..chance.count(3, 9) {
        let (x, y) = anywhere(side, chance);
        let (x, y) = (x.round(), y.round());
        let width = (chance.scaled(0.1, 1.2) * side).round();
        let height = (size * chance.between(1.5, 6.0)).round();
        let shade = chance.between(0.0, 0.3);
        let filling = Ink::Flat(mixed(palette.paper, *chance.one_of(&palette.inks), shade));
        if chance.happens(0.5) {
            canvas.plate((x, y), (x + width, y + height), round, &filling);
        } else {
            canvas.plate((x, y), (x + width, y + height), 0.0, &filling);
            canvas.frame((x, y), (x + width, y + height), border, &black);
        }
        if let Some(font) = &font {
            let rows = (height / (1.4 * size)) as usize;
            for row in 0..rows.max(1) {
                font.label(
                    canvas,
                    (x + size / 2.0, y + size * (0.2 + 1.4 * row as f32)),
                    (size, width - size),
                    &black,
                    chance,
                );
            }
        }
        if chance.happens(0.4) {
            let at = (x + width - size, y + size);
            let ink = palette.ink(chance);
            canvas.disc(at, size / 2.0, &ink);
            let half = size / 4.0;
            let cross = Ink::Flat(palette.paper);
            canvas.stroke(
                &[(at.0 - half, at.1 - half), (at.0 + half, at.1 + half)],
                1.5,
                &cross,
            );
            canvas.stroke(
                &[(at.0 - half, at.1 + half), (at.0 + half, at.1 - half)],
                1.5,
                &cross,
            );
        }
    }
}
