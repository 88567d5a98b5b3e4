//! HTML whose markup is fixed in the source. Every value that is inserted is escaped.

use std::fmt::{self, Display, Write};

/// A growing HTML text. [`html!`](super::html) adds to it.
#[derive(Debug, Default)]
pub(super) struct Html(String);

impl Html {
    /// Adds markup. Use [`html!`](super::html), which escapes its arguments.
    pub(super) fn write(&mut self, markup: fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.0.write_fmt(markup);
    }

    /// Adds other HTML.
    pub(super) fn add(&mut self, other: &Html) {
        self.0.push_str(&other.0);
    }

    /// Adds one of footplate's own texts unchanged: a style or a script.
    pub(super) fn add_own(&mut self, text: &'static str) {
        self.0.push_str(text);
    }

    /// Returns the text.
    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// A value that is escaped when it is displayed. It may stand between tags and in attributes with double quotes.
pub(super) struct Escaped<'a, T: Display + ?Sized>(pub(in crate::observe::report) &'a T);

impl<T: Display + ?Sized> Display for Escaped<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaper(f), "{}", self.0)
    }
}

struct Escaper<'a, 'f>(&'a mut fmt::Formatter<'f>);

impl Write for Escaper<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'', '\0']) {
            self.0.write_str(&rest[..at])?;
            self.0.write_str(match rest.as_bytes()[at] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                b'\'' => "&#39;",
                _ => "\u{fffd}",
            })?;
            rest = &rest[at + 1..];
        }
        self.0.write_str(rest)
    }
}

/// Adds markup to an [`Html`](markup::Html). The markup is a literal without names in braces, and every argument is escaped.
macro_rules! html {
    ($html:expr, $markup:literal $(, $argument:expr)* $(,)?) => {
        // `concat!` prevents names in braces from capturing variables of the surrounding code, which would bypass the
        // escaping.
        $html.write(format_args!(concat!($markup) $(, $crate::observe::report::markup::Escaped(&$argument))*))
    };
}

pub(super) use html;

#[cfg(test)]
mod tests {
    use super::Html;

    #[test]
    fn every_argument_is_escaped() {
        let mut page = Html::default();
        html!(page, "<a title=\"{}\">{}</a>", "\" onload='x'", "</script><b>&amp;\0");
        html!(page, "{}", 1.5);
        assert_eq!(
            page.into_text(),
            "<a title=\"&quot; onload=&#39;x&#39;\">&lt;/script&gt;&lt;b&gt;&amp;amp;\u{fffd}</a>1.5"
        );
    }
}
