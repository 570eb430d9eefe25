//! Reads the body of a request: no more than a limit, not into room that others need, and not for ever.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::error::PayloadError;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt as _;

use crate::connections::{Full, Room, Share};

/// From this length on space is kept for the whole body that was announced.
const LARGE: usize = 64 * 1024;
/// How long a body may take to arrive. Gitea itself gives up after five seconds.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Why a body was not read.
pub(super) enum Unread {
    TooLarge,
    TooSlow,
    Broken,
    Crowded,
}

impl From<Full> for Unread {
    fn from(_: Full) -> Self {
        Self::Crowded
    }
}

/// The body, and what it holds of the room until it is dropped.
pub(super) async fn read(
    request: &HttpRequest,
    mut payload: Payload,
    room: &Arc<Room>,
    limit: usize,
) -> Result<(Bytes, Share), Unread> {
    let announced = request.headers().get(CONTENT_LENGTH);
    let announced = announced.and_then(|v| v.to_str().ok()?.parse().ok()).unwrap_or(0);
    if announced > limit {
        return Err(Unread::TooLarge);
    }
    let all = async {
        let (mut body, share) = (BytesMut::new(), room.share(request));
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|error| match error {
                PayloadError::Overflow => Unread::TooLarge,
                _ => Unread::Broken,
            })?;
            if body.len() + chunk.len() > limit {
                return Err(Unread::TooLarge);
            }
            share.take(chunk.len()).await?;
            // Space that nothing was written to costs nothing yet; to grow step by step costs it twice over.
            if body.len() >= LARGE {
                body.reserve(announced.saturating_sub(body.len()));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((body.freeze(), share))
    };
    tokio::time::timeout(TIMEOUT, all).await.unwrap_or(Err(Unread::TooSlow))
}
