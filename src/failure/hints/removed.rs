//! Hints about modules of Python's own library that newer releases of Python no longer have.

/// Modules that a release of Python 3 removed, with that release. `distutils` is not in this table, because setuptools
/// brings it.
const REMOVED: &[(&str, &[&str])] = &[
    ("3.12", &["asynchat", "asyncore", "imp", "smtpd"]),
    (
        "3.13",
        &[
            "aifc",
            "audioop",
            "cgi",
            "cgitb",
            "crypt",
            "imghdr",
            "lib2to3",
            "mailcap",
            "nntplib",
            "pipes",
            "sndhdr",
            "telnetlib",
            "xdrlib",
        ],
    ),
];

/// Modules of Python 2, with their names in Python 3.
const OF_PYTHON_2: &[(&str, &str)] = &[
    ("BaseHTTPServer", "http.server"),
    ("ConfigParser", "configparser"),
    ("HTMLParser", "html.parser"),
    ("Queue", "queue"),
    ("SocketServer", "socketserver"),
    ("StringIO", "io"),
    ("Tkinter", "tkinter"),
    ("__builtin__", "builtins"),
    ("cPickle", "pickle"),
    ("cStringIO", "io"),
    ("httplib", "http.client"),
    ("urllib2", "urllib.request"),
    ("urlparse", "urllib.parse"),
];

/// Returns the hint for a missing module that an earlier Python had.
pub(super) fn advice(module: &str) -> Option<String> {
    if let Some((release, _)) = REMOVED.iter().find(|(_, modules)| modules.contains(&module)) {
        return Some(format!(
            "Python {release} removed the module {module}; use an image with an older Python, or versions of the code and packages that do \
             without it"
        ));
    }
    let (_, name) = OF_PYTHON_2.iter().find(|(old, _)| *old == module)?;
    Some(format!(
        "{module} is a module of Python 2, which Python 3 calls {name}; change the import, or the version of the package with it"
    ))
}
