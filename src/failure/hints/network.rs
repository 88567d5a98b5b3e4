//! Hints about the network outside the job: names, routes, proxies and certificates.

use super::HintFacts;
use super::facts::HintRow;
use super::wording::between;

/// Wordings of resolvers that found no address for a name.
const UNRESOLVED: &[&str] = &[
    "Temporary failure in name resolution",
    "Name or service not known",
    "No address associated with hostname",
    "Name does not resolve",
    "nodename nor servname provided",
    "Could not resolve host",
    "unable to resolve host address",
    "Could not resolve proxy",
    "Failed to resolve '",
    "failed to lookup address information",
    "getaddrinfo failed",
    "getaddrinfo ENOTFOUND",
    "getaddrinfo EAI_AGAIN",
    "java.net.UnknownHostException",
    "lookup *: no such host",
    "Could not contact DNS servers",
    "Temporary failure resolving '",
];

/// Returns the hint for a name that cannot be resolved.
pub(super) fn unresolved(facts: &HintFacts<'_>) -> Option<String> {
    facts.wording(UNRESOLVED)?;
    let name = name(facts);
    let is_peer = name.is_some_and(|name| facts.evidence.hosts.iter().any(|host| host == name));
    let shown = name.map(|name| format!("{name} ")).unwrap_or_default();
    Some(if is_peer {
        format!(
            "the name of the host {shown}could not be resolved (DNS); that host may have ended or not started: see its log"
        )
    } else {
        format!(
            "the name {shown}could not be resolved (DNS); check it; a job in a VPC needs NAT or a VPC endpoint to reach the internet or \
             AWS, and with network isolation reaches nothing: bring the data as a channel"
        )
    })
}

/// Returns the name that could not be resolved, if the error contains it.
fn name<'f>(facts: &'f HintFacts<'_>) -> Option<&'f str> {
    const AROUND: [(&str, &str); 14] = [
        ("The IPv4 network address of ", " "),
        ("The IPv6 network address of ", " "),
        ("Failed to resolve '", "'"),
        ("HTTPSConnectionPool(host='", "'"),
        ("HTTPConnectionPool(host='", "'"),
        ("Could not resolve host: ", " "),
        ("Could not resolve host: ", ""),
        ("unable to resolve host address ‘", "’"),
        ("unable to resolve host address '", "'"),
        ("Cannot connect to host ", ":"),
        ("getaddrinfo ENOTFOUND ", ""),
        ("java.net.UnknownHostException: ", ""),
        ("could not translate host name \"", "\""),
        ("Temporary failure resolving '", "'"),
    ];
    let plausible = |name: &&str| name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
    let found = AROUND.iter().find_map(|(start, end)| facts.between(start, end).filter(plausible));
    found.or_else(|| between(facts.claimed(), "lookup ", " on ").filter(plausible))
}

/// Returns the hint for an error of a connection to the outside.
pub(super) fn advice(facts: &HintFacts<'_>) -> Option<String> {
    // AWS's own error is more informative, and NCCL's is about a host of the job.
    if facts.wording(&["endpoint URL", "NCCL error", "ncclSystemError"]).is_some() {
        return None;
    }
    facts.advice_of_chain(ROWS)
}

const ROWS: &[HintRow] = &[
    HintRow {
        wordings: &["Cannot find empty port in range: "],
        hint: "none of these ports could be opened: mostly another server uses them; set another one (Gradio: server_port, or GRADIO_SERVER_PORT), or end the earlier server",
    },
    HintRow {
        wordings: &[
            "CERTIFICATE_VERIFY_FAILED",
            "SSL validation failed",
            "unable to get local issuer certificate",
            "self signed certificate in certificate chain",
            "self-signed certificate in certificate chain",
            "SSL certificate problem",
            "SSLCertVerificationError",
            "server certificate verification failed",
            "invalid peer certificate",
            "unable to find valid certification path",
        ],
        hint: "the server's TLS certificate could not be verified; install ca-certificates in the image, or set SSL_CERT_FILE and \
               REQUESTS_CA_BUNDLE to a bundle with your proxy's certificate; check the clock",
    },
    HintRow {
        wordings: &[
            "Cannot connect to proxy",
            "Failed to connect to proxy URL",
            "ProxyError(",
            "Proxy CONNECT aborted",
            "response 407",
            "Tunnel connection failed",
        ],
        hint: "the proxy did not let the request through; correct HTTP_PROXY and HTTPS_PROXY, and list AWS's endpoints and the hosts in \
               NO_PROXY (169.254.169.254, 169.254.170.2, .amazonaws.com)",
    },
    HintRow {
        wordings: &["429 Client Error", "HTTP Error 429", "429 Too Many Requests"],
        hint: "the server limits the requests (429); make fewer at a time, wait between them, or bring the data as a channel from S3",
    },
    HintRow {
        wordings: &[
            "Network is unreachable",
            "No route to host",
            "ConnectTimeoutError(",
            "ConnectTimeout:",
            "Failed to connect to * port * after",
            "[Errno 110] Connection timed out",
            "ETIMEDOUT",
            "ENETUNREACH",
            "connect timeout=",
            "Connection timed out (Connection timed out)",
            "port 443: Connection timed out",
            "port 443 timed out",
            "tcp connect error: deadline has elapsed",
        ],
        hint: "the server was not reached; a job in a VPC needs NAT for the internet or a VPC endpoint for AWS, its security group must allow \
               the port, and with network isolation it reaches nothing: bring the data as a channel",
    },
    HintRow {
        wordings: &[
            "[Errno 111] Connection refused",
            "[Errno 111] Connect call failed",
            "failed: Connection refused",
            "Failed to connect to remote host: Connection refused",
            "ECONNREFUSED",
            "Connection refused (os error 111)",
            "Connection refused (Connection refused)",
        ],
        hint: "nothing accepts connections at that address and port; check both, that the server there runs, and that it is started \
               before the script uses it",
    },
];
