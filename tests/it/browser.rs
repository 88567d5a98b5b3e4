//! A real browser, headless Chromium, that opens pages and tells what happens in them.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::job::patience;

/// Starts Chromium with its protocol on the file descriptors 3 and 4, which are the pipes of this process.
const START: &str = "exec chromium --headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --hide-scrollbars \
                     --no-first-run --disable-background-networking --user-data-dir=\"$1\" --remote-debugging-pipe about:blank \
                     3<&0 4>&1 >/dev/null 2>&1";

/// A browser with one tab. It ends when it is dropped.
pub struct Browser {
    child: Child,
    input: Option<ChildStdin>,
    messages: Receiver<Value>,
    /// The messages that were not asked for.
    events: Vec<Value>,
    session: Option<String>,
    calls: u64,
    _profile: TempDir,
}

/// A screen.
#[derive(Clone, Copy)]
pub struct Screen {
    pub width: u64,
    pub height: u64,
    pub dark: bool,
    pub scripts: bool,
}

impl Screen {
    pub const DESKTOP: Screen = Screen { width: 1200, height: 900, dark: false, scripts: true };
    pub const PHONE: Screen = Screen { width: 360, height: 740, dark: false, scripts: true };
}

impl Browser {
    /// Starts a browser.
    pub fn start() -> Browser {
        let profile = tempfile::Builder::new().prefix("footplate-browser-").tempdir().expect("a folder");
        let mut command = Command::new("sh");
        command.args(["-c", START, "sh"]).arg(profile.path()).env("HOME", profile.path());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sh starts");
        let mut output = child.stdout.take().expect("a pipe");
        let (sender, messages) = channel();
        std::thread::spawn(move || {
            let (mut pending, mut buffer) = (Vec::new(), vec![0; 1 << 16]);
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                pending.extend_from_slice(&buffer[..length]);
                while let Some(end) = pending.iter().position(|byte| *byte == 0) {
                    let message: Vec<u8> = pending.drain(..=end).collect();
                    // Nobody listens any more at the end of the test.
                    let _ = sender.send(serde_json::from_slice(&message[..end]).expect("JSON"));
                }
            }
        });
        let input = child.stdin.take();
        let mut browser =
            Browser { child, input, messages, events: Vec::new(), session: None, calls: 0, _profile: profile };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Opens a file, and waits until it is loaded.
    pub fn open(&mut self, path: &Path, screen: Screen) {
        let size = json!({"width": screen.width, "height": screen.height, "deviceScaleFactor": 1, "mobile": screen.width < 700});
        self.call("Emulation.setDeviceMetricsOverride", size);
        let scheme = if screen.dark { "dark" } else { "light" };
        let features = json!({"media": "", "features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.call("Emulation.setEmulatedMedia", features);
        self.call("Emulation.setScriptExecutionDisabled", json!({"value": !screen.scripts}));
        self.events.clear();
        let url = format!("file://{}", path.display());
        self.call("Page.navigate", json!({"url": url}));
        // The page before may still be loading, and tells its own end.
        self.wait_until("the page is loaded", |events| {
            let is_begun = |event: &&Value| {
                event["method"] == "Page.frameNavigated" && event["params"]["frame"]["url"].as_str() == Some(&url)
            };
            let mut of_page = events.iter().skip_while(|event| !is_begun(event));
            of_page.any(|event| event["method"] == "Page.loadEventFired")
        });
        if screen.scripts {
            // What is in the window is laid out in the first frame.
            self.value("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(null))))");
        }
    }

    /// Returns the value of an expression of JavaScript in the page.
    #[track_caller]
    pub fn value(&mut self, expression: &str) -> Value {
        let asked = json!({"expression": expression, "returnByValue": true, "awaitPromise": true, "userGesture": true});
        let answer = self.call("Runtime.evaluate", asked);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer:#}");
        answer["result"]["value"].clone()
    }

    /// Returns the text of the first element that a selector finds, as it is shown.
    #[track_caller]
    pub fn text(&mut self, selector: &str) -> String {
        let value = self.value(&format!("document.querySelector({selector:?})?.innerText ?? null"));
        value.as_str().unwrap_or_else(|| panic!("there is no {selector}")).to_owned()
    }

    /// Presses a key.
    pub fn press(&mut self, key: &str) {
        for kind in ["rawKeyDown", "keyUp"] {
            let code = match key {
                "Tab" => 9,
                "Enter" => 13,
                "ArrowLeft" => 37,
                _ => 39,
            };
            let event = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": if key == "Enter" && kind == "rawKeyDown" { "\r" } else { "" }});
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    /// Returns what the page has written to its console since it was opened, errors and violations of its policy included.
    pub fn console(&mut self) -> Vec<String> {
        self.value("0");
        let kinds = ["Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"];
        let told = self.events.iter().filter(|event| kinds.iter().any(|kind| event["method"] == *kind));
        told.map(|event| event["params"].to_string()).collect()
    }

    /// Returns the addresses that the page has asked for since it was opened, without those that hold their own content.
    pub fn requests(&mut self) -> Vec<String> {
        self.value("0");
        let asked = self.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
        let urls = asked.filter_map(|event| event["params"]["request"]["url"].as_str());
        urls.filter(|url| !url.starts_with("data:")).map(str::to_owned).collect()
    }

    /// Calls a method of the protocol, and returns its result.
    #[track_caller]
    pub fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.calls += 1;
        let mut message = json!({"id": self.calls, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.input.as_mut().expect("it runs").write_all(&bytes).expect("Chromium listens");
        let begun = Instant::now();
        loop {
            let left = patience().saturating_sub(begun.elapsed());
            let answer = self.messages.recv_timeout(left).unwrap_or_else(|error| panic!("{method}: {error}"));
            if answer["id"] == self.calls {
                assert!(answer.get("error").is_none(), "{method}: {answer:#}");
                return answer["result"].clone();
            }
            self.events.push(answer);
        }
    }

    #[track_caller]
    fn wait_until(&mut self, what: &str, is_so: impl Fn(&[Value]) -> bool) {
        let begun = Instant::now();
        while !is_so(&self.events) {
            let left = patience().saturating_sub(begun.elapsed());
            self.events.push(self.messages.recv_timeout(left).unwrap_or_else(|error| panic!("{what}: {error}")));
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // At the end of its input the browser ends with all its processes.
        self.input = None;
        let deadline = Instant::now() + std::time::Duration::from_secs(5);
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
