//! Writes a first corpus for every target: valid messages, batches and compressed blocks to begin mutating from.
//! Run as `cargo run --bin seeds` in `native/fuzz`; the corpus is not committed.

use bytes::Bytes;
use dohle_protocol::compress::{Compression, Compressor};
use dohle_protocol::records::{BatchBuilder, ControlType, Headers, RecordRef, control_batch};
use dohle_protocol::reflect::{Reflect, Sampler};
use dohle_protocol::{Request, for_each_request, frame, messages};
use std::fs;
use std::io;
use std::path::Path;

fn main() -> io::Result<()> {
    let mut api = 0;
    macro_rules! all {
        ($($name:ident)*) => {$(
            request_and_response::<messages::$name>(api)?;
            api += 1;
        )*};
    }
    for_each_request!(all);
    for (name, input) in dohle_fuzz::asked::seeds() {
        write("serve", &name, &input)?;
    }
    for codec in Compression::ALL {
        let batch = batch(codec);
        write("batch", codec.name(), &batch)?;
        if codec != Compression::None {
            let mut compressor = Compressor::new(codec, None).map_err(io::Error::other)?;
            write(codec.name(), "batch", compressor.compress(&batch).map_err(io::Error::other)?)?;
            write(codec.name(), "plain", b"plain text, plain text, plain text")?;
        }
    }
    write("batch", "control", &control_batch(ControlType::Abort, 1, 2, 3, 4))
}

/// The oldest and the newest version of an API.
fn request_and_response<R: Request + Reflect>(api: u8) -> io::Result<()>
where
    R::Response: Reflect,
{
    for version in [R::MIN_VERSION, R::MAX_VERSION] {
        let mut sampler = Sampler::new(u64::from(api));
        let name = format!("{}-{version}", R::NAME);
        let request = frame::encode_request(version, 1, Some("seed"), &sampler.message::<R>(version));
        write("frame", &name, &request.map_err(io::Error::other)?.to_bytes()[4..])?;
        let response = frame::encode_response::<R>(version, 1, &sampler.message::<R::Response>(version));
        let choice = [api, (version - R::MIN_VERSION) as u8];
        write("response", &name, &[&choice, &response.map_err(io::Error::other)?.to_bytes()[4..]].concat())?;
    }
    Ok(())
}

fn batch(codec: Compression) -> Bytes {
    let mut builder = BatchBuilder::new(1024);
    for i in 0..8 {
        let headers = [(b"name".as_slice(), Some(b"value".as_slice())), (b"name", None)];
        let (key, value) = ([i; 3], [b'v'; 100]);
        builder.append(&RecordRef {
            timestamp: i64::from(i),
            key: Some(&key),
            value: (i % 3 > 0).then_some(&value),
            headers: Headers::List(&headers[..usize::from(i % 3)]),
        });
    }
    let mut compressor = Compressor::new(codec, None).expect("every codec has a default level");
    let mut sealed = builder.seal(&mut compressor, false);
    sealed.stamp(1, 2, 3);
    sealed.bytes()
}

fn write(target: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs it");
    let folder = Path::new(&package).join("corpus").join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), bytes)
}
