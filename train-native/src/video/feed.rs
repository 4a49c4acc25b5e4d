//! Raw frames with their times, as an encoder's ffmpeg reads them from a pipe: a Matroska stream (RFC 9559) of uncompressed video, in
//! which a tick is a nanosecond, and every frame lies in a cluster of its own.

use std::io::{self, Write};

use asasr_core::Size;

/// A number of as many bytes as there are, the highest first.
fn number(value: u64) -> [u8; 8] {
    value.to_be_bytes()
}

/// A size in eight bytes.
fn length(of: usize) -> [u8; 8] {
    (of as u64 | 1 << 56).to_be_bytes()
}

/// An element of that id.
fn element(id: &[u8], content: &[u8]) -> Vec<u8> {
    [id, &length(content.len()), content].concat()
}

/// What comes before the frames: RGB of 8 or 16 bits (the low byte first), and the nanoseconds between frames on the whole.
pub(super) fn header(size: Size, bits: u8, period: u64) -> Vec<u8> {
    let id = |n: u32| n.to_be_bytes();
    let whole = |id: &[u8], value: u64| element(id, &number(value));
    let kind = [
        element(&[0x42, 0x82], b"matroska"),
        whole(&[0x42, 0x87], 4),
        whole(&[0x42, 0x85], 2),
    ];
    let picture = [
        whole(&[0xb0], size.width as u64),
        whole(&[0xba], size.height as u64),
        element(&[0x2e, 0xb5, 0x24], &[b'R', b'G', b'B', 3 * bits]),
    ];
    let track = [
        whole(&[0xd7], 1),
        whole(&[0x73, 0xc5], 1),
        // Video.
        whole(&[0x83], 1),
        element(&[0x86], b"V_UNCOMPRESSED"),
        whole(&[0x23, 0xe3, 0x83], period),
        element(&[0xe0], &picture.concat()),
    ];
    [
        element(&id(0x1a45_dfa3), &kind.concat()),
        // A segment that ends with the stream.
        [&id(0x1853_8067)[..], &[0x01, 255, 255, 255, 255, 255, 255, 255]].concat(),
        element(&id(0x1549_a966), &whole(&[0x2a, 0xd7, 0xb1], 1)),
        element(&id(0x1654_ae6b), &element(&[0xae], &track.concat())),
    ]
    .concat()
}

/// Writes a frame; `nanos` is its time.
pub(super) fn frame(out: &mut impl Write, nanos: u64, pixels: &[u8]) -> io::Result<()> {
    // Track 1, at the cluster's own time, a key frame.
    let block = [0x81, 0, 0, 0x80];
    let time = element(&[0xe7], &number(nanos));
    let inside = time.len() + 1 + 8 + block.len() + pixels.len();
    let mut head = 0x1f43_b675u32.to_be_bytes().to_vec();
    head.extend(length(inside));
    head.extend(time);
    head.push(0xa3);
    head.extend(length(block.len() + pixels.len()));
    head.extend(block);
    out.write_all(&head)?;
    out.write_all(pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_say_their_length() {
        assert_eq!(element(&[0xb0], &[1, 2]), [0xb0, 1, 0, 0, 0, 0, 0, 0, 2, 1, 2]);
        let mut out = Vec::new();
        let done = frame(&mut out, 5, &[7; 6]);
        assert!(done.is_ok());
        // Behind the cluster's id and length comes what that length says.
        assert_eq!(
            out.len() as u64,
            12 + u64::from_be_bytes([0, out[5], out[6], out[7], out[8], out[9], out[10], out[11]])
        );
        assert_eq!(out[28], 5, "the time's last byte");
        assert!(out.ends_with(&[0x81, 0, 0, 0x80, 7, 7, 7, 7, 7, 7]));
        let header = header(Size::new(64, 48), 16, 40_000_000);
        assert!(header.windows(4).any(|w| w == [b'R', b'G', b'B', 48]));
    }
}
