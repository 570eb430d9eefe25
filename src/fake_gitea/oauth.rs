//! "Sign in with Gitea": the authorization code flow as Gitea 1.25 answers it. It has no passwords; whoever opens the
//! sign-in page says who they are.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use super::FakeGitea;
use super::call::{Answer, Call, Reply};
use super::record::{Application, Grant, ROOT_URL, Token};
use super::world::State;

const LIFETIME_S: i64 = 3_600;

impl FakeGitea {
    /// Makes an OAuth2 application; gives its id and its secret.
    pub fn add_oauth_application(&self, redirect_uri: &str) -> (String, String) {
        self.change(|state| {
            let number = state.next_id("application");
            let client_id = format!("00000000-0000-4000-8000-{number:012}");
            let client_secret = format!("gto_{}", hex::encode(Sha256::digest(&client_id)));
            state.oauth.applications.push(Application {
                client_id: client_id.clone(),
                client_secret: client_secret.clone(),
                redirect_uri: redirect_uri.to_owned(),
            });
            (client_id, client_secret)
        })
    }
}

impl FakeGitea {
    /// Takes back what an account agreed to for every application: their tokens are void.
    pub fn take_back_agreements(&self, login: &str) {
        self.change(|state| {
            let Some(user) = state.user_id(login) else { return };
            state.oauth.agreed.retain(|(by, _), _| *by != user);
            state.oauth.tokens.retain(|_, token| token.user != user);
            state.oauth.refreshing.retain(|_, token| token.user != user);
        });
    }
}

/// Answers one call below `/login/oauth/`.
pub(super) fn answer(state: &mut State, call: &Call, path: &[&str]) -> Reply {
    match (call.method.as_str(), path) {
        ("GET", ["authorize"]) => authorize(state, call),
        ("POST", ["grant"]) => grant(state, call),
        ("POST", ["access_token"]) => access_token(state, call),
        ("GET", ["userinfo"]) => userinfo(state, call),
        _ => Err(Answer::unknown_path()),
    }
}

/// Addresses are the same without regard to case and a slash at the end (models/auth/oauth2.go).
fn is_same_address(one: &str, other: &str) -> bool {
    one.trim_end_matches('/').eq_ignore_ascii_case(other.trim_end_matches('/'))
}

/// The page on which a person says who they are and agrees.
fn authorize(state: &State, call: &Call) -> Reply {
    let param = |name: &str| call.param(name).unwrap_or_default();
    let redirect_uri = param("redirect_uri");
    let application = state.oauth.applications.iter().find(|a| a.client_id == param("client_id"));
    let application = application.ok_or_else(|| Answer::error(400, "client not found"))?;
    if !is_same_address(&application.redirect_uri, &redirect_uri) {
        return Err(Answer::error(400, "Unregistered Redirect URI"));
    }
    if param("response_type") != "code" || param("code_challenge_method") != "S256" {
        return Err(Answer::error(400, "unsupported_response_type or challenge"));
    }
    let hidden: String = ["client_id", "redirect_uri", "state", "nonce", "code_challenge", "scope"]
        .iter()
        .map(|name| {
            format!("<input type=\"hidden\" name=\"{name}\" value=\"{}\">", quoted(&param(name)))
        })
        .collect();
    let people: String = state
        .users
        .values()
        .filter(|user| !user.is_org)
        .map(|user| format!("<p><button name=\"login\" value=\"{0}\">{0}</button>", user.login))
        .collect();
    Ok(Answer::html(format!(
        "<!DOCTYPE html><html lang=\"en\"><title>Sign in - fake Gitea</title><h1>Who are you?</h1>\
         <form method=\"post\" action=\"/login/oauth/grant\">{hidden}{people}</form></html>"
    )))
}

fn quoted(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
}

/// Sends the person back with a code.
fn grant(state: &mut State, call: &Call) -> Reply {
    let user = state.user_id(&call.field("login"));
    let user = user.ok_or_else(|| Answer::error(403, "nobody is signed in"))?;
    let mut back = Url::parse(&call.field("redirect_uri"))
        .map_err(|_| Answer::error(400, "Unregistered Redirect URI"))?;
    let number = state.next_id("code");
    let code = format!("gta_{}", hex::encode(Sha256::digest(format!("code {number}"))));
    let grant = Grant {
        user,
        client_id: call.field("client_id"),
        redirect_uri: call.field("redirect_uri"),
        nonce: call.field("nonce"),
        challenge: call.field("code_challenge"),
    };
    let agreed = (user, grant.client_id.clone());
    state.oauth.agreed.entry(agreed).or_insert_with(|| call.field("scope"));
    state.oauth.codes.insert(code.clone(), grant);
    back.query_pairs_mut().append_pair("code", &code).append_pair("state", &call.field("state"));
    Ok(Answer::see_other(back.as_str()))
}

fn refused(error: &str, why: &str) -> Answer {
    Answer::ok(json!({"error": error, "error_description": why})).with_status(400)
}

/// Trades a code for tokens, once.
fn access_token(state: &mut State, call: &Call) -> Reply {
    let known = state.oauth.applications.iter().any(|a| {
        a.client_id == call.field("client_id") && a.client_secret == call.field("client_secret")
    });
    if !known {
        return Err(refused("unauthorized_client", "client is not authorized"));
    }
    if call.field("grant_type") == "refresh_token" {
        let token = state.oauth.refreshing.get(&call.field("refresh_token")).cloned();
        let token = token.filter(|token| token.client_id == call.field("client_id"));
        let token =
            token.ok_or_else(|| refused("unauthorized_client", "unable to parse refresh token"))?;
        return Ok(Answer::ok(tokens(state, &token)));
    }
    let grant = state.oauth.codes.remove(&call.field("code"));
    let verifier = URL_SAFE_NO_PAD.encode(Sha256::digest(call.field("code_verifier")));
    let grant = grant.filter(|g| {
        g.client_id == call.field("client_id")
            && g.redirect_uri == call.field("redirect_uri")
            && g.challenge == verifier
    });
    let grant =
        grant.ok_or_else(|| refused("unauthorized_client", "failed PKCE code challenge"))?;
    let (user, client_id) = (grant.user, grant.client_id.clone());
    let token = Token { user, client_id, until: state.now() };
    let mut answer = tokens(state, &token);
    answer["id_token"] = id_token(state, &grant).into();
    Ok(Answer::ok(answer))
}

/// A new pair of tokens for the account and the application of this one.
fn tokens(state: &mut State, of: &Token) -> Value {
    let number = state.next_id("access token");
    let named = |what: &str| hex::encode(Sha256::digest(format!("{what} {number}")));
    let (access, refresh) = (named("access token"), named("refresh token"));
    let until = state.now() + chrono::TimeDelta::seconds(LIFETIME_S);
    let token = Token { until, ..of.clone() };
    let agreed = state.oauth.agreed.get(&(of.user, of.client_id.clone())).cloned();
    let is_general = |scope: &&str| ["openid", "profile", "email", "groups"].contains(scope);
    let scopes: Vec<String> = agreed
        .iter()
        .flat_map(|s| s.split(' '))
        .filter(|s| !is_general(s))
        .map(str::to_owned)
        .collect();
    if !scopes.is_empty() {
        state.scopes.insert(access.clone(), scopes);
    }
    state.oauth.tokens.insert(access.clone(), token.clone());
    state.oauth.refreshing.insert(refresh.clone(), token);
    json!({
        "access_token": access,
        "token_type": "bearer",
        "expires_in": LIFETIME_S,
        "refresh_token": refresh,
    })
}

/// An id token whose signature nobody here looks at.
fn id_token(state: &State, grant: &Grant) -> String {
    let now = state.now().timestamp();
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = part(json!({"alg": "RS256", "kid": "fake", "typ": "JWT"}));
    let claims = part(json!({
        "iss": ROOT_URL,
        "sub": grant.user.to_string(),
        "aud": [grant.client_id],
        "exp": now + LIFETIME_S,
        "iat": now,
        "nonce": grant.nonce,
        "name": state.login(grant.user),
        "preferred_username": state.login(grant.user),
    }));
    format!("{head}.{claims}.{}", URL_SAFE_NO_PAD.encode("not signed"))
}

/// Whom a token of an application speaks for.
pub(super) fn speaks_for(state: &State, token: &str) -> Option<i64> {
    let token = state.oauth.tokens.get(token).filter(|token| state.now() < token.until)?;
    state.users.contains_key(&token.user).then_some(token.user)
}

fn userinfo(state: &State, call: &Call) -> Reply {
    let token = call.authorization.strip_prefix("Bearer ").unwrap_or_default();
    let user = speaks_for(state, token);
    let user = user.ok_or_else(|| Answer::error(401, "no valid authorization"))?;
    let login = state.login(user);
    Ok(Answer::ok(json!({
        "sub": user.to_string(),
        "name": login,
        "preferred_username": login,
        "email": format!("{login}@example.com"),
        "picture": format!("{ROOT_URL}/avatars/{user}"),
        "groups": [],
    })))
}
