//! The style sheet, the script and the icon, from the program itself.

use std::sync::LazyLock;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, Responder as _, http::header};
use sha2::{Digest as _, Sha256};

use super::Dashboard;
use super::refusal::Refusal;

const STYLE: &str = include_str!("assets/style.css");
const SCRIPT: &str = include_str!("assets/live.js");
const ICON: &str = include_str!("assets/icon.svg");

/// Changes whenever one of the files does.
pub(super) static EDITION: LazyLock<String> = LazyLock::new(|| {
    let digest = Sha256::new().chain_update(STYLE).chain_update(SCRIPT).chain_update(ICON);
    hex::encode(&digest.finalize()[..6])
});

/// The handler of `GET /assets/{name}`: no file of the disk is ever looked for.
pub(super) async fn get(
    name: Path<String>,
    dashboard: Data<Dashboard>,
    request: actix_web::HttpRequest,
) -> HttpResponse {
    let (kind, text) = match name.as_str() {
        "style.css" => ("text/css; charset=utf-8", STYLE),
        "live.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "icon.svg" => ("image/svg+xml", ICON),
        _ => {
            let settings = dashboard.settings();
            return Refusal::not_found(&settings, "there is no such file").respond_to(&request);
        }
    };
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "public, max-age=31536000, immutable"))
        .insert_header((header::CONTENT_TYPE, kind))
        .body(text)
}
