//! What the container's variables say of S3: where it is, in which region, and through what.

use std::path::PathBuf;
use std::sync::Arc;

use super::connect::Tls;
use super::credentials::Sources;
use crate::job::Variables;

/// The region where nothing names one, as in boto3: S3 tells the right one.
const DEFAULT_REGION: &str = "us-east-1";

/// Where S3 is and how it is reached. Making one reads variables and nothing else.
#[derive(Clone, Debug)]
pub struct Access {
    /// A server other than AWS's, without a slash at its end.
    pub(super) endpoint: Option<String>,
    pub(super) region: String,
    pub(super) sources: Sources,
    pub(super) network: Network,
}

/// What connections go through.
#[derive(Clone, Debug, Default)]
pub(super) struct Network {
    pub tls: Arc<Tls>,
    pub http_proxy: Option<String>,
    pub https_proxy: Option<String>,
    /// Hosts to be reached directly.
    pub no_proxy: String,
}

impl Access {
    /// Reads the variables: those of the AWS SDKs, and S3_ENDPOINT_URL and SAGEMAKER_REGION as `sagemaker-training` does
    /// (its `files.py`). `region` is what the job itself says, and the weakest.
    pub fn of(variables: &Variables, region: Option<&str>) -> Access {
        let get = |name: &str| variables.get_non_empty(name).map(|value| value.trim().to_owned());
        let first = |names: &[&str]| names.iter().find_map(|name| get(name));
        let ignored =
            get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let configured = || first(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]).filter(|_| !ignored);
        let region = first(&["AWS_REGION", "SAGEMAKER_REGION", "AWS_DEFAULT_REGION"])
            .or_else(|| region.map(str::to_owned))
            .unwrap_or_else(|| DEFAULT_REGION.to_owned());
        let all = first(&["ALL_PROXY", "all_proxy"]);
        Access {
            endpoint: get("S3_ENDPOINT_URL").or_else(configured).map(|url| url.trim_end_matches('/').to_owned()),
            sources: Sources::of(&get, &region),
            region,
            network: Network {
                tls: Arc::new(Tls::of(first(&["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"]).map(PathBuf::from))),
                // The capital HTTP_PROXY is what a CGI program is given of a request's header `Proxy`; containers are none.
                http_proxy: first(&["http_proxy", "HTTP_PROXY"]).or_else(|| all.clone()),
                https_proxy: first(&["https_proxy", "HTTPS_PROXY"]).or(all),
                no_proxy: first(&["no_proxy", "NO_PROXY"]).unwrap_or_default(),
            },
        }
    }

    /// What the addresses of AWS's services in a region end with.
    pub(super) fn suffix(region: &str) -> &'static str {
        match region {
            _ if region.starts_with("cn-") => "amazonaws.com.cn",
            _ if region.starts_with("us-iso-") => "c2s.ic.gov",
            _ if region.starts_with("us-isob-") => "sc2s.sgov.gov",
            _ => "amazonaws.com",
        }
    }

    /// The URL of a bucket, without a slash at its end.
    pub(super) fn bucket_url(&self, bucket: &str, region: &str) -> String {
        match &self.endpoint {
            Some(endpoint) => format!("{endpoint}/{bucket}"),
            // AWS's certificates cover one label before s3.
            None if bucket.contains('.') => format!("https://s3.{region}.{}/{bucket}", Access::suffix(region)),
            None => format!("https://{bucket}.s3.{region}.{}", Access::suffix(region)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Access;
    use crate::job::Variables;

    fn access(pairs: &[(&str, &str)]) -> Access {
        Access::of(&pairs.iter().copied().collect::<Variables>(), Some("eu-north-1"))
    }

    #[test]
    fn endpoints_and_regions_come_from_the_variables_in_order() {
        let url = |pairs: &[(&str, &str)]| {
            let access = access(pairs);
            access.bucket_url("b", &access.region)
        };
        assert_eq!(url(&[]), "https://b.s3.eu-north-1.amazonaws.com");
        assert_eq!(url(&[("AWS_DEFAULT_REGION", "us-west-2")]), "https://b.s3.us-west-2.amazonaws.com");
        assert_eq!(
            url(&[("AWS_DEFAULT_REGION", "x"), ("SAGEMAKER_REGION", "cn-north-1")]),
            "https://b.s3.cn-north-1.amazonaws.com.cn"
        );
        assert_eq!(
            url(&[("AWS_REGION", "eu-west-1"), ("SAGEMAKER_REGION", "x")]),
            "https://b.s3.eu-west-1.amazonaws.com"
        );
        let mut pairs = vec![("AWS_ENDPOINT_URL", "http://a:1/")];
        assert_eq!(url(&pairs), "http://a:1/b");
        pairs.push(("AWS_ENDPOINT_URL_S3", "http://s:2"));
        assert_eq!(url(&pairs), "http://s:2/b");
        pairs.push(("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true"));
        assert_eq!(url(&pairs), "https://b.s3.eu-north-1.amazonaws.com");
        pairs.push(("S3_ENDPOINT_URL", "http://e:3"));
        assert_eq!(url(&pairs), "http://e:3/b");
        assert_eq!(access(&[]).bucket_url("a.b", "us-east-1"), "https://s3.us-east-1.amazonaws.com/a.b");
        assert_eq!(
            access(&[("AWS_CA_BUNDLE", ""), ("REQUESTS_CA_BUNDLE", "/x")]).network.tls.bundle(),
            Some(Path::new("/x"))
        );
    }
}
