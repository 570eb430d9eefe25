//! The style sheet, the script and the icon, built into the program.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::Path;
use sha2::{Digest as _, Sha256};

pub(crate) const STYLE: &str = include_str!("assets/style.css");
const SCRIPT: &str = include_str!("assets/live.js");
pub(crate) const ICON: &str = include_str!("assets/icon.svg");

/// A version that changes with the files.
pub(super) static EDITION: LazyLock<String> = LazyLock::new(|| {
    let digest = Sha256::new().chain_update(STYLE).chain_update(SCRIPT).chain_update(ICON);
    hex::encode(&digest.finalize()[..6])
});

/// The handler of `GET /assets/{name}`; it never looks for a file on disk.
pub(super) async fn get(name: Path<String>) -> HttpResponse {
    let (kind, text) = match name.as_str() {
        "style.css" => ("text/css; charset=utf-8", STYLE),
        "live.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "icon.svg" => ("image/svg+xml", ICON),
        _ => return HttpResponse::NotFound().body("Not Found: there is no such file"),
    };
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .insert_header((CONTENT_TYPE, kind))
        .body(text)
}
