//! `s3://bucket/path`: DVC's options, as those of our own client.

use trackway_remote::{Options, Secret};

use super::{path_or_flag, seconds};
use crate::config::RemoteConfig;
use crate::error::Result;

pub(super) fn options(config: &RemoteConfig, options: &mut Options) -> Result<String> {
    let text = |name| config.text(name).filter(|value| !value.is_empty()).map(str::to_owned);
    let s3 = &mut options.s3;
    s3.endpoint = text("endpointurl");
    s3.region = text("region");
    s3.profile = text("profile");
    s3.access_key_id = text("access_key_id");
    s3.secret_access_key = text("secret_access_key").map(Secret::new);
    s3.session_token = text("session_token").map(Secret::new);
    s3.anonymous = config.flag("allow_anonymous_login") == Some(true);
    s3.without_tls = config.flag("use_ssl") == Some(false);
    path_or_flag(config, "ssl_verify", &mut options.http);
    seconds(config, "connect_timeout", &mut options.http.connect_timeout)?;
    seconds(config, "read_timeout", &mut options.http.idle_timeout)?;

    // As DVC 3.67, which sets the variables where they are not set: what the environment says goes before.
    for (option, variable) in [("credentialpath", "AWS_SHARED_CREDENTIALS_FILE"), ("configpath", "AWS_CONFIG_FILE")] {
        if let Some(path) = text(option) {
            options.environment.set_default(variable, path);
        }
    }

    let headers = &mut options.s3.upload_headers;
    let mut header = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            headers.insert(name.to_owned(), value);
        }
    };
    header("x-amz-server-side-encryption", text("sse"));
    header("x-amz-server-side-encryption-aws-kms-key-id", text("sse_kms_key_id"));
    header("x-amz-acl", text("acl"));
    for (option, name) in [
        ("grant_full_control", "x-amz-grant-full-control"),
        ("grant_read", "x-amz-grant-read"),
        ("grant_read_acp", "x-amz-grant-read-acp"),
        ("grant_write_acp", "x-amz-grant-write-acp"),
    ] {
        let granted = text(option);
        if granted.is_some() && text("acl").is_some() {
            return Err(super::wrong_option(
                config,
                "acl",
                &format!("excludes '{option}': only one can say who may read"),
            ));
        }
        header(name, granted);
    }
    if let Some(key) = text("sse_customer_key") {
        if text("sse_kms_key_id").is_some() {
            let why = "excludes 'sse_kms_key_id': an object is encrypted with one key";
            return Err(super::wrong_option(config, "sse_customer_key", why));
        }
        options.s3.customer_key = Some(Secret::new(key));
        options.s3.customer_algorithm = text("sse_customer_algorithm");
    }
    Ok(config.url.clone())
}
