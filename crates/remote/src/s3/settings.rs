//! Where a bucket is and how it is spoken to: options first, then the environment, then the profile.

use std::collections::BTreeMap;

use super::profile::Profiles;
use crate::environment::Environment;
use crate::http::encode;
use crate::options::{Addressing, Checksum, Options};

pub(super) struct Settings {
    pub scheme: String,
    /// Of the endpoint, without the bucket.
    pub host: String,
    /// Before the bucket's name, without a slash at its end.
    pub base_path: String,
    pub is_aws: bool,
    pub in_path: bool,
    pub region: String,
    pub checksum: Checksum,
    /// Sent with each new object.
    pub upload_headers: BTreeMap<String, String>,
    pub owner: Option<String>,
    pub request_payer: bool,
    pub anonymous: bool,
}

impl Settings {
    pub fn find(bucket: &str, options: &Options, profiles: &Profiles) -> Result<Settings, String> {
        let (s3, environment) = (&options.s3, &options.environment);
        let profile = |name| profiles.get(&profiles.name, name);
        let mlflow = |name: &str| options.mlflow_variables.then(|| environment.get(name)).flatten();
        let region = s3.region.clone().or_else(|| environment.first(&["AWS_REGION", "AWS_DEFAULT_REGION"]));
        let region = region.or_else(|| profile("region").map(str::to_owned));
        let region = region.unwrap_or_else(|| "us-east-1".to_owned());
        if !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err("the region has characters that no region has".to_owned());
        }

        let endpoint = s3.endpoint.clone().or_else(|| mlflow("MLFLOW_S3_ENDPOINT_URL"));
        let endpoint = endpoint.or_else(|| configured_endpoint(environment, profiles));
        let style = mlflow("MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE");
        let style = style.or_else(|| profile("s3.addressing_style").map(str::to_owned));
        let addressing = match (s3.addressing, style.as_deref()) {
            (Addressing::Auto, Some("path")) => Addressing::Path,
            (Addressing::Auto, Some("virtual")) => Addressing::Virtual,
            (asked, _) => asked,
        };
        let is_aws = endpoint.is_none();
        let in_path = match addressing {
            Addressing::Path => true,
            Addressing::Virtual => false,
            // A certificate for *.s3… does not cover a name with dots.
            Addressing::Auto => !is_aws || bucket.contains(['.', '_']) || bucket.contains(char::is_uppercase),
        };
        let (scheme, host, base_path) = match &endpoint {
            Some(endpoint) => split(endpoint)?,
            None => (if s3.without_tls { "http" } else { "https" }.to_owned(), aws_host(&region), String::new()),
        };

        let mut upload_headers = match mlflow("MLFLOW_S3_UPLOAD_EXTRA_ARGS") {
            Some(text) => extra_args(&text)?,
            None => BTreeMap::new(),
        };
        upload_headers.extend(s3.upload_headers.iter().map(|(name, value)| (name.to_lowercase(), value.clone())));
        if let Some(key) = &s3.customer_key {
            upload_headers.extend(customer_headers(key.expose(), s3.customer_algorithm.as_deref())?);
        }
        // The switch of the AWS tools for stores that know no checksums.
        let when_required = environment.get("AWS_REQUEST_CHECKSUM_CALCULATION");
        let when_required = when_required.is_some_and(|value| value.eq_ignore_ascii_case("when_required"));
        let checksum = match s3.checksum {
            Checksum::Crc32 if when_required => Checksum::None,
            asked => asked,
        };
        Ok(Settings {
            scheme,
            host,
            base_path,
            is_aws,
            in_path,
            region,
            checksum,
            upload_headers,
            owner: s3.expected_bucket_owner.clone().or_else(|| mlflow("MLFLOW_S3_EXPECTED_BUCKET_OWNER")),
            request_payer: s3.request_payer,
            anonymous: s3.anonymous
                || mlflow("MLFLOW_EXPERIMENTAL_S3_SIGNATURE_VERSION")
                    .is_some_and(|version| version.eq_ignore_ascii_case("unsigned")),
        })
    }
}

/// The headers of a key of the customer's own, which is given in base64.
fn customer_headers(key: &str, algorithm: Option<&str>) -> Result<[(String, String); 3], String> {
    let bytes = encode::from_base64(key.trim()).ok_or("the customer's key for encryption is not valid base64")?;
    let header = |name, value| (format!("x-amz-server-side-encryption-customer-{name}"), value);
    Ok([
        header("algorithm", algorithm.unwrap_or("AES256").to_owned()),
        header("key", encode::base64(&bytes)),
        header("key-md5", encode::base64(fast_md5::digest(&bytes))),
    ])
}

pub(super) fn aws_host(region: &str) -> String {
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("s3.{region}.{suffix}")
}

fn configured_endpoint(environment: &Environment, profiles: &Profiles) -> Option<String> {
    if environment.is_true("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS") {
        return None;
    }
    let profile = |name| profiles.get(&profiles.name, name);
    let of_service = || profiles.other("services", profile("services")?, "s3.endpoint_url").map(str::to_owned);
    environment
        .first(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"])
        .or_else(of_service)
        .or_else(|| profile("endpoint_url").map(str::to_owned))
}

/// Scheme, host and path of an endpoint. What else it holds (a password) is refused, not shown.
pub(super) fn split(endpoint: &str) -> Result<(String, String, String), String> {
    let wrong = || "the endpoint must be a URL like https://s3.example.com".to_owned();
    let uri: http::Uri = endpoint.parse().map_err(|_| wrong())?;
    let (Some(scheme @ ("http" | "https")), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(wrong());
    };
    if authority.as_str().contains('@') || uri.query().is_some() {
        return Err(wrong());
    }
    let usual = if scheme == "https" { 443 } else { 80 };
    let host = match authority.port_u16() {
        Some(port) if port != usual => format!("{}:{port}", authority.host()),
        _ => authority.host().to_owned(),
    };
    Ok((scheme.to_owned(), host.to_ascii_lowercase(), uri.path().trim_end_matches('/').to_owned()))
}

/// `MLFLOW_S3_UPLOAD_EXTRA_ARGS`: the names that boto3 gives to headers.
fn extra_args(text: &str) -> Result<BTreeMap<String, String>, String> {
    const HEADERS: [(&str, &str); 23] = [
        ("ACL", "x-amz-acl"),
        ("BucketKeyEnabled", "x-amz-server-side-encryption-bucket-key-enabled"),
        ("CacheControl", "cache-control"),
        ("ContentDisposition", "content-disposition"),
        ("ContentEncoding", "content-encoding"),
        ("ContentLanguage", "content-language"),
        ("ContentType", "content-type"),
        ("Expires", "expires"),
        ("GrantFullControl", "x-amz-grant-full-control"),
        ("GrantRead", "x-amz-grant-read"),
        ("GrantReadACP", "x-amz-grant-read-acp"),
        ("GrantWriteACP", "x-amz-grant-write-acp"),
        ("ObjectLockLegalHoldStatus", "x-amz-object-lock-legal-hold"),
        ("ObjectLockMode", "x-amz-object-lock-mode"),
        ("ObjectLockRetainUntilDate", "x-amz-object-lock-retain-until-date"),
        ("RequestPayer", "x-amz-request-payer"),
        ("SSEKMSEncryptionContext", "x-amz-server-side-encryption-context"),
        ("SSEKMSKeyId", "x-amz-server-side-encryption-aws-kms-key-id"),
        ("ServerSideEncryption", "x-amz-server-side-encryption"),
        ("StorageClass", "x-amz-storage-class"),
        ("Tagging", "x-amz-tagging"),
        ("WebsiteRedirectLocation", "x-amz-website-redirect-location"),
        ("ChecksumAlgorithm", ""),
    ];
    let wrong = |what: &str| format!("MLFLOW_S3_UPLOAD_EXTRA_ARGS {what}");
    let given: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(text).map_err(|_| wrong("must be a JSON object"))?;
    let mut headers = BTreeMap::new();
    for (name, value) in given {
        if let (true, Some(metadata)) = (name == "Metadata", value.as_object()) {
            for (name, value) in metadata {
                let value = value.as_str().ok_or_else(|| wrong("has metadata that is no text"))?;
                headers.insert(format!("x-amz-meta-{}", name.to_lowercase()), value.to_owned());
            }
            continue;
        }
        let known = HEADERS.iter().find(|(boto, _)| *boto == name);
        let (_, header) = known.ok_or_else(|| wrong(&format!("has '{name}', which is not supported")))?;
        if header.is_empty() {
            continue;
        }
        let value = match value {
            serde_json::Value::String(text) => text,
            other @ (serde_json::Value::Bool(_) | serde_json::Value::Number(_)) => other.to_string(),
            _ => return Err(wrong(&format!("has a '{name}' that is no text"))),
        };
        headers.insert((*header).to_owned(), value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::S3Options;

    fn find(bucket: &str, variables: &[(&str, &str)], s3: S3Options) -> Settings {
        let environment = Environment::only(variables.iter().copied());
        let options = Options { environment, s3, mlflow_variables: true, ..Options::default() };
        Settings::find(bucket, &options, &Profiles::default()).unwrap()
    }

    #[test]
    fn aws_itself_has_the_bucket_in_the_host() {
        let found = find("data", &[("AWS_DEFAULT_REGION", "eu-west-1")], S3Options::default());
        assert_eq!((found.host.as_str(), found.in_path), ("s3.eu-west-1.amazonaws.com", false));
        assert!(find("a.b", &[], S3Options::default()).in_path);
    }

    #[test]
    fn endpoints_come_in_the_order_of_mlflow_and_boto() {
        let variables = [
            ("AWS_ENDPOINT_URL", "http://third"),
            ("AWS_ENDPOINT_URL_S3", "http://second"),
            ("MLFLOW_S3_ENDPOINT_URL", "http://first:80/base/"),
        ];
        let found = find("data", &variables, S3Options::default());
        assert_eq!((found.host.as_str(), found.base_path.as_str(), found.in_path), ("first", "/base", true));
        assert_eq!(find("data", &variables[..2], S3Options::default()).host, "second");
        let given = S3Options { endpoint: Some("https://given:9000".to_owned()), ..S3Options::default() };
        assert_eq!(find("data", &variables, given).host, "given:9000");
    }

    #[test]
    fn extra_arguments_become_headers() {
        let text = r#"{"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "k", "Metadata": {"Team": "x"}}"#;
        let found = find("data", &[("MLFLOW_S3_UPLOAD_EXTRA_ARGS", text)], S3Options::default());
        let shown: Vec<_> = found.upload_headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            shown,
            [
                "x-amz-meta-team=x",
                "x-amz-server-side-encryption=aws:kms",
                "x-amz-server-side-encryption-aws-kms-key-id=k"
            ]
        );
        assert!(extra_args("[]").is_err() && extra_args(r#"{"Unknown": "x"}"#).is_err());
    }
}
