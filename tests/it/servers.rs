//! Servers on loopback: moto's S3, package indexes, and a relay that injects faults between footplate and a server.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use super::images;
use super::job::{Job, eventually, search_path};
use super::kept;

/// The header with which moto shows objects that were written with credentials. moto checks no signature.
const AUTHORIZATION: &str = "Authorization: AWS4-HMAC-SHA256 Credential=a/20200101/us-east-1/s3/aws4_request";

/// The Python packages of the servers.
const PACKAGES: [&str; 3] = ["moto[server]==5.2.5", "pypiserver==2.4.2", "boto3==1.44.5"];

/// Returns the folder of the programs of a virtual environment with [`PACKAGES`].
pub fn tools() -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| kept::environment(&PACKAGES).join("bin")).clone()
}

/// The process of a server, which is killed when the value is dropped.
pub struct Server {
    child: Child,
    /// The port on which it listens on loopback.
    pub port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Starts moto's server, which offers S3, STS and IAM.
    pub fn moto() -> Server {
        Server::start(|command, port| {
            command.arg(tools().join("moto_server")).args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        })
    }

    /// Starts a Python program that listens on the port that `arguments` gets, and waits until it listens.
    pub fn start(arguments: impl FnOnce(&mut Command, u16)) -> Server {
        Server::start_with(&tools().join("python"), arguments)
    }

    /// Starts such a program by another Python.
    pub fn start_with(python: &Path, arguments: impl FnOnce(&mut Command, u16)) -> Server {
        // The system does not assign a port again at once after its release.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let mut command = Command::new(python);
        kept::compiles_once(&mut command);
        arguments(&mut command, port);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a server starts");
        let server = Server { child, port };
        eventually("a server", || TcpStream::connect(("127.0.0.1", port)).ok());
        server
    }

    /// Returns the URL of the server.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Sends a request and returns the status line of the answer.
    #[track_caller]
    pub fn send(&self, method: &str, path: &str, body: &[u8]) -> String {
        self.ask(method, path, body).0
    }

    /// Sends a request and returns the status line and the body of the answer.
    #[track_caller]
    fn ask(&self, method: &str, path: &str, body: &[u8]) -> (String, Vec<u8>) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("connected");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\nConnection: close\r\n{AUTHORIZATION}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("answered");
        let start = answer.windows(4).position(|end| end == b"\r\n\r\n").map_or(answer.len(), |at| at + 4);
        let body = answer.split_off(start);
        (String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned(), body)
    }

    /// Returns the content of an object, or `None` if it does not exist.
    #[track_caller]
    pub fn get(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        let (status, body) = self.ask("GET", &format!("/{bucket}/{key}"), b"");
        status.contains(" 200 ").then_some(body)
    }

    /// Returns the keys below a prefix, as XML text. At most 1,000 are returned.
    #[track_caller]
    pub fn keys(&self, bucket: &str, prefix: &str) -> Vec<String> {
        let (_, body) = self.ask("GET", &format!("/{bucket}?list-type=2&prefix={prefix}"), b"");
        let text = String::from_utf8(body).expect("a text");
        text.split("<Key>").skip(1).filter_map(|rest| Some(rest.split_once("</Key>")?.0.to_owned())).collect()
    }

    /// Writes an object into a bucket, which is created if necessary.
    #[track_caller]
    pub fn put(&self, bucket: &str, key: &str, content: &[u8]) {
        self.send("PUT", &format!("/{bucket}"), b"");
        let status = self.send("PUT", &format!("/{bucket}/{key}"), content);
        assert!(status.contains(" 200 "), "{status}");
    }
}

/// The treatment of a request by a relay.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Passes it on.
    None,
    /// Answers in place of the server: status code and reason, headers, and body.
    Answer(&'static str, &'static str, &'static str),
    /// Passes it on, but closes the connection after this many bytes of the answer's body.
    CutAfter(usize),
    /// Closes the connection at once.
    Close,
    /// Sends a head of an answer, and then bytes until the client closes the connection.
    Endless(&'static str),
}

/// A relay in front of a server, which takes one request per connection.
pub struct Relay {
    pub port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Relay {
    /// Starts a relay that acts as a bucket in the region eu-west-3: it answers requests that are signed for another region
    /// with the name of this one, as S3 does.
    pub fn of_region(server: u16) -> Relay {
        Relay::start(server, |_, head| {
            if head.contains("/eu-west-3/s3/aws4_request") {
                Fault::None
            } else {
                Fault::Answer(
                    "301 Moved Permanently",
                    "x-amz-bucket-region: eu-west-3\r\n",
                    "<Error><Code>PermanentRedirect</Code></Error>",
                )
            }
        })
    }

    /// Starts a relay. `fault` decides on each request by its number, from 0, and its head.
    pub fn start(server: u16, fault: impl Fn(usize, &str) -> Fault + Send + Sync + 'static) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&requests);
        let fault = Arc::new(fault);
        let count = Arc::new(AtomicUsize::new(0));
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (fault, seen, count) = (Arc::clone(&fault), Arc::clone(&seen), Arc::clone(&count));
                std::thread::spawn(move || {
                    let _ = relay(client, server, &*fault, &seen, &count);
                });
            }
        });
        Relay { port, requests }
    }

    /// Returns the URL of the server.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns the heads of all requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no panic").clone()
    }
}

fn relay(
    mut client: TcpStream,
    server: u16,
    fault: &dyn Fn(usize, &str) -> Fault,
    seen: &Mutex<Vec<String>>,
    count: &AtomicUsize,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
        if line == "\r\n" {
            break;
        }
        // The relay takes one request per connection.
        if !line.to_ascii_lowercase().starts_with("connection:") {
            head.push_str(&line);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    seen.lock().expect("no panic").push(head.clone());
    let fault = fault(count.fetch_add(1, Ordering::SeqCst), &head);
    if head.starts_with("CONNECT ") && matches!(fault, Fault::None) {
        return tunnel(client, server);
    }
    match fault {
        Fault::Close => return client.shutdown(Shutdown::Both),
        Fault::Endless(head) => {
            client.write_all(head.as_bytes())?;
            loop {
                client.write_all(&[b'#'; 1 << 16])?;
            }
        }
        Fault::Answer(status, headers, text) => {
            let length = text.len();
            let answer =
                format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{text}");
            return client.write_all(answer.as_bytes());
        }
        Fault::None | Fault::CutAfter(_) => {}
    }
    // A proxy gets the whole URL, a server only its path.
    let head = head.replacen(" http://192.0.2.1/", " /", 1);
    let mut upstream = TcpStream::connect(("127.0.0.1", server))?;
    upstream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
    upstream.write_all(&body)?;
    let mut answer = Vec::new();
    upstream.read_to_end(&mut answer)?;
    let start = answer.windows(4).position(|end| end == b"\r\n\r\n").map_or(0, |at| at + 4);
    if let Fault::CutAfter(bytes) = fault {
        answer.truncate(start + bytes);
    }
    // The answer says that the connection is closed, so close it.
    client.write_all(&answer)?;
    client.shutdown(Shutdown::Both)
}

/// Passes bytes on in both directions until both sides have closed.
fn tunnel(mut client: TcpStream, server: u16) -> std::io::Result<()> {
    let mut upstream = TcpStream::connect(("127.0.0.1", server))?;
    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
    let (mut from_server, mut to_client) = (upstream.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Both);
    });
    std::io::copy(&mut client, &mut upstream)?;
    upstream.shutdown(Shutdown::Write)
}

/// Starts a package index with the wheels of a folder.
pub fn index(folder: &Path) -> Server {
    let folder = folder.to_owned();
    Server::start(move |command, port| {
        command.arg(tools().join("pypi-server")).args(["run", "-i", "127.0.0.1", "-p", &port.to_string()]);
        command.args(["--disable-fallback", "--cache-control", "3600", "-a", ".", "-P", "."]).arg(&folder);
    })
}

/// A server in front of an index that admits only this user with this password.
pub fn guarded(server: &Server, user: &str) -> Relay {
    let script = "import base64, sys; print(base64.b64encode(sys.argv[1].encode()).decode())";
    let encoded = images::output(Command::new("python3").env("PATH", search_path()).args(["-c", script, user]));
    let header = format!("authorization: basic {}", encoded.trim().to_ascii_lowercase());
    Relay::start(server.port, move |_, head| {
        if head.to_ascii_lowercase().contains(&header) {
            Fault::None
        } else {
            Fault::Answer("401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\"\r\n", "no")
        }
    })
}

/// A repository of CodeArtifact: the service with the two requests of a login, and the index that admits its token.
pub struct CodeArtifact {
    /// The service, which checks signatures.
    pub service: Server,
    _index: Server,
}

impl CodeArtifact {
    /// The ARN of the repository.
    pub const ARN: &str = "arn:aws:codeartifact:eu-west-1:123456789012:repository/my-domain/my-repo";

    /// Starts a repository with the packages in a folder. A login yields `token`.
    pub fn start(packages: &Path, token: &str) -> CodeArtifact {
        let index = index(packages);
        let guarded = guarded(&index, &format!("aws:{token}"));
        let service = Server::start(|command, port| {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/codeartifact.py");
            command.env("TOKEN", token).arg(script);
            command.args([&port.to_string(), "AKIDEXAMPLE", "secret-of-the-role", &guarded.url()]);
        });
        CodeArtifact { service, _index: index }
    }

    /// Names the repository to a job, whose role may log in to it.
    pub fn offered_to(&self, job: Job) -> Job {
        job.variable("CA_REPOSITORY_ARN", CodeArtifact::ARN)
            .variable("AWS_ENDPOINT_URL_CODEARTIFACT", &self.service.url())
            .variable("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .variable("AWS_SECRET_ACCESS_KEY", "secret-of-the-role")
    }
}
