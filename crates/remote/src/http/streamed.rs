//! Requests whose body comes as a stream: sent as it comes, once, with little of it in memory.

use std::pin::pin;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc;

use super::body::{Content, Piece};
use super::{Answer, Client, Failure, Request};

/// Pieces between who makes them and who sends them.
const AHEAD: usize = 2;

/// Why a streamed request got no answer.
#[derive(Debug)]
pub(crate) enum NotSent<E> {
    /// The body itself failed; the connection was ended, so that the store knows.
    Body(E),
    Failure(Failure),
}

impl Client {
    /// Sends a request with this body, in chunks where its length is not known. One attempt and no more.
    pub async fn send_streamed<E>(
        &self,
        request: Request,
        body: impl Stream<Item = Result<Bytes, E>> + Send,
        length: Option<u64>,
    ) -> Result<Answer, NotSent<E>> {
        let idle = self.options.idle_timeout;
        let (sender, pieces) = mpsc::channel(AHEAD);
        let content = Content::Streamed { pieces, left: length, ended: length == Some(0) };
        let sent = self.prepare(request.method, request.url, request.headers, content).map_err(NotSent::Failure)?;
        let connections = self.connections();
        let mut asked = pin!(connections.request(sent));
        let mut body = pin!(body);
        let mut taken = 0;
        loop {
            let piece = tokio::select! {
                // Before all of it was sent: it is refused.
                answer = &mut asked => return self.heard(answer).map_err(NotSent::Failure),
                piece = body.next() => piece,
            };
            let piece = match piece {
                None => break,
                // The sender is dropped without an end.
                Some(Err(error)) => return Err(NotSent::Body(error)),
                Some(Ok(piece)) => piece,
            };
            taken += piece.len() as u64;
            if length.is_some_and(|length| taken > length) {
                return Err(NotSent::Failure(Failure::Refused("the body is longer than announced".to_owned())));
            }
            if piece.is_empty() {
                continue;
            }
            let sending = tokio::time::timeout(idle, sender.send(Piece::Some(piece)));
            tokio::select! {
                answer = &mut asked => return self.heard(answer).map_err(NotSent::Failure),
                sent = sending => match sent {
                    Err(_) => return Err(NotSent::Failure(Failure::Timeout(idle.as_secs()))),
                    // Nobody takes it any more; the answer says why.
                    Ok(Err(_)) => break,
                    Ok(Ok(())) => {}
                },
            }
        }
        if length.is_some_and(|length| taken < length) && !sender.is_closed() {
            return Err(NotSent::Failure(Failure::Refused("the body is shorter than announced".to_owned())));
        }
        let finish = async {
            let _ = sender.send(Piece::End).await;
            asked.await
        };
        // The last pieces are still on their way.
        match tokio::time::timeout(idle * 2, finish).await {
            Ok(answer) => self.heard(answer).map_err(NotSent::Failure),
            Err(_) => Err(NotSent::Failure(Failure::Timeout(idle.as_secs()))),
        }
    }
}
