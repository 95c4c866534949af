//! Where requests go, and what says who we are: in the query for the NameNode alone.

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderValue};

use crate::http::encode;
use crate::http::url::{Origin, join};
use crate::location::Server;
use crate::options::WebHdfsOptions;

/// Where fsspec's client, and so stock DVC, looks for WebHDFS when nothing is said.
const PORT: u16 = 50070;

pub(super) struct Address {
    /// `http://namenode:50070/webhdfs/v1`, as it stands in what the NameNode says.
    base: String,
    /// What stands in its place when requests are made (`data_proxy_target`).
    through: Option<String>,
    /// `user.name`, `doas` or `delegation`.
    identity: Vec<(&'static str, String)>,
    /// `user:password`, for gateways that want it.
    basic: Option<HeaderValue>,
}

impl Address {
    pub fn new(server: &Server, options: &WebHdfsOptions) -> Result<Address, String> {
        let scheme = if options.use_https { "https" } else { "http" };
        let port = server.port.unwrap_or(PORT);
        let user = options.user.clone().or_else(|| server.user.clone());
        let password = options.password.clone().or_else(|| server.password.clone());
        if options.kerberos {
            return Err(
                "Kerberos over HTTP (kerberos = true) cannot be used: give a delegation token (token)".to_owned()
            );
        }
        if options.token.is_some() && (user.is_some() || options.proxy_to.is_some()) {
            return Err("a token says itself who it is for: remove user and proxy_to, or the token".to_owned());
        }
        let mut identity = Vec::new();
        if let Some(token) = &options.token {
            identity.push(("delegation", token.expose().to_owned()));
        }
        let basic = match (&user, password) {
            (None, Some(_)) => return Err("a password needs a user: set it".to_owned()),
            (Some(user), Some(password)) => {
                let both = format!("Basic {}", encode::base64(format!("{user}:{}", password.expose())));
                let mut both = HeaderValue::try_from(both).map_err(|error| error.to_string())?;
                both.set_sensitive(true);
                Some(both)
            }
            (Some(user), None) => {
                identity.push(("user.name", user.clone()));
                None
            }
            (None, None) => None,
        };
        if let Some(other) = &options.proxy_to {
            identity.push(("doas", other.clone()));
        }
        let through = options.data_proxy_target.clone().map(|target| target.trim_end_matches('/').to_owned());
        if let Some(target) = &through
            && Origin::of(target).is_none()
        {
            return Err("data_proxy_target is no http:// or https:// URL".to_owned());
        }
        Ok(Address { base: format!("{scheme}://{}:{port}/webhdfs/v1", server.host), through, identity, basic })
    }

    /// The URL of an operation of the NameNode.
    pub fn url(&self, path: &str, operation: &str, with: &[(&str, &str)]) -> String {
        let base = self.through.as_ref().unwrap_or(&self.base);
        let identity = self.identity.iter().map(|(name, value)| (*name, value.as_str()));
        let pairs: Vec<_> = [("op", operation)].into_iter().chain(with.iter().copied()).chain(identity).collect();
        format!("{base}{}?{}", encode::key(path), encode::query(&pairs))
    }

    /// Where a redirect of the NameNode leads. The error is a reason, without what stands in the query.
    pub fn follow(&self, from: &str, location: &str) -> Result<String, String> {
        let to = join(from, location).ok_or("it redirects to what is no URL")?;
        let to = match &self.through {
            Some(through) => to.replacen(&self.base, through, 1),
            None => to,
        };
        let target = Origin::of(&to).ok_or("it redirects to what is no URL")?;
        let secret = from.starts_with("https:") && target.scheme != "https";
        match secret {
            true => Err(format!("it redirects from https to {target}, where everybody could read along")),
            false => Ok(to),
        }
    }

    /// What a request to this URL says of us beside its query: to nobody but the NameNode, or what stands for it.
    pub fn headers(&self, url: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let ours = Origin::of(self.through.as_ref().unwrap_or(&self.base));
        if let Some(basic) = &self.basic
            && ours.is_some()
            && Origin::of(url) == ours
        {
            headers.insert(AUTHORIZATION, basic.clone());
        }
        headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(options: WebHdfsOptions) -> Result<Address, String> {
        Address::new(&Server { host: "nn".to_owned(), ..Server::default() }, &options)
    }

    #[test]
    fn who_we_are_goes_to_the_namenode_alone() {
        let basic = WebHdfsOptions {
            user: Some("u".to_owned()),
            password: Some("secret".into()),
            use_https: true,
            ..Default::default()
        };
        let address = address(basic).unwrap();
        let url = address.url("/a b/ü", "OPEN", &[("offset", "1")]);
        assert_eq!(url, "https://nn:50070/webhdfs/v1/a%20b/%C3%BC?offset=1&op=OPEN");
        assert!(address.headers(&url).contains_key(AUTHORIZATION));
        let to = address.follow(&url, "https://dn:50475/webhdfs/v1/a?op=OPEN&delegation=t").unwrap();
        assert!(address.headers(&to).is_empty());
        let refused = address.follow(&url, "http://dn:50075/webhdfs/v1/a?op=OPEN&delegation=secret").unwrap_err();
        assert!(refused.contains("http://dn:50075") && !refused.contains("secret"), "{refused}");
        assert!(address.follow(&url, "file:///etc/passwd").is_err());
    }

    #[test]
    fn a_gateway_stands_for_the_namenode() {
        let options = WebHdfsOptions {
            token: Some("t".into()),
            data_proxy_target: Some("https://knox/gateway/default/webhdfs/v1/".to_owned()),
            ..Default::default()
        };
        let address = address(options).unwrap();
        let url = address.url("/a", "OPEN", &[]);
        assert_eq!(url, "https://knox/gateway/default/webhdfs/v1/a?delegation=t&op=OPEN");
        let to = address.follow(&url, "http://nn:50070/webhdfs/v1/a?op=OPEN&x=1").unwrap();
        assert_eq!(to, "https://knox/gateway/default/webhdfs/v1/a?op=OPEN&x=1");
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let refused = |options| address(options).map(|_| ()).unwrap_err();
        assert!(refused(WebHdfsOptions { kerberos: true, ..Default::default() }).contains("token"));
        let both = WebHdfsOptions { token: Some("t".into()), user: Some("u".to_owned()), ..Default::default() };
        assert!(refused(both).contains("remove user"));
        assert!(refused(WebHdfsOptions { password: Some("p".into()), ..Default::default() }).contains("user"));
    }
}
