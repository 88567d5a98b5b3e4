//! Hints about AWS (credentials, permissions, names and endpoints) and about the credentials of other clouds.

use super::HintFacts;
use super::facts::HintRow;

/// Returns the hint for a request that AWS refused for lack of permission, with the action if the error names it.
pub(super) fn denied(facts: &HintFacts<'_>) -> Option<String> {
    let wordings = [
        "is not authorized to perform: ",
        "(AccessDenied)",
        "(AccessDeniedException)",
        "(UnauthorizedOperation)",
        "(403) when calling the ",
        "AWS Error ACCESS_DENIED",
        "PermissionError: Access Denied",
        "PermissionError: Forbidden",
        "AccessDenied: Access Denied",
        "AccessDenied</Code>",
        "(AllAccessDisabled)",
        "(KMS.AccessDeniedException)",
        "Error Code: KMS.AccessDeniedException",
        "Error Code: AccessDenied",
        "Access Denied (Service: ",
        "Forbidden (Service: ",
        "null (Service: S3, Status Code: 403",
        "api error Forbidden: ",
        "api error AccessDenied: ",
        "api error AccessDeniedException: ",
        "Forbidden: Forbidden status code: 403",
        "Client error: Forbidden: ",
    ];
    facts.wording(&wordings)?;
    if facts.wording(&["Request has expired"]).is_some() {
        return None;
    }
    let action = facts.between("is not authorized to perform: ", " ").map(|action| action.trim_end_matches(['.', ',']));
    let operation = facts.between("when calling the ", " operation");
    let what = match (action, operation) {
        (Some(action), _) => format!("AWS refused {action}"),
        (None, Some(operation)) => format!("AWS refused {operation}"),
        (None, None) => "AWS refused the request (403)".to_owned(),
    };
    Some(format!(
        "{what}; allow it to the job's execution role (IAM), and check the bucket's policy, its KMS key, and the policy of the \
         VPC endpoint"
    ))
}

/// Returns the hint for an error whose wording states the reason.
pub(super) fn advice(facts: &HintFacts<'_>) -> Option<String> {
    // The SDK for JavaScript raises this error.
    if facts.claimed().starts_with("Error: Region is missing") {
        return Some(NO_REGION.to_owned());
    }
    facts.advice_of_chain(ROWS)
}

const NO_REGION: &str =
    "no AWS region is set; set AWS_DEFAULT_REGION (or AWS_REGION) in the job's environment, or pass region_name";

const ROWS: &[HintRow] = &[
    HintRow {
        wordings: &[
            "Unable to locate credentials",
            "Unable to locate authorization token",
            "Unable to load AWS credentials from any provider in the chain",
            "Unable to load credentials from any of the providers in the chain",
            "Error when retrieving credentials from",
            "no EC2 IMDS role found",
            "failed to refresh cached credentials",
            "Could not load credentials from any providers",
            "CredentialsProviderError",
            "the credential provider was not enabled",
            "NoCredentialProviders: no valid providers in chain",
            "No AWS Credentials provided by",
            "Client error: No signing credentials available",
            "Generic S3 error*169.254.169.254",
        ],
        hint: "the process found no AWS credentials; a job has those of its execution role \
               (AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: keep it in the environment); elsewhere set AWS_PROFILE or AWS_ACCESS_KEY_ID",
    },
    HintRow {
        wordings: &["Partial credentials found in"],
        hint: "only a part of the credentials is set; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY together, or neither, so \
               that the job's execution role is used",
    },
    HintRow {
        wordings: &[
            "(ExpiredToken",
            "Error Code: ExpiredToken",
            "api error ExpiredToken",
            "ExpiredToken: ",
            "ExpiredToken<",
            "ExpiredTokenException",
            "The provided token has expired",
            "security token included in the request is expired",
            "token from sso: Token has expired and refresh failed",
            "SSO session associated with this profile has expired",
            "(RequestExpired)",
            "RequestExpired: ",
            "credentials were refreshed, but the refreshed credentials are still expired",
        ],
        hint: "the AWS credentials (session token) have expired; use those of the job's execution role, which boto3 renews by \
               itself: do not pass or copy temporary keys; create the client anew in long jobs",
    },
    HintRow {
        wordings: &["Request has expired", "AuthenticationFailed*Signature not valid in the specified time frame"],
        hint: "a presigned URL has expired; make one that lasts as long as the job, or read by S3 URI with the job's execution role",
    },
    HintRow {
        wordings: &[
            "InvalidClientTokenId",
            "security token included in the request is invalid",
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "(InvalidToken)",
            "UnrecognizedClientException",
            "AWS Access Key Id you provided does not exist",
            "(AuthFailure)",
        ],
        hint: "AWS does not accept these credentials; remove AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN from \
               the environment so that the job's execution role is used, or correct them",
    },
    HintRow {
        wordings: &["RequestTimeTooSkewed", "Signature expired: "],
        hint: "the clock of this machine differs from AWS's; correct the clock (on SageMaker: run the job again on another instance)",
    },
    HintRow {
        wordings: &[
            "You must specify a region",
            "NoRegionError",
            "Missing region in config",
            "MissingRegion: could not find region configuration",
            "Generic S3 error: Missing region",
        ],
        hint: NO_REGION,
    },
    HintRow {
        wordings: &["InvalidRegionError: Provided region_name"],
        hint: "this is not the name of an AWS region; correct AWS_DEFAULT_REGION (or region_name) to a name such as us-east-1, without blanks or \
               the letter of a zone",
    },
    HintRow {
        wordings: &["SSOTokenLoadError", "Error loading SSO Token: "],
        hint: "the AWS profile logs in through SSO, for which the container has no token; remove AWS_PROFILE from the environment, so that the \
               job's execution role is used",
    },
    HintRow {
        wordings: &["(400) when calling the HeadObject operation", "(400) when calling the HeadBucket operation"],
        hint: "S3 does not state the reason (400): mostly an expired session token, or a client for another region; use the job's \
               execution role, and set AWS_DEFAULT_REGION to the bucket's region",
    },
    HintRow {
        wordings: &[
            "HTTP Error: Unable to connect to URL \"*s3*\": 403 (Forbidden)",
            "HTTP Error: HTTP GET error on '*s3*amazonaws.com*(HTTP 403)",
            "HTTP Error: HTTP HEAD error on '*s3*amazonaws.com*(HTTP 403)",
        ],
        hint: "S3 refused DuckDB's request (403); by itself DuckDB uses no credentials: CREATE SECRET (TYPE s3, PROVIDER credential_chain), and allow \
               the read to the job's execution role",
    },
    HintRow {
        wordings: &["The config profile ("],
        hint: "AWS_PROFILE names a profile that the container does not have; remove it from the environment, so that the job's \
               execution role is used",
    },
    HintRow {
        wordings: &[
            "(NoSuchBucket)",
            "NoSuchBucket: ",
            "NoSuchBucket<",
            "Error Code: NoSuchBucket",
            "The specified bucket does not exist",
            "(404) when calling the HeadBucket operation",
            "HeadBucket*api error NotFound: Not Found",
            "Service error: The bucket does not exist",
        ],
        hint: "this S3 bucket does not exist; check its name, the account and the region",
    },
    HintRow {
        wordings: &[
            "(NoSuchKey)",
            "NoSuchKey: ",
            "NoSuchKey<",
            "The specified key does not exist",
            "(404) when calling the HeadObject operation",
            "AWS Error NO_SUCH_KEY",
            "Error Code: NoSuchKey",
            "HeadObject*api error NotFound: Not Found",
            "Service error: The key does not exist",
            "HTTP Error: Unable to connect to URL \"*s3*\": 404 (Not Found)",
        ],
        hint: "this S3 object does not exist; check the key in the URI (prefix, case, file name), and that what writes it has finished",
    },
    HintRow {
        wordings: &["api error NotFound: Not Found", "Not Found (Service: Amazon S3; Status Code: 404"],
        hint: "S3 has no such object or bucket; check both names in the URI (prefix, case, file name), and that what writes it has finished",
    },
    HintRow {
        wordings: &[
            "PermanentRedirect",
            "AuthorizationHeaderMalformed",
            "IllegalLocationConstraint",
            "the region '* is wrong; expecting '",
            "must be addressed using the specified endpoint",
            "(301) when calling",
        ],
        hint: "the bucket is in another region than the client; set AWS_DEFAULT_REGION (or region_name) to the bucket's region",
    },
    HintRow {
        wordings: &["Invalid bucket name \""],
        hint: "Bucket takes a name alone; split s3://bucket/key into Bucket='bucket' and Key='key'",
    },
    HintRow {
        wordings: &[
            "Could not connect to the endpoint URL",
            "Connect timeout on endpoint URL",
            "Read timeout on endpoint URL",
            "Connection was closed before we received a valid response from endpoint URL",
            "AWS Error NETWORK_CONNECTION",
        ],
        hint: "AWS's endpoint was not reached; a job in a VPC needs a VPC endpoint (S3: a gateway) or NAT, and with network isolation \
               reads its channels only; check the region and any endpoint_url",
    },
    HintRow {
        wordings: &[
            "(SlowDown)",
            "Please reduce your request rate",
            "ThrottlingException",
            "(Throttling)",
            "(RequestLimitExceeded)",
            "TooManyRequestsException",
        ],
        hint: "AWS throttles the requests; make fewer at a time (workers, hosts), retry with \
               Config(retries={'mode': 'adaptive'}), or read through a channel of the job",
    },
    HintRow {
        wordings: &["InvalidObjectState"],
        hint: "the object is archived (Glacier); restore it before the job, or copy it to another storage class",
    },
    HintRow {
        wordings: &[
            "Your default credentials were not found",
            "Could not automatically determine credentials. Please set GOOGLE_APPLICATION_CREDENTIALS",
            "Anonymous caller does not have storage",
        ],
        hint: "the process has no Google Cloud credentials; give the job a key file through a channel or a secret, and set \
               GOOGLE_APPLICATION_CREDENTIALS to its path",
    },
    HintRow {
        wordings: &["DefaultAzureCredential failed to retrieve a token"],
        hint: "the process has no Azure credentials; set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET in the job's environment",
    },
];
