//! The files of the pages, built into the program: the dashboard's style sheet, and what only the forge has.

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::Path;

use crate::dashboard::{ICON, STYLE};

const OWN_STYLE: &str = include_str!("forge.css");
const SCRIPT: &str = include_str!("forge.js");

/// The handler of `GET /assets/{name}`; it never looks for a file on disk.
pub(super) async fn get(name: Path<String>) -> HttpResponse {
    let (kind, text) = match name.as_str() {
        "style.css" => ("text/css; charset=utf-8", STYLE),
        "forge.css" => ("text/css; charset=utf-8", OWN_STYLE),
        "forge.js" => ("text/javascript; charset=utf-8", SCRIPT),
        "icon.svg" => ("image/svg+xml", ICON),
        _ => return HttpResponse::NotFound().body("Not Found: there is no such file"),
    };
    HttpResponse::Ok().insert_header((CONTENT_TYPE, kind)).body(text)
}
