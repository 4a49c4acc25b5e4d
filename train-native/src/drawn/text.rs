//! Fonts from files, and words to write in them.

use std::fs;
use std::path::{Path, PathBuf};

use ab_glyph::{Font as _, FontVec, ScaleFont as _, point};

use super::Chance;
use super::canvas::{Canvas, Ink, Point};
use crate::error::{Error, Result};

/// Fonts of a folder.
#[derive(Default)]
pub(super) struct Fonts(Vec<Font>);

/// One font.
pub(super) struct Font(FontVec);

impl Fonts {
    /// Reads all `.ttf` and `.otf` files below a folder, in the order of their names. What is no font is named and left out.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let mut files = Vec::new();
        below(folder, &mut files)?;
        files.sort();
        let mut fonts = Vec::new();
        for path in files {
            let bytes = fs::read(&path).map_err(|e| Error::at(&path, e))?;
            match FontVec::try_from_vec(bytes) {
                // Symbols alone write no words.
                Ok(font) if font.glyph_id('e').0 != 0 => fonts.push(Font(font)),
                Ok(_) => note!("left out: {}: has no Latin letters", path.display()),
                Err(why) => note!("left out: {}: {why}", path.display()),
            }
        }
        if fonts.is_empty() {
            return Err(Error::at(folder, "has no .ttf or .otf file that can be used"));
        }
        Ok(Self(fonts))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One of them.
    ///
    /// # Panics
    /// When there is none.
    pub(super) fn one(&self, chance: &mut Chance) -> &Font {
        chance.one_of(&self.0)
    }
}

/// All font files below a folder.
fn below(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder).map_err(|e| Error::at(folder, e))? {
        let path = entry.map_err(|e| Error::at(folder, e))?.path();
        if path.is_dir() {
            below(&path, files)?;
        } else if path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("ttf") || e.eq_ignore_ascii_case("otf"))
        {
            files.push(path);
        }
    }
    Ok(())
}

/// Something like a word: no language's, with the letters of several.
fn word(chance: &mut Chance) -> String {
    const VOWELS: [&str; 14] = [
        "a", "e", "i", "o", "u", "e", "a", "io", "ei", "ou", "ä", "ö", "ü", "é",
    ];
    const CONSONANTS: [&str; 26] = [
        "n", "r", "t", "s", "l", "d", "m", "st", "ch", "h", "g", "b", "p", "f", "w", "k", "v", "z", "th",
        "nd", "ss", "ck", "j", "x", "q", "ß",
    ];
    if chance.happens(0.12) {
        return number(chance);
    }
    let mut word = String::new();
    for _ in 0..chance.count(1, 4) {
        if chance.happens(0.8) {
            word += *chance.one_of::<&str>(&CONSONANTS);
        }
        word += *chance.one_of::<&str>(&VOWELS);
    }
    if chance.happens(0.5) {
        word += *chance.one_of::<&str>(&CONSONANTS);
    }
    if chance.happens(0.1) {
        return word.to_uppercase();
    }
    if chance.happens(0.2) {
        let mut letters = word.chars();
        let first = letters.next().into_iter().flat_map(char::to_uppercase);
        word = first.chain(letters).collect();
    }
    if chance.happens(0.15) {
        word += *chance.one_of::<&str>(&[".", ",", "!", "?", ":", ";", ")", "…", "-"]);
    }
    if chance.happens(0.03) {
        word.insert_str(
            0,
            chance.one_of::<&str>(&["(", "„", "@", "#", "&", "/", "[", "{", "§"]),
        );
    }
    word
}

fn number(chance: &mut Chance) -> String {
    let digits = chance.count(1, 4);
    let mut text: String = (0..digits)
        .map(|_| char::from(b'0' + chance.count(0, 9) as u8))
        .collect();
    if chance.happens(0.3) {
        text.insert(
            chance.count(0, digits),
            *chance.one_of(&['.', ',', ':', '%', '+', '-', '=']),
        );
    }
    text
}

impl Font {
    /// Words from `(x, y)`, the top left corner, to the canvas's right edge, `size` pixels high.
    pub(super) fn line(&self, canvas: &mut Canvas, at: Point, size: f32, ink: &Ink, chance: &mut Chance) {
        let side = canvas.side() as f32;
        // The last line of a paragraph is shorter.
        let end = if chance.happens(0.15) {
            chance.between(0.0, side)
        } else {
            side
        };
        let mut at = at;
        while at.0 < end {
            at.0 = self.write(canvas, at, size, &(word(chance) + " "), ink);
        }
    }

    /// A few words not wider than `width`, which stands behind the size.
    pub(super) fn label(
        &self,
        canvas: &mut Canvas,
        at: Point,
        (size, width): (f32, f32),
        ink: &Ink,
        chance: &mut Chance,
    ) {
        let mut x = at.0;
        for _ in 0..chance.count(1, 4) {
            let text = word(chance) + " ";
            if x + self.width(size, &text) > at.0 + width {
                break;
            }
            x = self.write(canvas, (x, at.1), size, &text, ink);
        }
    }

    /// A number.
    pub(super) fn number(&self, canvas: &mut Canvas, at: Point, size: f32, ink: &Ink, chance: &mut Chance) {
        self.write(canvas, at, size, &number(chance), ink);
    }

    fn width(&self, size: f32, text: &str) -> f32 {
        let font = self.0.as_scaled(size);
        text.chars().map(|c| font.h_advance(font.glyph_id(c))).sum()
    }

    /// Writes and returns where the next letter goes.
    fn write(&self, canvas: &mut Canvas, (x, y): Point, size: f32, text: &str, ink: &Ink) -> f32 {
        let font = self.0.as_scaled(size);
        let (mut x, baseline) = (x, y + font.ascent());
        let mut before = None;
        for letter in text.chars() {
            let id = font.glyph_id(letter);
            if let Some(before) = before {
                x += font.kern(before, id);
            }
            before = Some(id);
            if let Some(outline) = self
                .0
                .outline_glyph(id.with_scale_and_position(size, point(x, baseline)))
            {
                let least = outline.px_bounds().min;
                canvas.stamp((least.x, least.y), ink, |cover| {
                    outline.draw(cover);
                });
            }
            x += font.h_advance(id);
        }
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use asasr_core::random::SplitMix64;

    #[test]
    fn words_are_of_letters_and_differ() {
        let mut random = SplitMix64::new(1);
        let mut chance = Chance(&mut random);
        let words: Vec<String> = (0..200).map(|_| word(&mut chance)).collect();
        assert!(
            words
                .iter()
                .all(|w| !w.is_empty() && !w.contains(' ') && w.chars().count() < 20)
        );
        let different: std::collections::HashSet<&String> = words.iter().collect();
        assert!(different.len() > 150);
    }

    /// A font whose letters are all squares, half as wide and high as the font is high, on the baseline; ascent 0.8, advance 0.6.
    fn squares() -> Vec<u8> {
        let words = |all: &[i32]| -> Vec<u8> { all.iter().flat_map(|w| (*w as u16).to_be_bytes()).collect() };
        let letters = 600;
        let mut cmap = words(&[0, 1, 0, 3, 0, 12, 6, 10 + 2 * letters, 0, 33, letters]);
        cmap.extend(words(&vec![1; letters as usize]));
        let tables = [
            (b"cmap", cmap),
            // One contour of four corners, as steps.
            (
                b"glyf",
                [
                    words(&[1, 0, 0, 500, 500, 3, 0]),
                    vec![1; 4],
                    words(&[0, 500, 0, -500, 0, 0, 500, 0]),
                ]
                .concat(),
            ),
            (
                b"head",
                words(&[
                    1, 0, 1, 0, 0, 0, 0x5F0F, 0x3CF5, 0, 1000, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 500, 500, 0, 8,
                    2, 0, 0,
                ]),
            ),
            (
                b"hhea",
                words(&[1, 0, 800, -200, 0, 600, 0, 100, 500, 1, 0, 0, 0, 0, 0, 0, 0, 1]),
            ),
            (b"hmtx", words(&[600, 0, 0])),
            (b"loca", words(&[0, 0, 17])),
            (b"maxp", words(&[0, 0x5000, 2])),
        ];
        let mut file = words(&[1, 0, tables.len() as i32, 64, 2, 48]);
        let mut offset = file.len() + 16 * tables.len();
        for (tag, table) in &tables {
            file.extend(*tag);
            file.extend([0; 4]);
            file.extend((offset as u32).to_be_bytes());
            file.extend((table.len() as u32).to_be_bytes());
            offset += table.len().next_multiple_of(4);
        }
        for (_, mut table) in tables {
            table.resize(table.len().next_multiple_of(4), 0);
            file.extend(table);
        }
        file
    }

    #[test]
    fn letters_stand_where_the_font_says() {
        let folder = tempfile::tempdir().expect("a folder");
        let deep = folder.path().join("deep");
        fs::create_dir(&deep).expect("is made");
        fs::write(deep.join("squares.ttf"), squares()).expect("is written");
        let fonts = Fonts::open(folder.path()).expect("has a font");
        let mut random = SplitMix64::new(1);
        let mut chance = Chance(&mut random);
        let font = fonts.one(&mut chance);
        let mut canvas = Canvas::new(64, [0.0; 3], false);
        let ink = Ink::Flat([1.0, 0.5, 0.0]);
        let end = font.write(&mut canvas, (4.0, 10.0), 20.0, "ab", &ink);
        assert!((end - 28.0).abs() < 1e-3, "{end}");
        let planes = canvas.into_planes();
        let area = |c: usize| planes.plane(c).iter().sum::<f32>();
        assert!(
            (area(0) - 200.0).abs() < 1.0 && (area(1) - 100.0).abs() < 1.0,
            "{} {}",
            area(0),
            area(1)
        );
        assert!(planes.row(0, 26)[..4].iter().all(|v| *v == 0.0) && planes.row(0, 27)[5] == 0.0);
        assert!(planes.row(0, 20)[5] > 0.99 && planes.row(0, 20)[15] < 0.01 && planes.row(0, 20)[18] > 0.99);
        // What would lie outside the canvas is left out.
        let mut canvas = Canvas::new(16, [0.0; 3], false);
        font.write(&mut canvas, (-8.0, -4.0), 20.0, "abcdef", &ink);
        font.line(&mut canvas, (-30.0, 9.0), 40.0, &ink, &mut chance);
        assert!(
            canvas
                .into_planes()
                .data()
                .iter()
                .all(|v| (0.0..=1.0).contains(v))
        );
    }

    #[test]
    fn a_folder_without_fonts_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("broken.TTF"), "no font").expect("is written");
        let why = Fonts::open(folder.path()).err().expect("has none").to_string();
        assert!(why.contains("no .ttf or .otf file") && why.contains(&folder.path().display().to_string()));
    }
}
