//! One HTTP server that is no cloud's: who we are there, and requests that show it.
//!
//! - [`Site::call`] sends a request, again where that helps, and answers challenges;
//! - [`Site::follow`] goes where a server sends a reader, and shows nothing of ours to others;
//! - [`Site::upload`] streams a body.

mod command;
mod digest;
mod login;

use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderMap, HeaderValue, Method};

use crate::fault::{Fault, Said};
use crate::http::url::{self, Origin};
use crate::http::{Answer, Client, NotSent, Request};

pub(crate) use login::{Login, password};

/// As many redirects as aiohttp follows, on which stock DVC stands.
const REDIRECTS: usize = 10;

/// How often one request answers challenges: of several at once each may use up the other's nonce.
const CHALLENGES: u32 = 3;

pub(crate) struct Site {
    client: Client,
    origin: Origin,
    login: Login,
}

/// A request before anybody is shown who sends it.
#[derive(Clone)]
pub(crate) struct Call {
    pub method: Method,
    pub url: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Call {
    pub fn new(method: Method, url: String) -> Call {
        Call { method, url, headers: HeaderMap::new(), body: Bytes::new() }
    }

    pub fn header(mut self, name: &'static str, value: &str) -> Call {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.insert(name, value);
        }
        self
    }

    pub fn body(mut self, body: Bytes) -> Call {
        self.body = body;
        self
    }
}

impl Site {
    pub fn new(client: Client, origin: Origin, login: Login) -> Site {
        Site { client, origin, login }
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The answer, whatever it is.
    pub async fn call(&self, call: &Call) -> Result<Answer, Fault> {
        self.call_as(call, &self.login).await
    }

    /// One that must not be carried out twice: it is sent again only where it cannot have arrived.
    pub async fn call_once(&self, call: &Call) -> Result<Answer, Fault> {
        let mut challenges = 0;
        let mut connects = 0;
        loop {
            let (request, shown) = self.request(call, &self.login).await?;
            match self.client.send_once(request).await {
                Ok(answer) if self.is_worth_another(&answer, &self.login, shown.as_ref(), challenges) => {
                    challenges += 1;
                    let _ = answer.text().await;
                }
                Err(crate::http::Failure::Connect(_)) if connects + 1 < self.client.options().attempts => {
                    connects += 1;
                    tokio::time::sleep(crate::http::back_off(connects)).await;
                }
                outcome => return Ok(outcome?),
            }
        }
    }

    async fn call_as(&self, call: &Call, login: &Login) -> Result<Answer, Fault> {
        let mut attempts = self.client.attempts();
        let mut challenges = 0;
        loop {
            let (request, shown) = self.request(call, login).await?;
            match attempts.send(request).await {
                Some(Ok(answer)) if self.is_worth_another(&answer, login, shown.as_ref(), challenges) => {
                    challenges += 1;
                    let _ = answer.text().await;
                }
                Some(outcome) => return Ok(outcome?),
                None => {}
            }
        }
    }

    async fn request(&self, call: &Call, login: &Login) -> Result<(Request, Option<HeaderValue>), Fault> {
        let mut headers = call.headers.clone();
        let shown = login.show(&call.method, &call.url, &mut headers).await?;
        Ok((Request { method: call.method.clone(), url: call.url.clone(), headers, body: call.body.clone() }, shown))
    }

    fn is_worth_another(&self, answer: &Answer, login: &Login, shown: Option<&HeaderValue>, before: u32) -> bool {
        answer.status.as_u16() == 401 && before < CHALLENGES && login.challenged(&answer.headers, shown)
    }

    /// Asks where the server sends us, too. What shows who we are stays with the server that we were told
    /// of: another scheme, host or port gets none of it, nor does whatever comes after.
    pub async fn follow(&self, mut call: Call) -> Result<Answer, Fault> {
        let mut login = &self.login;
        for _ in 0..=REDIRECTS {
            let answer = self.call_as(&call, login).await?;
            let Some(to) = redirect(&answer) else { return Ok(answer) };
            let to = url::join(&call.url, to).map(|to| url::without_userinfo(&to));
            let Some((to, origin)) = to.and_then(|to| Some((to.clone(), Origin::of(&to)?))) else {
                return Err(Fault::Other("it redirects to something that is no HTTP address".to_owned()));
            };
            if origin != self.origin {
                login = &Login::Nobody;
            }
            call.url = to;
            let _ = answer.text().await;
        }
        Err(Fault::Other(format!("it redirects more than {REDIRECTS} times")))
    }

    /// Sends a body as it comes, once; `call` has none.
    pub async fn upload(
        &self,
        call: &Call,
        body: impl Stream<Item = Result<Bytes, Fault>> + Send,
        length: Option<u64>,
    ) -> Result<Answer, Fault> {
        if self.login.may_be_challenged() {
            // The body is gone when a challenge comes, so it is answered beforehand.
            self.call(&Call::new(Method::HEAD, call.url.clone())).await?;
        }
        let (request, _) = self.request(call, &self.login).await?;
        self.client.send_streamed(request, body, length).await.map_err(|not_sent| match not_sent {
            NotSent::Body(fault) => fault,
            NotSent::Failure(failure) => failure.into(),
        })
    }

    /// What an answer means that is an error, unless its request has a meaning of its own for the status.
    pub async fn fault(&self, answer: Answer) -> Fault {
        let status = answer.status.as_u16();
        let to = redirect(&answer).and_then(|to| url::join("http://h", to)).and_then(|to| Origin::of(&to));
        // So that the connection can be used again; what it says is a page for people.
        let _ = answer.bytes(1 << 20).await;
        match status {
            300..=399 => Fault::Other(match to {
                Some(to) if to != self.origin && to.host != "h" => {
                    format!(
                        "it redirects to {to} (status {status}), which is followed for reading only: give that \
                             address instead"
                    )
                }
                _ => format!("it redirects to another path (status {status}): give that path instead"),
            }),
            401 if self.login.is_nobody() => Fault::Refused(
                "it wants to know who asks (status 401): set 'user' and 'password', or what else it takes".to_owned(),
            ),
            401 => Fault::Refused("it does not accept our user, password or token (status 401)".to_owned()),
            403 => Fault::Refused("we may not do this there (status 403)".to_owned()),
            404 | 410 => Fault::Missing,
            413 => Fault::Other("the file is larger than it accepts (status 413)".to_owned()),
            423 => Fault::Other("somebody holds a lock on this (status 423)".to_owned()),
            507 => Fault::Other("it has no room left (status 507)".to_owned()),
            _ => Said { status, ..Said::default() }.fault(),
        }
    }
}

fn redirect(answer: &Answer) -> Option<&str> {
    matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308).then(|| answer.header("location"))?
}
