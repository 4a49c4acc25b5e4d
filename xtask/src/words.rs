//! How long the documents are: who has to read less reads it.

use std::fs;
use std::process::Command;

use crate::shell::{Result, output, root, say};

/// Words of prose that all documents have together, at most.
const MOST: usize = 6000;
/// What is read by others, or not from its beginning to its end.
const APART: [&str; 3] = ["CHANGELOG.md", "third-party/", ".github/"];

/// Counts the words of all documents in the repository.
///
/// # Errors
/// When they are too many, with the longest documents.
pub(crate) fn check() -> Result<()> {
    let list = output(Command::new("git").args(["ls-files", "*.md"]).current_dir(root()));
    let list = list.ok_or("git does not tell which files there are")?;
    let documents = list
        .lines()
        .filter(|path| !APART.iter().any(|apart| path.starts_with(apart)));
    let mut counted = Vec::new();
    for path in documents {
        let text = fs::read_to_string(root().join(path)).map_err(|e| format!("{path}: {e}"))?;
        counted.push((prose(&text), path));
    }
    let all: usize = counted.iter().map(|(count, _)| count).sum();
    say(&format!("documents: {all} words of prose, of {MOST}"));
    if all <= MOST {
        return Ok(());
    }
    counted.sort_unstable_by(|a, b| b.cmp(a));
    let longest: Vec<String> = counted
        .iter()
        .take(5)
        .map(|(count, path)| format!("{path} {count}"))
        .collect();
    Err(format!(
        "the documents have {all} words outside tables and examples, {MOST} at most: shorten the longest ({})",
        longest.join(", ")
    ))
}

/// Words of a document outside tables, examples and comments.
fn prose(text: &str) -> usize {
    let mut in_example = false;
    let mut in_comment = false;
    let mut words = 0;
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with("```") {
            in_example = !in_example;
            continue;
        }
        in_comment |= line.starts_with("<!--");
        if !in_example && !in_comment && !line.starts_with('|') {
            let is_word = |part: &&str| part.contains(char::is_alphanumeric);
            words += line.split_whitespace().filter(is_word).count();
        }
        in_comment &= !line.contains("-->");
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_examples_and_comments_are_no_prose() {
        let text = "# A title\n\nTwo [words](https://a.example/b), and 4 more – here.\n\n| a | table |\n|---|---|\n\n\
                    ```sh\nasasr upscale photo.jpg\n```\n\n<!-- one\ntwo -->\nEnd.\n";
        assert_eq!(prose(text), 2 + 6 + 1);
    }
}
