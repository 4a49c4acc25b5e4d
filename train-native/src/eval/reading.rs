//! Text that Tesseract reads in an image, beside what it reads in the truth.

use std::collections::HashMap;
use std::process::Command;

use asasr_core::Planes;

use crate::error::{Error, Result};
use crate::{encode, files};

/// The program `tesseract`.
pub(super) struct Reader {
    folder: tempfile::TempDir,
}

impl Reader {
    /// Refuses where the program is not installed.
    pub(super) fn find() -> Result<Self> {
        Command::new("tesseract")
            .arg("--version")
            .output()
            .map_err(|e| Error::new(format!("--ocr needs the program tesseract: {e}")))?;
        let folder = tempfile::tempdir().map_err(|e| Error::new(format!("a temporary folder: {e}")))?;
        Ok(Self { folder })
    }

    /// The text in an image, wherever it stands.
    pub(super) fn read(&self, image: &Planes) -> Result<String> {
        let path = self.folder.path().join("image.png");
        files::write(&path, &encode::png(image)?)?;
        let output = Command::new("tesseract")
            .arg(&path)
            // Sparse text in any order: photographs have no columns.
            .args(["stdout", "--psm", "11"])
            .output()
            .map_err(|e| Error::new(format!("tesseract: {e}")))?;
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr);
            return Err(Error::new(format!("tesseract: {}", why.trim())));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// Words of two letters or digits and more; shorter ones are noise as often as text.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|w| w.chars().count() > 1)
}

/// One less the edit distance (Levenshtein 1966) between the words in a row, over the length of `truth`; at least 0.
pub(super) fn characters_met(read: &str, truth: &str) -> f64 {
    let line = |text: &str| -> Vec<char> { words(text).collect::<Vec<_>>().join(" ").chars().collect() };
    let (read, truth) = (line(read), line(truth));
    let mut last: Vec<usize> = (0..=read.len()).collect();
    for (i, a) in truth.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in read.iter().enumerate() {
            row.push(
                (last[j] + usize::from(a != b))
                    .min(last[j + 1] + 1)
                    .min(row[j] + 1),
            );
        }
        last = row;
    }
    (1.0 - last[read.len()] as f64 / truth.len().max(1) as f64).max(0.0)
}

/// The harmonic mean of the shares of words read that are in `truth`, and of its words that were read.
pub(super) fn words_met(read: &str, truth: &str) -> f64 {
    let mut left: HashMap<&str, usize> = HashMap::new();
    for word in words(truth) {
        *left.entry(word).or_default() += 1;
    }
    let mut met = 0;
    for word in words(read) {
        if let Some(count) = left.get_mut(word).filter(|c| **c > 0) {
            *count -= 1;
            met += 1;
        }
    }
    let both = words(read).count() + words(truth).count();
    2.0 * f64::from(met) / both.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_scored_by_characters_and_words() {
        let truth = "Open daily\n 9-17, a b";
        assert_eq!(words(truth).collect::<Vec<_>>(), ["Open", "daily", "17"]);
        assert_eq!(
            (characters_met(truth, truth), words_met(truth, truth)),
            (1.0, 1.0)
        );
        assert_eq!((characters_met("", truth), words_met("", truth)), (0.0, 0.0));
        // "Open daily 17" has 13 characters; two are wrong.
        let read = "0pen daily 11";
        assert!((characters_met(read, truth) - 11.0 / 13.0).abs() < 1e-12);
        assert!((words_met(read, truth) - 1.0 / 3.0).abs() < 1e-12);
        // Nothing is met twice, and what is made up counts against.
        assert!((words_met("daily daily daily", "daily") - 0.5).abs() < 1e-12);
        assert_eq!(characters_met("completely another text", "daily"), 0.0);
    }
}
