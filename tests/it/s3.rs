//! Downloads of code from moto's S3, also with faults between it and footplate.

use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::code::{self, archive_of};
use super::images;
use super::job::{FOOTPLATE, Job};
use super::running::Running;
use super::servers::{Fault, Relay, Server, tools};

const KEY: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// Returns a job whose code is at this S3 URL, on the server with this address.
fn job(url: &str, source: &str) -> Job {
    code::from_source(Job::new(), source)
        .variable("AWS_ACCESS_KEY_ID", KEY)
        .variable("AWS_SECRET_ACCESS_KEY", SECRET)
        .variable("AWS_ENDPOINT_URL_S3", url)
        .variable("AWS_REGION", "us-east-1")
}

/// Returns an archive that is larger than one range and does not compress.
fn large() -> Vec<u8> {
    let mut state = 1_u64;
    let noise: String = (0..9_000_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b' ' + (state >> 58) as u8)
        })
        .collect();
    let script = "import hashlib; print(hashlib.md5(open('noise.txt', 'rb').read()).hexdigest())";
    archive_of(&[("train.py", script), ("noise.txt", &noise)])
}

/// The output of the script of [`large`].
fn digest_of(job: &Job) -> String {
    let output = Command::new("md5sum").arg(job.path("code/noise.txt")).output().expect("md5sum runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    format!("{}\n", text.split(' ').next().expect("a digest"))
}

fn small() -> Vec<u8> {
    archive_of(&[("train.py", "import model; print('from', model.NAME)"), ("model.py", "NAME = 's3'")])
}

#[test]
fn code_is_downloaded_from_an_archive_a_file_and_a_prefix() {
    let server = Server::moto();
    server.put("code", "jobs/1/source/sourcedir.tar.gz", &small());
    server.put("code", "doubled//sourcedir.tar.gz", &small());
    server.put("code", "odd%20name%2B%C3%A9/x.tar.gz", &small());
    server.put("code", "alone/train.py", b"print('alone')");
    server.put("code", "folder/train.py", b"from package import deep; print(deep.NAME)");
    server.put("code", "folder/package/deep.py", b"NAME = 'prefix'");
    server.put("code", "folder/", b"");
    server.put("code", "packed/sourcedir.tar.gz", &small());
    server.put("code", "deep//train.py", b"print(open('a/b').read())");
    server.put("code", "deep//a//b", b"two slashes");
    for (source, printed, said) in [
        ("s3://code/jobs/1/source/sourcedir.tar.gz", "from s3\n", "unpacked 2 files ("),
        ("s3://code/doubled//sourcedir.tar.gz", "from s3\n", "unpacked 2 files ("),
        ("s3://code/odd name+é/x.tar.gz", "from s3\n", "unpacked 2 files ("),
        ("s3://code/packed", "from s3\n", "unpacked 2 files ("),
        ("s3://code/alone/train.py", "alone\n", "copied 1 file (14 bytes) from s3://code/alone/train.py"),
        ("s3://code/folder/", "prefix\n", "copied 2 files ("),
        ("s3://code/folder", "prefix\n", "copied 2 files ("),
        ("s3://code/deep//", "two slashes\n", "copied 2 files ("),
    ] {
        let ended = job(&server.url(), source).train().succeeded();
        assert_eq!(ended.stdout(), printed, "{source}");
        assert!(ended.stderr.contains(&format!("code: {said}")), "{source}: {}", ended.stderr);
    }
}

#[test]
fn files_below_a_prefix_are_downloaded_in_parallel() {
    let server = Server::moto();
    let sizes = [(1 << 20) + 1, 2 << 20, 3 << 20, 5 << 20, 1 << 21];
    for (n, size) in (0..).zip(sizes) {
        server.put("code", &format!("many/{n}.bin"), &vec![b'0' + n; size]);
    }
    server.put("code", "many/train.py", b"import os\nprint([os.path.getsize(f'{n}.bin') for n in range(5)])");
    // Each answer waits until two more files have been requested.
    let (arrived, alone) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (count, late) = (Arc::clone(&arrived), Arc::clone(&alone));
    let proxy = Relay::start(server.port, move |_, head| {
        if head.contains("/many/0.bin ") || head.contains("/many/1.bin ") || head.contains("/many/2.bin ") {
            count.fetch_add(1, Ordering::SeqCst);
            let deadline = Instant::now() + Duration::from_secs(10);
            while count.load(Ordering::SeqCst) < 3 && !late.load(Ordering::SeqCst) {
                late.store(Instant::now() > deadline, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        Fault::None
    });
    let ended = job(&proxy.url(), "s3://code/many/").train().succeeded();
    assert_eq!(ended.stdout(), format!("{sizes:?}\n"));
    assert!(!alone.load(Ordering::SeqCst), "one came after the other: {:#?}", proxy.requests());
}

#[test]
fn hostile_keys_below_a_prefix_stay_in_the_code_folder() {
    let server = Server::moto();
    server.put("code", "p/train.py", b"print('ran')");
    server.put("code", "p/..%2F..%2Fescaped.py", b"no");
    let job = job(&server.url(), "s3://code/p/");
    let ended = job.train();
    assert!(!job.path("escaped.py").exists() && !job.base().parent().expect("a folder").join("escaped.py").exists());
    // If the list cannot be read, that is reported and nothing runs.
    if ended.code() != 0 {
        assert!(ended.failure().contains("s3://code/p/"), "{ended:#?}");
    }
}

/// The start of a page of a listing, which is not the last.
const PAGE: &str =
    "<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>p/x.py</Key><Size>1</Size></Contents>";

#[test]
fn a_listing_without_an_end_is_an_error() {
    let relay = Relay::start(0, |_, head| {
        let next = if head.contains("continuation-token=one") { "two" } else { "one" };
        let page = format!("{PAGE}<NextContinuationToken>{next}</NextContinuationToken></ListBucketResult>");
        Fault::Answer("200 OK", "", Box::leak(page.into_boxed_str()))
    });
    let ended = job(&relay.url(), "s3://code/p/").train();
    let ended =
        ended.failed(65, "the source s3://code/p/: S3 does not answer as it should (its list repeats itself after ");
    assert_eq!(relay.requests().len(), 3, "{ended:#?}");
}

#[test]
fn an_answer_with_deep_or_endless_xml_is_an_error() {
    let deep = format!("{}{}", "<a>".repeat(200_000), "</a>".repeat(200_000));
    let bomb = "<!DOCTYPE l [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'>]><ListBucketResult><Contents>\
                <Key>p/&b;</Key><Size>1</Size></Contents></ListBucketResult>";
    for body in [deep, bomb.to_owned(), "<ListBucketResult><Contents>".repeat(100_000), "<".repeat(1 << 20)] {
        for status in ["200 OK", "403 Forbidden"] {
            let body: &str = Box::leak(body.clone().into_boxed_str());
            let relay = Relay::start(0, move |_, _| Fault::Answer(status, "", body));
            let ended = job(&relay.url(), "s3://code/p/").train().failed(65, "the source s3://code/p/: ");
            assert!(!ended.stderr.contains("itself failed"), "{ended:#?}");
        }
    }
}

/// Returns an answer with a list of two objects of these sizes.
fn list_of(sizes: [&str; 2]) -> Fault {
    let [first, second] = sizes;
    let page = format!(
        "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>p/train.py</Key><Size>{first}</Size></Contents>\
         <Contents><Key>p/b.py</Key><Size>{second}</Size></Contents></ListBucketResult>"
    );
    Fault::Answer("200 OK", "", Box::leak(page.into_boxed_str()))
}

#[test]
fn a_list_with_sizes_that_no_number_holds_is_an_error() {
    let most = u64::MAX.to_string();
    for (size, said) in [
        (&*most, " is not copied: its files have more than 64.0 GiB; "),
        // Two of these have the sum 0 if it overflows.
        ("9223372036854775808", " is not copied: its files have more than 64.0 GiB; "),
        ("18446744073709551616", ": S3 does not answer as it should (its answer cannot be read: "),
        ("-1", ": S3 does not answer as it should (its answer cannot be read: "),
        ("1e30", ": S3 does not answer as it should (its answer cannot be read: "),
        ("", ": S3 does not answer as it should (its answer cannot be read: "),
    ] {
        let size = size.to_owned();
        let relay = Relay::start(0, move |_, _| list_of([&size, &size]));
        let ended = job(&relay.url(), "s3://code/p/").train();
        let ended = ended.failed(65, &format!("the source s3://code/p/{said}"));
        assert!(!ended.stderr.contains("itself failed"), "{ended:#?}");
    }
}

#[test]
fn an_object_that_is_larger_than_its_list_says_does_not_fill_the_memory() {
    let head = |length: &str| -> &'static str {
        format!("HTTP/1.1 200 OK\r\n{length}ETag: \"a\"\r\nConnection: close\r\n\r\n").leak()
    };
    for (length, said) in [
        ("Content-Length: 400000000\r\n", "it was replaced while it was read (it has 400000000 bytes, "),
        ("", "S3 does not answer as it should (its answer has no Content-Length)"),
    ] {
        let endless = head(length);
        let relay =
            Relay::start(
                0,
                move |_, head| {
                    if head.contains("list-type=2") { list_of(["3", "3"]) } else { Fault::Endless(endless) }
                },
            );
        let job = job(&relay.url(), "s3://code/p/");
        let ended = job.train().failed(65, "the source s3://code/p/");
        assert!(ended.failure().contains(said) && ended.duration < Duration::from_secs(10), "{ended:#?}");
        assert!(!job.path("code/train.py").exists() && !job.path("code/b.py").exists(), "half of it is of no use");
    }
}

#[test]
fn an_answer_that_breaks_off_is_named_if_the_server_knows_no_ranges() {
    let relay = Relay::start(0, |_, _| Fault::Answer("200 OK", "ETag: \"a\"\r\n", "print('a script')"));
    let cut = Relay::start(relay.port, |_, _| Fault::CutAfter(4));
    let ended = job(&cut.url(), "s3://code/train.py").train();
    ended.failed(65, "the source s3://code/train.py: it did not arrive whole (");
}

#[test]
fn the_region_in_a_refusal_is_used_without_the_header() {
    let server = Server::moto();
    server.put("code", "x.tar.gz", &small());
    let relay = Relay::start(server.port, |_, head| {
        if head.contains("/eu-west-3/s3/aws4_request") {
            return Fault::None;
        }
        let refused = "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-3</Region></Error>";
        Fault::Answer("400 Bad Request", "", refused)
    });
    assert_eq!(job(&relay.url(), "s3://code/x.tar.gz").train().succeeded().stdout(), "from s3\n");
    // A server that sends the client to where it already is.
    let circle = Relay::start(server.port, |_, _| {
        Fault::Answer("307 Temporary Redirect", "x-amz-bucket-region: us-east-1\r\nLocation: https://h.test/\r\n", "")
    });
    let ended = job(&circle.url(), "s3://code/x.tar.gz").train();
    ended.failed(65, "the source s3://code/x.tar.gz: the server redirects, which is not followed (");
}

#[test]
fn the_token_of_the_container_goes_to_no_other_machine_over_http() {
    let job = code::from_source(Job::new(), "s3://code/x.tar.gz")
        .variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://192.0.2.1:80/creds?hidden=1")
        .variable("AWS_CONTAINER_AUTHORIZATION_TOKEN", "containerAuthToken123");
    let ended = job.train().failed(65, "the source s3://code/x.tar.gz: there are no credentials for S3 (");
    let said = "its token would go to 192.0.2.1 over HTTP";
    assert!(ended.failure().contains(said) && ended.duration < Duration::from_secs(10), "{ended:#?}");
    assert!(!ended.stderr.contains("containerAuthToken123") && !ended.stderr.contains("hidden"), "{ended:#?}");
}

#[test]
fn a_large_archive_survives_broken_connections() {
    let server = Server::moto();
    server.put("code", "large.tar.gz", &large());
    // Every third answer is cut off, one connection is closed, and one answer is an error of the server.
    let relay = Relay::start(server.port, |number, _| match number {
        2 => Fault::Close,
        4 => Fault::Answer("503 Slow Down", "", "<Error><Code>SlowDown</Code></Error>"),
        number if number % 3 == 0 => Fault::CutAfter(300_000),
        _ => Fault::None,
    });
    let job = job(&relay.url(), "s3://code/large.tar.gz");
    let ended = job.train().succeeded();
    assert_eq!(ended.stdout(), digest_of(&job));
    let ranges = relay.requests().iter().filter(|head| head.to_ascii_lowercase().contains("\r\nrange: bytes=")).count();
    assert!(ranges >= 5, "{:#?}", relay.requests());
}

#[test]
fn an_archive_larger_than_the_buffer_arrives_whole_and_in_order() {
    // It has more ranges than the buffer holds, and each range has its own content.
    let text: String = (0..5_000_000).map(|number| format!("{number:015}\n")).collect();
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in [("numbers.txt", text.as_bytes()), ("train.py", b"print('from s3')")] {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, content).expect("written");
    }
    let server = Server::moto();
    server.put("code", "numbers.tar", &archive.into_inner().expect("written"));
    // The first range may arrive last.
    let relay = Relay::start(server.port, |number, _| match number % 5 {
        1 => Fault::CutAfter(300_000),
        _ => Fault::None,
    });
    let job = job(&relay.url(), "s3://code/numbers.tar");
    assert_eq!(job.train().succeeded().stdout(), "from s3\n");
    let arrived = std::fs::read(job.path("code/numbers.txt")).expect("read");
    assert!(arrived == text.as_bytes(), "{} bytes", arrived.len());
}

#[test]
fn a_full_code_folder_fails_the_job() {
    let server = Server::moto();
    // Unpacked, it would fit: each file replaces the one before.
    let megabyte = "x".repeat(1 << 20);
    let mut archive = tar::Builder::new(Vec::new());
    for _ in 0..12 {
        let mut header = tar::Header::new_gnu();
        header.set_size(1 << 20);
        header.set_mode(0o644);
        archive.append_data(&mut header, "train.py", megabyte.as_bytes()).expect("written");
    }
    server.put("code", "x.tar", &archive.into_inner().expect("written"));
    let job = job(&server.url(), "s3://code/x.tar");
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--mount", "sh", "-ec"]);
    unshare.arg("mount -t tmpfs -o size=3m none \"$1\"; exec \"$0\" train").arg(FOOTPLATE).arg(job.path("code"));
    let ended = Running::of(&job, job.within(unshare)).end(&job);
    let text = ended.failure().to_owned();
    assert!(ended.code() != 0 && text.contains(&job.path("code").display().to_string()), "{ended:#?}");
    assert!(text.to_ascii_lowercase().contains("no space"), "{ended:#?}");
}

/// Returns a script of 20 MB that prints its length and checksum.
fn large_script() -> String {
    let mut script = "text = open(__file__, 'rb').read(); print(len(text), hash_of(text))\n".to_owned();
    script.insert_str(0, "import zlib\nhash_of = zlib.crc32\n");
    (0..1_000_000).for_each(|line| script.push_str(&format!("# line {line:011}\n")));
    script
}

#[test]
fn a_large_file_survives_broken_connections() {
    let server = Server::moto();
    let script = large_script();
    server.put("code", "alone/train.py", script.as_bytes());
    server.put("code", "below/train.py", b"import large");
    server.put("code", "below/large.py", script.as_bytes());
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("train.py");
    std::fs::write(&path, &script).expect("written");
    let expected = images::output(Command::new("python3").arg(path));
    for source in ["s3://code/alone/train.py", "s3://code/below/"] {
        let relay = Relay::start(server.port, |number, _| match number {
            4 => Fault::Answer("503 Slow Down", "", "<Error><Code>SlowDown</Code></Error>"),
            number if number % 3 == 0 => Fault::CutAfter(300_000),
            _ => Fault::None,
        });
        let ended = job(&relay.url(), source).train().succeeded();
        assert_eq!(ended.stdout(), format!("{expected}\n"), "{source}");
        let is_range = |head: &&String| head.to_ascii_lowercase().contains("\r\nrange: bytes=");
        assert!(relay.requests().iter().filter(is_range).count() >= 2, "{:#?}", relay.requests());
    }
}

#[test]
fn a_large_file_that_does_not_match_its_description_fails_the_job() {
    let server = Server::moto();
    let script = large_script();
    server.put("code", "train.py", script.as_bytes());
    let headers = "x-amz-checksum-crc32: AAAAAA==\r\nLast-Modified: Sat, 01 Jan 2022 00:00:00 GMT\r\n";
    let script: &'static str = script.leak();
    let relay = Relay::start(server.port, move |_, head| {
        if head.to_ascii_lowercase().contains("\r\nrange: ") {
            Fault::None
        } else {
            Fault::Answer("200 OK", headers, script)
        }
    });
    let job = job(&relay.url(), "s3://code/train.py");
    let ended = job.train();
    let ended =
        ended.failed(65, "the source s3://code/train.py: it did not arrive whole (its checksum should be AAAAAA==");
    assert_eq!(ended.stdout(), "");
    assert!(!job.path("code/train.py").exists(), "half a file is of no use");
}

#[test]
fn a_refusal_of_s3_is_reported_with_bucket_key_and_remedy() {
    let server = Server::moto();
    server.put("code", "x.tar.gz", &small());
    let not_there = job(&server.url(), "s3://code/absent.tar.gz").train();
    let not_there = not_there.failed(65, "the source s3://code/absent.tar.gz: there is no such key (");
    assert!(not_there.duration < Duration::from_secs(10), "{not_there:#?}");
    job(&server.url(), "s3://none/x.tar.gz")
        .train()
        .failed(65, "the source s3://none/x.tar.gz: there is no such bucket (");
    type Case = (&'static str, &'static str, &'static str, &'static str);
    let cases: [Case; 5] = [
        ("403 Forbidden", "AccessDenied", "access denied (AccessDenied: said); allow the job's role s3:GetObject", ""),
        ("400 Bad Request", "ExpiredToken", "the credentials have expired (ExpiredToken: said)", ""),
        ("301 Moved Permanently", "PermanentRedirect", "the bucket is in another region", ""),
        ("500 Internal Server Error", "InternalError", "S3 does not answer as it should (InternalError: said)", ""),
        (
            "403 Forbidden",
            "SignatureDoesNotMatch",
            "S3 does not accept the credentials (SignatureDoesNotMatch: said)",
            "leaked",
        ),
    ];
    for (status, code, said, hidden) in cases {
        let body: &'static str = format!(
            "<?xml version=\"1.0\"?>\n<Error><Code>{code}</Code><Message>said</Message><StringToSign>{hidden}</StringToSign>\
             <AWSAccessKeyId>{KEY}</AWSAccessKeyId></Error>"
        )
        .leak();
        let relay = Relay::start(server.port, move |_, _| Fault::Answer(status, "", body));
        let ended = job(&relay.url(), "s3://code/x.tar.gz").train();
        let ended = ended.failed(65, &format!("the source s3://code/x.tar.gz: {said}"));
        assert!(hidden.is_empty() || !format!("{ended:?}").contains(hidden), "{ended:#?}");
        for secret in [KEY, SECRET] {
            assert!(!format!("{ended:?}").contains(secret), "{ended:#?}");
        }
        assert!(relay.requests().len() <= 10, "{}", relay.requests().len());
    }
}

#[test]
fn an_incomplete_or_changed_body_fails_the_job() {
    let server = Server::moto();
    server.put("code", "x.tar.gz", &small());
    let cut = Relay::start(server.port, |_, _| Fault::CutAfter(20));
    let ended = job(&cut.url(), "s3://code/x.tar.gz").train();
    ended.failed(65, "the source s3://code/x.tar.gz: it did not arrive whole (");
    // The checksum is S3's. No other check would notice the changed byte.
    let checksum = "x-amz-checksum-crc32: AAAAAA==\r\nETag: \"a\"\r\nLast-Modified: Sat, 01 Jan 2022 00:00:00 GMT\r\n";
    let wrong = Relay::start(server.port, move |_, _| Fault::Answer("200 OK", checksum, "print('ran')"));
    let ended = job(&wrong.url(), "s3://code/train.py").train();
    let ended =
        ended.failed(65, "the source s3://code/train.py: it did not arrive whole (its checksum should be AAAAAA==");
    assert_eq!(ended.stdout(), "");
}

/// boto3's `download_file` does not decode the content either.
#[test]
fn an_object_with_a_content_encoding_arrives_as_it_is_stored() {
    let headers = "Content-Encoding: gzip\r\nETag: \"a\"\r\nLast-Modified: Sat, 01 Jan 2022 00:00:00 GMT\r\n";
    let relay = Relay::start(0, move |_, _| Fault::Answer("200 OK", headers, "print('as it is stored')"));
    assert_eq!(job(&relay.url(), "s3://code/train.py").train().succeeded().stdout(), "as it is stored\n");
}

#[test]
fn missing_server_name_or_credentials_are_reported_within_seconds() {
    let unused = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
    let refused = job(&format!("http://127.0.0.1:{unused}"), "s3://code/x.tar.gz").train();
    let refused = refused.failed(65, "the source s3://code/x.tar.gz: S3 cannot be reached (");
    assert!(refused.failure().contains("a job in a VPC needs an S3 endpoint there"), "{refused:#?}");
    assert!(refused.duration < Duration::from_secs(30), "{refused:#?}");
    let none = job("http://127.0.0.1:1", "s3://code/x.tar.gz")
        .without("AWS_ACCESS_KEY_ID")
        .variable("AWS_EC2_METADATA_DISABLED", "true");
    let none = none.train().failed(65, "the source s3://code/x.tar.gz: there are no credentials for S3 (");
    assert!(none.duration < Duration::from_secs(10), "{none:#?}");
}

#[test]
fn the_region_that_s3_names_is_used() {
    let server = Server::moto();
    server.put("code", "x.tar.gz", &small());
    let relay = Relay::of_region(server.port);
    let ended = job(&relay.url(), "s3://code/x.tar.gz").train().succeeded();
    assert_eq!(ended.stdout(), "from s3\n");
    assert_eq!(relay.requests().len(), 2);
}

#[test]
fn credentials_come_from_the_containers_endpoint_with_its_token() {
    let server = Server::moto();
    server.put("code", "x.tar.gz", &small());
    let answer = "{\"AccessKeyId\": \"ASIAFROMENDPOINT0000\", \"SecretAccessKey\": \"endpoint-secret\", \"Token\": \
                  \"endpoint-token\", \"Expiration\": \"2099-01-01T00:00:00Z\"}";
    let endpoint = Relay::start(server.port, move |number, head| {
        match (number, head.to_ascii_lowercase().contains("authorization: bearer-1")) {
            // It is busy at the first request.
            (0, _) => Fault::Answer("500 Internal Server Error", "", ""),
            (_, true) => Fault::Answer("200 OK", "", answer),
            (_, false) => Fault::Answer("401 Unauthorized", "", ""),
        }
    });
    let relay = Relay::start(server.port, |_, _| Fault::None);
    let with = |token: &str, text: &str| {
        job(&relay.url(), "s3://code/x.tar.gz")
            .without("AWS_ACCESS_KEY_ID")
            .without("AWS_SECRET_ACCESS_KEY")
            .variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{}/creds?id=1", endpoint.url()))
            .variable("http_proxy", "http://127.0.0.1:1") // must not be used for either
            .variable(token, text)
    };
    let ended = with("AWS_CONTAINER_AUTHORIZATION_TOKEN", "bearer-1").train().succeeded();
    assert_eq!(ended.stdout(), "from s3\n");
    let request = relay.requests().remove(0);
    assert!(request.contains("Credential=ASIAFROMENDPOINT0000/"), "{request}");
    assert!(request.to_ascii_lowercase().contains("x-amz-security-token: endpoint-token"), "{request}");
    assert!(!format!("{ended:?}").contains("endpoint-token"), "{ended:#?}");
    let file = Job::new().file("token", "bearer-1\n");
    let ended = with("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &file.path("token").display().to_string()).train();
    ended.succeeded();
    let refused = with("AWS_CONTAINER_AUTHORIZATION_TOKEN", "bearer-2").train();
    let refused = refused.failed(65, "the source s3://code/x.tar.gz: there are no credentials for S3 (the container's");
    assert!(!refused.failure().contains("bearer-2") && refused.failure().contains("401"), "{refused:#?}");
}

/// Runs a job in a network of its own, which has the endpoint for a container's credentials and moto's server with the code.
const WITHIN: &str = r#"
import http.server, subprocess, sys, threading, time, urllib.error, urllib.request

moto, footplate, archive = sys.argv[1:]
server = subprocess.Popen([moto, "-H", "127.0.0.1", "-p", "5000"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

class Endpoint(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        known = self.path == "/v2/credentials/1?a=b"
        answer = b'{"AccessKeyId": "ASIAOFTHECONTAINER00", "SecretAccessKey": "s", "Token": "t"}' if known else b""
        self.send_response(200 if known else 404)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass

endpoint = http.server.HTTPServer(("169.254.170.2", 80), Endpoint)
threading.Thread(target=endpoint.serve_forever, daemon=True).start()
last = time.monotonic() + 60
for path, body in [("code", b""), ("code/x.tar.gz", open(archive, "rb").read())]:
    while True:
        try:
            # Without a type it would be that of a form, which moto takes apart.
            headers = {"Content-Type": "application/octet-stream"}
            urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:5000/{path}", body, headers, method="PUT"))
            break
        except urllib.error.URLError:
            if time.monotonic() > last:
                raise
            time.sleep(0.05)
code = subprocess.run([footplate, "train"]).returncode
server.kill()
server.wait()
sys.exit(code)
"#;

#[test]
fn credentials_come_from_the_containers_relative_address() {
    let archive = Job::new().file("x.tar.gz", small()).file("within.py", WITHIN);
    let job = job("http://127.0.0.1:5000", "s3://code/x.tar.gz")
        .without("AWS_ACCESS_KEY_ID")
        .without("AWS_SECRET_ACCESS_KEY")
        .variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/1?a=b");
    let mut unshare = Command::new("unshare");
    let network = "PATH=$PATH:/usr/sbin:/sbin\nip link set lo up\nip address add 169.254.170.2/32 dev lo\nexec \"$@\"";
    unshare.args(["--user", "--map-root-user", "--net", "sh", "-ec", network, "sh"]).arg(tools().join("python"));
    unshare
        .arg(archive.path("within.py"))
        .arg(tools().join("moto_server"))
        .arg(FOOTPLATE)
        .arg(archive.path("x.tar.gz"));
    let ended = Running::of(&job, job.within(unshare)).end(&job).succeeded();
    assert_eq!(ended.stdout(), "from s3\n");
}

#[test]
fn credentials_come_from_web_identity_and_instance_metadata() {
    let server = Server::moto();
    server.put("code", "x.tar.gz", &small());
    let base =
        || job(&server.url(), "s3://code/x.tar.gz").without("AWS_ACCESS_KEY_ID").without("AWS_SECRET_ACCESS_KEY");
    let answer = "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIA\
                  </AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>\
                  2099-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
                  </AssumeRoleWithWebIdentityResponse>";
    let sts = Relay::start(server.port, move |_, _| Fault::Answer("200 OK", "", answer));
    let web = base().file("token", "a-web-identity");
    let token = web.path("token").display().to_string();
    let web = web
        .variable("AWS_WEB_IDENTITY_TOKEN_FILE", &token)
        .variable("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/test")
        .variable("AWS_ENDPOINT_URL_STS", &sts.url());
    assert_eq!(web.train().succeeded().stdout(), "from s3\n");
    assert!(sts.requests()[0].contains("WebIdentityToken=a-web-identity"), "{:#?}", sts.requests());
    let echo = "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <Error>\n    <Type>Sender</Type>\n    \
                <Code>InvalidIdentityToken</Code>\n    <Message>not a-web-identity</Message>\n  </Error>\n  \
                <RequestId>4d8</RequestId>\n</ErrorResponse>\n";
    let sts = Relay::start(server.port, move |_, _| Fault::Answer("400 Bad Request", "", echo));
    let refused = web.variable("AWS_ENDPOINT_URL_STS", &sts.url()).train();
    let refused =
        refused.failed(65, "the source s3://code/x.tar.gz: there are no credentials for S3 (the web identity token ");
    assert!(refused.failure().contains(": InvalidIdentityToken: not ******); "), "{refused:#?}");
    assert!(!refused.stderr.contains("a-web-identity"), "{refused:#?}");
    let answer = "{\"AccessKeyId\": \"ASIAFROMINSTANCE0000\", \"SecretAccessKey\": \"s\", \"Token\": \"t\", \
                  \"Expiration\": \"2099-01-01T00:00:00Z\", \"Code\": \"Success\", \"Type\": \"AWS-HMAC\", \
                  \"LastUpdated\": \"2022-01-01T00:00:00Z\"}";
    let metadata = Relay::start(server.port, move |_, head| match head {
        _ if head.starts_with("PUT /latest/api/token ") => Fault::Answer("200 OK", "", "session"),
        _ if head.starts_with("GET /latest/meta-data/iam/security-credentials/role ") => {
            Fault::Answer("200 OK", "", answer)
        }
        _ => Fault::Answer("200 OK", "", "role"),
    });
    let instance = base().variable("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata.url());
    assert_eq!(instance.train().succeeded().stdout(), "from s3\n");
    assert!(metadata.requests().len() >= 3, "{:#?}", metadata.requests());
}

#[test]
fn credentials_that_no_header_can_hold_are_refused_and_not_shown() {
    let said = |job: Job, what: &str| {
        let ended = job.train().failed(65, "the source s3://code/x.tar.gz: ");
        assert!(ended.failure().contains(what), "{ended:#?}");
        assert!(!ended.stderr.contains("itself failed") && !ended.failure().contains("hidden"), "{ended:#?}");
    };
    let wrong = "holds a blank, a line break or another character that it cannot have";
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
        said(job("http://127.0.0.1:1", "s3://code/x.tar.gz").variable(name, "hidden\nX: y"), wrong);
    }
    let region = job("http://127.0.0.1:1", "s3://code/x.tar.gz").variable("AWS_REGION", "evil.example/\nx");
    said(region, "is no name of a region");
    let from = |roles: &'static str, credentials: &'static str| {
        let metadata = Relay::start(0, move |_, head| match head {
            _ if head.starts_with("PUT ") => Fault::Answer("200 OK", "", "session"),
            _ if head.contains("security-credentials/ ") => Fault::Answer("200 OK", "", roles),
            _ => Fault::Answer("200 OK", "", credentials),
        });
        let job = job(&metadata.url(), "s3://code/x.tar.gz").without("AWS_ACCESS_KEY_ID");
        let job = job.without("AWS_SECRET_ACCESS_KEY");
        (job.variable("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata.url()), metadata)
    };
    for roles in ["", "<html>\n<body>log in</body></html>", "../../user-data", "a b"] {
        let (job, _metadata) = from(roles, "");
        said(job, "the instance metadata: its answer names no role");
    }
    for credentials in ["", "[[[[", "{\"AccessKeyId\": \"x\"}"] {
        let (job, _metadata) = from("role", credentials);
        said(job, "the instance metadata: its answer holds no credentials");
    }
    let (job, _metadata) = from("role", r#"{"AccessKeyId": "ASIA", "SecretAccessKey": "s", "Token": "hidden\nX: y"}"#);
    said(job, &format!("the instance metadata: the session token {wrong}"));
    let (job, _metadata) = from("role", r#"{"AccessKeyId": "", "SecretAccessKey": "s"}"#);
    said(job, "the instance metadata: the key ID is empty");
}

#[test]
fn the_token_of_the_container_goes_through_no_proxy() {
    let proxy = Relay::start(0, |_, _| Fault::Answer("403 Forbidden", "", ""));
    for host in ["127.0.0.1", "LOCALHOST", "[::ffff:127.0.0.1]", "[::1]"] {
        let job = code::from_source(Job::new(), "s3://code/x.tar.gz")
            .variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("http://{host}:9/creds"))
            .variable("AWS_CONTAINER_AUTHORIZATION_TOKEN", "containerAuthToken123")
            .variable("http_proxy", &proxy.url());
        job.train().failed(65, "the source s3://code/x.tar.gz: there are no credentials for S3 (");
    }
    assert_eq!(proxy.requests(), [""; 0]);
}

/// Starts moto's server with TLS. Also returns the certificate for its name.
fn with_tls(name: &str, folder: &Job) -> (Server, String) {
    let (certificate, key) = (folder.path("cert.pem"), folder.path("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", &format!("/CN={name}")])
        .args(["-addext", &format!("subjectAltName=DNS:{name}"), "-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .expect("openssl runs");
    assert!(made.status.success(), "{made:#?}");
    let server = Server::start(|command, port| {
        command.arg(tools().join("moto_server")).args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        command.arg("-s").arg("-c").arg(&certificate).arg("-k").arg(&key);
    });
    (server, certificate.display().to_string())
}

#[test]
fn a_part_of_an_object_does_not_pass_for_the_whole() {
    let server = Server::moto();
    let relay = Relay::start(server.port, |_, _| {
        Fault::Answer("206 Partial Content", "Content-Range: bytes 0-3/9\r\n", "part")
    });
    let said = "S3 does not answer as it should (it answered 206 Partial Content in place of the object)";
    job(&relay.url(), "s3://code/x.tar.gz").train().failed(65, &format!("the source s3://code/x.tar.gz: {said}"));
}

#[test]
fn a_refusal_that_breaks_off_is_still_one() {
    let server = Server::moto();
    server.put("code", "x.tar.gz", &small());
    let relay = Relay::start(server.port, |_, _| Fault::CutAfter(10));
    let ended = job(&relay.url(), "s3://code/absent.tar.gz").train();
    ended.failed(65, "the source s3://code/absent.tar.gz: there is no such key (404 Not Found)");
}

#[test]
fn tls_is_checked_against_the_configured_bundle() {
    let folder = Job::new();
    let (server, certificate) = with_tls("localhost", &folder);
    let job = || job(&format!("https://localhost:{}", server.port), "s3://code/x.tar.gz");
    // The server is reached, and answers that the object does not exist.
    let trusted = job().variable("AWS_CA_BUNDLE", &certificate).train();
    trusted.failed(65, "the source s3://code/x.tar.gz: there is no such bucket (");
    let unknown = job().train();
    unknown.failed(65, "the source s3://code/x.tar.gz: the certificate of S3's server is not trusted (");
    let other_folder = Job::new();
    let (other, certificate) = with_tls("other.test", &other_folder);
    let url = format!("https://localhost:{}", other.port);
    let named = job().variable("AWS_ENDPOINT_URL_S3", &url).variable("AWS_CA_BUNDLE", &certificate).train();
    named.failed(
        65,
        "the source s3://code/x.tar.gz: the certificate of S3's server is for other names (localhost is asked, and it is for \
         other.test); use one of its names in AWS_ENDPOINT_URL_S3",
    );
    let absent = job().variable("AWS_CA_BUNDLE", "/absent.pem").train();
    absent.failed(
        65,
        "the source s3://code/x.tar.gz: S3 cannot be used as the variables say (the CA bundle /absent.pem: ",
    );
}

/// Returns the URL of a proxy that requires a password, and the header that it then gets.
fn password_at(port: u16) -> (String, &'static str) {
    (format!("http://user:secret%40word@127.0.0.1:{port}"), "proxy-authorization: basic dxnlcjpzzwnyzxrad29yza==")
}

#[test]
fn requests_go_through_the_proxy() {
    let server = Server::moto();
    server.put("code", "x.tar.gz", &small());
    let proxy = Relay::start(server.port, |_, _| Fault::None);
    let (url, authorization) = password_at(proxy.port);
    let job = job("http://192.0.2.1", "s3://code/x.tar.gz").variable("HTTP_PROXY", &url);
    assert_eq!(job.train().succeeded().stdout(), "from s3\n");
    let request = proxy.requests().remove(0);
    assert!(request.starts_with("GET http://192.0.2.1/code/x.tar.gz "), "{request}");
    assert!(request.to_ascii_lowercase().contains(authorization), "{request}");
}

#[test]
fn tls_connections_go_through_a_tunnel_of_the_proxy() {
    let folder = Job::new();
    let (server, certificate) = with_tls("s3.test", &folder);
    let proxy = Relay::start(server.port, |_, _| Fault::None);
    let (url, authorization) = password_at(proxy.port);
    let job = || job("https://s3.test", "s3://code/x.tar.gz").variable("AWS_CA_BUNDLE", &certificate);
    // Only the proxy knows the name. The server behind it answers.
    let through = job().variable("https_proxy", &url).train();
    let through = through.failed(65, "the source s3://code/x.tar.gz: there is no such bucket (");
    let request = proxy.requests().remove(0);
    assert!(request.starts_with("CONNECT s3.test:443 "), "{request}");
    assert!(request.to_ascii_lowercase().contains(authorization), "{request}");
    assert!(!format!("{through:?}").contains("secret"), "{through:#?}");
    let refusing = Relay::start(server.port, |_, _| Fault::Answer("407 Proxy Authentication Required", "", ""));
    let refused = job().variable("https_proxy", &refusing.url()).train();
    let refused = refused.failed(65, "the source s3://code/x.tar.gz: S3 cannot be reached (");
    assert!(refused.failure().contains("proxy"), "{refused:#?}");
    let unusable = job().variable("https_proxy", "socks5://user:secret@127.0.0.1:1").train();
    unusable.failed(
        65,
        "the source s3://code/x.tar.gz: S3 cannot be used as the variables say (the variable https_proxy holds no URL",
    );
}

#[test]
fn a_stop_signal_ends_a_download_at_once() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let job = job(&format!("http://{}", silent.local_addr().expect("an address")), "s3://code/x.tar.gz");
    let running = Running::start(&job, ["train"]);
    let (_connection, _) = silent.accept().expect("it connects");
    running.signal(Signal::SIGTERM);
    let ended = running.end(&job);
    assert_eq!(ended.code(), 143, "{ended:#?}");
    assert!(ended.duration < Duration::from_secs(10), "{ended:#?}");
}
