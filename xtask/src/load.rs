//! Requests and bytes a second, beside nginx with the same files on the same machine.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::shell::{Result, output, root, target};
use crate::tools;

/// Rounds of each, in turn: the machine's mood is in both.
const ROUNDS: usize = 4;
const SECONDS: usize = 5;

/// Ends the program with the measurement.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // nginx ends its workers only when it is asked.
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// What is asked for.
struct Case {
    name: &'static str,
    path: String,
    connections: usize,
    header: Option<&'static str>,
    status: u16,
    /// Ours as a share of nginx's.
    goal: f64,
}

/// Measures and writes a table into `docs/benchmarks.md`.
pub(crate) fn load(server: &Path) -> Result<()> {
    for need in tools::load_needs() {
        tools::ensure(&need)?;
    }
    // Workers of nginx are another user, who may not see into homes.
    let folder = std::env::temp_dir().join(format!("asasr-load-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    let model = folder.join("v1/models/load");
    fs::create_dir_all(&model).map_err(|e| format!("{}: {e}", model.display()))?;
    let (store, weights) = publish(&folder, &model)?;
    let (ours, nginx) = (free_port()?, free_port()?);
    let _ours = start(
        Command::new(server)
            .args([
                "--log",
                "warn",
                "--requests-per-second",
                "0",
                "--connections-per-address",
                "0",
            ])
            .args(["--listen", &format!("127.0.0.1:{ours}"), "--store"])
            .arg(&store),
        ours,
    )?;
    let conf = folder.join("nginx.conf");
    fs::write(&conf, configuration(&folder, nginx)).map_err(|e| format!("{}: {e}", conf.display()))?;
    let _nginx = start(
        Command::new("nginx").arg("-c").arg(&conf).arg("-p").arg(&folder),
        nginx,
    )?;

    let cases = [
        Case {
            name: "manifest, 64 connections",
            path: "v1/models/load/manifest.json".into(),
            connections: 64,
            header: None,
            status: 200,
            goal: 0.8,
        },
        Case {
            name: "manifest, unchanged (304)",
            path: "v1/models/load/manifest.json".into(),
            connections: 64,
            header: Some("If-None-Match: *"),
            status: 304,
            goal: 0.8,
        },
        Case {
            name: "weights of 4 MB, 8 connections",
            path: format!("v1/models/load/{weights}"),
            connections: 8,
            header: None,
            status: 200,
            goal: 0.9,
        },
    ];
    let mut table = String::from("| what | ours | nginx | share | goal |\n|---|---|---|---|---|\n");
    for case in &cases {
        for port in [ours, nginx] {
            answers(port, case)?;
        }
        let mut rounds = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (port, into) in [ours, nginx].into_iter().zip(&mut rounds) {
                into.push(wrk(port, case)?);
            }
        }
        let [mine, theirs] = rounds.map(|mut r| {
            r.sort_by(|a, b| a.0.total_cmp(&b.0));
            let at = r.len() / 2;
            (
                f64::midpoint(r[at - 1].0, r[at].0),
                f64::midpoint(r[at - 1].1, r[at].1),
            )
        });
        let text = |(requests, bytes): (f64, f64)| format!("{requests:.0}/s, {:.0} MB/s", bytes / 1e6);
        let line = format!(
            "| {} | {} | {} | {:.2} | {} |",
            case.name,
            text(mine),
            text(theirs),
            mine.0 / theirs.0,
            case.goal
        );
        eprintln!("{line}");
        table += &(line + "\n");
    }
    let _ = fs::remove_dir_all(&folder);
    let note = format!(
        "\nRequests and bytes a second, medians of {ROUNDS} rounds of {SECONDS} s in turn, asked by wrk with one thread on the same {} cores; {}.\n",
        std::thread::available_parallelism().map_or(1, usize::from),
        nginx_version()
    );
    table += &note;
    insert(&table)
}

/// Puts the table into the page of benchmarks.
fn insert(table: &str) -> Result<()> {
    const MARKS: [&str; 2] = ["<!-- load -->\n", "<!-- end -->"];
    let path = root().join("docs").join("benchmarks.md");
    let at = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
    let text = fs::read_to_string(&path).map_err(|e| at(&e))?;
    let (before, rest) = text
        .split_once(MARKS[0])
        .ok_or_else(|| at(&"it lacks the mark"))?;
    let (_, after) = rest
        .split_once(MARKS[1])
        .ok_or_else(|| at(&"it lacks the mark"))?;
    let text = format!("{before}{}{table}{}{after}", MARKS[0], MARKS[1]);
    fs::write(&path, text).map_err(|e| at(&e))
}

/// A model with weights of 4 MB, in a store for our server and as files for nginx; returns the store and the file's name.
fn publish(folder: &Path, model: &Path) -> Result<(PathBuf, String)> {
    let store = folder.join("store");
    let made = crate::shell::cargo(&[
        "run",
        "--release",
        "--package",
        "asasr-store",
        "--example",
        "load_model",
        "--",
    ])
    .arg(&store)
    .arg(model)
    .env("CARGO_TARGET_DIR", target())
    .status();
    match made {
        Ok(s) if s.success() => Ok((store, "restorer.safetensors".into())),
        Ok(s) => Err(format!("the model was not made: {s}")),
        Err(e) => Err(format!("cargo: {e}")),
    }
}

fn configuration(folder: &Path, port: u16) -> String {
    let place = folder.display();
    format!(
        "daemon off; worker_processes auto; pid {place}/nginx.pid; error_log {place}/nginx.log;\n\
         events {{ worker_connections 4096; }}\n\
         http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; open_file_cache max=100;\n\
         types {{ application/json json; }} default_type application/octet-stream;\n\
         server {{ listen 127.0.0.1:{port} backlog=4096; root {place}; }} }}\n"
    )
}

fn free_port() -> Result<u16> {
    let any = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
    any.map(|a| a.port()).map_err(|e| e.to_string())
}

fn start(command: &mut Command, port: u16) -> Result<Running> {
    let child = command
        .stdout(Stdio::null())
        .spawn()
        .map_err(|e| format!("{command:?}: {e}"))?;
    let mut running = Running(child);
    for _ in 0..100 {
        if let Ok(Some(status)) = running.0.try_wait() {
            return Err(format!("{command:?} ended with {status}"));
        }
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Ok(running);
        }
        sleep(Duration::from_millis(100));
    }
    Err(format!("{command:?} does not listen at port {port}"))
}

/// It tells its version on standard error.
fn nginx_version() -> String {
    let told = Command::new("nginx")
        .arg("-v")
        .output()
        .map(|o| o.stderr)
        .unwrap_or_default();
    String::from_utf8_lossy(&told).trim().to_owned()
}

/// Checks that a server answers as the case means it, for wrk takes any success.
fn answers(port: u16, case: &Case) -> Result<()> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(|e| e.to_string())?;
    let header = case.header.map(|h| format!("{h}\r\n")).unwrap_or_default();
    let request = format!(
        "GET /{} HTTP/1.1\r\nHost: a\r\n{header}Connection: close\r\n\r\n",
        case.path
    );
    let mut head = [0; 12];
    let read = stream
        .write_all(request.as_bytes())
        .and_then(|()| stream.read_exact(&mut head));
    read.map_err(|e| e.to_string())?;
    let line = String::from_utf8_lossy(&head).into_owned();
    if line == format!("HTTP/1.1 {}", case.status) {
        return Ok(());
    }
    Err(format!(
        "{} is answered with {line}, not {}",
        case.name, case.status
    ))
}

/// Requests and bytes a second.
fn wrk(port: u16, case: &Case) -> Result<(f64, f64)> {
    let mut wrk = Command::new("wrk");
    wrk.args([
        "-t1",
        &format!("-c{}", case.connections),
        &format!("-d{SECONDS}s"),
    ]);
    if let Some(header) = case.header {
        wrk.args(["-H", header]);
    }
    wrk.arg(format!("http://127.0.0.1:{port}/{}", case.path));
    let text = output(&mut wrk).ok_or("wrk failed")?;
    if text.contains("Socket errors") || text.contains("Non-2xx") {
        return Err(format!("not every request was answered:\n{text}"));
    }
    let after = |label: &str| {
        let line = text.lines().find_map(|l| l.trim().strip_prefix(label))?;
        Some(line.trim().to_owned())
    };
    let requests = after("Requests/sec:").and_then(|v| v.parse().ok());
    let bytes = after("Transfer/sec:").and_then(|v| size(&v));
    requests.zip(bytes).ok_or_else(|| format!("wrk said:\n{text}"))
}

/// `1.50GB` in bytes; wrk counts in powers of 1024.
fn size(text: &str) -> Option<f64> {
    let units = [("GB", 30), ("MB", 20), ("KB", 10), ("B", 0)];
    units.into_iter().find_map(|(unit, power)| {
        let value: f64 = text.strip_suffix(unit)?.parse().ok()?;
        Some(value * f64::from(1 << power))
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn sizes_as_wrk_writes_them() {
        assert_eq!(super::size("1.50KB"), Some(1536.0));
        assert_eq!(super::size("2.00GB"), Some(2_147_483_648.0));
        assert_eq!(super::size("none"), None);
    }
}
