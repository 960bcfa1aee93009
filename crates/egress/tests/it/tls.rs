//! TLS: whom we trust, that names are checked, and that HTTP/2 is offered and spoken.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use bytes::Bytes;
use chatward_egress::{Call, CallFailure, Credential, Egress, Reach, Resolve, Resolving, Url};
use chatward_types::Secret;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![tag];
    match content.len() {
        short @ 0..128 => out.push(short as u8),
        middle @ 128..256 => out.extend([0x81, middle as u8]),
        long => out.extend([0x82, (long >> 8) as u8, long as u8]),
    }
    out.extend(content);
    out
}

/// A certificate for `name` that signs itself, made for this run alone.
fn certificate(name: &str) -> (Vec<u8>, Vec<u8>) {
    let random = SystemRandom::new();
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8.as_ref()).unwrap();
    let ecdsa_sha256 = der(0x30, &[&[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]]);
    let ec_p256 =
        der(0x30, &[&[0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1], &[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7]]);
    let common_name = der(0x30, &[&[0x06, 3, 0x55, 4, 3], &der(0x0c, &[b"test"])]);
    let subject = der(0x30, &[&der(0x31, &[&common_name])]);
    let validity = der(0x30, &[&der(0x17, &[b"200101000000Z"]), &der(0x17, &[b"491231235959Z"])]);
    let public_key = der(0x30, &[&ec_p256, &der(0x03, &[&[0], pair.public_key().as_ref()])]);
    let names = der(0x04, &[&der(0x30, &[&der(0x82, &[name.as_bytes()])])]);
    let extension = der(0x30, &[&[0x06, 3, 0x55, 0x1d, 17], &names]);
    let extensions = der(0xa3, &[&der(0x30, &[&extension])]);
    let to_be_signed = der(
        0x30,
        &[
            &der(0xa0, &[&[2, 1, 2]]),
            &[2, 1, 1],
            &ecdsa_sha256,
            &subject,
            &validity,
            &subject,
            &public_key,
            &extensions,
        ],
    );
    let signature = pair.sign(&random, &to_be_signed).unwrap();
    let signed = der(0x30, &[&to_be_signed, &ecdsa_sha256, &der(0x03, &[&[0], signature.as_ref()])]);
    (signed, pkcs8.as_ref().to_vec())
}

fn pem(certificate: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

struct TlsServer {
    address: SocketAddr,
    pem: String,
    connections: Arc<AtomicUsize>,
}

/// Answers each request with its HTTP version and whether it carried a credential.
async fn serve_tls(name: &str, protocols: &[&[u8]]) -> TlsServer {
    let (signed, key) = certificate(name);
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(signed.clone())],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key)),
        )
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            counter.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let answer = service_fn(|request: hyper::Request<hyper::body::Incoming>| async move {
                    let credential = request.headers().contains_key("authorization");
                    let text = format!("{:?} {credential}", request.version());
                    Ok::<_, Infallible>(hyper::Response::new(Full::new(Bytes::from(text))))
                });
                let _ = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), answer)
                    .await;
            });
        }
    });
    TlsServer { address, pem: pem(&signed), connections }
}

#[derive(Debug)]
struct Loopback;

impl Resolve for Loopback {
    fn resolve(&self, _: String) -> Resolving {
        Box::pin(async { Ok(vec![[127, 0, 0, 1].into()]) })
    }
}

fn trusting(pem: &str) -> Egress {
    Egress::builder().resolver(Arc::new(Loopback)).extra_roots_pem(pem).build().unwrap()
}

async fn ask(egress: &Egress, host: &str, server: &TlsServer) -> Result<String, CallFailure> {
    let url = Url::parse(&format!("https://{host}:{}/", server.address.port())).unwrap();
    let mut call = Call::get(url, Reach::Operator);
    let secret = Secret::new(["not", "a", "key"].join("-"));
    call.credential = Some(Credential { secret, host: host.to_owned() });
    let answer = egress.call(call).await.map_err(|error| error.failure())?;
    Ok(String::from_utf8(answer.body.collect().await.unwrap().to_vec()).unwrap())
}

#[tokio::test]
async fn both_protocols_are_spoken_and_connections_kept() {
    for (offer, version) in
        [(&[&b"h2"[..], b"http/1.1"][..], "HTTP/2.0"), (&[b"http/1.1"], "HTTP/1.1"), (&[], "HTTP/1.1")]
    {
        let server = serve_tls("api.site.example", offer).await;
        let egress = trusting(&server.pem);
        for _ in 0..3 {
            let answer = ask(&egress, "api.site.example", &server).await;
            assert_eq!(answer, Ok(format!("{version} true")));
        }
        assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn strangers_certificates_and_wrong_names_are_refused_before_anything_is_sent() {
    let server = serve_tls("api.site.example", &[b"h2"]).await;
    let unknown = Egress::builder().resolver(Arc::new(Loopback)).build().unwrap();
    assert_eq!(ask(&unknown, "api.site.example", &server).await, Err(CallFailure::Tls));
    let trusted = trusting(&server.pem);
    for wrong in ["other.site.example", "site.example", "127.0.0.1", "x.api.site.example"] {
        assert_eq!(ask(&trusted, wrong, &server).await, Err(CallFailure::Tls), "{wrong}");
    }
}

#[tokio::test]
async fn a_peer_that_does_not_speak_tls_is_a_tls_failure() {
    let (address, _ends) = crate::raw::raw(|mut stream| async move {
        let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad\r\n\r\n").await;
    })
    .await;
    let egress = Egress::builder().build().unwrap();
    let url = Url::parse(&format!("https://{address}/")).unwrap();
    let error = egress.call(Call::get(url, Reach::Operator)).await.unwrap_err();
    assert_eq!(error.failure(), CallFailure::Tls);
}

#[test]
fn a_file_of_roots_without_a_certificate_is_refused() {
    for pem in ["", "nothing here", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(Egress::builder().extra_roots_pem(pem).build().is_err(), "{pem}");
    }
    assert!(Egress::builder().user_agent("a\nb").build().is_err());
}
