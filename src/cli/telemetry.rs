//! Spans of `serve` for an OpenTelemetry collector, over OTLP and HTTP; only built with the feature `otel`. It only
//! passes on the spans other rooms open. What the log says is not sent.
//!
//! Where to, how much at a time and with which headers is said by the variables of the OpenTelemetry specification
//! (`OTEL_EXPORTER_OTLP_*`, `OTEL_BSP_*`, `OTEL_TRACES_SAMPLER`, `OTEL_RESOURCE_ATTRIBUTES`), so that one set-up holds for
//! every program beside a collector.

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

/// How long the last spans may take on the way out: a collector that hangs does not keep the service from stopping.
const FLUSH: Duration = Duration::from_secs(5);
/// The name of the service where no variable says another.
const SERVICE: &str = env!("CARGO_PKG_NAME");

/// Sends spans in batches from a thread of its own; what is left goes out when it is dropped.
pub(super) struct Spans(SdkTracerProvider);

/// Whether a variable names a collector; an empty one counts as none, as the specification has it.
pub(super) fn are_wanted() -> bool {
    let names = [OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, OTEL_EXPORTER_OTLP_ENDPOINT];
    names.into_iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

/// Starts the log and the export. A collector that cannot be used is told in the log, and the service runs without.
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
        // Fails when somebody was faster, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let exporter = SpanExporter::builder().with_http().build()?;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource())
            .with_batch_exporter(exporter)
            .build();
        Ok(Self(provider))
    }

    /// Takes our spans, whatever the log shows of them.
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

/// Libraries open spans too, which say nothing to whom looks at this service; the exporter's own would never end.
fn is_our_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
}

/// Who sends: what the variables say, else the name of this program.
fn resource() -> Resource {
    let said = Resource::builder().build().get(&Key::from_static_str("service.name"));
    let is_said = said.is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let builder = Resource::builder();
    if is_said { builder.build() } else { builder.with_service_name(SERVICE).build() }
}
