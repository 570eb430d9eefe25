//! "Sign in with Gitea": the authorization code flow of OAuth2 with PKCE, what Gitea says of who signed in, and what
//! it shows them. Who may see or do what here, others decide.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{ACCEPT, HeaderMap};
use reqwest::{RequestBuilder, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::transport::read;
use super::{Error, base_url, below, http_client, issue_page};
use crate::clock::Timestamp;
use crate::issue::{Account, IssueRef, RepoName};

/// Without a scope of the API's a token could do all that its person can (gitea-facts 3.5); with these it can only look.
const SCOPES: &str = "openid profile read:user read:repository";
/// How long before its end an access token is no longer used.
const BEFORE_END: chrono::TimeDelta = chrono::TimeDelta::seconds(30);
/// No answer of these endpoints is longer.
const MAX_ANSWER: usize = 64 * 1024;
/// How far the clocks of the two servers may be apart.
const LEEWAY: chrono::TimeDelta = chrono::TimeDelta::minutes(2);

/// An OAuth2 application made on the server.
#[derive(Clone, Debug)]
pub struct Application {
    /// Where this service reaches Gitea.
    pub url: String,
    /// Where people's browsers reach Gitea.
    pub browser_url: String,
    /// The application's id.
    pub client_id: String,
    /// The application's secret.
    pub client_secret: SecretString,
    /// Where Gitea sends people back to, exactly as the application says.
    pub redirect_uri: String,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long to wait for a whole answer.
    pub timeout: Duration,
}

/// What ties one person's way to Gitea and back together: nobody else may know it, and it is good for one time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    state: String,
    nonce: String,
    verifier: String,
}

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// No answer.
    #[error("the forge could not be reached to sign you in; try again in a moment")]
    Unreachable,
    /// The code was refused, or the application is not known.
    #[error(
        "the forge refused the sign-in with status {status}; start again, and see that `dashboard.client_id`, its secret \
         and the redirect URI are those of the application on the server"
    )]
    Refused {
        /// The HTTP status.
        status: u16,
    },
    /// They agreed to less, at an earlier sign-in; the forge keeps to that until they take it back.
    #[error(
        "the forge does not let us ask which repositories you may write to, because you agreed to less before; remove \
         this application under Settings → Applications on the forge, and sign in again"
    )]
    TooNarrow,
    /// The answer cannot be used.
    #[error("the forge's answer cannot be used: {0}")]
    Unusable(&'static str),
}

/// Signs people in through one application.
#[derive(Debug)]
pub struct SignIn {
    application: Application,
    server: Url,
    browser: Url,
    http: reqwest::Client,
}

/// What the forge gave us to ask in somebody's name.
#[derive(Clone, Debug)]
pub struct PersonTokens {
    access: SecretString,
    refresh: Option<SecretString>,
    until: Timestamp,
}

/// Somebody who came back from the forge.
#[derive(Debug)]
pub struct SignedIn {
    /// Who they are.
    pub account: Account,
    /// What the forge is asked with in their name.
    pub tokens: PersonTokens,
}

/// What somebody may do in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// They do not see it.
    None,
    /// They see it.
    See,
    /// They may write to it.
    Write,
}

/// The tokens in words, to be sealed.
#[derive(Serialize, Deserialize)]
struct Words {
    access: String,
    refresh: Option<String>,
    until: i64,
}

#[derive(Deserialize)]
struct Tokens {
    access_token: SecretString,
    refresh_token: Option<SecretString>,
    #[serde(default)]
    expires_in: i64,
    id_token: Option<String>,
}

#[derive(Deserialize)]
struct Shown {
    #[serde(default)]
    permissions: May,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct May {
    admin: bool,
    push: bool,
}

#[derive(Deserialize)]
struct Claims {
    /// One application, or a list of them.
    aud: Value,
    nonce: String,
    exp: i64,
    sub: String,
}

#[derive(Deserialize)]
struct UserInfo {
    sub: String,
    preferred_username: String,
}

impl Tokens {
    fn of_person(&self, now: Timestamp) -> PersonTokens {
        let long = chrono::TimeDelta::seconds(self.expires_in.clamp(0, 365 * 24 * 3_600));
        let (access, refresh) = (self.access_token.clone(), self.refresh_token.clone());
        PersonTokens { access, refresh, until: now + long }
    }
}

impl PersonTokens {
    /// In words, which nobody but us may read.
    pub fn words(&self) -> SecretString {
        let shown = |secret: &SecretString| secret.expose_secret().to_owned();
        let (access, refresh) = (shown(&self.access), self.refresh.as_ref().map(shown));
        let words = Words { access, refresh, until: self.until.timestamp() };
        serde_json::to_string(&words).unwrap_or_default().into()
    }

    /// From the words of [`Self::words`].
    pub fn from_words(words: &str) -> Option<Self> {
        let Words { access, refresh, until } = serde_json::from_str(words).ok()?;
        let until = crate::clock::from_millis(until.checked_mul(1_000)?);
        Some(Self { access: access.into(), refresh: refresh.map(Into::into), until })
    }

    /// Whether others have to be had first.
    pub fn are_over(&self, now: Timestamp) -> bool {
        self.until - now < BEFORE_END
    }
}

impl Flow {
    /// A new one that nobody can guess.
    pub fn start() -> Self {
        // A UUID has 122 random bits, so two of them are as good as the 256 that PKCE wants.
        let bytes = || *Uuid::new_v4().as_bytes();
        let secret = || URL_SAFE_NO_PAD.encode([bytes(), bytes()].concat());
        Self { state: secret(), nonce: secret(), verifier: secret() }
    }

    /// Whether an answer with this state belongs to it.
    pub fn has_state(&self, state: &str) -> bool {
        // Both are compared by digest, so that the time says nothing about where they differ.
        Sha256::digest(&self.state) == Sha256::digest(state)
    }

    fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(&self.verifier))
    }
}

impl SignIn {
    /// One for this application; nothing is sent yet.
    pub fn new(application: Application) -> Result<Self, Error> {
        let server = base_url(&application.url)?;
        let browser = base_url(&application.browser_url)?;
        // Without the service's own token, which has no business at these endpoints.
        let Application { connect_timeout, timeout, .. } = application;
        let http = http_client(connect_timeout, timeout, &server, HeaderMap::new())?;
        Ok(Self { application, server, browser, http })
    }

    /// Changes with the server, the application and its secret, and says nothing of them.
    pub fn fingerprint(&self) -> [u8; 32] {
        let Application { client_id, client_secret, .. } = &self.application;
        let mut digest = Sha256::new();
        for part in [self.server.as_str(), client_id.as_str(), client_secret.expose_secret()] {
            digest.update((part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }

    /// The page of an issue, where people's browsers reach it.
    pub fn issue_url(&self, at: &IssueRef) -> String {
        issue_page(&self.browser, at)
    }

    /// Where to send the browser.
    pub fn authorize_url(&self, flow: &Flow) -> String {
        let mut url = below(&self.browser, &["login", "oauth", "authorize"]);
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.application.client_id)
            .append_pair("redirect_uri", &self.application.redirect_uri)
            .append_pair("scope", SCOPES)
            .append_pair("state", &flow.state)
            .append_pair("nonce", &flow.nonce)
            .append_pair("code_challenge", &flow.challenge())
            .append_pair("code_challenge_method", "S256");
        url.into()
    }

    /// Who came back with this code.
    pub async fn identify(
        &self,
        code: &str,
        flow: &Flow,
        now: Timestamp,
    ) -> Result<SignedIn, SignInError> {
        let given = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.application.redirect_uri),
            ("code_verifier", &flow.verifier),
        ];
        let answer = self.tokens(&given).await?;
        let subject = self.check(answer.id_token.as_deref().unwrap_or_default(), flow, now)?;
        let tokens = answer.of_person(now);
        let account = self.whose(&tokens).await?;
        match account.id.to_string() == subject {
            true => Ok(SignedIn { account, tokens }),
            false => Err(SignInError::Unusable("its two answers name different people")),
        }
    }

    /// Whose tokens these are now; refused once they took back what they agreed to, or the account is gone.
    pub async fn whose(&self, tokens: &PersonTokens) -> Result<Account, SignInError> {
        let url = below(&self.server, &["login", "oauth", "userinfo"]);
        let request = self.http.get(url).bearer_auth(tokens.access.expose_secret());
        let info: UserInfo = answer(request).await?;
        let id = info.sub.parse().ok().filter(|id| *id > 0);
        let id = id.ok_or(SignInError::Unusable("it names nobody"))?;
        Ok(Account { id, login: info.preferred_username })
    }

    /// Other tokens for those that are over.
    pub async fn renew(
        &self,
        tokens: &PersonTokens,
        now: Timestamp,
    ) -> Result<PersonTokens, SignInError> {
        let refresh = tokens.refresh.as_ref().map_or("", |token| token.expose_secret());
        let given = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
        let renewed = self.tokens(&given).await?.of_person(now);
        // A server may let the old one be used again and send no other.
        let refresh = renewed.refresh.or_else(|| tokens.refresh.clone());
        Ok(PersonTokens { refresh, ..renewed })
    }

    /// What the person of these tokens may do in a repository, in the forge's own words to them.
    pub async fn access(
        &self,
        tokens: &PersonTokens,
        repo: &RepoName,
    ) -> Result<Access, SignInError> {
        let url = below(&self.server, &["api", "v1", "repos", repo.owner(), repo.name()]);
        let request = self.http.get(url).bearer_auth(tokens.access.expose_secret());
        match answer(request).await {
            Ok(Shown { permissions: May { admin: false, push: false } }) => Ok(Access::See),
            Ok(_) => Ok(Access::Write),
            // It is not there, or not for them, or it has another name now.
            Err(SignInError::Refused { status: 301 | 307 | 404 }) => Ok(Access::None),
            Err(SignInError::Refused { status: 403 }) => Err(SignInError::TooNarrow),
            Err(error) => Err(error),
        }
    }

    async fn tokens(&self, given: &[(&str, &str)]) -> Result<Tokens, SignInError> {
        let Application { client_id, client_secret, .. } = &self.application;
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(given)
            .append_pair("client_id", client_id)
            .append_pair("client_secret", client_secret.expose_secret())
            .finish();
        let url = below(&self.server, &["login", "oauth", "access_token"]);
        let kind = "application/x-www-form-urlencoded";
        answer(self.http.post(url).header("Content-Type", kind).body(form)).await
    }

    /// The subject of an id token that was made for us and for this flow. Its signature is not looked at: the token
    /// came straight from the server, and so it is the connection that vouches for it (OpenID Connect Core 3.1.3.7).
    fn check(&self, token: &str, flow: &Flow, now: Timestamp) -> Result<String, SignInError> {
        let payload = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
        let claims = payload.and_then(|json| serde_json::from_slice::<Claims>(&json).ok());
        let claims = claims.ok_or(SignInError::Unusable("it has no id token"))?;
        let ours = &self.application.client_id;
        let is_among = |many: &Vec<Value>| many.iter().any(|one| one == ours);
        let is_for_us = claims.aud == *ours || claims.aud.as_array().is_some_and(is_among);
        let wrong = if !is_for_us {
            "it is for another application"
        } else if claims.nonce != flow.nonce {
            "it belongs to another sign-in"
        } else if claims.exp < (now - LEEWAY).timestamp() {
            "it has expired; compare the clocks of the two servers"
        } else {
            return Ok(claims.sub);
        };
        Err(SignInError::Unusable(wrong))
    }
}

async fn answer<T: DeserializeOwned>(request: RequestBuilder) -> Result<T, SignInError> {
    let response = request.header(ACCEPT, "application/json").send().await;
    let response = response.map_err(|_| SignInError::Unreachable)?;
    let status = response.status();
    if status.is_server_error() || status.as_u16() == 429 {
        return Err(SignInError::Unreachable);
    }
    if !status.is_success() {
        return Err(SignInError::Refused { status: status.as_u16() });
    }
    let body = read(response, MAX_ANSWER).await.map_err(|_| SignInError::Unreachable)?;
    let body = body.ok_or(SignInError::Unusable("it is too long"))?;
    serde_json::from_slice(&body).map_err(|_| SignInError::Unusable("it is not what a forge sends"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign_in() -> SignIn {
        SignIn::new(Application {
            url: "http://gitea:3000".into(),
            browser_url: "https://git.example.com/gitea/".into(),
            client_id: "app".into(),
            client_secret: "secret".into(),
            redirect_uri: "https://triage.example.com/sign-in/callback".into(),
            connect_timeout: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
        })
        .unwrap()
    }

    fn token(claims: &serde_json::Value) -> String {
        format!("head.{}.signature", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    #[test]
    fn the_browser_is_sent_to_its_own_address_of_gitea_with_a_challenge_and_no_secret() {
        let flow = Flow::start();
        let url = sign_in().authorize_url(&flow);
        assert!(url.starts_with("https://git.example.com/gitea/login/oauth/authorize?"), "{url}");
        assert!(url.contains(&format!("code_challenge={}", flow.challenge())), "{url}");
        assert!(url.contains("code_challenge_method=S256"), "{url}");
        assert!(!url.contains("secret") && !url.contains(&flow.verifier), "{url}");
    }

    #[test]
    fn the_challenge_is_the_one_of_the_standard() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".to_owned();
        let flow = Flow { verifier, ..Flow::start() };
        assert_eq!(flow.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn every_flow_is_another_one() {
        let (one, other) = (Flow::start(), Flow::start());
        assert_ne!(one, other);
        assert!(one.has_state(&one.state) && !one.has_state(&other.state) && !one.has_state(""));
        assert!(one.verifier.len() >= 43, "RFC 7636 wants 43 characters");
    }

    #[test]
    fn an_id_token_of_another_application_sign_in_or_time_is_refused() {
        let flow = Flow::start();
        let now = crate::clock::from_millis(1_774_267_200_000);
        let good = serde_json::json!({
            "aud": "app", "nonce": flow.nonce, "exp": now.timestamp() + 60, "sub": "5"
        });
        let check = |claims: &serde_json::Value| sign_in().check(&token(claims), &flow, now);
        assert_eq!(check(&good).unwrap(), "5");
        let changes = [("aud", "other".into()), ("nonce", "other".into()), ("exp", 1.into())];
        for (key, value) in changes {
            let mut bad = good.clone();
            bad[key] = value;
            assert!(check(&bad).is_err(), "{key}");
        }
        assert!(sign_in().check("no token", &flow, now).is_err());
    }
}
