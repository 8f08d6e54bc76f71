//! A line between a client and the embedded broker: it passes everything on, and shows a test what is asked.

use std::net::SocketAddr;
use std::sync::Arc;

use dohle_broker::{Action, Broker, BrokerOptions, Rule, RuleId, When};
use dohle_protocol::frame::{self, RequestHeader};
use dohle_protocol::{ApiKey, Decoder};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A broker that clients reach at the address given back; `seen` is called with each request before it can be answered.
pub async fn broker_behind(
    mut options: BrokerOptions,
    seen: impl Fn(RequestHeader, Decoder) + Send + Sync + 'static,
) -> (Broker, SocketAddr) {
    let line = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = line.local_addr().unwrap();
    options.advertised_port = Some(address.port());
    let broker = Broker::start_default(options).await.unwrap();
    let (to, seen) = (broker.address(), Arc::new(seen));
    tokio::spawn(async move {
        while let Ok((near, _)) = line.accept().await {
            // A broker that has stopped refuses, and so does the line.
            if let Ok(far) = TcpStream::connect(to).await {
                pass(near, far, seen.clone());
            }
        }
    });
    (broker, address)
}

fn pass(near: TcpStream, far: TcpStream, seen: Arc<impl Fn(RequestHeader, Decoder) + Send + Sync + 'static>) {
    let (mut near_in, mut near_out) = near.into_split();
    let (mut far_in, mut far_out) = far.into_split();
    tokio::spawn(async move {
        let _ = tokio::io::copy(&mut far_in, &mut near_out).await;
        let _ = near_out.shutdown().await;
    });
    tokio::spawn(async move {
        while let Ok(length) = near_in.read_u32().await {
            let mut bytes = length.to_be_bytes().to_vec();
            bytes.resize(4 + length as usize, 0);
            if near_in.read_exact(&mut bytes[4..]).await.is_err() {
                break;
            }
            let (header, body) = frame::decode_request_header(bytes[4..].to_vec().into()).unwrap();
            seen(header, body);
            if far_out.write_all(&bytes).await.is_err() {
                break;
            }
        }
        let _ = far_out.shutdown().await;
    });
}

/// A rule that does nothing but count requests of this API: its hits.
pub fn counts(broker: &Broker, api: ApiKey) -> RuleId {
    broker.faults().add(Rule::new(Action::Delay { millis: 0, when: When::Before }).api(api.0).forever())
}
