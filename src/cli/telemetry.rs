//! Exports the spans of `serve` to an OpenTelemetry collector over OTLP and HTTP; only built with the feature `otel`.
//! Log lines are not sent. The usual variables configure it: `OTEL_EXPORTER_OTLP_*`, `OTEL_BSP_*`,
//! `OTEL_TRACES_SAMPLER`, `OTEL_RESOURCE_ATTRIBUTES`.

use std::time::Duration;

use opentelemetry::Key;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{
    ExporterBuildError, OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
    SpanExporter,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::Metadata;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer, Registry};

/// How long the last export may take: a collector that hangs must not keep the service from stopping.
const FLUSH: Duration = Duration::from_secs(5);
/// The default service name.
const SERVICE: &str = env!("CARGO_PKG_NAME");

/// Sends spans in batches from its own thread; the rest when it is dropped.
pub(super) struct Spans(SdkTracerProvider);

/// Whether a variable names a collector; an empty one counts as unset, as in the specification.
pub(super) fn are_wanted() -> bool {
    let names = [OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT];
    names.into_iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// Starts the log and the export. If the exporter cannot start, that is logged, and the service runs without it.
pub(super) fn start(log: impl Layer<Registry> + Send + Sync) -> Option<Spans> {
    let spans = Spans::new();
    let export = spans.as_ref().ok().map(Spans::layer);
    tracing_subscriber::registry().with(log).with(export).init();
    spans
        .inspect_err(|error| {
            tracing::error!(%error, "spans are not exported; see `OTEL_EXPORTER_OTLP_ENDPOINT`");
        })
        .ok()
}

impl Spans {
    fn new() -> Result<Self, ExporterBuildError> {
        // Fails when a provider is installed already, which is fine.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let exporter = SpanExporter::builder().with_http().build()?;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource())
            .with_batch_exporter(exporter)
            .build();
        Ok(Self(provider))
    }

    /// Exports the spans of this crate, independent of the log filter.
    fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_opentelemetry::layer::<S>()
            .with_tracer(self.tracer())
            .with_location(false)
            .with_threads(false)
            .with_filter(filter_fn(is_our_span).with_max_level_hint(LevelFilter::DEBUG))
    }

    fn tracer(&self) -> SdkTracer {
        self.0.tracer(SERVICE)
    }
}

impl Drop for Spans {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown_with_timeout(FLUSH) {
            tracing::warn!(%error, "the last spans were not exported");
        }
    }
}

/// Spans of libraries are of no use here, and those of the exporter would never end.
fn is_our_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
}

/// The service name of the variables, else the name of this program.
fn resource() -> Resource {
    let name = Resource::builder().build().get(&Key::from_static_str("service.name"));
    let is_set = name.is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let builder = Resource::builder();
    if is_set { builder.build() } else { builder.with_service_name(SERVICE).build() }
}
