//! The program itself, over real connections: what is malformed, slow, too much, encrypted or killed.
#![allow(missing_docs, clippy::unwrap_used, reason = "a failed step fails the test")]

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use asasr_store::{MANIFEST, Package, Store, sha256_hex};
use common::models::files;
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(20);

/// The program, with no settings of the environment.
fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_asasr-server"));
    command.current_dir(std::env::temp_dir());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ASASR_") {
            command.env_remove(name);
        }
    }
    command
}

/// The program on a free port.
struct Server {
    process: Child,
    address: SocketAddr,
    scheme: String,
    /// What it wrote to standard error.
    complaints: tempfile::NamedTempFile,
    _output: BufReader<std::process::ChildStdout>,
}

impl Server {
    fn start(args: &[&str]) -> Self {
        Self::at("127.0.0.1:0", args)
    }

    fn at(listen: &str, args: &[&str]) -> Self {
        let complaints = tempfile::NamedTempFile::new().unwrap();
        let mut process = program()
            .args(["--listen", listen, "--log", "error"])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(complaints.reopen().unwrap())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let url = line.split_whitespace().last().expect("it says where it listens");
        let (scheme, rest) = url.split_once("://").unwrap();
        Self {
            process,
            address: rest.trim_end_matches('/').parse().unwrap(),
            scheme: scheme.into(),
            complaints,
            _output: output,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends bytes as they are and reads until the server closes.
    fn says(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn get(&self, path: &str, head: &str) -> Answer {
        let mut stream = self.connect();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{head}\r\n"
        )
        .unwrap();
        Answer::read(stream, usize::MAX)
    }

    fn works(&self) -> bool {
        self.says(b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            .ends_with("ok\n")
    }

    fn url(&self, path: &str) -> String {
        format!("{}://localhost:{}{path}", self.scheme, self.address.port())
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .args(["-s", name, &self.process.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
    }

    /// How it ended, when it does so in time.
    fn ended(&mut self) -> Option<std::process::ExitStatus> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if let Some(status) = self.process.try_wait().unwrap() {
                return Some(status);
            }
            sleep(Duration::from_millis(20));
        }
        None
    }

    /// Memory in use in bytes.
    #[cfg(target_os = "linux")]
    fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// An answer's head, and of its body what came.
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
    stream: TcpStream,
}

impl Answer {
    /// Reads at most so many bytes of the body.
    fn read(mut stream: TcpStream, most: usize) -> Self {
        let mut bytes = Vec::new();
        let mut part = vec![0; 4096];
        let (mut head_end, mut length) = (None, 0);
        loop {
            if head_end.is_none()
                && let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n")
            {
                head_end = Some(end + 4);
                length = value(&String::from_utf8_lossy(&bytes[..end]), "content-length")
                    .map_or(0, |v| v.parse().unwrap());
            }
            if head_end.is_some_and(|end| bytes.len() - end >= most.min(length)) {
                break;
            }
            match stream.read(&mut part) {
                Ok(n @ 1..) => bytes.extend_from_slice(&part[..n]),
                _ => break,
            }
        }
        let end = head_end.expect("an answer");
        let body = bytes.split_off(end);
        let head = String::from_utf8(bytes).unwrap();
        Self {
            status: head[9..12].parse().unwrap(),
            head,
            body,
            stream,
        }
    }

    fn header(&self, name: &str) -> String {
        value(&self.head, name).unwrap_or_default()
    }

    fn length(&self) -> usize {
        self.header("content-length").parse().unwrap()
    }

    /// Reads on to the end; how much is missing then.
    fn rest(mut self) -> (Vec<u8>, usize) {
        let _ = self.stream.read_to_end(&mut self.body);
        let missing = value(&self.head, "content-length")
            .unwrap()
            .parse::<usize>()
            .unwrap()
            - self.body.len();
        (self.body, missing)
    }
}

fn value(head: &str, name: &str) -> Option<String> {
    head.lines().find_map(|l| {
        let (key, value) = l.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

/// A store with a model whose weights are larger than what sockets hold; the weights' address and hash.
fn large() -> (TempDir, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let (manifest, bytes) = files("large", 0.25, 640);
    let model = folder.path().join("model");
    fs::create_dir(&model).unwrap();
    fs::write(model.join(MANIFEST), manifest.to_json().unwrap()).unwrap();
    fs::write(model.join(&manifest.file), bytes).unwrap();
    let place = folder.path().join("store");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let package = Package::from_folder(&model).unwrap();
    assert!(package.size() > 12_000_000, "{}", package.size());
    let store = Store::create(place.to_str().unwrap()).unwrap();
    runtime.block_on(store.publish(&package)).unwrap();
    let address = format!("/v1/models/large/{}?sha256={}", manifest.file, manifest.sha256);
    (folder, address, manifest.sha256)
}

fn store_of(folder: &TempDir) -> String {
    folder.path().join("store").display().to_string()
}

/// Every corner of a request's grammar that was thought of; the kept corpus of the wire fuzzing below.
const CORPUS: &str = include_str!("corpus/requests.txt");

/// The corpus has a request a line, with the expected statuses in front of it and `\r`, `\n`, `\t`, `\xNN` and `{text*N}`
/// written out.
fn corpus() -> Vec<(Vec<u16>, Vec<u8>)> {
    let lines = CORPUS.lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
    lines
        .map(|line| {
            let (statuses, request) = line.split_once(' ').unwrap();
            let statuses = statuses.split('|').map(|s| s.parse().unwrap()).collect();
            (statuses, unescaped(request))
        })
        .collect()
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (bytes, used) = match c {
            '\\' => match rest.as_bytes()[1] {
                b'r' => (vec![b'\r'], 2),
                b'n' => (vec![b'\n'], 2),
                b't' => (vec![b'\t'], 2),
                b'x' => (vec![u8::from_str_radix(&rest[2..4], 16).unwrap()], 4),
                other => panic!("\\{} in the corpus", other as char),
            },
            '{' => {
                let end = rest.find('}').unwrap();
                let (text, count) = rest[1..end].rsplit_once('*').unwrap();
                (unescaped(text).repeat(count.parse().unwrap()), end + 1)
            }
            c => (c.to_string().into_bytes(), c.len_utf8()),
        };
        out.extend(bytes);
        rest = &rest[used..];
    }
    out
}

/// A status of 0 stands for a connection that is closed without a word.
fn status_of(answer: &str) -> u16 {
    answer.get(9..12).and_then(|s| s.parse().ok()).unwrap_or(0)
}

#[test]
fn malformed_requests_are_refused() {
    let server = Server::start(&["--requests-per-second", "0", "--header-timeout", "1s"]);
    for (statuses, request) in corpus() {
        let answer = server.says(&request);
        let status = status_of(&answer);
        let text = String::from_utf8_lossy(&request[..request.len().min(100)]).into_owned();
        assert!(
            statuses.contains(&status),
            "{text:?}: {status}, not {statuses:?}:\n{answer}"
        );
        assert!(!answer.contains("root:"), "{text:?}");
    }
    assert!(server.works());
}

/// Requests of the corpus with bytes changed, cut, doubled and joined: none stops the server, and none is a fault of its own.
#[test]
fn mutated_requests_never_stop_it() {
    const THREADS: usize = 16;
    const CASES: usize = 100;
    let server = Server::start(&["--requests-per-second", "0", "--header-timeout", "150ms"]);
    let corpus = corpus();
    let answered: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|seed| {
                let (server, corpus) = (&server, &corpus);
                scope.spawn(move || {
                    (0..CASES)
                        .filter(|case| mutated(server, corpus, seed * CASES + case))
                        .count()
                })
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).sum()
    });
    assert!(
        answered > THREADS * CASES / 2,
        "only {answered} were answered at all"
    );
    assert!(server.works());
    let complaints = fs::read_to_string(&server.complaints).unwrap();
    assert!(!complaints.contains("panicked"), "{complaints}");
}

/// Sends one; whether an answer came.
fn mutated(server: &Server, corpus: &[(Vec<u16>, Vec<u8>)], seed: usize) -> bool {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed as u64 + 1);
    let mut draw = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let mut request = corpus[draw(corpus.len())].1.clone();
    request.truncate(20_000);
    for _ in 0..=draw(4) {
        let at = draw(request.len());
        match draw(5) {
            0 => request[at] = draw(256) as u8,
            1 => request.truncate(at + 1),
            2 => drop(request.splice(at..at, [draw(256) as u8; 3])),
            3 => drop(request.remove(at)),
            _ => request.extend(corpus[draw(corpus.len())].1.iter().take(9)),
        }
        if request.is_empty() {
            request.push(b'G');
        }
    }
    let answer = server.says(&request);
    let status = status_of(&answer);
    assert!(status < 500 || status == 505, "{request:?}: {answer}");
    status > 0
}

#[test]
fn heads_are_limited_in_size_number_and_time() {
    let server = Server::start(&["--header-timeout", "300ms"]);
    let start = Instant::now();
    // One byte now and then would keep a connection for ever.
    let mut slow = server.connect();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHo").unwrap();
    let mut silent = server.connect();
    let mut idle = server.connect();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    for stream in [&mut slow, &mut silent, &mut idle] {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    }
    assert!(start.elapsed() < PATIENCE, "they were not closed");
    let long = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX-Long: {}\r\n\r\n",
        "a".repeat(20_000)
    );
    assert_eq!(status_of(&server.says(long.as_bytes())), 431);
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(200));
    assert_eq!(status_of(&server.says(many.as_bytes())), 431);
    let larger = Server::start(&["--header-bytes", "65536"]);
    let long = long.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
    assert_eq!(status_of(&larger.says(long.as_bytes())), 200);
    assert!(server.works());
}

#[test]
fn connections_are_limited_in_all_and_by_address() {
    for limit in ["--connections", "--connections-per-address"] {
        let server = Server::start(&[limit, "3"]);
        let mut kept: Vec<TcpStream> = (0..3)
            .map(|_| {
                let mut stream = server.connect();
                stream
                    .write_all(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
                    .unwrap();
                stream.read_exact(&mut [0; 12]).unwrap();
                stream
            })
            .collect();
        assert!(!server.works(), "{limit}");
        kept.pop();
        let start = Instant::now();
        while !server.works() {
            assert!(start.elapsed() < PATIENCE, "{limit}: no place became free");
        }
    }
    // A trusted proxy speaks for many.
    let server = Server::start(&[
        "--connections-per-address",
        "1",
        "--trusted-proxy",
        "127.0.0.1/32",
    ]);
    let _open = server.connect();
    assert!(server.works());
}

/// A thousand who take nothing cost next to nothing, and the others are served.
#[test]
#[cfg(target_os = "linux")]
fn slow_clients_cost_little_and_hinder_nobody() {
    const SLOW: usize = 1000;
    let (folder, address, sha256) = large();
    let server = Server::start(&[
        "--store",
        &store_of(&folder),
        "--connections-per-address",
        "0",
        "--requests-per-second",
        "0",
        "--stall-timeout",
        "5m",
    ]);
    rlimit::increase_nofile_limit(4096).unwrap();
    let whole = server.get(&address, "");
    assert_eq!(sha256_hex(&whole.body), sha256);
    let before = server.memory();
    let request = format!("GET {address} HTTP/1.1\r\nHost: a\r\n\r\n");
    let slow: Vec<TcpStream> = (0..SLOW)
        .map(|_| {
            let mut stream = server.connect();
            stream.write_all(request.as_bytes()).unwrap();
            // The download has begun.
            stream.read_exact(&mut [0; 12]).unwrap();
            stream
        })
        .collect();
    let grown = server.memory().saturating_sub(before);
    for _ in 0..5 {
        assert_eq!(sha256_hex(&server.get(&address, "").body), sha256);
        assert!(server.works());
    }
    println!(
        "{SLOW} slow clients of {} bytes each: {grown} bytes more",
        whole.length()
    );
    assert!(grown < 64 << 20, "{grown} bytes for {SLOW} slow clients");
    drop(slow);
}

#[test]
fn a_client_that_takes_nothing_is_given_up() {
    let (folder, address, _) = large();
    let server = Server::start(&["--store", &store_of(&folder), "--stall-timeout", "500ms"]);
    let mut stream = server.connect();
    write!(stream, "GET {address} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let part = Answer::read(stream, 1000);
    sleep(Duration::from_secs(2));
    let (_, missing) = part.rest();
    assert!(missing > 0, "it waited for ever");
    // Slow is not stalled.
    let mut stream = server.connect();
    write!(
        stream,
        "GET {address} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let (mut got, mut part) = (0, vec![0; 1 << 20]);
    while let Ok(n @ 1..) = stream.read(&mut part) {
        got += n;
        sleep(Duration::from_millis(50));
    }
    assert!(got > 12_000_000, "{got}");
}

#[test]
fn downloads_end_before_the_server_does() {
    let (folder, address, sha256) = large();
    let mut server = Server::start(&["--store", &store_of(&folder)]);
    let mut stream = server.connect();
    write!(stream, "GET {address} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let part = Answer::read(stream, 1000);
    server.signal("TERM");
    let start = Instant::now();
    while TcpStream::connect(server.address).is_ok() {
        assert!(start.elapsed() < PATIENCE, "it still takes connections");
        sleep(Duration::from_millis(20));
    }
    let (body, missing) = part.rest();
    assert_eq!((missing, sha256_hex(&body)), (0, sha256));
    assert!(server.ended().expect("it ends").success());

    // Not for ever.
    let mut server = Server::start(&["--store", &store_of(&folder), "--shutdown-grace", "300ms"]);
    let mut stream = server.connect();
    write!(stream, "GET {address} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let part = Answer::read(stream, 1000);
    server.signal("TERM");
    assert!(server.ended().expect("it ends").success());
    assert!(part.rest().1 > 0, "the client sees that its file is not whole");
}

/// kill -9 in the middle of a download: the client knows that its file is short, and goes on where it was.
#[test]
fn a_killed_servers_download_goes_on() {
    let (folder, address, sha256) = large();
    let mut server = Server::start(&["--store", &store_of(&folder)]);
    let mut stream = server.connect();
    write!(stream, "GET {address} HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let part = Answer::read(stream, 1_000_000);
    let tag = part.header("etag");
    server.process.kill().unwrap();
    server.ended();
    let (mut body, missing) = part.rest();
    assert!(missing > 0 && body.len() >= 1_000_000);
    let again = Server::at(&server.address.to_string(), &["--store", &store_of(&folder)]);
    let rest = again.get(
        &address,
        &format!("Range: bytes={}-\r\nIf-Range: {tag}\r\n", body.len()),
    );
    assert_eq!((rest.status, rest.length()), (206, missing));
    body.extend(rest.body);
    assert_eq!(sha256_hex(&body), sha256);
}

fn client(build: impl FnOnce(reqwest::ClientBuilder) -> reqwest::ClientBuilder) -> reqwest::Client {
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    build(reqwest::Client::builder().tls_certs_only([]))
        .build()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_is_spoken_and_limited() {
    // Publishing has a runtime of its own.
    let (folder, address, sha256) = std::thread::spawn(large).join().unwrap();
    let server = Server::start(&["--store", &store_of(&folder), "--requests-per-second", "0"]);
    let client = client(reqwest::ClientBuilder::http2_prior_knowledge);
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let asked = client.get(server.url(&address)).send();
            tokio::spawn(async move {
                let answer = asked.await.unwrap();
                assert_eq!(answer.version(), reqwest::Version::HTTP_2);
                answer.bytes().await.unwrap()
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(sha256_hex(&task.await.unwrap()), sha256);
    }
    let part = client
        .get(server.url(&address))
        .header("range", "bytes=10-19")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (part.status().as_u16(), part.bytes().await.unwrap().len()),
        (206, 10)
    );
    let huge = client
        .get(server.url("/"))
        .header("x-long", "a".repeat(40_000))
        .send()
        .await;
    assert!(huge.is_err() || huge.unwrap().status().as_u16() == 431);
    // HTTP/2 that is none.
    let preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for garbage in [
        "",
        "\0\0\0\u{4}\u{1}\0\0\0\0",
        "\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}",
    ] {
        let mut stream = server.connect();
        let _ = stream.write_all(format!("{preface}{garbage}").as_bytes());
        let _ = stream.shutdown(Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert!(server.works());
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// One who begins HTTP/2, with no window for answers, asks for `path` if there is one, and then does nothing but what
/// keeps the connection: answers pings. Returns when the server closes.
fn takes_nothing(server: &Server, path: Option<&str>) {
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const ACK: u8 = 1;
    let mut stream = server.connect();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    // SETTINGS_INITIAL_WINDOW_SIZE = 0.
    stream
        .write_all(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]))
        .unwrap();
    if let Some(path) = path {
        // HPACK: :method GET, :scheme http, :path and :authority as literals that are not indexed.
        let head = [
            &[0x82, 0x86, 0x04, path.len() as u8],
            path.as_bytes(),
            &[0x01, 1, b'a'],
        ]
        .concat();
        assert!(path.len() < 127);
        stream.write_all(&frame(1, 0x5, 1, &head)).unwrap();
    }
    let start = Instant::now();
    let mut head = [0; 9];
    while stream.read_exact(&mut head).is_ok() {
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        if stream.read_exact(&mut payload).is_err() {
            break;
        }
        if matches!(head[3], SETTINGS | PING) && head[4] & ACK == 0 {
            let payload = if head[3] == PING { &payload[..] } else { &[] };
            if stream.write_all(&frame(head[3], ACK, 0, payload)).is_err() {
                break;
            }
        }
        assert!(start.elapsed() < PATIENCE, "the connection was kept");
    }
    assert!(start.elapsed() < PATIENCE, "the connection was kept");
}

/// Slow is not stalled, over HTTP/2 too: a window that opens a little at a time keeps the download going.
#[tokio::test(flavor = "multi_thread")]
async fn http_2_clients_may_be_slow() {
    let (folder, address, sha256) = std::thread::spawn(large).join().unwrap();
    let server = Server::start(&[
        "--store",
        &store_of(&folder),
        "--stall-timeout",
        "1s",
        "--header-timeout",
        "500ms",
    ]);
    let client = client(|b| b.http2_prior_knowledge().http2_initial_stream_window_size(65_535));
    let mut answer = client.get(server.url(&address)).send().await.unwrap();
    let mut bytes = Vec::new();
    while let Some(part) = answer.chunk().await.unwrap() {
        // Some seconds in all, several times the limits.
        if bytes.len() / (1 << 20) < (bytes.len() + part.len()) / (1 << 20) {
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        bytes.extend_from_slice(&part);
    }
    assert_eq!(sha256_hex(&bytes), sha256);
}

#[test]
fn http_2_clients_that_take_nothing_are_given_up() {
    let (folder, address, _) = large();
    let store = store_of(&folder);
    let (path, _) = address.split_once('?').unwrap();
    // A download that stands still, though a ping is answered each time.
    let server = Server::start(&[
        "--store",
        &store,
        "--stall-timeout",
        "500ms",
        "--header-timeout",
        "1s",
    ]);
    takes_nothing(&server, Some(path));
    // A connection without a request, and one whose only request is answered.
    takes_nothing(&server, None);
    takes_nothing(&server, Some("/v1/none"));
    assert!(server.works());
}

struct Certificate {
    pem: String,
    key: String,
}

fn certificate() -> Certificate {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    Certificate {
        pem: made.cert.pem(),
        key: made.signing_key.serialize_pem(),
    }
}

/// A client that trusts this certificate alone.
fn trusting(certificate: &Certificate) -> reqwest::Client {
    let root = reqwest::Certificate::from_pem(certificate.pem.as_bytes()).unwrap();
    client(|b| b.tls_certs_only([root]))
}

#[tokio::test(flavor = "multi_thread")]
async fn https_is_spoken_and_certificates_change_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let write = |c: &Certificate| {
        fs::write(&cert, &c.pem).unwrap();
        fs::write(&key, &c.key).unwrap();
    };
    let (first, second) = (certificate(), certificate());
    write(&first);
    let args = [
        "--tls-cert",
        cert.to_str().unwrap(),
        "--tls-key",
        key.to_str().unwrap(),
    ];
    let server = Server::start(&args);
    assert_eq!(server.scheme, "https");
    let answer = trusting(&first)
        .get(server.url("/v1/models"))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (answer.version(), answer.status().as_u16()),
        (reqwest::Version::HTTP_2, 200)
    );
    assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000");
    assert!(
        trusting(&second)
            .get(server.url("/healthz"))
            .send()
            .await
            .is_err()
    );
    // What is no TLS is no harm.
    assert!(!server.works());
    write(&second);
    server.signal("HUP");
    let start = Instant::now();
    while trusting(&second)
        .get(server.url("/healthz"))
        .send()
        .await
        .is_err()
    {
        assert!(start.elapsed() < PATIENCE, "it still has the old certificate");
        sleep(Duration::from_millis(50));
    }
    // A broken one is not taken.
    fs::write(&cert, "nothing").unwrap();
    server.signal("HUP");
    sleep(Duration::from_millis(300));
    trusting(&second)
        .get(server.url("/healthz"))
        .send()
        .await
        .unwrap();
}

#[test]
fn page_and_models_change_without_a_restart() {
    let (folder, address, _) = large();
    let page = common::page();
    let server = Server::start(&[
        "--store",
        &store_of(&folder),
        "--page",
        page.path().to_str().unwrap(),
        "--refresh",
        "1h",
    ]);
    assert_eq!(server.get(&address, "").status, 200);
    fs::write(page.path().join("index.html"), "another").unwrap();
    let store = Store::open(&store_of(&folder)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime
        .block_on(store.publish(&common::models::package("second", 0.5)))
        .unwrap();
    server.signal("HUP");
    let start = Instant::now();
    while server.get("/v1/models/second/manifest.json", "").status != 200 {
        assert!(start.elapsed() < PATIENCE, "the new model is not served");
        sleep(Duration::from_millis(20));
    }
    assert_eq!(server.get("/", "").body, b"another");
    // By itself, too, when it is told to look often.
    let eager = Server::start(&["--store", &store_of(&folder), "--refresh", "50ms"]);
    runtime
        .block_on(store.publish(&common::models::package("third", 0.5)))
        .unwrap();
    let start = Instant::now();
    while eager.get("/v1/models/third/manifest.json", "").status != 200 {
        assert!(start.elapsed() < PATIENCE, "the new model is not served");
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_is_wrong_at_the_start_is_said() {
    let run = |args: &[&str]| {
        let out = program()
            .args(["--listen", "127.0.0.1:0"])
            .args(args)
            .output()
            .unwrap();
        assert!(!out.status.success());
        String::from_utf8(out.stderr).unwrap()
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key.pem");
    fs::write(&file, "nothing").unwrap();
    let path = file.to_str().unwrap();
    assert!(run(&["--store", "/nowhere"]).contains("asasr weights publish"));
    assert!(run(&["--store", "s4://bucket"]).contains("s3://"));
    assert!(run(&["--page", "/nowhere"]).contains("cargo xtask page"));
    assert!(run(&["--public-key", path]).contains("keygen"));
    assert!(run(&["--tls-cert", path, "--tls-key", path]).contains("key.pem"));
    assert!(run(&["--log", "=="]).contains("access=warn"));
    assert!(run(&["--log", "inof"]).contains("no level"));
    assert!(run(&["--public-key", "nothere.pem"]).contains("neither a file"));
    let taken = Server::start(&[]);
    let out = program()
        .args(["--listen", &taken.address.to_string()])
        .output()
        .unwrap();
    assert!(String::from_utf8(out.stderr).unwrap().contains("--listen"));
}

/// Without arguments and without a page beside it, the models are served and the page says what is missing.
#[test]
fn without_a_page_it_says_how_to_get_one() {
    let server = Server::start(&[]);
    let page = server.get("/", "");
    assert_eq!(page.status, 200);
    assert!(String::from_utf8(page.body).unwrap().contains("cargo xtask page"));
    assert_eq!(
        server.get("/v1/models/asasr-x4-clean/manifest.json", "").status,
        200
    );
}

#[test]
fn the_environment_counts_before_the_file_and_after_flags() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.toml");
    fs::write(&file, "burst = 1\nrefresh = \"1s\"\ncache-mb = 100\n").unwrap();
    let out = program()
        .args([
            "--refresh",
            "3s",
            "--print-config",
            "--store",
            "s3://key:secret@bucket",
        ])
        .env("ASASR_CONFIG", &file)
        .env("ASASR_REFRESH", "2s")
        .env("ASASR_BURST", "2")
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    for line in [
        "refresh = \"3s\" # flag",
        "burst = \"2\" # environment",
        "cache-mb = \"100\" # file",
        "store = \"s3://...@bucket\" # flag",
    ] {
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    }
}

#[test]
fn the_log_is_one_object_a_line() {
    let mut process = program()
        .args(["--listen", "127.0.0.1:0", "--log-format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    output.read_line(&mut line).unwrap();
    let address = line.split("http://").nth(1).unwrap().trim().trim_end_matches('/');
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(b"GET /v1/models HTTP/1.1\r\nHost: a\r\nX-Request-Id: mine\r\nConnection: close\r\n\r\n")
        .unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    process.kill().unwrap();
    let mut log = String::new();
    process.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    process.wait().unwrap();
    let lines: Vec<serde_json::Value> = log.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let access = lines.iter().find(|l| l["target"] == "access").expect(&log);
    assert_eq!(access["id"], "mine");
    assert_eq!(
        (&access["path"], &access["status"]),
        (&"/v1/models".into(), &200.into())
    );
    assert_eq!(access["client"], "127.0.0.1");
    assert!(access["bytes"].as_u64().unwrap() > 100 && access["seconds"].is_number());
}
