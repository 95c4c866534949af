//! SFTP over one channel of a connection: requests are sent at once, as many as there are, and each answer
//! finds the one who waits for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::packet::{Attributes, Words, answer, ask, malformed, put_text, status};
use crate::fault::Fault;

/// The longest answer that is taken: what OpenSSH sends at most.
const LONGEST: usize = 256 * 1024 + 1024;

pub(super) struct Sftp {
    outbox: mpsc::UnboundedSender<Bytes>,
    shared: Arc<Shared>,
    pub features: Features,
    /// How many make use of it now.
    busy: AtomicUsize,
}

/// What a server can do beyond the protocol, and how much it takes at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Features {
    pub posix_rename: bool,
    pub hardlink: bool,
    pub fsync: bool,
    pub read_size: u32,
    pub write_size: u32,
}

struct Shared {
    state: Mutex<State>,
    /// How long nothing may be heard while somebody waits.
    idle: Duration,
}

struct State {
    last_id: u32,
    waiting: HashMap<u32, oneshot::Sender<Answer>>,
    heard: Instant,
    /// Why there will be no more answers.
    ended: Option<String>,
}

pub(super) struct Answer {
    kind: u8,
    words: Words,
}

impl Sftp {
    pub async fn start(channel: Channel<Msg>, idle: Duration) -> Result<Sftp, Fault> {
        let (from, to) = channel.split();
        let (outbox, letters) = mpsc::unbounded_channel();
        let state = State { last_id: 0, waiting: HashMap::new(), heard: Instant::now(), ended: None };
        let shared = Arc::new(Shared { state: Mutex::new(state), idle });
        // The answer to the first request bears no number: it counts as that to the number 0.
        let (sender, receiver) = oneshot::channel();
        shared.lock().waiting.insert(0, sender);
        let version = Asked { shared: Arc::clone(&shared), receiver };
        let sending = tokio::spawn(send(to, letters)).abort_handle();
        tokio::spawn(receive(from, Arc::clone(&shared), outbox.downgrade(), sending));
        let mut sftp = Sftp {
            outbox,
            shared,
            features: Features {
                posix_rename: false,
                hardlink: false,
                fsync: false,
                read_size: 32768,
                write_size: 32768,
            },
            busy: AtomicUsize::new(0),
        };
        let mut init = BytesMut::with_capacity(9);
        init.put_u32(5);
        init.put_u8(ask::INIT);
        init.put_u32(3);
        let _ = sftp.outbox.send(init.freeze());
        let mut version = version.answer(answer::VERSION).await?;
        if version.number()? < 3 {
            return Err(Fault::Other("it speaks an SFTP older than version 3".to_owned()));
        }
        let mut limits = false;
        while !version.0.is_empty() {
            let (name, _) = (version.text()?, version.text()?);
            match name.as_ref() {
                b"posix-rename@openssh.com" => sftp.features.posix_rename = true,
                b"hardlink@openssh.com" => sftp.features.hardlink = true,
                b"fsync@openssh.com" => sftp.features.fsync = true,
                b"limits@openssh.com" => limits = true,
                _ => {}
            }
        }
        if limits {
            sftp.ask_limits().await?;
        }
        Ok(sftp)
    }

    async fn ask_limits(&mut self) -> Result<(), Fault> {
        let mut limits = self.extended("limits@openssh.com", |_| {}).answer(answer::EXTENDED).await?;
        let (_packet, read, write) = (limits.long()?, limits.long()?, limits.long()?);
        let within = |size: u64| match size {
            0 => 32768,
            size => u32::try_from(size).unwrap_or(u32::MAX).min(super::LARGEST_PIECE),
        };
        self.features.read_size = within(read);
        self.features.write_size = within(write);
        Ok(())
    }

    /// Sends a request now; the answer is awaited by what is given back.
    pub fn ask(&self, kind: u8, fill: impl FnOnce(&mut BytesMut)) -> Asked {
        let (sender, receiver) = oneshot::channel();
        let mut letter = BytesMut::with_capacity(64);
        letter.put_u32(0);
        letter.put_u8(kind);
        letter.put_u32(0);
        fill(&mut letter);
        let length = u32::try_from(letter.len() - 4).unwrap_or(u32::MAX);
        letter[..4].copy_from_slice(&length.to_be_bytes());
        let mut state = self.shared.lock();
        if state.ended.is_none() {
            state.last_id = state.last_id.wrapping_add(1).max(1);
            let id = state.last_id;
            letter[5..9].copy_from_slice(&id.to_be_bytes());
            if state.waiting.is_empty() {
                state.heard = Instant::now();
            }
            state.waiting.insert(id, sender);
            // In order, and before anybody else.
            let _ = self.outbox.send(letter.freeze());
        }
        drop(state);
        Asked { shared: Arc::clone(&self.shared), receiver }
    }

    /// A request about one path.
    pub fn ask_path(&self, kind: u8, path: &str) -> Asked {
        self.ask(kind, |letter| put_text(letter, path.as_bytes()))
    }

    pub fn extended(&self, name: &str, fill: impl FnOnce(&mut BytesMut)) -> Asked {
        self.ask(ask::EXTENDED, |letter| {
            put_text(letter, name.as_bytes());
            fill(letter);
        })
    }

    pub async fn attributes(&self, kind: u8, path: &str) -> Result<Attributes, Fault> {
        Attributes::read(&mut self.ask_path(kind, path).answer(answer::ATTRS).await?)
    }

    pub async fn open(self: &Arc<Self>, path: &str, flags: u32) -> Result<Handle, Fault> {
        let asked = self.ask(ask::OPEN, |letter| {
            put_text(letter, path.as_bytes());
            letter.put_u32(flags);
            letter.put_u32(0);
        });
        self.handle(asked).await
    }

    pub async fn open_dir(self: &Arc<Self>, path: &str) -> Result<Handle, Fault> {
        self.handle(self.ask_path(ask::OPENDIR, path)).await
    }

    async fn handle(self: &Arc<Self>, asked: Asked) -> Result<Handle, Fault> {
        let name = asked.answer(answer::HANDLE).await?.text()?;
        Ok(Handle { sftp: Arc::clone(self), name, open: true })
    }

    pub fn has_ended(&self) -> bool {
        self.shared.lock().ended.is_some()
    }

    pub fn busy(&self) -> &AtomicUsize {
        &self.busy
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, reason: &str) {
        let mut state = self.lock();
        state.ended.get_or_insert_with(|| reason.to_owned());
        // Who waits learns of it by that.
        state.waiting.clear();
    }
}

/// A request that was sent.
pub(super) struct Asked {
    shared: Arc<Shared>,
    receiver: oneshot::Receiver<Answer>,
}

impl Asked {
    /// The answer, if it is of this kind; a status that is an error is a fault.
    pub async fn answer(mut self, kind: u8) -> Result<Words, Fault> {
        let idle = self.shared.idle;
        let mut wait = idle;
        let mut answer = loop {
            match tokio::time::timeout(wait, &mut self.receiver).await {
                Ok(Ok(answer)) => break answer,
                Ok(Err(_)) => {
                    let reason = self.shared.lock().ended.clone();
                    return Err(Fault::Unreachable(reason.unwrap_or_else(|| "the connection was closed".to_owned())));
                }
                Err(_) => {
                    // Others' answers, for which this one waits its turn, are signs of life too.
                    let silent = self.shared.lock().heard.elapsed();
                    if silent >= idle {
                        self.shared.end(&format!("nothing was heard for {} seconds", idle.as_secs()));
                    } else {
                        wait = idle - silent;
                    }
                }
            }
        };
        match answer.kind {
            found if found == kind => Ok(answer.words),
            answer::STATUS => {
                status(&mut answer.words)?;
                Err(malformed())
            }
            _ => Err(malformed()),
        }
    }

    /// For requests that are answered by a status alone.
    pub async fn done(self) -> Result<(), Fault> {
        status(&mut self.answer(answer::STATUS).await?)
    }
}

/// An open file or folder of the server's, which is closed when this value goes.
pub(super) struct Handle {
    pub sftp: Arc<Sftp>,
    name: Bytes,
    open: bool,
}

impl Handle {
    pub fn ask(&self, kind: u8, fill: impl FnOnce(&mut BytesMut)) -> Asked {
        self.sftp.ask(kind, |letter| {
            put_text(letter, &self.name);
            fill(letter);
        })
    }

    pub fn read(&self, offset: u64, length: u32) -> Asked {
        self.ask(ask::READ, |letter| {
            letter.put_u64(offset);
            letter.put_u32(length);
        })
    }

    pub fn write(&self, offset: u64, piece: &[u8]) -> Asked {
        self.ask(ask::WRITE, |letter| {
            letter.reserve(12 + piece.len());
            letter.put_u64(offset);
            put_text(letter, piece);
        })
    }

    pub fn sync(&self) -> Asked {
        self.sftp.extended("fsync@openssh.com", |letter| put_text(letter, &self.name))
    }

    /// Closes it, which says whether what was written is there.
    pub fn close(mut self) -> Asked {
        self.open = false;
        self.ask(ask::CLOSE, |_| {})
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.open {
            drop(self.ask(ask::CLOSE, |_| {}));
        }
    }
}

async fn send(to: ChannelWriteHalf<Msg>, mut letters: mpsc::UnboundedReceiver<Bytes>) {
    while let Some(letter) = letters.recv().await {
        // Small requests that wait together travel together.
        let mut letter = letter;
        if letter.len() < 1024 && !letters.is_empty() {
            let mut bundle = BytesMut::from(letter.as_ref());
            while bundle.len() < 16 * 1024 {
                let Ok(next) = letters.try_recv() else { break };
                bundle.extend_from_slice(&next);
            }
            letter = bundle.freeze();
        }
        if to.data_bytes(letter).await.is_err() {
            break;
        }
    }
    let _ = to.close().await;
}

async fn receive(
    mut from: ChannelReadHalf,
    shared: Arc<Shared>,
    outbox: mpsc::WeakUnboundedSender<Bytes>,
    sending: AbortHandle,
) {
    let mut arrived = BytesMut::new();
    let reason = loop {
        match from.wait().await {
            Some(ChannelMsg::Data { data }) => {
                arrived.extend_from_slice(&data);
                if let Err(reason) = sort(&mut arrived, &shared, &outbox) {
                    break reason;
                }
            }
            Some(ChannelMsg::Failure) => break "the server offers no SFTP",
            Some(ChannelMsg::Close | ChannelMsg::Eof) | None => break "the connection was closed",
            Some(_) => {}
        }
    };
    shared.end(reason);
    // It may wait for a window that nobody opens any more.
    sending.abort();
}

/// Gives each answer that is complete to who waits for it.
fn sort(
    arrived: &mut BytesMut,
    shared: &Shared,
    outbox: &mpsc::WeakUnboundedSender<Bytes>,
) -> Result<(), &'static str> {
    let mut state = shared.lock();
    state.heard = Instant::now();
    while let Some(length) = arrived.first_chunk().map(|length| u32::from_be_bytes(*length) as usize) {
        if !(5..=LONGEST).contains(&length) {
            return Err("what the server sends is not SFTP: a program that it starts at login may print something");
        }
        if arrived.len() < 4 + length {
            arrived.reserve(4 + length - arrived.len());
            break;
        }
        arrived.advance(4);
        let mut words = Words(arrived.split_to(length).freeze());
        let Ok(kind) = words.byte() else { return Err("the server sent nothing in an answer") };
        let id = match kind {
            answer::VERSION => 0,
            _ => words.number().unwrap_or(0),
        };
        let Some(waiting) = state.waiting.remove(&id) else {
            return Err("the server answers what it was not asked");
        };
        if let Err(unwanted) = waiting.send(Answer { kind, words })
            && unwanted.kind == answer::HANDLE
        {
            // Whoever opened this does not want it any more.
            close(unwanted.words, &mut state, outbox);
        }
    }
    Ok(())
}

fn close(mut words: Words, state: &mut State, outbox: &mpsc::WeakUnboundedSender<Bytes>) {
    let Ok(name) = words.text() else { return };
    state.last_id = state.last_id.wrapping_add(1).max(1);
    let mut letter = BytesMut::with_capacity(13 + name.len());
    letter.put_u32(9 + u32::try_from(name.len()).unwrap_or(0));
    letter.put_u8(ask::CLOSE);
    letter.put_u32(state.last_id);
    put_text(&mut letter, &name);
    state.waiting.insert(state.last_id, oneshot::channel().0);
    if let Some(outbox) = outbox.upgrade() {
        let _ = outbox.send(letter.freeze());
    }
}

/// Counts as one who makes use of a channel.
pub(super) struct Lease(Arc<Sftp>);

impl Lease {
    pub fn new(sftp: &Arc<Sftp>) -> Lease {
        sftp.busy.fetch_add(1, Ordering::Relaxed);
        Lease(Arc::clone(sftp))
    }
}

impl Clone for Lease {
    fn clone(&self) -> Lease {
        Lease::new(&self.0)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl std::ops::Deref for Lease {
    type Target = Arc<Sftp>;

    fn deref(&self) -> &Arc<Sftp> {
        &self.0
    }
}
