//! The HTTP side: a thread of its own with one worker, so that a caller needs nothing but an ordinary runtime.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::body::SizedStream;
use actix_web::dev::{Server, ServerHandle};
use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::oneshot;

use super::Pages;
use super::call::{Answer, Call};
use super::shared::{Busy, Shared};
use super::view::{FaultKind, Request};
use super::world::State;
use super::{deliver, routes};

/// The largest request body taken.
const MAX_BODY: usize = 64 << 20;

/// Longer than any client keeps an idle connection, so that none is closed under a request.
const KEEP_ALIVE: Duration = Duration::from_secs(600);

/// Time for the part of a broken answer that does arrive.
const BEFORE_CUT: Duration = Duration::from_millis(20);

pub(super) async fn start(
    shared: Arc<Shared>,
    pages: Option<Pages>,
) -> io::Result<(SocketAddr, ServerHandle)> {
    let (started, listening) = oneshot::channel();
    std::thread::Builder::new()
        .name("fake-gitea".to_owned())
        .spawn(move || actix_web::rt::System::new().block_on(serve(shared, pages, started)))?;
    listening
        .await
        .map_err(|_| io::Error::other("the fake Gitea's thread ended before it listened"))?
}

type Started = io::Result<(SocketAddr, ServerHandle)>;

async fn serve(shared: Arc<Shared>, pages: Option<Pages>, started: oneshot::Sender<Started>) {
    match bind(&shared, pages) {
        Ok((address, server)) => {
            actix_web::rt::spawn(deliver::run(shared));
            if started.send(Ok((address, server.handle()))).is_ok() {
                // An error here means that the listener broke; callers see their requests fail.
                drop(server.await);
            }
        }
        Err(error) => drop(started.send(Err(error))),
    }
}

fn bind(shared: &Arc<Shared>, pages: Option<Pages>) -> io::Result<(SocketAddr, Server)> {
    let data = web::Data::from(Arc::clone(shared));
    let app = move || {
        App::new()
            .app_data(data.clone())
            .app_data(web::PayloadConfig::new(MAX_BODY))
            .configure(|app| {
                if let Some(pages) = &pages {
                    pages(app);
                }
            })
            .default_service(web::to(handle))
    };
    let server = HttpServer::new(app)
        .workers(1)
        .keep_alive(KEEP_ALIVE)
        .shutdown_timeout(0)
        .disable_signals()
        .bind(("127.0.0.1", 0))?;
    let address = server.addrs().first().copied();
    let address = address.ok_or_else(|| io::Error::other("no address was bound"))?;
    Ok((address, server.run()))
}

async fn handle(shared: web::Data<Shared>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let _busy = Busy::new(&shared);
    let header = |name: &str| {
        request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned()
    };
    let call = Call {
        method: request.method().as_str().to_owned(),
        path: request.path().to_owned(),
        query: request.query_string().to_owned(),
        content_type: header("content-type"),
        authorization: header("authorization"),
        body,
    };
    shared.act_before(&call);
    let (kind, answer, delay) = shared.with(|state| decide(state, &call));
    if let Some(delay) = delay {
        tokio::time::sleep(delay).await;
    }
    respond(kind, answer).await
}

/// Takes the fault that fits, does what the call asks if the fault lets it, and writes the call down.
fn decide(state: &mut State, call: &Call) -> (Option<FaultKind>, Answer, Option<Duration>) {
    let kind = state.take_fault(call);
    let answer = match &kind {
        Some(FaultKind::Status(status)) => Answer::error(*status, "injected"),
        Some(FaultKind::StatusRetryAfter(status, seconds)) => {
            Answer::error(*status, "injected").with_header("Retry-After", seconds)
        }
        Some(FaultKind::Html) => Answer::html("<!DOCTYPE html><title>Sign in</title>"),
        Some(FaultKind::WrongJson) => Answer::ok(serde_json::json!({"unexpected": [true]})),
        Some(FaultKind::ResetBefore) => Answer::empty(0),
        _ => routes::answer(state, call),
    };
    let lost = matches!(kind, Some(FaultKind::AnswerLost | FaultKind::ResetBefore));
    let seen = Request {
        by: routes::caller(state, call)
            .ok()
            .flatten()
            .map(|id| state.login(id))
            .unwrap_or_default(),
        method: call.method.clone(),
        path: call.path.clone(),
        query: call.query.clone(),
        status: if lost { 0 } else { answer.status },
        at: state.clock.now(),
    };
    state.requests.push(seen);
    // Otherwise actix would give the machine's time, which a clock in hand need not agree with.
    let answer = answer.with_header("Date", state.clock.now().format("%a, %d %b %Y %H:%M:%S GMT"));
    (kind, answer, state.delays.get(&call.method).copied())
}

async fn respond(kind: Option<FaultKind>, answer: Answer) -> HttpResponse {
    match kind {
        Some(FaultKind::ResetBefore | FaultKind::AnswerLost) => cut_after(answer.status, None),
        Some(FaultKind::CutBody) => {
            let bytes = answer.bytes();
            cut_after(answer.status, Some(bytes.slice(..bytes.len() / 2)))
        }
        Some(FaultKind::Hang(time)) => {
            tokio::time::sleep(time).await;
            answer.into_response()
        }
        _ => answer.into_response(),
    }
}

/// An answer whose body fails after `sent`. Nothing sent at all cuts the connection before the status line,
/// because actix flushes the head only together with the first of the body.
fn cut_after(status: u16, sent: Option<Bytes>) -> HttpResponse {
    let promised = sent.as_ref().map_or(1, |b| b.len() as u64 + 1);
    let body = stream::unfold(sent, |sent| async move {
        match sent {
            Some(bytes) if !bytes.is_empty() => Some((Ok(bytes), Some(Bytes::new()))),
            Some(_) => {
                tokio::time::sleep(BEFORE_CUT).await;
                Some((Err(io::Error::other("cut")), None))
            }
            None => Some((Err(io::Error::other("cut")), None)),
        }
    });
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    HttpResponse::build(status).body(SizedStream::new(promised, Box::pin(body)))
}

impl State {
    /// The fault this call meets, used up by one.
    fn take_fault(&mut self, call: &Call) -> Option<FaultKind> {
        let target = format!("{}?{}", call.path, call.query);
        let fault = self.faults.iter_mut().find(|fault| {
            let method = fault.method.as_ref();
            let fits = method.is_none_or(|m| m.eq_ignore_ascii_case(&call.method));
            fault.times > 0 && fits && target.contains(&fault.path_contains)
        })?;
        fault.times -= 1;
        let kind = fault.kind.clone();
        self.faults.retain(|fault| fault.times > 0);
        Some(kind)
    }
}
