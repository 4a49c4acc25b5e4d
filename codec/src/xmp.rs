//! XMP data: what is no longer true of an enlarged, upright image is mended.

use asasr_core::Size;

/// Most bytes that are taken.
pub(crate) const MOST: usize = 4 << 20;

/// Says upright, where an orientation is told.
pub(crate) fn upright(xmp: String) -> String {
    set(xmp, "tiff:Orientation", 1)
}

/// Says the size, where one is told.
pub(crate) fn sized(xmp: String, size: Size) -> String {
    let Size { width, height } = size;
    [
        ("tiff:ImageWidth", width),
        ("tiff:ImageLength", height),
        ("exif:PixelXDimension", width),
        ("exif:PixelYDimension", height),
    ]
    .into_iter()
    .fold(xmp, |xmp, (name, value)| set(xmp, name, value))
}

/// Sets a number wherever it is told: as an attribute, `name="6"`, or as an element, `<name>6</name>`.
fn set(xmp: String, name: &str, value: usize) -> String {
    if !xmp.contains(name) {
        return xmp;
    }
    let mut out = String::with_capacity(xmp.len() + 16);
    let mut rest = xmp.as_str();
    while let Some((before, after)) = rest.split_once(name) {
        out.push_str(before);
        out.push_str(name);
        rest = after;
        let value_at = after.trim_start();
        let number = if let Some(element) = value_at.strip_prefix('>').filter(|_| !before.ends_with('/')) {
            element
        } else if let Some(attribute) = value_at.strip_prefix('=')
            && let Some(quoted) = attribute.trim_start().strip_prefix(['"', '\''])
        {
            quoted
        } else {
            continue;
        };
        let number = number.trim_start();
        let end = number.trim_start_matches(|c: char| c.is_ascii_digit());
        if end.len() < number.len() {
            out.push_str(&after[..after.len() - number.len()]);
            out.push_str(&value.to_string());
            rest = end;
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_and_elements_are_set() {
        let xmp = r#"<rdf:Description tiff:Orientation="6" exif:PixelXDimension = '24'
            tiff:OrientationOther="6"><tiff:Orientation>8</tiff:Orientation> 9 <tiff:ImageLength> 16 </tiff:ImageLength>"#;
        let expected = r#"<rdf:Description tiff:Orientation="1" exif:PixelXDimension = '9600'
            tiff:OrientationOther="6"><tiff:Orientation>1</tiff:Orientation> 9 <tiff:ImageLength> 6400 </tiff:ImageLength>"#;
        assert_eq!(sized(upright(xmp.to_owned()), Size::new(9600, 6400)), expected);
        for odd in [
            "tiff:Orientation",
            "tiff:Orientation=",
            "tiff:Orientation=\"",
            "tiff:Orientation>ü",
        ] {
            assert_eq!(upright(odd.to_owned()), odd);
        }
    }
}
