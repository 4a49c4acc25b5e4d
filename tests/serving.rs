//! Publishing and serving with the programs that operators run, over a real S3 server, and through what goes wrong there.
#![allow(missing_docs, clippy::unwrap_used, reason = "a failed step fails the test")]

#[path = "../store/tests/models.rs"]
mod models;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};
use std::{env, fs};

use asasr_core::model::format1::Manifest;
use asasr_core::model::sha256_hex;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);
/// What the S3 server of the tests takes for a key.
const KEY: &str = "of-the-tests";

fn program(variable: &str) -> PathBuf {
    env::var_os(variable).map_or_else(
        || panic!("{variable} is not set: run `cargo xtask test`"),
        PathBuf::from,
    )
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

fn wait_for(address: SocketAddr) {
    until("it listens", || TcpStream::connect(address).is_ok());
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "still not so: {what}");
        sleep(Duration::from_millis(20));
    }
}

/// An S3 server over a folder, with one bucket.
struct S3 {
    folder: TempDir,
    address: SocketAddr,
    process: Option<Running>,
}

impl S3 {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bucket")).unwrap();
        let mut s3 = Self {
            folder,
            address: ([127, 0, 0, 1], free_port()).into(),
            process: None,
        };
        s3.resume();
        s3
    }

    fn resume(&mut self) {
        let process = Command::new(program("ASASR_S3"))
            .args(["--host", "127.0.0.1", "--port", &self.address.port().to_string()])
            .args(["--access-key", KEY, "--secret-key", KEY])
            .arg(self.folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.process = Some(Running(process));
        wait_for(self.address);
    }
}

/// What a program needs to reach the S3 server, directly or through a line.
fn reaching(command: &mut Command, address: SocketAddr) -> &mut Command {
    command
        .env("AWS_ENDPOINT", format!("http://{address}"))
        .env("AWS_ALLOW_HTTP", "true")
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", KEY)
        .env("AWS_SECRET_ACCESS_KEY", KEY)
}

/// A line to an address that can be slow, or break after so many bytes of answers.
struct Line {
    address: SocketAddr,
    /// Bytes a second in each direction.
    rate: Arc<AtomicUsize>,
    /// Bytes towards the client before each connection breaks.
    whole: Arc<AtomicUsize>,
}

impl Line {
    fn to(far: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let line = Self {
            address: listener.local_addr().unwrap(),
            rate: Arc::new(usize::MAX.into()),
            whole: Arc::new(usize::MAX.into()),
        };
        let (rate, whole) = (Arc::clone(&line.rate), Arc::clone(&line.whole));
        spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(far) else {
                    continue;
                };
                let up = (near.try_clone().unwrap(), far.try_clone().unwrap());
                let slow = Arc::clone(&rate);
                spawn(move || carry(up.0, up.1, &slow, &usize::MAX.into()));
                let (slow, whole) = (Arc::clone(&rate), Arc::clone(&whole));
                spawn(move || carry(far, near, &slow, &whole));
            }
        });
        line
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, rate: &AtomicUsize, whole: &AtomicUsize) {
    let mut part = vec![0; 16 << 10];
    let mut carried = 0;
    while let Ok(n @ 1..) = from.read(&mut part) {
        carried += n;
        if carried > whole.load(Ordering::Relaxed) || to.write_all(&part[..n]).is_err() {
            break;
        }
        let rate = rate.load(Ordering::Relaxed);
        if rate < usize::MAX {
            sleep(Duration::from_secs_f64(n as f64 / rate as f64));
        }
    }
    let _ = from.shutdown(std::net::Shutdown::Both);
    let _ = to.shutdown(std::net::Shutdown::Both);
}

/// The server over a store.
struct Server {
    address: SocketAddr,
    _process: Running,
    _output: BufReader<std::process::ChildStdout>,
}

impl Server {
    fn start(command: &mut Command) -> Self {
        let mut process = command
            .args([
                "--listen",
                "127.0.0.1:0",
                "--log",
                "error",
                "--requests-per-second",
                "0",
            ])
            .current_dir(env::temp_dir())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let process = Running(process);
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let address = line.split("http://").nth(1).expect("it says where it listens");
        Self {
            address: address.trim().trim_end_matches('/').parse().unwrap(),
            _process: process,
            _output: output,
        }
    }

    /// Status and body; none for a body that ended early.
    fn get(&self, path: &str) -> (u16, Option<Vec<u8>>) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let end = bytes
            .windows(4)
            .position(|w| w == b"\r\n\r\n")
            .expect("an answer")
            + 4;
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let body = bytes.split_off(end);
        let length = head.lines().find_map(|l| l.strip_prefix("content-length: "));
        let whole = length.is_none_or(|l| l.parse() == Ok(body.len()));
        (head[9..12].parse().unwrap(), whole.then_some(body))
    }

    fn status(&self, path: &str) -> u16 {
        self.get(path).0
    }

    /// The hash of a model's weights as its manifest has it, once they were downloaded and are those.
    fn model(&self, id: &str) -> Option<String> {
        let manifest = Manifest::from_json(&self.get(&format!("/v1/models/{id}/manifest.json")).1?).ok()?;
        let path = format!("/v1/models/{id}/{}?sha256={}", manifest.file, manifest.sha256);
        let (status, body) = self.get(&path);
        if status != 200 {
            return None;
        }
        assert_eq!(
            sha256_hex(&body?),
            manifest.sha256,
            "other bytes than the manifest's"
        );
        Some(manifest.sha256)
    }
}

/// Writes a model into a folder; returns the hash of its weights.
fn model(folder: &Path, id: &str, value: f32, width: usize) -> String {
    let (manifest, bytes) = models::files(id, value, width);
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("manifest.json"), manifest.to_json().unwrap()).unwrap();
    fs::write(folder.join(&manifest.file), bytes).unwrap();
    manifest.sha256
}

fn weights(args: &[&str]) -> Command {
    let mut command = Command::new(program("ASASR_CLI"));
    command.arg("weights").args(args);
    command
}

/// Standard output of a command that succeeds.
fn told(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    assert!(
        status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&stderr)
    );
    String::from_utf8(stdout).unwrap()
}

/// Standard error of one that fails.
fn refused(command: &mut Command) -> String {
    let out = command.output().unwrap();
    assert!(
        !out.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&out.stdout)
    );
    String::from_utf8(out.stderr).unwrap()
}

/// The whole life of a model in a bucket.
#[test]
fn a_bucket_is_filled_served_rolled_back_and_swept() {
    let s3 = S3::start();
    let folder = tempfile::tempdir().unwrap();
    let models = [folder.path().join("first"), folder.path().join("second")];
    let [first, second] = [0, 1].map(|i| model(&models[i], "m", 0.25 * (1.0 + i as f32), 8));
    let place = "s3://bucket/some/prefix";
    let run = |args: &[&str]| told(reaching(&mut weights(args), s3.address));
    let publish = |i: usize| run(&["publish", models[i].to_str().unwrap(), "--to", place]);
    assert!(run(&["list", place]).contains("no models"));
    assert!(publish(0).contains("release 1 of m"));
    let server = Server::start(reaching(
        Command::new(program("ASASR_SERVER")).args(["--store", place, "--refresh", "100ms"]),
        s3.address,
    ));
    assert_eq!(server.status("/readyz"), 200);
    assert_eq!(server.model("m"), Some(first.clone()));
    publish(1);
    until("the second release is served", || {
        server.model("m") == Some(second.clone())
    });
    assert!(run(&["verify", place]).contains("release 2 of m: sound"));
    assert!(run(&["rollback", place, "m"]).contains("release 3 of m serves again what release 1 of m did"));
    until("the first is served again", || {
        server.model("m") == Some(first.clone())
    });
    let list = run(&["list", place]);
    assert_eq!(list.lines().count(), 4, "{list}");
    assert!(run(&["gc", place, "--keep", "1", "--hours", "0", "--dry-run"]).contains("would delete 2 files"));
    assert!(run(&["gc", place, "--keep", "1", "--hours", "0"]).contains("deleted 2 files"));
    assert_eq!(server.model("m"), Some(first.clone()));
    assert!(run(&["verify", place]).contains("release 3 of m: sound"));
    // Objects are under the prefix and nowhere else.
    let there: Vec<_> = fs::read_dir(s3.folder.path().join("bucket"))
        .unwrap()
        .flatten()
        .collect();
    assert_eq!(there.len(), 1, "{there:?}");
    // Several publish at once.
    let publishers: Vec<Child> = (0..4)
        .map(|i| {
            let mut command = weights(&["publish", models[i % 2].to_str().unwrap(), "--to", place]);
            let command = reaching(&mut command, s3.address)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    let mut numbers = Vec::new();
    for publisher in publishers {
        let out = publisher.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        match said.strip_prefix("release ").and_then(|s| s.split_once(' ')) {
            Some((number, _)) => numbers.push(number.parse::<u32>().unwrap()),
            None => assert!(
                String::from_utf8_lossy(&out.stderr).contains("published meanwhile"),
                "{out:?}"
            ),
        }
    }
    // This server looks and then writes, so that two may get the same number; what is there is whole in any case.
    let last = *numbers.iter().max().expect("one at least was published");
    assert!((4..8).contains(&last), "{numbers:?}");
    let verified = run(&["verify", place]);
    assert!(
        verified.contains(&format!("release {last} of m: sound")),
        "{verified}"
    );
    let wrong =
        refused(reaching(&mut weights(&["list", place]), s3.address).env("AWS_SECRET_ACCESS_KEY", "wrong"));
    assert!(wrong.contains("storage failed on releases"), "{wrong}");
}

/// The storage breaks, truncates, crawls and comes back: no client ever gets a short file that passes.
#[test]
fn a_bucket_that_fails_under_the_server() {
    let mut s3 = S3::start();
    let line = Line::to(s3.address);
    let folder = tempfile::tempdir().unwrap();
    let place = "s3://bucket";
    let first = model(&folder.path().join("a"), "a", 0.25, 64);
    told(reaching(
        &mut weights(&[
            "publish",
            folder.path().join("a").to_str().unwrap(),
            "--to",
            place,
        ]),
        s3.address,
    ));
    let serve = || {
        let mut command = Command::new(program("ASASR_SERVER"));
        command.args(["--store", place, "--refresh", "200ms", "--storage-timeout", "1s"]);
        Server::start(reaching(&mut command, line.address))
    };
    let server = serve();
    assert_eq!(server.model("a"), Some(first.clone()));
    // Broken in the middle of objects: the new release is not shown, and the old one is served on.
    line.whole.store(20_000, Ordering::Relaxed);
    let second = model(&folder.path().join("b"), "a", 0.5, 64);
    told(reaching(
        &mut weights(&[
            "publish",
            folder.path().join("b").to_str().unwrap(),
            "--to",
            place,
        ]),
        s3.address,
    ));
    sleep(Duration::from_secs(1));
    assert_eq!(server.model("a"), Some(first.clone()));
    line.whole.store(usize::MAX, Ordering::Relaxed);
    until("the new release is served", || {
        server.model("a") == Some(second.clone())
    });
    // Gone: what is in memory is served, and the load balancer is told.
    s3.process = None;
    until("it says that it is not ready", || server.status("/readyz") == 503);
    assert_eq!(server.model("a"), Some(second.clone()));
    // One that starts now has nothing, says so, and gets there by itself.
    let late = serve();
    assert_eq!((late.status("/healthz"), late.status("/readyz")), (200, 503));
    s3.resume();
    until("both are ready", || {
        server.status("/readyz") == 200 && late.status("/readyz") == 200
    });
    assert_eq!(late.model("a"), Some(second.clone()));
    // So slow that the time is over.
    line.rate.store(2_000, Ordering::Relaxed);
    model(&folder.path().join("c"), "a", 0.75, 64);
    told(reaching(
        &mut weights(&[
            "publish",
            folder.path().join("c").to_str().unwrap(),
            "--to",
            place,
        ]),
        s3.address,
    ));
    sleep(Duration::from_secs(2));
    assert_eq!(late.model("a"), Some(second));
}

/// kill -9 at any moment of publishing, on a disk and over a network: readers see the old model or the new one, whole.
#[test]
fn a_publisher_is_killed() {
    const KILLS: u32 = 12;
    let s3 = S3::start();
    let line = Line::to(s3.address);
    line.rate.store(3_000_000, Ordering::Relaxed);
    let folder = tempfile::tempdir().unwrap();
    let local = folder.path().join("store").display().to_string();
    for (place, through) in [(&*local, s3.address), ("s3://bucket", line.address)] {
        let versions: Vec<(PathBuf, String)> = (0..2)
            .map(|i| {
                let path = folder.path().join(format!("model-{i}"));
                let sha256 = model(&path, "m", 0.25 + i as f32, 128);
                (path, sha256)
            })
            .collect();
        let publish = |i: usize| {
            let mut command = weights(&["publish", versions[i].0.to_str().unwrap(), "--to", place]);
            reaching(&mut command, through);
            command
        };
        let start = Instant::now();
        told(&mut publish(0));
        let whole = start.elapsed();
        let mut command = Command::new(program("ASASR_SERVER"));
        command.args(["--store", place, "--refresh", "20ms"]);
        let server = Server::start(reaching(&mut command, s3.address));
        let mut cut_off = 0;
        for kill in 0..KILLS {
            let mut publisher = publish(1)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let start = Instant::now();
            while start.elapsed() < whole * kill / KILLS && publisher.try_wait().unwrap().is_none() {
                let seen = server.model("m").expect("a whole model at any time");
                assert!(versions.iter().any(|(_, sha256)| *sha256 == seen));
            }
            if publisher.try_wait().unwrap().is_none() {
                publisher.kill().unwrap();
                cut_off += 1;
            }
            publisher.wait().unwrap();
        }
        assert!(cut_off > 0, "none of {KILLS} was cut off");
        told(reaching(&mut weights(&["verify", place]), s3.address));
        // What the dead left is no obstacle, and is swept away.
        told(&mut publish(0));
        told(&mut publish(1));
        until("the new release is served", || {
            server.model("m").as_ref() == Some(&versions[1].1)
        });
        told(reaching(
            &mut weights(&["gc", place, "--keep", "1", "--hours", "0"]),
            s3.address,
        ));
        told(reaching(&mut weights(&["verify", place]), s3.address));
        if place == local {
            let blobs = fs::read_dir(Path::new(place).join("blobs")).unwrap().count();
            assert_eq!(blobs, 2, "weights and manifest");
        }
    }
}

/// On a full disk publishing fails with the reason, and what was served is whole.
#[test]
#[cfg(target_os = "linux")]
fn a_disk_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let (small, large) = (folder.path().join("small"), folder.path().join("large"));
    model(&small, "m", 0.25, 8);
    model(&large, "m", 0.5, 256);
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    // A disk of 1 MB in a namespace of its own.
    let script = r#"mount -t tmpfs -o size=1m none "$4" || exit 9
        "$1" weights publish "$2" --to "$4/store" || exit 8
        "$1" weights publish "$3" --to "$4/store" && exit 7
        "$1" weights verify "$4/store" && "$1" weights list "$4/store" && "$1" weights publish "$2" --to "$4/store""#;
    let out = Command::new("unshare")
        .args(["--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(program("ASASR_CLI"))
        .args([&small, &large, &disk])
        .output()
        .unwrap();
    let (said, why) = (
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr),
    );
    assert!(out.status.success(), "{:?}\n{said}\n{why}", out.status);
    assert!(
        why.contains("No space left on device") && why.contains("blobs/"),
        "{why}"
    );
    assert!(
        said.contains("release 1 of m: sound") && said.contains("release 2 of m"),
        "{said}"
    );
}

/// Keys, signatures and their checking, from the first command to the client.
#[test]
fn models_are_signed() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (key, other) = (path("key.pem"), path("other.pem"));
    told(&mut weights(&["keygen", "-o", &key]));
    told(&mut weights(&["keygen", "-o", &other]));
    let again = refused(&mut weights(&["keygen", "-o", &key]));
    assert!(again.contains("key.pem") && again.contains("exists"), "{again}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(
            fs::metadata(&key).unwrap().permissions().mode() & 0o77,
            0,
            "others can read the secret key"
        );
    }
    let (public, stranger) = (path("key.pub.pem"), path("other.pub.pem"));
    let m = folder.path().join("m");
    let sha256 = model(&m, "m", 0.25, 8);
    let (m, store) = (m.to_str().unwrap(), path("store"));
    let publish = |key: &str| weights(&["publish", m, "--to", &store, "--public-key", key]);
    assert!(refused(&mut publish(&public)).contains("asasr weights sign"));
    told(&mut weights(&["sign", m, "--key", &key]));
    // Another program checks the same signature.
    let check = r#"base64 -d "$1/manifest.json.sig" > "$1/raw" && \
                   openssl pkeyutl -verify -pubin -inkey "$2" -rawin -in "$1/manifest.json" -sigfile "$1/raw""#;
    let openssl = Command::new("sh")
        .args(["-c", check, "sh", m, &public])
        .output()
        .unwrap();
    assert!(
        openssl.status.success(),
        "{}",
        String::from_utf8_lossy(&openssl.stderr)
    );
    assert!(refused(&mut publish(&stranger)).contains("not signed with the public key"));
    told(&mut publish(&public));
    told(&mut weights(&["verify", &store, "--public-key", &public]));
    assert!(refused(&mut weights(&["verify", &store, "--public-key", &stranger])).contains("1 of 1"));
    let serve = |key: &str| {
        let mut command = Command::new(program("ASASR_SERVER"));
        Server::start(command.args(["--store", &store, "--public-key", key]))
    };
    assert_eq!(serve(&public).model("m"), Some(sha256));
    assert_eq!(serve(&stranger).status("/v1/models/m/manifest.json"), 404);
    // `upscale` asks for the signature too.
    let upscale = |key: &str| {
        let mut command = Command::new(program("ASASR_CLI"));
        command.args([
            "upscale",
            "none.png",
            "-o",
            &path("out.png"),
            "--weights",
            m,
            "--public-key",
            key,
        ]);
        refused(&mut command)
    };
    assert!(upscale(&stranger).contains("not signed"));
    assert!(upscale(&public).contains("none.png"), "past the signature");
}

/// The description of the API against the API.
#[test]
fn the_api_is_as_described() {
    // Every operation has something to answer: the model of the examples, signed.
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    model(&folder.path().join("model"), "asasr-x4-clean", 0.25, 8);
    told(&mut weights(&["keygen", "-o", &path("key.pem")]));
    told(&mut weights(&["sign", &path("model"), "--key", &path("key.pem")]));
    told(&mut weights(&["publish", &path("model"), "--to", &path("store")]));
    let server = Server::start(Command::new(program("ASASR_SERVER")).args(["--store", &path("store")]));
    // What the description allows and the request itself asks for: another version, a part beyond the end.
    let settings = "[checks]\npositive_data_acceptance.expected-statuses = [\"2xx\", \"3xx\", \"404\", \"412\", \"416\"]\n";
    fs::write(folder.path().join("schemathesis.toml"), settings).unwrap();
    let url = format!("http://{}", server.address);
    let out = Command::new(program("ASASR_SCHEMATHESIS"))
        .args(["run", &format!("{url}/v1/openapi.json"), "--url", &url])
        .args([
            "--checks",
            "all",
            "--max-examples",
            "60",
            "--seed",
            "1",
            "--no-color",
        ])
        .current_dir(folder.path())
        .env("PYTHONUTF8", "1")
        .output()
        .unwrap();
    let (said, why) = (
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr),
    );
    println!("{said}");
    assert!(out.status.success(), "{said}\n{why}");
    assert!(
        said.contains("Tested: 4") && !said.contains("Missing test data"),
        "{said}"
    );
}
