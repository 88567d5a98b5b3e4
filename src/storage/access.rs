//! The location of S3 and the means to reach it, as the container's variables describe them.

use super::credentials::CredentialSource;
use super::network::NetworkSettings;
use super::region;
use crate::job::Variables;

/// The location of S3, the region, the credentials and the network settings. Creating one only reads variables.
#[derive(Clone, Debug)]
pub struct Access {
    /// The URL of a server other than AWS's, without a slash at its end.
    pub(super) endpoint: Option<String>,
    /// The region to try first.
    pub(super) region: String,
    pub(super) credentials: CredentialSource,
    pub(super) network: NetworkSettings,
}

impl Access {
    /// Reads the variables of the AWS SDKs, and S3_ENDPOINT_URL and SAGEMAKER_REGION as `sagemaker-training` does (its
    /// `files.py`). `region` is the region that the job itself names. Variables take precedence over it.
    pub fn of(variables: &Variables, region: Option<&str>) -> Access {
        let get = |name: &str| variables.get_non_empty(name).map(|value| value.trim().to_owned());
        let named = ["AWS_REGION", "SAGEMAKER_REGION", "AWS_DEFAULT_REGION"].iter().find_map(|name| get(name));
        let region = named.unwrap_or_else(|| region.unwrap_or(region::DEFAULT_REGION).to_owned());
        Access {
            endpoint: get("S3_ENDPOINT_URL")
                .or_else(|| configured_endpoint(&get, "S3"))
                .map(|url| url.trim_end_matches('/').to_owned()),
            credentials: CredentialSource::from_variables(&get, &region),
            region,
            network: NetworkSettings::from_variables(&get),
        }
    }

    /// Returns the URL of a bucket, without a slash at its end.
    pub(super) fn bucket_url(&self, bucket: &str, region: &str) -> String {
        match &self.endpoint {
            Some(endpoint) => format!("{endpoint}/{bucket}"),
            // AWS's certificates cover only one label before `s3`.
            None if bucket.contains('.') => format!("https://s3.{region}.{}/{bucket}", region::domain(region)),
            None => format!("https://{bucket}.s3.{region}.{}", region::domain(region)),
        }
    }
}

/// Returns the endpoint that the AWS SDKs' variables name for a service, such as `S3`. `get` returns variables that are
/// set and not empty.
pub(super) fn configured_endpoint(get: &impl Fn(&str) -> Option<String>, service: &str) -> Option<String> {
    if get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return None;
    }
    get(&format!("AWS_ENDPOINT_URL_{service}")).or_else(|| get("AWS_ENDPOINT_URL"))
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
    fn variables_name_the_endpoint_and_the_region_in_order_of_precedence() {
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
