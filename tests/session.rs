//! A running server and a driven Chromium.

use std::collections::HashMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use base64::Engine as _;
use fantoccini::actions::{InputSource as _, KeyAction, KeyActions};
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::{ParseError, Url};

/// Software rendering of a network takes its time on a busy machine.
const PATIENCE: Duration = Duration::from_mins(4);

/// A path that `cargo xtask test` tells.
pub fn required(name: &str) -> PathBuf {
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

/// Starts a program and reads its output up to the line that `pick` takes something from; none when it ends before. The pipe
/// comes back too, for a program that later prints into a closed one would stop.
fn start(
    command: &mut Command,
    pick: impl Fn(&str) -> Option<String>,
) -> Option<(Kept, String, BufReader<ChildStdout>)> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let kept = Kept(child);
    let mut line = String::new();
    loop {
        line.clear();
        if output.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        if let Some(found) = pick(&line) {
            return Some((kept, found, output));
        }
    }
}

/// Where a browser's profile is and what else it writes.
struct Profile(TempDir);

impl Drop for Profile {
    fn drop(&mut self) {
        // The driver does not clear up when it is stopped, and the browser's last processes still write for a moment.
        for _ in 0..40 {
            if fs::remove_dir_all(self.0.path()).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The real server on a free port.
pub struct Server {
    url: String,
    /// Where its models are, if they are its own.
    _store: Option<TempDir>,
    process: Kept,
    _output: BufReader<ChildStdout>,
}

impl Server {
    /// Serves the built page.
    pub fn start() -> Self {
        Self::with_page(&required("ASASR_PAGE"))
    }

    /// Serves another folder as the page.
    pub fn with_page(page: &Path) -> Self {
        Self::launch(page, &[], None)
    }

    /// Serves the models of a folder, each in a folder of its own.
    pub async fn with_models(models: &Path) -> Self {
        Self::with_page_and_models(&required("ASASR_PAGE"), models).await
    }

    /// Both.
    pub async fn with_page_and_models(page: &Path, models: &Path) -> Self {
        let store = tempfile::tempdir().unwrap();
        let place = store.path().display().to_string();
        let filled = asasr_store::Store::create(&place).unwrap();
        for model in fs::read_dir(models).unwrap() {
            let package = asasr_store::Package::from_folder(&model.unwrap().path()).unwrap();
            filled.publish(&package).await.unwrap();
        }
        Self::launch(page, &["--store".as_ref(), place.as_ref()], Some(store))
    }

    fn launch(page: &Path, rest: &[&std::ffi::OsStr], store: Option<TempDir>) -> Self {
        let mut command = Command::new(required("ASASR_SERVER"));
        command
            .args(["--listen", "127.0.0.1:0", "--log", "warn", "--page"])
            .arg(page)
            .args(rest);
        let url = |line: &str| {
            line.split_whitespace()
                .find(|w| w.starts_with("http://"))
                .map(str::to_owned)
        };
        let (process, url, output) = start(&mut command, url).expect("the server runs");
        Self {
            url,
            _store: store,
            process,
            _output: output,
        }
    }

    /// Makes it read its page again, and waits until the page's file `name` is `bytes`.
    pub fn read_again(&self, name: &str, bytes: &[u8]) {
        let sent = Command::new("kill")
            .args(["-HUP", &self.process.0.id().to_string()])
            .status();
        assert!(sent.unwrap().success());
        let address = self.url.trim_start_matches("http://").trim_end_matches('/');
        let begin = Instant::now();
        loop {
            let mut stream = TcpStream::connect(address).unwrap();
            write!(
                stream,
                "GET /{name} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            )
            .unwrap();
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            if answer.ends_with(bytes) {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "{name} is still another one");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The address of a line to it that carries so many bytes a second to the browser; it lasts as long as the test.
    pub fn slowly(&self, rate: usize) -> String {
        let address = self
            .url
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .to_owned();
        let line = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", line.local_addr().unwrap());
        thread::spawn(move || {
            for near in line.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(&address) else {
                    return;
                };
                let (to, from) = (far.try_clone().unwrap(), near.try_clone().unwrap());
                thread::spawn(move || io::copy(&mut &from, &mut &to));
                thread::spawn(move || {
                    let mut part = vec![0; rate.div_ceil(20)];
                    while let Ok(n @ 1..) = (&far).read(&mut part) {
                        if (&near).write_all(&part[..n]).is_err() {
                            return;
                        }
                        thread::sleep(Duration::from_millis(50));
                    }
                    let _ = near.shutdown(Shutdown::Write);
                });
            }
        });
        url
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
    driver: Kept,
    _output: BufReader<ChildStdout>,
    _profile: Profile,
}

/// A command that only this driver has.
#[derive(Debug)]
struct Own {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Own {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}

impl Browser {
    /// Starts the driver and the browser.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// One that writes what its network did into a file, complete when it is closed.
    pub async fn logged(log: &Path) -> Self {
        Self::with(&[format!("--log-net-log={}", log.display())]).await
    }

    /// One with further arguments.
    pub async fn with(arguments: &[String]) -> Self {
        Self::with_capabilities(arguments, json!({})).await
    }

    /// One that records the tasks of its threads, for [`Self::longest_tasks`].
    pub async fn traced() -> Self {
        let log = json!({ "enableNetwork": false, "enablePage": false, "traceCategories": "toplevel" });
        Self::with_capabilities(&[], json!({ "perfLoggingPrefs": log })).await
    }

    /// One with further arguments and capabilities.
    async fn with_capabilities(arguments: &[String], more: Value) -> Self {
        let port = |line: &str| {
            let (_, port) = line
                .trim()
                .strip_suffix('.')?
                .rsplit_once("successfully on port ")?;
            Some(port.to_owned())
        };
        // The port that it finds free another one may have taken before it does, and then it ends.
        let profile = Profile(tempfile::tempdir().unwrap());
        let mut command = Command::new("chromedriver");
        command.arg("--port=0").env("TMPDIR", profile.0.path());
        let driver = (0..5).find_map(|_| start(&mut command, port));
        let (driver, port, output) = driver.expect("chromedriver runs");
        let downloads = tempfile::tempdir().unwrap();
        let plain = [
            "--headless",
            "--no-sandbox",
            "--enable-unsafe-webgpu",
            "--use-webgpu-adapter=swiftshader",
            // What runs in software takes longer than the watchdog allows.
            "--disable-gpu-watchdog",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-features=NetworkTimeServiceQuerying",
            "--window-size=1200,1000",
        ];
        let arguments: Vec<&str> = plain
            .into_iter()
            .chain(arguments.iter().map(String::as_str))
            .collect();
        let mut options = json!({
            "binary": required("ASASR_CHROMIUM"),
            "args": arguments,
            "prefs": { "download.default_directory": downloads.path(), "download.prompt_for_download": false },
        });
        let more = more.as_object().cloned().unwrap_or_default();
        let log = if more.is_empty() { "OFF" } else { "ALL" };
        options.as_object_mut().unwrap().extend(more);
        let capabilities = json!({
            "timeouts": { "script": PATIENCE.as_millis() as u64 },
            "goog:loggingPrefs": { "performance": log },
            "goog:chromeOptions": options,
        });
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities.as_object().unwrap().clone())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("a browser session");
        Self {
            client,
            downloads,
            driver,
            _output: output,
            _profile: profile,
        }
    }

    /// Opens an address and waits until the page is ready to take an image.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
        self.wait_for("document.body.dataset.ready === 'yes' || !document.getElementById('error').hidden")
            .await;
        self.of_any_condition().await;
    }

    /// Photos are of any condition, whatever they look like.
    async fn of_any_condition(&self) {
        let script = "const model = document.getElementById('model');
                      if (model?.value === 'looked') model.value = 'asasr-x4-real';";
        self.run(script, vec![]).await;
    }

    /// Runs JavaScript in every page from now on, before its own.
    pub async fn before(&self, script: &str) {
        let params = json!({ "source": script });
        let command = json!({ "cmd": "Page.addScriptToEvaluateOnNewDocument", "params": params });
        self.command("goog/cdp/execute", command).await;
    }

    /// Opens an address of any page.
    pub async fn visit(&self, url: &str) {
        self.client.goto(url).await.unwrap();
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

    /// What an element says, seen or folded away.
    pub async fn content(&self, id: &str) -> String {
        let script = "return document.getElementById(args[0]).textContent;";
        let said = self.run(script, vec![id.into()]).await;
        said.as_str().unwrap().to_owned()
    }

    /// Empties the list and drops a file on the page, as a person would.
    pub async fn drop_file(&self, name: &str, bytes: &[u8]) {
        self.clear().await;
        self.drop_files(&[(name, bytes)]).await;
    }

    /// Drops files on the page.
    pub async fn drop_files(&self, files: &[(&str, &[u8])]) {
        let script = "const event = new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true });
                      document.getElementById('drop').dispatchEvent(event);";
        self.transfer(files, script).await;
    }

    /// Pastes a file.
    pub async fn paste(&self, name: &str, bytes: &[u8]) {
        let script =
            "const event = new ClipboardEvent('paste', { clipboardData: dataTransfer, bubbles: true });
                      document.body.dispatchEvent(event);";
        self.transfer(&[(name, bytes)], script).await;
    }

    async fn transfer(&self, files: &[(&str, &[u8])], script: &str) {
        let encoded: Vec<Value> = files
            .iter()
            .map(|(name, bytes)| json!([name, base64::engine::general_purpose::STANDARD.encode(bytes)]))
            .collect();
        let files = "const dataTransfer = new DataTransfer();
                     for (const [name, encoded] of args) {
                       const bytes = Uint8Array.from(atob(encoded), (c) => c.charCodeAt(0));
                       dataTransfer.items.add(new File([bytes], name));
                     }";
        assert_eq!(self.run(&format!("{files}{script}"), encoded).await, Value::Null);
    }

    /// Chooses files in a file input; paths on this machine.
    pub async fn choose(&self, input: &str, paths: &[PathBuf]) {
        let element = self.client.find(Locator::Id(input)).await.unwrap();
        let list: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
        element.send_keys(&list.join("\n")).await.unwrap();
    }

    /// Clicks what a CSS selector finds first.
    pub async fn click(&self, selector: &str) {
        let element = self.client.find(Locator::Css(selector)).await.unwrap();
        // The driver takes what lies under the picture for visible, and clicks where something was before the page moved.
        let scroll = "const element = document.querySelector(args[0]);
                      const place = () => { const { x, y } = element.getBoundingClientRect(); return `${x},${y}`; };
                      element?.scrollIntoView({ block: 'nearest' });
                      for (let before = null; element && before !== place();) {
                        before = place();
                        await new Promise((after) => setTimeout(after, 40));
                      }";
        self.run(scroll, vec![selector.into()]).await;
        element.click().await.unwrap();
    }

    /// Types into what a CSS selector finds first.
    pub async fn press(&self, selector: &str, keys: &str) {
        let element = self.client.find(Locator::Css(selector)).await.unwrap();
        element.send_keys(keys).await.unwrap();
    }

    /// Presses keys, wherever the focus is.
    pub async fn keys(&self, keys: &str) {
        let mut actions = KeyActions::new("keys".into());
        for value in keys.chars() {
            actions = actions
                .then(KeyAction::Down { value })
                .then(KeyAction::Up { value });
        }
        self.client.perform_actions(actions).await.unwrap();
    }

    /// What a screen reader speaks from the page's begin to its end, a line for each: `role: name`, and what it is set to.
    pub async fn spoken(&self) -> Vec<String> {
        let command = json!({ "cmd": "Accessibility.getFullAXTree", "params": {} });
        let tree = self.command("goog/cdp/execute", command).await;
        let nodes = tree["nodes"].as_array().unwrap();
        let by_id: HashMap<&str, &Value> = nodes
            .iter()
            .map(|node| (node["nodeId"].as_str().unwrap(), node))
            .collect();
        let mut lines = Vec::new();
        let mut ahead = vec![&nodes[0]];
        while let Some(node) = ahead.pop() {
            let children = node["childIds"].as_array().into_iter().flatten().rev();
            ahead.extend(children.filter_map(|id| by_id.get(id.as_str()?)));
            let text = |key: &str| node[key]["value"].as_str().unwrap_or_default();
            let value = match &node["value"]["value"] {
                Value::Null => String::new(),
                Value::String(value) => format!(" = {value}"),
                value => format!(" = {value}"),
            };
            if node["ignored"] == false {
                lines.push(format!("{}: {}{value}", text("role"), text("name")));
            }
        }
        lines
    }

    /// Cancels and removes everything in the list.
    pub async fn clear(&self) {
        let script = "for (const name of ['Cancel', 'Remove']) {
                        for (const button of [...document.querySelectorAll('#list button')]) {
                          if (button.textContent === name && !button.hidden) button.click();
                        }
                      }
                      document.getElementById('error').hidden = true;";
        self.run(script, vec![]).await;
    }

    /// Waits until everything that was given has a result or an error.
    pub async fn finished(&self) {
        self.wait_for(
            "!document.querySelector('#list .running, #list .waiting')
             && (document.querySelector('#list li') !== null || !document.getElementById('error').hidden)",
        )
        .await;
    }

    /// Brings the browser's process for graphics down.
    pub async fn crash_graphics(&self) {
        let command = json!({ "cmd": "Browser.crashGpuProcess", "params": {} });
        self.command("goog/cdp/execute", command).await;
    }

    /// Milliseconds that the longest tasks of the page's main thread took since this was asked last: of the processor's time, and by the
    /// clock, which a busy machine lengthens. The browser is a [traced](Self::traced) one.
    pub async fn longest_tasks(&self) -> (f64, f64) {
        let mut threads: HashMap<(i64, i64), Vec<(f64, f64)>> = HashMap::new();
        let mut names = HashMap::new();
        // The driver fetches what was recorded when it is asked for the first time after it had nothing left.
        loop {
            let entries = self.command("se/log", json!({ "type": "performance" })).await;
            let entries = entries.as_array().cloned().unwrap_or_default();
            if entries.is_empty() {
                break;
            }
            for entry in entries {
                let text = entry["message"].as_str().unwrap_or_default();
                let message: Value = serde_json::from_str(text).unwrap();
                let event = &message["message"]["params"];
                let Some(thread) = event["pid"].as_i64().zip(event["tid"].as_i64()) else {
                    continue;
                };
                if event["name"] == "thread_name" {
                    names.insert(thread, event["args"]["name"].clone());
                } else if event["name"] == "ThreadControllerImpl::RunTask"
                    // Of a task that had begun before the record only the end is known.
                    && let Some(took) = event["tdur"].as_f64().zip(event["dur"].as_f64())
                {
                    threads
                        .entry(thread)
                        .or_default()
                        .push((took.0 / 1e3, took.1 / 1e3));
                }
            }
        }
        // Other renderers that lie ready have hardly any.
        let is_main = |thread: &(i64, i64)| names.get(thread).is_some_and(|name| name == "CrRendererMain");
        let pages = threads.into_iter().filter(|(thread, _)| is_main(thread));
        let (_, tasks) = pages.max_by_key(|(_, tasks)| tasks.len()).expect("the page ran");
        let longest = |a: (f64, f64), b: (f64, f64)| (a.0.max(b.0), a.1.max(b.1));
        tasks.into_iter().fold((0.0, 0.0), longest)
    }

    /// The answer to a command of this driver's own.
    async fn command(&self, path: &'static str, body: Value) -> Value {
        self.client.issue_cmd(Own { path, body }).await.unwrap()
    }

    /// Lets an origin keep so many bytes.
    pub async fn quota(&self, origin: &str, bytes: u64) {
        let params = json!({ "origin": origin.trim_end_matches('/'), "quotaSize": bytes });
        let command = json!({ "cmd": "Storage.overrideQuotaForOrigin", "params": params });
        self.command("goog/cdp/execute", command).await;
    }

    /// Opens an address in a window of its own, which becomes the one that is driven.
    pub async fn another_window(&self, url: &str) {
        let window = self.client.new_window(true).await.unwrap();
        self.client.switch_to_window(window.handle).await.unwrap();
        self.visit(url).await;
    }

    /// Closes the window that is driven; the first one left becomes that.
    pub async fn close_window(&self) {
        self.client.close_window().await.unwrap();
        let left = self.client.windows().await.unwrap().remove(0);
        self.client.switch_to_window(left).await.unwrap();
    }

    /// Chooses a value of a select element or an input, as a person would.
    pub async fn set(&self, id: &str, value: &str) {
        let script = "const element = document.getElementById(args[0]);
                      element.value = args[1];
                      for (const kind of ['input', 'change']) element.dispatchEvent(new Event(kind, { bubbles: true }));";
        self.run(script, vec![id.into(), value.into()]).await;
    }

    /// Waits until the file of the fidelity that was set is there.
    pub async fn blended(&self) {
        self.wait_for("document.getElementById('fidelity-choice').ariaBusy !== 'true'")
            .await;
    }

    /// Waits until it is known what of the result is invented.
    pub async fn measured(&self) {
        self.wait_for("!document.getElementById('show-spread').disabled")
            .await;
    }

    /// Sets the window's size.
    pub async fn resize(&self, width: u32, height: u32) {
        self.client.set_window_size(width, height).await.unwrap();
    }

    /// Gives the page exactly so much room, less than a window may have; as little as a phone's is touched.
    pub async fn screen(&self, width: u32, height: u32) {
        let mobile = width < 600;
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile });
        let touched = json!({ "enabled": mobile });
        for (cmd, params) in [
            ("Emulation.setDeviceMetricsOverride", metrics),
            ("Emulation.setTouchEmulationEnabled", touched),
        ] {
            let command = json!({ "cmd": cmd, "params": params });
            self.command("goog/cdp/execute", command).await;
        }
    }

    /// Loads the page anew and waits until it is ready.
    pub async fn reload(&self) {
        self.client.refresh().await.unwrap();
        self.wait_for("document.body?.dataset.ready === 'yes'").await;
        self.of_any_condition().await;
    }

    /// Clicks the download link of the result that is shown, and reads the file that arrives.
    pub async fn download(&self, name: &str) -> Vec<u8> {
        self.click("#download").await;
        self.arrived(name).await
    }

    /// Where a file of that name is downloaded to.
    pub fn downloaded(&self, name: &str) -> PathBuf {
        self.downloads.path().join(name)
    }

    /// Reads a file that a click downloads.
    pub async fn arrived(&self, name: &str) -> Vec<u8> {
        let path = self.downloaded(name);
        let start = Instant::now();
        // The browser keeps its place by an empty file.
        while fs::metadata(&path).map_or(0, |m| m.len()) == 0 {
            assert!(start.elapsed() < PATIENCE, "{name} never arrived");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        fs::read(path).unwrap()
    }

    /// A picture of the page from its top, as WebP.
    pub async fn photograph(&self) -> Vec<u8> {
        self.run("scrollTo(0, 0);", vec![]).await;
        let engine = base64::engine::general_purpose::STANDARD;
        let png = engine.encode(self.client.screenshot().await.unwrap());
        let script = "const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
                      const image = await createImageBitmap(new Blob([bytes(args[0])]));
                      const canvas = new OffscreenCanvas(image.width, image.height);
                      canvas.getContext('2d').drawImage(image, 0, 0);
                      const blob = await canvas.convertToBlob({ type: 'image/webp', quality: 0.85 });
                      return new Uint8Array(await blob.arrayBuffer()).toBase64();";
        let webp = self.run(script, vec![png.into()]).await;
        engine.decode(webp.as_str().unwrap()).unwrap()
    }

    /// Bytes of memory that all its processes hold, as Linux counts them.
    pub fn held(&self) -> u64 {
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let processes = processes.filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
        let field = |id: u32, file: &str, name: &str| {
            let text = fs::read_to_string(format!("/proc/{id}/{file}")).ok()?;
            let line = text.lines().find_map(|l| l.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        let parent = |id: &u32| Some(field(*id, "status", "PPid:")? as u32);
        let driver = self.driver.0.id();
        let own = processes.filter(|id| {
            *id != driver && std::iter::successors(Some(*id), parent).any(|above| above == driver)
        });
        1024 * own
            .filter_map(|id| field(id, "smaps_rollup", "Pss:"))
            .sum::<u64>()
    }

    /// Ends the session; the driver ends with `self`.
    pub async fn close(self) {
        self.client.clone().close().await.unwrap();
    }
}

/// Copies a folder and all below it.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}
