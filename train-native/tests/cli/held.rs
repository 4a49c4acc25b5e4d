//! Results are held to the photo, whatever model and mode made them.

use super::{asasr, text};

use image::{Rgb, RgbImage, Rgba, RgbaImage};

const BLOCK: u32 = 16;

/// A photograph's stand-in: soft shapes and an edge.
fn scene(x: u32, y: u32) -> f64 {
    let (x, y) = (f64::from(x), f64::from(y));
    let edge = if x > 30.0 + 6.0 * (0.2 * y).sin() {
        60.0
    } else {
        0.0
    };
    60.0 + 1.5 * y + edge + 30.0 * (0.15 * x).cos()
}

/// Error diffusion (Floyd and Steinberg 1976) to black and white.
fn dithered(width: u32, height: u32) -> RgbImage {
    let mut left = vec![vec![0.0; width as usize + 2]; height as usize + 1];
    let mut image = RgbImage::new(width, height);
    for y in 0..height as usize {
        for x in 0..width as usize {
            let wanted = scene(x as u32, y as u32) + left[y][x + 1];
            let level = if wanted < 128.0 { 0.0 } else { 255.0 };
            let error = wanted - level;
            left[y][x + 2] += error * 7.0 / 16.0;
            left[y + 1][x] += error * 3.0 / 16.0;
            left[y + 1][x + 1] += error * 5.0 / 16.0;
            left[y + 1][x + 2] += error / 16.0;
            image.put_pixel(x as u32, y as u32, Rgb([level as u8; 3]));
        }
    }
    image
}

/// Four patterns of a period of `period` pixels beside each other, of that contrast: a dot, stripes, a checkerboard, a diagonal.
fn patterns(period: u32, contrast: f64) -> RgbImage {
    RgbImage::from_fn(72, 40, |x, y| {
        let (i, j) = (x % period, y % period);
        let on = match x / 18 {
            0 => i == 0 && j == 0,
            1 => i == 0,
            2 => (x + y) % 2 == 0,
            _ => i == j,
        };
        Rgb([(127.5 + contrast * if on { 0.5 } else { -0.5 }).round() as u8; 3])
    })
}

fn zone_plate(size: u32) -> RgbImage {
    RgbImage::from_fn(size, size, |x, y| {
        let centre = f64::from(size) / 2.0;
        let (dx, dy) = (f64::from(x) - centre, f64::from(y) - centre);
        let phase = std::f64::consts::PI * (dx * dx + dy * dy) / f64::from(size);
        Rgb([(127.5 + 127.5 * phase.cos()).round() as u8; 3])
    })
}

/// The photo's colours, and the result's on the same pixels.
fn cells(photo: &RgbImage, result: &RgbImage) -> Vec<[f64; 3]> {
    let scale = result.width() / photo.width();
    let mean = |x: u32, y: u32, c: usize| {
        let pixels = (0..scale * scale).map(|i| (x * scale + i % scale, y * scale + i / scale));
        pixels
            .map(|(x, y)| f64::from(result.get_pixel(x, y)[c]))
            .sum::<f64>()
            / f64::from(scale * scale)
    };
    photo
        .enumerate_pixels()
        .map(|(x, y, p)| [0, 1, 2].map(|c| mean(x, y, c) - f64::from(p[c])))
        .collect()
}

/// Checks what is promised of every result.
fn check(what: &str, photo: &RgbImage, result: &RgbImage) {
    let errors = cells(photo, result);
    let (w, h) = photo.dimensions();
    for y in (0..=h - BLOCK).step_by(BLOCK as usize) {
        for x in (0..=w - BLOCK).step_by(BLOCK as usize) {
            let mut off = [0.0; 3];
            for i in 0..BLOCK * BLOCK {
                let error = errors[((y + i / BLOCK) * w + x + i % BLOCK) as usize];
                off.iter_mut()
                    .zip(error)
                    .for_each(|(o, e)| *o += e / f64::from(BLOCK * BLOCK));
            }
            assert!(
                off.iter().all(|o| o.abs() <= 1.0),
                "{what}: the block at {x},{y} is off by {off:.2?} levels"
            );
        }
    }
    if photo.pixels().all(|p| p[0] == p[1] && p[1] == p[2]) {
        assert!(
            result.pixels().all(|p| p[0] == p[1] && p[1] == p[2]),
            "{what}: a neutral photo's result has colours"
        );
    }
    let first = photo.get_pixel(0, 0);
    if photo.pixels().all(|p| p == first) {
        for (x, y, p) in result.enumerate_pixels() {
            let off = (0..3).map(|c| p[c].abs_diff(first[c])).max().unwrap();
            assert!(off <= 2, "{what}: {off} levels at {x},{y} of a flat field");
        }
    }
}

/// Enlarges photos with every model, in a mode, and checks them.
fn held(mode: &str, scales: &[u32], photos: &[(String, RgbImage)]) {
    let folder = tempfile::tempdir().unwrap();
    let path = |n: &str| folder.path().join(n).to_str().unwrap().to_owned();
    for (name, photo) in photos {
        photo.save(path(&format!("{name}.png"))).unwrap();
    }
    let inputs: Vec<String> = photos
        .iter()
        .map(|(name, _)| path(&format!("{name}.png")))
        .collect();
    for model in ["asasr-x4-real", "asasr-x4-clean", "asasr-x4-drawn"] {
        // It has no flow.
        if (model, mode) == ("asasr-x4-drawn", "quality") {
            continue;
        }
        for scale in scales {
            let (out, scale) = (path(&format!("{model}-{mode}-{scale}")), scale.to_string());
            let mut args = vec!["upscale", "-o", &out, "--scale", &scale, "--mode", mode];
            args.extend(["--weights", model, "--device", "cpu"]);
            args.extend(inputs.iter().map(String::as_str));
            let run = asasr(&args);
            assert!(run.status.success(), "{}", text(&run));
            for (name, photo) in photos {
                let result = image::open(format!("{out}/{name}-x{scale}.png"))
                    .unwrap()
                    .into_rgb8();
                check(&format!("{name}, {model}, {mode}, {scale} times"), photo, &result);
            }
        }
    }
}

fn all() -> Vec<(String, RgbImage)> {
    let mut photos = Vec::new();
    for period in 2..=4 {
        for contrast in [255.0, 96.0, 24.0] {
            photos.push((format!("period-{period}-{contrast}"), patterns(period, contrast)));
        }
    }
    for colour in [
        [0, 255, 0],
        [255, 0, 0],
        [0, 0, 255],
        [255, 0, 255],
        [255; 3],
        [90, 20, 200],
    ] {
        photos.push((
            format!("flat-{colour:?}"),
            RgbImage::from_pixel(24, 24, Rgb(colour)),
        ));
    }
    photos.push(("zones".into(), zone_plate(64)));
    photos.push(("dither".into(), dithered(56, 48)));
    photos.push((
        "grey".into(),
        RgbImage::from_fn(56, 48, |x, y| Rgb([scene(x, y) as u8; 3])),
    ));
    photos.push((
        "colours".into(),
        RgbImage::from_fn(56, 48, |x, y| {
            let v = scene(x, y);
            Rgb([v as u8, (255.0 - v) as u8, (0.5 * v) as u8])
        }),
    ));
    photos
}

#[test]
fn the_restorer_is_held_at_every_scale() {
    held("instant", &[2, 3, 4], &all());
}

#[test]
fn a_drawn_image_is_held() {
    held("fast", &[2, 4], &all());
    // Many steps take long: what fails first.
    let few = |(name, _): &(String, RgbImage)| {
        ["period-2-255", "flat-[0, 255, 0]", "dither"].contains(&name.as_str())
    };
    held(
        "quality",
        &[4],
        &all().into_iter().filter(few).collect::<Vec<_>>(),
    );
}

#[test]
fn a_shadow_has_no_dark_seam() {
    let folder = tempfile::tempdir().unwrap();
    let path = |n: &str| folder.path().join(n).to_str().unwrap().to_owned();
    // A white card on its soft shadow, on nothing.
    let card_image = RgbaImage::from_fn(48, 48, |x, y| {
        let inside = (10..34).contains(&x) && (10..34).contains(&y);
        let away = |v: u32| (f64::from(v) - 25.5).abs() - 12.0;
        let shadow = 150.0 * (1.0 - away(x).max(away(y)).max(0.0) / 8.0).max(0.0);
        if inside {
            Rgba([255; 4])
        } else {
            Rgba([0, 0, 0, shadow as u8])
        }
    });
    card_image.save(path("card.png")).unwrap();
    let over = |image: &RgbaImage, background: [f64; 3]| {
        RgbImage::from_fn(image.width(), image.height(), |x, y| {
            let p = image.get_pixel(x, y);
            let a = f64::from(p[3]) / 255.0;
            Rgb([0, 1, 2].map(|c| (a * f64::from(p[c]) + (1.0 - a) * background[c]).round() as u8))
        })
    };
    for (model, mode) in [
        ("asasr-x4-real", "instant"),
        ("asasr-x4-real", "fast"),
        ("asasr-x4-clean", "instant"),
        ("asasr-x4-clean", "fast"),
        ("asasr-x4-clean", "quality"),
    ] {
        let out = path(&format!("{model}-{mode}.png"));
        let mut args = vec!["upscale", "-o", &out, "--mode", mode, "--weights", model];
        let card = path("card.png");
        args.extend([card.as_str(), "--device", "cpu"]);
        let run = asasr(&args);
        assert!(run.status.success(), "{}", text(&run));
        let result = image::open(&out).unwrap().into_rgba8();
        for background in [[255.0; 3], [0.0; 3], [0.0, 255.0, 0.0]] {
            let wanted = image::imageops::resize(
                &over(&card_image, background),
                192,
                192,
                image::imageops::FilterType::CatmullRom,
            );
            for (x, y, p) in over(&result, background).enumerate_pixels() {
                for c in 0..3 {
                    let off = i32::from(p[c]) - i32::from(wanted.get_pixel(x, y)[c]);
                    assert!(
                        off >= -20,
                        "{model}, {mode}: {off} levels at {x},{y} over {background:?}"
                    );
                }
            }
        }
    }
}
