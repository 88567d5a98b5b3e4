//! The XML documents of S3's API: the bodies of answers, and the one document that footplate sends.
//!
//! Contract: the Amazon S3 API reference, version 2006-03-01.

use serde::Deserialize;

/// An error document. Other documents lack its fields, which are then empty.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct ErrorDocument {
    pub code: String,
    pub message: String,
    /// The region of the bucket, if the request was made in another one.
    pub region: String,
}

impl ErrorDocument {
    /// Reads an answer's body. A body that is not an XML document, such as a proxy's page, yields empty fields.
    pub fn parse(body: &[u8]) -> ErrorDocument {
        quick_xml::de::from_reader(body).unwrap_or_default()
    }
}

/// The document with which STS refuses a request.
#[derive(Debug, Deserialize)]
struct RefusalOfSts {
    #[serde(rename = "Error")]
    error: ErrorDocument,
}

/// Returns the code and the message of the refusal by STS that a text quotes. `None` if it quotes none.
pub(super) fn refusal_of_sts(text: &str) -> Option<String> {
    let document = &text[text.find("<ErrorResponse")?..];
    let RefusalOfSts { error } = quick_xml::de::from_str(document).ok()?;
    Some(format!("{}: {}", error.code, error.message))
}

/// One page of a listing (ListObjectsV2).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListPage {
    #[serde(default)]
    pub contents: Vec<ListEntry>,
    /// True if there are further pages. `None` if the server does not state it.
    pub is_truncated: Option<bool>,
    /// The token of the next page; `None` on the last page.
    pub next_continuation_token: Option<String>,
}

impl ListPage {
    /// Reads a page. Other documents have no keys either, so they are refused and not mistaken for an empty list.
    ///
    /// # Errors
    /// A description, if the body is not a page of a listing.
    pub fn parse(body: &str) -> Result<ListPage, String> {
        if !body.contains("<ListBucketResult") {
            return Err("its answer is not a list of keys".to_owned());
        }
        parse(body)
    }
}

/// An object in a listing.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListEntry {
    pub key: String,
    /// In bytes.
    pub size: u64,
}

/// The answer to CreateMultipartUpload.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreatedUpload {
    pub upload_id: String,
}

/// The answer to CompleteMultipartUpload, which has an ETag only if it succeeded.
#[derive(Debug, Deserialize)]
pub(super) struct CompletedUpload {
    #[serde(rename = "ETag")]
    pub etag: Option<String>,
}

/// A part that S3 has stored, as described by the headers of the answer.
#[derive(Clone, Debug)]
pub(super) struct StoredPart {
    pub etag: String,
    /// The SHA-256 in base64, if the answer states it.
    pub sha256: Option<String>,
}

/// Returns the document for CompleteMultipartUpload: the parts in their order.
pub(super) fn completion(parts: &[StoredPart]) -> String {
    let mut text = "<CompleteMultipartUpload>".to_owned();
    for (number, part) in (1..).zip(parts) {
        let etag = quick_xml::escape::escape(&part.etag);
        text.push_str(&format!("<Part><ETag>{etag}</ETag><PartNumber>{number}</PartNumber>"));
        if let Some(sha256) = &part.sha256 {
            text.push_str(&format!("<ChecksumSHA256>{}</ChecksumSHA256>", quick_xml::escape::escape(sha256)));
        }
        text.push_str("</Part>");
    }
    text.push_str("</CompleteMultipartUpload>");
    text
}

/// Reads a document.
///
/// # Errors
/// A description, if the body is not this document.
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a str) -> Result<T, String> {
    quick_xml::de::from_str(body).map_err(|error| format!("its answer cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::{CompletedUpload, CreatedUpload, ErrorDocument, ListPage, StoredPart, completion, parse};

    #[test]
    fn documents_of_s3_are_read() {
        let list = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult \
                    xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name><Prefix>a/</Prefix><KeyCount>2\
                    </KeyCount><IsTruncated>true</IsTruncated><NextContinuationToken>1/x==</NextContinuationToken>\
                    <Contents><Key>a/b &amp; c</Key><LastModified>2022-01-01T00:00:00.000Z</LastModified>\
                    <ETag>&quot;e&quot;</ETag><Size>3</Size><StorageClass>STANDARD</StorageClass></Contents>\
                    <Contents><Key>a//d</Key><Size>0</Size></Contents></ListBucketResult>";
        let page = ListPage::parse(list).expect("a page");
        let found: Vec<_> = page.contents.iter().map(|entry| (entry.key.as_str(), entry.size)).collect();
        assert_eq!(found, [("a/b & c", 3), ("a//d", 0)]);
        assert_eq!(page.next_continuation_token.as_deref(), Some("1/x=="));
        let empty = ListPage::parse("<ListBucketResult><Name>b</Name></ListBucketResult>").expect("a page");
        assert!(empty.contents.is_empty() && empty.next_continuation_token.is_none());
        let created: CreatedUpload = parse(
            "<InitiateMultipartUploadResult><Bucket>b</Bucket><UploadId>u</UploadId></InitiateMultipartUploadResult>",
        )
        .expect("an upload");
        assert_eq!(created.upload_id, "u");
        assert!(ListPage::parse("no XML <ListBucketResult").is_err());
        let page = "<html><body>log in first</body></html>";
        assert_eq!(ListPage::parse(page).expect_err("a proxy's page"), "its answer is not a list of keys");
    }

    #[test]
    fn an_error_document_is_told_from_others() {
        let error = "<?xml version=\"1.0\"?>\n<Error><Code>SlowDown</Code><Message>Reduce &lt;it&gt;.</Message>\
                     <StringToSign>hidden</StringToSign></Error>";
        let found = ErrorDocument::parse(error.as_bytes());
        assert_eq!((found.code.as_str(), found.message.as_str()), ("SlowDown", "Reduce <it>."));
        for other in ["", "<html><body>Bad<br>Gateway</body></html>", "{\"Code\": 1}", "\u{0}"] {
            assert_eq!(ErrorDocument::parse(other.as_bytes()).code, "", "{other}");
        }
        let failed: CompletedUpload = parse(error).expect("a document");
        assert_eq!(failed.etag, None);
        let done: CompletedUpload =
            parse("<CompleteMultipartUploadResult><ETag>\"e-2\"</ETag></CompleteMultipartUploadResult>").expect("done");
        assert!(done.etag.is_some());
    }

    #[test]
    fn the_completion_lists_the_parts_in_order() {
        let parts = [("\"a\"", Some("AA==")), ("<", None)];
        let parts = parts.map(|(etag, sha256)| StoredPart { etag: etag.to_owned(), sha256: sha256.map(str::to_owned) });
        assert_eq!(
            completion(&parts),
            "<CompleteMultipartUpload><Part><ETag>&quot;a&quot;</ETag><PartNumber>1</PartNumber>\
             <ChecksumSHA256>AA==</ChecksumSHA256></Part><Part><ETag>&lt;</ETag><PartNumber>2</PartNumber></Part>\
             </CompleteMultipartUpload>"
        );
    }
}
