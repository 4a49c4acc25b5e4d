//! A running server and a driven Chromium.

use std::env;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Software rendering of a network takes its time on a busy machine.
const PATIENCE: Duration = Duration::from_mins(4);

fn required(name: &str) -> PathBuf {
    env::var_os(name).map_or_else(
        || panic!("{name} is not set: run `cargo xtask test`"),
        PathBuf::from,
    )
}

/// A child process that ends with the test.
struct Kept(Child);

impl Drop for Kept {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts a program and reads its output up to the line that `pick` takes something from. The pipe comes back too,
/// for a program that later prints into a closed one would stop.
fn start(
    command: &mut Command,
    pick: impl Fn(&str) -> Option<String>,
) -> (Kept, String, BufReader<ChildStdout>) {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let kept = Kept(child);
    let mut line = String::new();
    loop {
        line.clear();
        assert!(
            output.read_line(&mut line).unwrap() > 0,
            "{command:?} ended early"
        );
        if let Some(found) = pick(&line) {
            return (kept, found, output);
        }
    }
}

/// The real server on a free port.
pub struct Server {
    url: String,
    _process: Kept,
    _output: BufReader<ChildStdout>,
}

impl Server {
    /// Serves the built page.
    pub fn start() -> Self {
        Self::with_page(&required("ASASR_PAGE"))
    }

    /// Serves another folder as the page.
    pub fn with_page(page: &Path) -> Self {
        Self::launch(page, &[])
    }

    /// Serves the models of a folder.
    pub fn with_models(models: &Path) -> Self {
        Self::launch(
            &required("ASASR_PAGE"),
            &["--weights".as_ref(), models.as_os_str()],
        )
    }

    fn launch(page: &Path, rest: &[&std::ffi::OsStr]) -> Self {
        let mut command = Command::new(required("ASASR_SERVER"));
        command
            .args(["--listen", "127.0.0.1:0", "--page"])
            .arg(page)
            .args(rest);
        let (process, url, output) = start(&mut command, |line| {
            line.split_whitespace()
                .find(|w| w.starts_with("http://"))
                .map(str::to_owned)
        });
        Self {
            url,
            _process: process,
            _output: output,
        }
    }

    /// Its address, with a final slash.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// A headless Chromium with a fresh profile and WebGPU on a software adapter.
pub struct Browser {
    client: Client,
    downloads: TempDir,
    _driver: Kept,
    _output: BufReader<ChildStdout>,
}

impl Browser {
    /// Starts the driver and the browser.
    pub async fn start() -> Self {
        let (driver, port, output) = start(Command::new("chromedriver").arg("--port=0"), |line| {
            line.trim()
                .strip_suffix('.')?
                .rsplit_once("successfully on port ")
                .map(|(_, p)| p.to_owned())
        });
        let downloads = tempfile::tempdir().unwrap();
        let capabilities = json!({
            "timeouts": { "script": PATIENCE.as_millis() as u64 },
            "goog:chromeOptions": {
                "binary": required("ASASR_CHROMIUM"),
                "args": [
                    "--headless", "--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader",
                    "--disable-quic", "--no-first-run", "--disable-background-networking",
                    "--disable-component-update", "--disable-sync", "--window-size=1200,1000",
                ],
                "prefs": { "download.default_directory": downloads.path(), "download.prompt_for_download": false },
            }
        });
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities.as_object().unwrap().clone())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("a browser session");
        Self {
            client,
            downloads,
            _driver: driver,
            _output: output,
        }
    }

    /// Opens an address and waits until the page is ready to take an image.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
        self.wait_for("document.body.dataset.ready === 'yes' || !document.getElementById('error').hidden")
            .await;
    }

    /// Runs JavaScript; a promise is waited for.
    pub async fn run(&self, script: &str, args: Vec<Value>) -> Value {
        let wrapped = format!(
            "const done = arguments[arguments.length - 1]; const args = [...arguments].slice(0, -1);
             (async () => {{ {script} }})().then(done, (e) => done('failed: ' + e));"
        );
        self.client.execute_async(&wrapped, args).await.unwrap()
    }

    /// Waits until a JavaScript expression holds.
    pub async fn wait_for(&self, condition: &str) {
        let start = Instant::now();
        while self.run(&format!("return {condition};"), vec![]).await != Value::Bool(true) {
            assert!(start.elapsed() < PATIENCE, "waited in vain for {condition}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What an element shows; empty while it is hidden.
    pub async fn text(&self, id: &str) -> String {
        self.client
            .find(Locator::Id(id))
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    }

    /// Drops a file on the page, as a person would.
    pub async fn drop_file(&self, name: &str, bytes: &[u8]) {
        let encoded = base64::engine::general_purpose::STANDARD.encode(bytes);
        let script = "const bytes = Uint8Array.from(atob(args[1]), (c) => c.charCodeAt(0));
                      const dataTransfer = new DataTransfer();
                      dataTransfer.items.add(new File([bytes], args[0]));
                      const event = new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true });
                      document.getElementById('drop').dispatchEvent(event);";
        let result = self.run(script, vec![name.into(), encoded.into()]).await;
        assert_eq!(result, Value::Null);
    }

    /// Waits until the dropped file has a result or an error.
    pub async fn finished(&self) {
        self.wait_for(
            "document.getElementById('work').hidden
             && !(document.getElementById('result').hidden && document.getElementById('error').hidden)",
        )
        .await;
    }

    /// Clicks the download link and reads the file that arrives.
    pub async fn download(&self, name: &str) -> Vec<u8> {
        self.client
            .find(Locator::Id("download"))
            .await
            .unwrap()
            .click()
            .await
            .unwrap();
        let path = self.downloads.path().join(name);
        let start = Instant::now();
        while !path.is_file() {
            assert!(start.elapsed() < PATIENCE, "{name} never arrived");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        std::fs::read(path).unwrap()
    }

    /// A picture of the page as PNG.
    pub async fn screenshot(&self) -> Vec<u8> {
        self.client.screenshot().await.unwrap()
    }

    /// Ends the session; the driver ends with `self`.
    pub async fn close(self) {
        self.client.clone().close().await.unwrap();
    }
}
