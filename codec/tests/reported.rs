//! Files of public reports about other programs, each with the values that are right.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

#[cfg(feature = "tiff")]
use asasr_codec::Layout;
use asasr_codec::{Picture, decode};

const MAX: u64 = 1_000_000;

#[track_caller]
fn assert_pixel(picture: &Picture, (x, y): (usize, usize), expected: [f32; 3]) {
    let planes = picture.all_planes();
    let found = [0, 1, 2].map(|c| 255.0 * planes.row(c, y)[x]);
    let near = found.iter().zip(expected).all(|(f, e)| (f - e).abs() <= 3.0);
    assert!(near, "{found:?} in place of {expected:?}");
}

#[test]
fn what_tells_the_colours_of_a_png_is_kept() {
    let gamma = decode(include_bytes!("cases/gamma.png"), MAX).unwrap();
    assert_eq!(gamma.metadata().gamma, Some(100_000));
    let p3 = decode(include_bytes!("cases/gamma-p3.png"), MAX).unwrap();
    assert!(p3.metadata().gamma.is_some() && p3.metadata().chromaticities.is_some());
    let pq = decode(include_bytes!("cases/pq.png"), MAX).unwrap();
    assert_eq!((pq.metadata().cicp, pq.bits()), (Some([9, 16, 0, 1]), 16));
    for picture in [gamma, p3, pq] {
        assert_pixel(&picture, (6, 5), [220.0, 30.0, 30.0]);
    }
}

#[test]
fn orientation_is_read_wherever_it_is_told() {
    let files: [(&[u8], [f32; 3]); 4] = [
        (include_bytes!("cases/exif-behind.png"), [28.0, 39.0, 217.0]),
        (include_bytes!("cases/exif-prefixed.webp"), [30.0, 40.0, 220.0]),
        (include_bytes!("cases/sideways-preview.jpg"), [28.0, 39.0, 217.0]),
        (include_bytes!("cases/sideways.webp"), [30.0, 40.0, 220.0]),
    ];
    for (file, first) in files {
        let picture = decode(file, MAX).unwrap();
        assert_eq!((picture.width(), picture.height()), (64, 96));
        assert_pixel(&picture, (6, 5), first);
        let exif = picture.metadata().exif.as_ref().unwrap();
        assert!(exif.starts_with(b"II*\0") || exif.starts_with(b"MM\0*"));
    }
}

#[cfg(feature = "colour")]
#[test]
fn colours_are_converted_where_their_profile_goes() {
    let picture = decode(include_bytes!("cases/p3.jpg"), MAX).unwrap();
    assert!(picture.metadata().icc.is_some());
    assert_pixel(&picture, (6, 5), [216.0, 30.0, 31.0]);
    let stripped = picture.clone().stripped();
    assert_eq!(stripped.metadata(), &asasr_codec::Metadata::default());
    let red = |p: &Picture| 255.0 * p.all_planes().row(0, 5)[6];
    assert!(red(&stripped) > red(&picture) + 10.0);
}

/// Colours that are multiplied by alpha, and alpha that only a mask in the header tells: what is seen is the page.
#[cfg(feature = "tiff")]
#[test]
fn what_is_seen_has_its_own_colours() {
    let page = decode(include_bytes!("cases/two-pages.tif"), MAX)
        .unwrap()
        .all_planes();
    for file in [
        &include_bytes!("cases/associated.tif")[..],
        include_bytes!("cases/alpha-mask.bmp"),
    ] {
        let picture = decode(file, MAX).unwrap();
        assert_eq!(picture.layout(), Layout::Rgba);
        let planes = picture.all_planes();
        let mut seen = 0;
        for i in (0..planes.plane(3).len()).filter(|i| planes.plane(3)[*i] > 0.3) {
            seen += 1;
            for c in 0..3 {
                let off = 255.0 * (planes.plane(c)[i] - page.plane(c)[i]);
                assert!(off.abs() <= 3.0, "{off} levels");
            }
        }
        assert!(seen > 50, "{seen}");
    }
}
