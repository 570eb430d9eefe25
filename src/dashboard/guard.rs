//! What holds for every request and every answer of the dashboard: no page while it is off, no form from another site,
//! and security headers on every answer.

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    CACHE_CONTROL, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, REFERRER_POLICY,
};
use actix_web::http::{Method, StatusCode, header};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage as _, HttpResponse};

use super::Dashboard;
use super::frame::Frame;
use super::refusal::{self, Refusal};
use super::session;
use super::settings::Settings;

/// Own files only, and no inline script or style. `form-action` is what keeps an injected
/// form from sending a typed token elsewhere.
pub(crate) const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Headers of every answer. The referrer stays within the site: with `no-referrer` browsers would send `Origin: null`
/// with our own forms.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The middleware around all pages.
pub(super) async fn guard<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let Some(dashboard) = request.app_data::<Data<Dashboard>>().cloned() else {
        return Ok(request.into_response(HttpResponse::from_error(Refusal::broken())));
    };
    let settings = dashboard.settings();
    if !session::is_sealed_by(&dashboard.key, request.headers()) {
        // Before the sessions are read, which would write a line about each.
        request.headers_mut().remove(COOKIE);
        let why = "it was not made here, or for another token or application";
        dashboard.parts.strangers.log("session cookie ignored", &why, request.request());
    }
    let mut response = match refused(&request, &settings) {
        // `into_response` would forget which refusal it is.
        Some(answer) => ServiceResponse::new(request.into_parts().0, answer),
        None => next.call(request).await?.map_into_boxed_body(),
    };
    let refusal = response.response().error().and_then(|error| error.as_error::<Refusal>());
    let signed_in = response.request().extensions_mut().remove::<Frame>();
    let frame = || signed_in.unwrap_or_else(|| Frame::of_refusal(&settings));
    if let Some(page) = refusal.and_then(|refusal| refusal.framed(frame())) {
        response = response.map_body(|_, _| BoxBody::new(page));
    }
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    Ok(response)
}

fn refused(request: &ServiceRequest, settings: &Settings) -> Option<HttpResponse> {
    let path = request.path();
    let is_off = !settings.is_on() && !path.starts_with("/assets/");
    match *request.method() {
        Method::GET | Method::HEAD | Method::POST if is_off => {
            let is_front = path == "/" && request.method() != Method::POST;
            Some(refusal::switched_off(settings, is_front))
        }
        Method::GET | Method::HEAD => None,
        Method::POST if is_own_form(request.headers(), settings) => None,
        Method::POST => {
            let why = "the form came from another site; open the dashboard at its own address";
            Some(HttpResponse::from_error(Refusal::page(StatusCode::FORBIDDEN, why)))
        }
        _ => {
            let mut answer = HttpResponse::MethodNotAllowed();
            Some(answer.insert_header((header::ALLOW, "GET, POST")).finish())
        }
    }
}

/// Whether the form came from a page of this dashboard; every browser sends `Origin` with every POST. The own address is
/// the public one, or the one that this request was sent to, for whoever bypasses the proxy.
fn is_own_form(headers: &HeaderMap, settings: &Settings) -> bool {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let Some(origin) = text(ORIGIN) else { return false };
    let is_public = settings.origin().is_some_and(|own| own == origin);
    let host = origin.split_once("://").map(|(_, host)| host);
    is_public || (host.is_some() && host == text(HOST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dashboard::settings::at;

    #[track_caller]
    fn is_own(origin: Option<&'static str>, host: &'static str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_static(host));
        if let Some(origin) = origin {
            headers.insert(ORIGIN, HeaderValue::from_static(origin));
        }
        is_own_form(&headers, &at("https://triage.example.com/sub"))
    }

    #[test]
    fn a_form_is_accepted_from_own_pages_only() {
        assert!(is_own(Some("https://triage.example.com"), "127.0.0.1:8484"));
        assert!(is_own(Some("http://127.0.0.1:8484"), "127.0.0.1:8484"));
        for foreign in
            ["https://evil.example", "null", "https://triage.example.com.evil.example", ""]
        {
            assert!(!is_own(Some(foreign), "triage.example.com"), "{foreign}");
        }
        assert!(!is_own(Some("http://triage.example.com:8080"), "triage.example.com"));
        assert!(!is_own(None, "triage.example.com"), "a browser always says where a form is from");
    }
}
