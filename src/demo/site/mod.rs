//! The pages of the demo's forge: its repositories, issues and pull requests as HTML, where a real one has them, and two
//! forms. What is sent by them happens in the forge as if it came through its API, with the same webhooks.

mod assets;
mod links;
mod markdown;
mod pages;
mod render;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use actix_web::guard::{GuardContext, fn_guard};
use actix_web::web::{self, Data, ServiceConfig};

use crate::fake_gitea::{FakeGitea, Pages};
use crate::issue::RepoName;

/// The people in whose names the forms can be sent: one who may write to the repositories, and one who may not.
pub(super) const PEOPLE: [&str; 2] = ["alice", "vera"];

/// The largest form, in bytes.
const MAX_FORM: usize = 128 * 1024;

/// What the pages need; the forge is there only after they are.
#[derive(Default)]
pub(super) struct Site {
    gitea: Mutex<Option<FakeGitea>>,
    dashboard: OnceLock<Dashboard>,
    /// The repository whose webhook is there from the start.
    watched: OnceLock<RepoName>,
    /// Whether those of all others are there too.
    watches_all: OnceLock<()>,
}

/// The service as the pages name it.
#[derive(Clone, Debug)]
pub(super) struct Dashboard {
    /// Its address.
    pub url: String,
    /// The link that signs in to it.
    pub entrance: String,
}

impl Site {
    /// The routes, for a forge that is about to start.
    pub fn pages(self: &Arc<Self>) -> Pages {
        let site = Data::from(Arc::clone(self));
        Arc::new(move |app: &mut ServiceConfig| {
            app.app_data(site.clone());
            routes(app);
        })
    }

    /// Shows this forge.
    pub fn open(&self, gitea: &FakeGitea) {
        *self.gitea.lock().unwrap_or_else(PoisonError::into_inner) = Some(gitea.clone());
    }

    /// Names the service.
    pub fn name_service(&self, dashboard: Dashboard) {
        // There is one service in a demo.
        let _ = self.dashboard.set(dashboard);
    }

    /// Takes new issues in this repository.
    pub fn watch(&self, repo: RepoName) {
        let _ = self.watched.set(repo);
    }

    /// Takes new issues in every repository.
    pub fn watch_all(&self) {
        let _ = self.watches_all.set(());
    }

    /// Lets go of the forge, which holds these pages.
    pub fn close(&self) {
        *self.gitea.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn gitea(&self) -> Option<FakeGitea> {
        self.gitea.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the service hears of what happens there.
    fn is_watched(&self, repo: &RepoName) -> bool {
        self.watches_all.get().is_some() || self.watched.get() == Some(repo)
    }
}

fn routes(app: &mut ServiceConfig) {
    let at = |path: &str| web::resource(path).guard(fn_guard(is_page));
    app.app_data(web::FormConfig::default().limit(MAX_FORM))
        .service(at("/").route(web::get().to(pages::repositories)))
        .service(at("/assets/{name}").route(web::get().to(assets::get)))
        .service(at("/{owner}/{name}").route(web::get().to(pages::repository)))
        .service(at("/{owner}/{name}/issues").route(web::get().to(pages::issues)))
        .service(
            at("/{owner}/{name}/issues/new")
                .route(web::get().to(pages::new_issue))
                .route(web::post().to(pages::open_issue)),
        )
        .service(
            at("/{owner}/{name}/{kind:issues|pulls}/{number:[0-9]+}")
                .route(web::get().to(pages::issue)),
        )
        .service(
            at("/{owner}/{name}/issues/{number:[0-9]+}/comments")
                .route(web::post().to(pages::comment)),
        );
}

/// Whether the API has nothing at this path.
fn is_page(context: &GuardContext<'_>) -> bool {
    let path = context.head().uri.path();
    !["/api/", "/login/"].iter().any(|prefix| path.starts_with(prefix))
}
