//! A network between a runner and the service that can be cut, and that tells what passed.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A call that was answered: the last word of its path, and the status.
pub type Call = (String, u16);

#[derive(Clone)]
pub struct Proxy {
    pub port: u16,
    cut: Arc<watch::Sender<bool>>,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Proxy {
    pub async fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let proxy = Self { port, cut: Arc::new(watch::channel(false).0), calls: Arc::default() };
        let own = proxy.clone();
        drop(tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // A connection that is closed at once, as a dead line looks in the end.
                if !*own.cut.borrow() {
                    drop(tokio::spawn(own.clone().pass(client, to)));
                }
            }
        }));
        proxy
    }

    /// Cuts the line, and all that goes over it now; or mends it.
    pub fn cut(&self, is_cut: bool) {
        self.cut.send_replace(is_cut);
    }

    /// The calls that were answered so far.
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    async fn pass(self, mut client: TcpStream, to: u16) {
        let address = SocketAddr::from(([127, 0, 0, 1], to));
        let Ok(mut server) = TcpStream::connect(address).await else { return };
        let (mut up, mut down) = (vec![0; 65536], vec![0; 65536]);
        let (mut cut, mut verb) = (self.cut.subscribe(), String::new());
        loop {
            tokio::select! {
                biased;
                () = async { drop(cut.wait_for(|is_cut| *is_cut).await) } => return,
                read = client.read(&mut up) => {
                    let Ok(read @ 1..) = read else { return };
                    let text = String::from_utf8_lossy(&up[..read]);
                    if let Some(path) = text.strip_prefix("POST ").and_then(|rest| rest.split(' ').next()) {
                        verb = path.rsplit('/').next().unwrap().to_owned();
                    }
                    if server.write_all(&up[..read]).await.is_err() { return }
                }
                read = server.read(&mut down) => {
                    let Ok(read @ 1..) = read else { return };
                    let text = String::from_utf8_lossy(&down[..read]);
                    if let Some(status) = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)) {
                        self.calls.lock().unwrap().push((verb.clone(), status.parse().unwrap()));
                    }
                    if client.write_all(&down[..read]).await.is_err() { return }
                }
            }
        }
    }
}
