//! `asasr results`: a page of tables and charts from the JSON that `asasr eval` and `asasr train sweep` wrote.
//!
//! A folder holds the files; `NAME.md` beside `NAME.json` is a comment that the page takes over, and `goals.toml` says what
//! was to be reached and which images are told apart, so that no number on the page is typed by hand.

mod goals;
mod report;
mod tables;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use self::report::Report;
use crate::cli::Results;
use crate::error::{Error, Result};
use crate::eval::METRICS;
use crate::files;

/// Runs the command.
pub(crate) fn run(args: &Results) -> Result<()> {
    let reports = report::all(&args.folder)?;
    let goals = goals::read(&args.folder.join("goals.toml"))?;
    goals.check(&reports)?;
    let images = args.output.with_file_name("images");
    files::make_folder(&images)?;
    let mut page = String::from(
        "# Results\n\nMade by `asasr results` from the files in [results](results): do not edit. [Metrics](#metrics) explains the columns. Bold \
         is best. ↑: higher is better, ↓: lower is.\n",
    );
    for report in &reports {
        let _ = write!(page, "\n## {}\n\n{}\n", report.title(), report.origin());
        page += &tables::of(report);
        if let Some(counts) = tables::below_bicubic(report) {
            let _ = write!(page, "\n{counts}");
        }
        if let Some(some) = &goals.some
            && let Some(table) = tables::over(report, &some.images)
        {
            let _ = write!(page, "\n{}:\n\n{table}", some.title);
        }
        if let Some(chart) = tables::chart(report) {
            let name = format!("results-{}.svg", report.name);
            files::write(&images.join(&name), chart.as_bytes())?;
            let _ = write!(
                page,
                "\n![Log-spectral distance by frequency, {}](images/{name})\n",
                report.title()
            );
        }
        let verdicts = goals.of(report)?;
        if !verdicts.is_empty() {
            page += &verdicts;
        }
        let comment = args.folder.join(format!("{}.md", report.name));
        if let Ok(text) = fs::read_to_string(&comment) {
            let _ = write!(page, "\n{}\n", text.trim());
        }
    }
    page += "\n## Metrics\n\n| | |\n|---|---|\n";
    for metric in &METRICS {
        let _ = writeln!(page, "| {} | {} |", metric.title, metric.meaning);
    }
    files::write(&args.output, page.as_bytes())?;
    for path in &args.insert {
        insert(path, &reports)?;
    }
    say!("{} of {} files", args.output.display(), reports.len());
    Ok(())
}

/// Puts tables between the marks of another page: `<!-- results NAME: METHOD; … -->` and `<!-- end -->`.
fn insert(path: &Path, reports: &[Report]) -> Result<()> {
    let text = fs::read_to_string(path).map_err(|e| Error::at(path, e))?;
    let (open, close) = ("<!-- results ", "<!-- end -->");
    let mut parts = text.split(open);
    let mut out = parts.next().unwrap_or_default().to_owned();
    let mut count = 0;
    for part in parts {
        let mark = part.split_once(" -->").and_then(|(mark, rest)| {
            let (_, after) = rest.split_once(close)?;
            let (name, methods) = mark.split_once(": ")?;
            Some((mark, name, methods, after))
        });
        let Some((mark, name, methods, after)) = mark else {
            return Err(Error::at(
                path,
                format!("{open}NAME: METHOD; … --> without {close} after it"),
            ));
        };
        let report = reports.iter().find(|r| r.name == name);
        let report = report.ok_or_else(|| Error::at(path, format!("there are no results named {name}")))?;
        let methods: Vec<&str> = methods.split("; ").collect();
        let table = tables::some(report, &methods).map_err(|e| Error::at(path, e))?;
        let _ = write!(out, "{open}{mark} -->\n{table}{close}{after}");
        count += 1;
    }
    if count == 0 {
        return Err(Error::at(
            path,
            format!("it has no mark {open}NAME: METHOD; … -->"),
        ));
    }
    files::write(path, out.as_bytes())
}
