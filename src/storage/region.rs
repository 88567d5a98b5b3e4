//! AWS regions: the default one, and the domain of a region's services.

/// The region used if neither the variables nor the job name one, as in boto3. S3 then names the bucket's own region.
pub(super) const DEFAULT_REGION: &str = "us-east-1";

/// Returns the domain under which AWS serves its APIs in a region: `s3.<region>.<domain>`.
pub(super) fn domain(region: &str) -> &'static str {
    match region {
        _ if region.starts_with("cn-") => "amazonaws.com.cn",
        _ if region.starts_with("us-iso-") => "c2s.ic.gov",
        _ if region.starts_with("us-isob-") => "sc2s.sgov.gov",
        _ => "amazonaws.com",
    }
}
