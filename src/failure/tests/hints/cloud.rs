//! Hints about AWS and the network.

use super::{assert_hints, assert_no_hint, evidence, hints, of, raising};
use crate::event::Ending;

#[test]
fn errors_of_aws_have_a_remedy() {
    assert_hints(&[
        ("botocore.exceptions.NoCredentialsError: Unable to locate credentials", "found no AWS credentials"),
        (
            "botocore.exceptions.PartialCredentialsError: Partial credentials found in env, missing: AWS_SECRET_ACCESS_KEY",
            "only a part",
        ),
        (
            "botocore.exceptions.ClientError: An error occurred (ExpiredToken) when calling the GetObject operation: The provided token has expired.",
            "have expired",
        ),
        (
            "botocore.exceptions.ClientError: An error occurred (ExpiredTokenException) when calling the GetCallerIdentity operation: The security token included in the request is expired",
            "have expired",
        ),
        ("PermissionError: The provided token has expired.", "have expired"),
        (
            "botocore.exceptions.TokenRetrievalError: Error when retrieving token from sso: Token has expired and refresh failed",
            "have expired",
        ),
        (
            "botocore.exceptions.ClientError: An error occurred (InvalidAccessKeyId) when calling the ListObjectsV2 operation: The AWS Access Key Id you provided does not exist in our records.",
            "does not accept these credentials",
        ),
        (
            "botocore.exceptions.ClientError: An error occurred (SignatureDoesNotMatch) when calling the PutObject operation: The request signature we calculated does not match",
            "does not accept these credentials",
        ),
        (
            "botocore.exceptions.ClientError: An error occurred (AccessDenied) when calling the GetObject operation: Access Denied",
            "AWS refused GetObject; allow it to the job's execution role",
        ),
        (
            "botocore.exceptions.ClientError: An error occurred (403) when calling the HeadObject operation: Forbidden",
            "AWS refused HeadObject",
        ),
        (
            "botocore.exceptions.ClientError: An error occurred (AccessDenied) when calling the PutObject operation: User: arn:aws:sts::1:assumed-role/R/S is not \
             authorized to perform: s3:PutObject on resource: \"arn:aws:s3:::b/k\" because no identity-based policy allows the s3:PutObject action",
            "AWS refused s3:PutObject;",
        ),
        ("PermissionError: Access Denied", "AWS refused the request"),
        (
            "OSError: When reading information for key 'x' in bucket 'b': AWS Error ACCESS_DENIED during HeadObject operation: No response body.",
            "AWS refused",
        ),
        (
            "botocore.errorfactory.NoSuchBucket: An error occurred (NoSuchBucket) when calling the ListObjectsV2 operation: The specified bucket does not exist",
            "bucket does not exist",
        ),
        ("FileNotFoundError: The specified bucket does not exist", "bucket does not exist"),
        (
            "botocore.errorfactory.NoSuchKey: An error occurred (NoSuchKey) when calling the GetObject operation: The specified key does not exist.",
            "object does not exist",
        ),
        (
            "botocore.exceptions.ClientError: An error occurred (404) when calling the HeadObject operation: Not Found",
            "object does not exist",
        ),
        (
            "botocore.exceptions.ClientError: An error occurred (PermanentRedirect) when calling the ListObjectsV2 operation: The bucket you are attempting to access must be addressed using the specified endpoint.",
            "another region",
        ),
        (
            "botocore.exceptions.ClientError: An error occurred (AuthorizationHeaderMalformed) when calling the GetObject operation: The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'",
            "another region",
        ),
        ("botocore.exceptions.NoRegionError: You must specify a region.", "AWS_DEFAULT_REGION"),
        ("botocore.exceptions.ProfileNotFound: The config profile (dev) could not be found", "AWS_PROFILE"),
        (
            "botocore.exceptions.EndpointConnectionError: Could not connect to the endpoint URL: \"https://b.s3.amazonaws.com/x.csv\"",
            "VPC endpoint",
        ),
        (
            "botocore.exceptions.ConnectTimeoutError: Connect timeout on endpoint URL: \"https://sts.amazonaws.com/\"",
            "VPC endpoint",
        ),
        (
            "OSError: When reading information for key 'x' in bucket 'b': AWS Error NETWORK_CONNECTION during HeadObject operation: curlCode: 28, Timeout was reached",
            "VPC endpoint",
        ),
        (
            "botocore.exceptions.ClientError: An error occurred (SlowDown) when calling the PutObject operation (reached max retries: 4): Please reduce your request rate.",
            "throttles",
        ),
        (
            "botocore.exceptions.ParamValidationError: Parameter validation failed:\nInvalid bucket name \"s3://x/y\": Bucket name must match the regex",
            "Bucket takes a name alone",
        ),
        (
            "google.auth.exceptions.DefaultCredentialsError: Your default credentials were not found. To set up Application Default Credentials, see https://cloud.google.com/x",
            "GOOGLE_APPLICATION_CREDENTIALS",
        ),
    ]);
    assert_no_hint(&[
        "ValueError: no credentials column in credentials.csv",
        "RuntimeError: the token ExpToken of the grammar is not expected here",
        "KeyError: 'bucket'",
        "ValueError: bucket 7 of the histogram does not exist",
        "PermissionError: the license forbids 3 seats",
        "ValueError: region 'chr7:1-9' is wrong",
        "requests.exceptions.HTTPError: 404 Client Error: Not Found for url: https://data.example.com/x",
    ]);
}

#[test]
fn names_that_cannot_be_resolved_are_named() {
    let network = |name: &str| format!("the name {name} could not be resolved (DNS)");
    let data = network("data.example.com");
    assert_hints(&[
        (
            "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='data.example.com', port=443): Max retries exceeded with url: /x.bin (Caused by \
             NameResolutionError(\"HTTPSConnection(host='data.example.com', port=443): Failed to resolve 'data.example.com' ([Errno -3] Temporary failure in name resolution)\"))",
            &data,
        ),
        (
            "urllib.error.URLError: <urlopen error [Errno -2] Name or service not known>",
            "the name could not be resolved (DNS)",
        ),
        ("httpx.ConnectError: [Errno -3] Temporary failure in name resolution", "the name could not be resolved (DNS)"),
        (
            "aiohttp.client_exceptions.ClientConnectorDNSError: Cannot connect to host data.example.com:443 ssl:default [Name or service not known]",
            &data,
        ),
        (
            "sqlalchemy.exc.OperationalError: (psycopg2.OperationalError) could not translate host name \"data.example.com\" to address: Name or service not known",
            &data,
        ),
        ("RuntimeError: curl: (6) Could not resolve host: data.example.com", &data),
    ]);
    let git = "fatal: unable to access 'https://git.example.com/x/': Could not resolve host: git.example.com\n";
    assert!(of(Ending::Exited(128), git)[0].starts_with(&network("git.example.com")));
    let wget = "wget: unable to resolve host address ‘data.example.com’\n";
    assert!(of(Ending::Exited(4), wget)[0].starts_with(&data));
    let host = raising(
        "RuntimeError: HTTPConnectionPool(host='algo-2', port=80): Failed to resolve 'algo-2' ([Errno -2] Name or service not known)",
    );
    assert!(
        hints(&evidence(Ending::Exited(1), &host))[0].starts_with("the name of the host algo-2 could not be resolved")
    );
    let meeting = raising(
        "torch.distributed.DistNetworkError: The client socket has failed to connect to any network address of (algo-2, 7777). The IPv4 network address of algo-2 cannot be retrieved (gai error: -2 - Name or service not known).",
    );
    let found = hints(&evidence(Ending::Exited(1), &meeting));
    assert!(
        found.iter().any(|hint| hint.starts_with("the name of the host algo-2 could not be resolved")),
        "{found:?}"
    );
    assert_no_hint(&[
        "ValueError: could not resolve the name of layer conv1",
        "omegaconf.errors.InterpolationResolutionError: could not resolve 'data.path'",
    ]);
}

#[test]
fn connections_that_fail_have_a_remedy() {
    assert_hints(&[
        (
            "requests.exceptions.SSLError: HTTPSConnectionPool(host='h', port=443): Max retries exceeded (Caused by SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self signed certificate in certificate chain (_ssl.c:1129)')))",
            "TLS certificate",
        ),
        (
            "requests.exceptions.ProxyError: HTTPSConnectionPool(host='h', port=443): Max retries exceeded (Caused by ProxyError('Cannot connect to proxy.', OSError('Tunnel connection failed: 407')))",
            "proxy",
        ),
        (
            "requests.exceptions.ConnectTimeout: HTTPSConnectionPool(host='h', port=443): Max retries exceeded with url: / (Caused by ConnectTimeoutError(<x>, 'Connection to h timed out. (connect timeout=10)'))",
            "the server was not reached",
        ),
        ("urllib.error.URLError: <urlopen error [Errno 101] Network is unreachable>", "the server was not reached"),
        (
            "requests.exceptions.ConnectionError: HTTPConnectionPool(host='127.0.0.1', port=9): Max retries exceeded with url: /x (Caused by NewConnectionError('<x>: Failed to establish a new connection: [Errno 111] Connection refused'))",
            "nothing accepts connections",
        ),
        (
            "requests.exceptions.HTTPError: 429 Client Error: Too Many Requests for url: https://data.example.com/x",
            "429",
        ),
    ]);
    assert_no_hint(&[
        "ValueError: the graph has no route to node 7",
        "TimeoutError: epoch 3 took more than 600 s",
        "ConnectionError: shard 3: peer closed the connection early",
    ]);
}

#[test]
fn errors_of_other_clients_of_aws_have_a_remedy() {
    assert_hints(&[
        (
            "com.amazonaws.services.s3.model.AmazonS3Exception: Access Denied (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied; Request ID: 1A; S3 Extended Request ID: x)",
            "AWS refused the request (403)",
        ),
        (
            "com.amazonaws.services.s3.model.AmazonS3Exception: Forbidden (Service: Amazon S3; Status Code: 403; Error Code: 403 Forbidden; Request ID: 1A)",
            "AWS refused the request (403)",
        ),
        (
            "software.amazon.awssdk.services.s3.model.S3Exception: Access Denied (Service: S3, Status Code: 403, Request ID: 1A)",
            "AWS refused the request (403)",
        ),
        (
            "RuntimeError: operation error S3: GetObject, https response error StatusCode: 403, RequestID: 1A, HostID: x, api error AccessDenied: Access Denied",
            "AWS refused",
        ),
        (
            "RuntimeError: operation error S3: HeadObject, https response error StatusCode: 403, api error Forbidden: Forbidden",
            "AWS refused",
        ),
        (
            "RuntimeError: operation error S3: HeadObject, https response error StatusCode: 404, api error NotFound: Not Found",
            "object does not exist",
        ),
        (
            "RuntimeError: operation error S3: HeadBucket, https response error StatusCode: 404, api error NotFound: Not Found",
            "bucket does not exist",
        ),
        ("RuntimeError: api error NotFound: Not Found", "no such object or bucket"),
        ("RuntimeError: NoCredentialProviders: no valid providers in chain. Deprecated.", "found no AWS credentials"),
        (
            "org.apache.hadoop.fs.s3a.auth.NoAuthWithAWSException: No AWS Credentials provided by TemporaryAWSCredentialsProvider SimpleAWSCredentialsProvider",
            "found no AWS credentials",
        ),
        (
            "s3torchconnectorclient._mountpoint_s3_client.S3Exception: Client error: No signing credentials available, see CRT debug logs",
            "found no AWS credentials",
        ),
        (
            "s3torchconnectorclient._mountpoint_s3_client.S3Exception: Client error: Forbidden: Access Denied",
            "AWS refused",
        ),
        ("OSError: Generic S3 error: Missing region", "no AWS region is set"),
        (
            "OSError: Generic S3 error: Error performing PUT http://169.254.169.254/latest/api/token in 9.1s, after 10 retries",
            "found no AWS credentials",
        ),
        (
            "duckdb.duckdb.HTTPException: HTTP Error: Unable to connect to URL \"https://rows.s3.eu-west-1.amazonaws.com/x.parquet\": 403 (Forbidden)",
            "DuckDB uses no credentials",
        ),
        (
            "botocore.exceptions.ClientError: An error occurred (404) when calling the HeadBucket operation: Not Found",
            "bucket does not exist",
        ),
        (
            "botocore.exceptions.ClientError: An error occurred (400) when calling the HeadObject operation: Bad Request",
            "mostly an expired session token",
        ),
        (
            "botocore.exceptions.ClientError: An error occurred (KMS.AccessDeniedException) when calling the GetObject operation: The ciphertext refers to a key that does not exist",
            "AWS refused GetObject",
        ),
        (
            "botocore.exceptions.SSOTokenLoadError: Error loading SSO Token: Token for dev does not exist",
            "logs in through SSO",
        ),
        (
            "botocore.exceptions.InvalidRegionError: Provided region_name 'eu-west-1 ' doesn't match a supported format.",
            "not the name of an AWS region",
        ),
    ]);
    assert_no_hint(&[
        "duckdb.duckdb.HTTPException: HTTP Error: Unable to connect to URL \"https://rows.example.com/x.parquet\": 403 (Forbidden)",
        "acme.ApiException: the request is bad (Service: Rows; Status Code: 400; Error Code: BadRequest)",
        "RuntimeError: api error TooManyRows: 7 rows",
        "RuntimeError: no valid providers in chain 3 of the supply",
        "OSError: Generic S3 error: the list has no end",
    ]);
}
