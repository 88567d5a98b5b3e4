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

/// Returns true if a text can be the name of a region. Any other text would lead to another server.
pub(super) fn is_name(region: &str) -> bool {
    (1..=64).contains(&region.len()) && region.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn a_region_is_one_word() {
        for name in ["us-east-1", "cn-north-1", "us-isob-east-1", "garage", "my_region"] {
            assert!(is_name(name), "{name}");
        }
        for wrong in ["", "evil.example/", "us-east-1.evil.example", "a b", "a\nb", "a?b", "a@b", "a#", "é"] {
            assert!(!is_name(wrong), "{wrong}");
        }
    }
}
