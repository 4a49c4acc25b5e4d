//! Original and result as the page shows them are one picture: the same way up, in the same colours, whatever the file's kind and
//! whatever goes along into the result; or a note says what differs.
#![allow(clippy::unwrap_used, reason = "a failed step fails the test")]

use asasr_codec::{Layout, Metadata, PngRows, SharedBytes, decode};
use asasr_core::{Planes, Size};
use asasr_tests::{Browser, Server};

const MAX: u64 = 1 << 20;
/// Most grey levels that a cell's mean may differ.
const LEVELS: f64 = 5.0;

/// The page, with the model that changes a smooth picture's colours least: what goes wrong here is not the network's doing.
async fn opened(server: &Server) -> Browser {
    let browser = Browser::start().await;
    browser.open(&format!("{}?device=cpu", server.url())).await;
    browser.set("model", "asasr-x4-clean").await;
    browser.set("scale", "2").await;
    browser
}

/// The largest difference between the mean colours of two images' cells, on white, and the sizes of both.
const APART: &str = "
    const cells = async (id) => {
      const image = document.getElementById(id);
      await image.decode();
      const [width, height] = [image.naturalWidth, image.naturalHeight];
      const context = new OffscreenCanvas(width, height).getContext('2d');
      context.fillStyle = '#fff';
      context.fillRect(0, 0, width, height);
      context.drawImage(image, 0, 0);
      const { data } = context.getImageData(0, 0, width, height);
      const sums = new Float64Array(8 * 8 * 4);
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const cell = 4 * (8 * Math.floor(8 * y / height) + Math.floor(8 * x / width));
          for (let c = 0; c < 4; c++) sums[cell + c] += data[4 * (y * width + x) + c];
        }
      }
      return { size: [width, height], means: sums.map((sum) => sum * 64 / (width * height)) };
    };
    const [before, after] = [await cells('before'), await cells('after')];
    return [Math.max(...before.means.map((mean, i) => Math.abs(mean - after.means[i]))), before.size.join(), after.size.join()];";

/// A PNG's chunk (PNG 3, section 5.3).
fn chunk(name: [u8; 4], content: &[u8]) -> Vec<u8> {
    let mut bytes = [&name[..], content].concat();
    let crc = !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| {
            (c >> 1) ^ if c & 1 == 1 { 0xEDB8_8320 } else { 0 }
        })
    });
    bytes.extend(crc.to_be_bytes());
    [&(content.len() as u32).to_be_bytes()[..], &bytes].concat()
}

/// The picture of all the files here as a PNG, with chunks behind its header.
fn png(layout: Layout, bits: u8, chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let picture = decode(include_bytes!("files/progressive.jpg"), MAX).unwrap();
    let size = picture.size();
    let bytes = SharedBytes::default();
    let mut rows = PngRows::with_metadata(bytes.clone(), size, layout, bits, &Metadata::default()).unwrap();
    rows.write(0, &picture.all_planes()).unwrap();
    rows.finish().unwrap();
    with_chunks(&bytes.take(), chunks)
}

/// A PNG with more chunks behind its header.
fn with_chunks(plain: &[u8], chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let (header, rest) = plain.split_at(33);
    let more: Vec<u8> = chunks
        .iter()
        .flat_map(|(name, content)| chunk(**name, content))
        .collect();
    [header, &more, rest].concat()
}

/// Numbers as PNG's chunks have them.
fn numbers(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_be_bytes()).collect()
}

struct Kind {
    name: &'static str,
    bytes: Vec<u8>,
    /// A note that says why it may look different, or what else was done; empty for none.
    note: &'static str,
    /// Whether its samples mean other colours than sRGB's, by a profile of three colours or by other numbers.
    own: Option<Own>,
}

#[derive(Clone, Copy, PartialEq)]
enum Own {
    Profile,
    Numbers,
}

fn kinds() -> Vec<Kind> {
    let kind = |name, bytes: &[u8], note, own| Kind {
        name,
        bytes: bytes.to_vec(),
        note,
        own,
    };
    let rgb = |bits, chunks: &[(&[u8; 4], &[u8])]| png(Layout::Rgb, bits, chunks);
    let linear = numbers(&[100_000]);
    let usual = numbers(&[45_455]);
    // White, red, green and blue of Display P3.
    let p3 = numbers(&[31_270, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000]);
    let icc = decode(include_bytes!("files/p3.jpg"), MAX).unwrap();
    let metadata = Metadata {
        icc: icc.metadata().icc.clone(),
        ..Metadata::default()
    };
    let bytes = SharedBytes::default();
    let mut rows = PngRows::with_metadata(bytes.clone(), icc.size(), Layout::Rgb, 8, &metadata).unwrap();
    rows.write(0, &icc.all_planes()).unwrap();
    rows.finish().unwrap();
    let numbered = Some(Own::Numbers);
    let profiled = Some(Own::Profile);
    vec![
        kind("plain.png", &rgb(8, &[]), "", None),
        kind(
            "srgb.png",
            &rgb(8, &[(b"sRGB", &[0]), (b"gAMA", &usual)]),
            "",
            None,
        ),
        kind("gamma.png", &rgb(8, &[(b"gAMA", &linear)]), "", numbered),
        kind("deep-gamma.png", &rgb(16, &[(b"gAMA", &linear)]), "", numbered),
        kind(
            "grey-gamma.png",
            &png(Layout::Grey, 8, &[(b"gAMA", &linear)]),
            "",
            numbered,
        ),
        kind(
            "gamma-p3.png",
            &rgb(8, &[(b"gAMA", &usual), (b"cHRM", &p3)]),
            "",
            numbered,
        ),
        kind(
            "numbered-p3.png",
            &rgb(8, &[(b"cICP", &[12, 13, 0, 1])]),
            "",
            numbered,
        ),
        kind("hdr.png", &rgb(16, &[(b"cICP", &[9, 16, 0, 1])]), "", numbered),
        kind("p3.png", &bytes.take(), "", profiled),
        kind("p3.jpg", include_bytes!("files/p3.jpg"), "", profiled),
        kind("turned.jpg", include_bytes!("files/turned.jpg"), "", None),
        kind("grey.jpg", include_bytes!("files/grey.jpg"), "", None),
        kind(
            "progressive.jpg",
            include_bytes!("files/progressive.jpg"),
            "",
            None,
        ),
        kind(
            "cmyk.jpg",
            include_bytes!("../codec/tests/cmyk.jpg"),
            "CMYK",
            None,
        ),
        kind("p3.webp", include_bytes!("files/p3.webp"), "", profiled),
        kind("turned.webp", include_bytes!("files/turned.webp"), "", None),
        kind("prefixed.webp", include_bytes!("files/prefixed.webp"), "", None),
        kind("alpha.webp", include_bytes!("files/alpha.webp"), "", None),
        kind(
            "animated.webp",
            include_bytes!("files/animated.webp"),
            "first frame",
            None,
        ),
        kind("plain.gif", include_bytes!("files/plain.gif"), "", None),
        kind("alpha.bmp", include_bytes!("files/alpha.bmp"), "", None),
        kind(
            "plain.avif",
            include_bytes!("files/plain.avif"),
            "the file is AVIF",
            None,
        ),
        kind(
            "turned.avif",
            include_bytes!("files/turned.avif"),
            "the file is AVIF",
            None,
        ),
        kind(
            "p3.avif",
            include_bytes!("files/p3.avif"),
            "the file is AVIF",
            None,
        ),
    ]
}

#[tokio::test]
async fn original_and_result_are_one_picture() {
    let server = Server::start();
    let browser = opened(&server).await;
    for (format, carry) in [
        ("png", true),
        ("png", false),
        ("jpeg", true),
        ("webp", true),
        ("webp", false),
    ] {
        browser.set("format", format).await;
        browser
            .run(
                "document.getElementById('carry').checked = args[0];",
                vec![carry.into()],
            )
            .await;
        for Kind {
            name,
            bytes,
            note,
            own,
        } in kinds()
        {
            let what = format!("{name} as {format}, {}", if carry { "with all" } else { "bare" });
            browser.drop_file(name, &bytes).await;
            browser.finished().await;
            assert_eq!(browser.text("error").await, "", "{what}");
            let notes = browser.text("notes").await;
            assert!(notes.contains(note), "{what}: {notes}");
            // Profiles go along in every format; other numbers in PNG.
            let converted = own.is_some() && (!carry || format != "png" && own == Some(Own::Numbers));
            assert_eq!(
                notes.contains("were converted to sRGB"),
                converted,
                "{what}: {notes}"
            );
            assert_eq!(
                notes.contains("first frame"),
                note.contains("first frame"),
                "{what}: {notes}"
            );
            let seen = browser.run(APART, vec![]).await;
            let apart = seen[0].as_f64().unwrap_or_else(|| panic!("{what}: {seen}"));
            println!(
                "{what}: {apart:.1} levels apart, {} and {}; {notes}",
                seen[1], seen[2]
            );
            let upright = name.starts_with("turned") || name.starts_with("prefixed");
            let sizes = if name == "cmyk.jpg" {
                ["8,8", "16,16"]
            } else if upright {
                ["48,64", "96,128"]
            } else {
                ["64,48", "128,96"]
            };
            assert_eq!([&seen[1], &seen[2]], sizes, "{what}");
            assert!(
                apart <= LEVELS || note == "CMYK",
                "{what}: {apart:.1} levels apart; {notes}"
            );
        }
    }
    browser.close().await;
}

/// The picture's thumbnail and what is painted while it grows are upright too.
#[tokio::test]
async fn photos_that_the_browser_does_not_turn_are_shown_upright() {
    let server = Server::start();
    let browser = opened(&server).await;
    for (name, bytes) in [
        ("turned.webp", &include_bytes!("files/turned.webp")[..]),
        ("turned.jpg", include_bytes!("files/turned.jpg")),
        ("turned.avif", include_bytes!("files/turned.avif")),
    ] {
        browser.drop_file(name, bytes).await;
        browser.finished().await;
        let size = "const image = document.querySelector('#list img');
                    await image.decode();
                    return `${image.naturalWidth}x${image.naturalHeight}`;";
        assert_eq!(browser.run(size, vec![]).await, "48x64", "{name}");
    }
    browser.close().await;
}

/// What our decoders do not read the browser may, which is said; what neither reads is named; and what is no image at all stays
/// that.
#[tokio::test]
async fn the_browser_reads_what_we_do_not() {
    let server = Server::start();
    let browser = opened(&server).await;
    let read: [(&str, &[u8], &str); 6] = [
        (
            "plain.avif",
            include_bytes!("files/plain.avif"),
            "the file is AVIF: the browser read it",
        ),
        ("hdr.avif", include_bytes!("files/hdr.avif"), "the photo is HDR"),
        // The brand in front is that of images in general.
        ("mif1.avif", include_bytes!("files/mif1.avif"), "the browser read"),
        (
            "animated.avif",
            include_bytes!("files/animated.avif"),
            "first frame",
        ),
        (
            "arithmetic.jpg",
            include_bytes!("files/arithmetic.jpg"),
            "the browser read",
        ),
        ("photo.jxl", include_bytes!("files/photo.jxl"), "the browser read"),
    ];
    for (name, bytes, note) in read {
        browser.drop_file(name, bytes).await;
        browser.finished().await;
        let error = browser.text("error").await;
        // Not every Chromium has it.
        if name == "photo.jxl" && error.contains("JPEG XL") {
            continue;
        }
        assert_eq!(error, "", "{name}");
        let notes = browser.text("notes").await;
        assert!(
            notes.contains(note) && notes.contains("8 bits and sRGB"),
            "{name}: {notes}"
        );
        assert_eq!(
            notes.contains("first frame"),
            name == "animated.avif",
            "{name}: {notes}"
        );
        let seen = browser.run(APART, vec![]).await;
        assert!(seen[0].as_f64().unwrap() <= LEVELS, "{name}: {seen}");
    }
    let half = include_bytes!("files/plain.avif");
    let refused: [(&str, &[u8], &str); 6] = [
        (
            "lines.svg",
            b"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"9\" height=\"9\"/>",
            "a drawing of lines (SVG)",
        ),
        ("photo.heic", include_bytes!("files/photo.heic"), "HEI"),
        ("twelve-bits.jpg", include_bytes!("files/twelve-bits.jpg"), "12"),
        ("half.avif", &half[..half.len() / 2], "AVIF"),
        ("text.avif", b"this is text", "not an image"),
        (
            "large.avif",
            include_bytes!("files/large.avif"),
            "at most 64 megapixels",
        ),
    ];
    for (name, bytes, expected) in refused {
        browser.drop_file(name, bytes).await;
        browser.finished().await;
        let error = browser.text("error").await;
        assert!(
            error.starts_with(name) && error.contains(expected),
            "{name}: {error}"
        );
    }
    // A colour that sRGB does not have: the purest red of Display P3.
    let bytes = SharedBytes::default();
    let mut rows = PngRows::new(bytes.clone(), Size::new(16, 16), Layout::Rgb, 8).unwrap();
    let mut red = Planes::zeros(3, 16, 16);
    (0..16).for_each(|y| red.row_mut(0, y).fill(1.0));
    rows.write(0, &red).unwrap();
    rows.finish().unwrap();
    let pure = with_chunks(&bytes.take(), &[(b"cICP", &[12, 13, 0, 1])]);
    browser
        .run("document.getElementById('carry').checked = false;", vec![])
        .await;
    browser.drop_file("pure.png", &pure).await;
    browser.finished().await;
    let notes = browser.text("notes").await;
    assert!(
        notes.contains("converted to sRGB") && notes.contains("beyond sRGB"),
        "{notes}"
    );
    browser.close().await;
}
