//! Servers that write whatever bytes they like, and tell when their peer has hung up.

use chatward_egress::{Egress, Fetch, FetchError, Fetched, Reach, Url};
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A listener whose every connection is handed to `act`; each end of an act is told on the receiver.
pub(crate) async fn raw<F: Future<Output = ()> + Send + 'static>(
    act: impl Fn(TcpStream) -> F + Send + 'static,
) -> (SocketAddr, mpsc::UnboundedReceiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (told, tell) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let act = act(stream);
            let told = told.clone();
            tokio::spawn(async move {
                act.await;
                let _ = told.send(());
            });
        }
    });
    (address, tell)
}

/// Reads a request, writes `first`, then `piece` again and again with a pause, until the peer hangs up.
pub(crate) async fn drip(mut stream: TcpStream, first: Vec<u8>, piece: Vec<u8>, pause: Duration) {
    crate::support::read_request(&mut stream).await;
    if stream.write_all(&first).await.is_err() {
        return;
    }
    let (mut reading, mut writing) = stream.into_split();
    let hung_up = async { while reading.read(&mut [0; 64]).await.is_ok_and(|n| n > 0) {} };
    let dripping = async {
        while writing.write_all(&piece).await.is_ok() {
            tokio::time::sleep(pause).await;
        }
    };
    tokio::select! { () = hung_up => {}, () = dripping => {} }
}

/// Reads a request, writes `first`, and waits until the peer hangs up.
pub(crate) async fn fall_silent(stream: TcpStream, first: Vec<u8>) {
    drip(stream, first, Vec::new(), Duration::from_secs(3600)).await;
}

/// Reads a request, writes, and closes.
pub(crate) async fn cut_short(mut stream: TcpStream, bytes: Vec<u8>) {
    crate::support::read_request(&mut stream).await;
    let _ = stream.write_all(&bytes).await;
    let _ = stream.shutdown().await;
}

/// Waits for the end of an act, and fails the test if it does not come.
pub(crate) async fn ended(tell: &mut mpsc::UnboundedReceiver<()>) {
    let told = tokio::time::timeout(Duration::from_secs(10), tell.recv()).await;
    assert_eq!(told, Ok(Some(())), "the peer never hung up");
}

/// Fetches `path` of a server that plays the demo's sample site.
pub(crate) async fn fetch_from(
    socket: SocketAddr,
    path: &str,
    change: impl FnOnce(&mut Fetch),
) -> Result<Fetched, FetchError> {
    let egress = Egress::builder().exact_socket(socket).build().unwrap();
    let url = Url::parse(&format!("http://{socket}{path}")).unwrap();
    let mut fetch = Fetch::new(url, Reach::Exact(socket));
    change(&mut fetch);
    egress.fetch(fetch).await
}
