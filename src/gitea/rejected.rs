//! Why a request at the door is turned away, and what to check. No refusal repeats a digest, a header or the body.

/// Why a request is no delivery of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Rejected {
    /// No header with a SHA-256 signature.
    #[error(
        "no `X-Gitea-Signature` header came; set the hook's secret, and let the proxy pass the header on"
    )]
    SignatureMissing,
    /// A signature header without a digest, as Gitea sends it for a hook without a secret.
    #[error("the signature is empty; the hook has no secret: set one of `webhook.secrets` on it")]
    SignatureEmpty,
    /// A signature header that is no hex SHA-256.
    #[error(
        "a signature header is not one SHA-256 digest in hex; see what the proxy does to the headers"
    )]
    SignatureMalformed,
    /// No secret gives this digest, or the headers disagree.
    #[error(
        "the signature matches none of `webhook.secrets`; compare the hook's secret, and see that no \
         proxy changes the body"
    )]
    SignatureMismatch,
    /// The right digest of a secret whose time is over.
    #[error(
        "the signature is of a secret that has expired; set a current one of `webhook.secrets` on the hook"
    )]
    SecretExpired,
    /// Signed, but without a usable delivery id.
    #[error("no usable `X-Gitea-Delivery` header came; see that the proxy passes it on")]
    NoDeliveryId,
    /// Signed, and sent by this program to learn whether the secret is known.
    #[error("this asks about a secret; it is known")]
    Probe,
    /// Signed, but neither JSON nor a form.
    #[error("the content type is neither `application/json` nor a form; change it on the hook")]
    UnsupportedContentType,
    /// Signed, but a form without exactly one `payload` field.
    #[error("the form does not hold one `payload` field; use the content type `application/json`")]
    BadForm,
}

impl Rejected {
    /// Every class there is, in the order of the variants.
    pub const ALL: [Self; 9] = [
        Self::SignatureMissing,
        Self::SignatureEmpty,
        Self::SignatureMalformed,
        Self::SignatureMismatch,
        Self::SecretExpired,
        Self::NoDeliveryId,
        Self::Probe,
        Self::UnsupportedContentType,
        Self::BadForm,
    ];

    /// The HTTP status to answer with.
    pub fn status(self) -> u16 {
        match self {
            Self::NoDeliveryId | Self::Probe | Self::BadForm => 400,
            Self::UnsupportedContentType => 415,
            _ => 401,
        }
    }

    /// The class in one word, for a metric's label.
    pub fn class(self) -> &'static str {
        match self {
            Self::SignatureMissing => "signature_missing",
            Self::SignatureEmpty => "signature_empty",
            Self::SignatureMalformed => "signature_malformed",
            Self::SignatureMismatch => "signature_mismatch",
            Self::SecretExpired => "secret_expired",
            Self::NoDeliveryId => "no_delivery_id",
            Self::Probe => "probe",
            Self::UnsupportedContentType => "unsupported_content_type",
            Self::BadForm => "bad_form",
        }
    }
}
