//! The HTTP server: the library's own, with a [`Gate`] before each connection.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, future, io};

use actix_http::body::{BoxBody, MessageBody};
use actix_http::error::DispatchError;
use actix_http::{HttpService, Request, Response};
use actix_server::{GracefulShutdownSignal, Server, ServerBuilder};
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt as _, apply_fn_factory,
    fn_service, map_config,
};
use actix_web::HttpResponse;
use actix_web::dev::AppConfig;
use tokio::net::{TcpSocket, TcpStream};

use super::Connections;
use super::gate::Gate;
use super::place::Place;
use super::turn::Turn;

/// Longer than the 75 s for which proxies and Gitea's own client keep an idle connection: the side that closes it
/// first can lose a delivery that is on its way (gitea-facts 1.1).
const KEEP_ALIVE: Duration = Duration::from_secs(90);
/// How long the head of a first request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection lasts that is being closed: a sender that is not done reads the refusal only afterwards.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long requests in hand get at a stop, in seconds.
const STOP_TIMEOUT_S: u64 = 5;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// Where to listen, and with what.
pub struct Listener<'a> {
    /// The address and port.
    pub address: &'a str,
    /// Threads that answer.
    pub workers: usize,
    /// The places of connections.
    pub connections: &'a Arc<Connections>,
}

/// A server that answers with what `app` makes, and the address it listens on.
///
/// # Errors
/// When the address cannot be bound.
pub fn listen<F, I, S, B>(at: &Listener<'_>, app: F) -> io::Result<(Server, SocketAddr)>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<actix_web::Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let mut builder = ServerBuilder::new()
        .workers(at.workers)
        // Never reached: the places are fewer, and who comes last gets one.
        .max_concurrent_connections(2 * at.connections.places())
        .shutdown_timeout(STOP_TIMEOUT_S)
        .disable_signals();
    let sockets = bind(at.address)?;
    let address = sockets
        .first()
        .map_or_else(|| Err(io::ErrorKind::AddrNotAvailable.into()), TcpListener::local_addr)?;
    for socket in sockets {
        let (app, connections) = (app.clone(), Arc::clone(at.connections));
        let stopping = builder.graceful_shutdown_signal();
        builder = builder.listen("http", socket, move || {
            http(app(), Arc::clone(&connections), stopping.clone())
        })?;
    }
    Ok((builder.run(), address))
}

/// Answers connections with `app`.
fn http<I, S, B>(
    app: I,
    connections: Arc<Connections>,
    stopping: GracefulShutdownSignal,
) -> impl ServiceFactory<TcpStream, Config = (), Response = (), Error = DispatchError, InitError = ()>
where
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<actix_web::Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let app = app.into_factory().map_err(|error| error.into().error_response());
    let app = map_config(app, |()| AppConfig::default());
    let all = Arc::clone(&connections);
    let turns = apply_fn_factory(app, move |mut request: Request, app: &_| {
        let all = Arc::clone(&all);
        let place = place_of(&request);
        let turn = Turn::begin(&mut request, &place, &all);
        let answer = Service::call(app, request);
        async move {
            Ok::<_, HttpResponse>(match answer.await {
                Ok(answer) => turn.end(answer.into(), &all),
                Err(error) => turn.end(Response::<BoxBody>::from(error), &all),
            })
        }
    });
    let http = HttpService::build()
        .graceful_shutdown_signal(move || {
            let stopping = stopping.clone();
            async move { stopping.notified().await }
        })
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(CLOSE_TIMEOUT)
        .on_connect_ext(|gate: &Gate, data| {
            data.insert(Arc::clone(gate.place()));
        })
        .h1(turns);
    fn_service(move |stream: TcpStream| {
        let peer = stream.peer_addr().ok();
        future::ready(Ok::<_, DispatchError>((Gate::new(stream, &connections), peer)))
    })
    .and_then(http)
}

/// The place of the connection that a request came over.
fn place_of(request: &Request) -> Arc<Place> {
    let place = request.conn_data::<Arc<Place>>().cloned();
    place.unwrap_or_else(|| Arc::new(Place::new(u64::MAX, None)))
}

/// Listens on every address that this stands for and that is there.
fn bind(address: &str) -> io::Result<Vec<TcpListener>> {
    let bound = address.to_socket_addrs()?.map(bind_one);
    let (bound, failed): (Vec<_>, Vec<_>) = bound.partition(Result::is_ok);
    match failed.into_iter().next() {
        Some(Err(error)) if bound.is_empty() => Err(error),
        _ => Ok(bound.into_iter().flatten().collect()),
    }
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)?.into_std()
}
