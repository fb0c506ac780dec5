//! As much of WebSocket (RFC 6455) as two ends need that say binary messages of one frame to each other.

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// A key, and what it is answered with (section 1.3).
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// The answer.
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A frame (section 5.2). Those of a browser are masked.
pub(crate) fn frame(payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let masked = if mask.is_some() { 0x80 } else { 0 };
    let mut frame = vec![0x82];
    match payload.len() {
        length @ 0..=125 => frame.push(masked | length as u8),
        length => {
            frame.push(masked | 126);
            frame.extend((length as u16).to_be_bytes());
        }
    }
    let mask = mask.map_or([0; 4], |mask| {
        frame.extend(mask);
        mask
    });
    frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// The payload of the next frame.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Vec<u8>> {
    let opcode = stream.read_u8().await?;
    assert_eq!(opcode, 0x82, "a binary message of one frame");
    let length = stream.read_u8().await?;
    let is_masked = length & 0x80 != 0;
    let length = match length & 0x7f {
        126 => usize::from(stream.read_u16().await?),
        length => usize::from(length),
    };
    let mut mask = [0; 4];
    if is_masked {
        stream.read_exact(&mut mask).await?;
    }
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await?;
    payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Ok(payload)
}
