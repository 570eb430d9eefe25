//! The bill of materials: each crate of the program, in the form of CycloneDX.

use anyhow::{Context as _, bail};
use cargo_metadata::PackageId;
use chrono::SecondsFormat;
use cyclonedx_bom::models::component::{Classification, Scope};
use cyclonedx_bom::models::dependency::{Dependencies, Dependency};
use cyclonedx_bom::models::hash::{Hash, HashAlgorithm, HashValue, Hashes};
use cyclonedx_bom::models::license::{LicenseChoice, Licenses};
use cyclonedx_bom::prelude::{
    Bom, Component, Components, DateTime, Metadata, NormalizedString, Purl, SpdxExpression,
    Validate as _,
};
use std::collections::BTreeMap;

use crate::parts::Part;
use crate::project::{Commit, NAME};

/// The bill, as JSON. It has no serial number, so that the same source has the same bill.
pub fn bill(commit: &Commit, parts: &BTreeMap<PackageId, Part>) -> anyhow::Result<Vec<u8>> {
    let is_program = |part: &&Part| part.package.name == NAME;
    let program = parts.values().find(is_program).context("the program is no part of itself")?;
    let others = parts.values().filter(|part| !is_program(part));
    let needs = parts.values().map(|part| {
        let needed = part.needs.iter().filter_map(|id| parts.get(id)).map(reference);
        Dependency { dependency_ref: reference(part), dependencies: needed.collect() }
    });
    let time = commit.time.to_rfc3339_opts(SecondsFormat::Secs, true);
    let bom = Bom {
        serial_number: None,
        metadata: Some(Metadata {
            timestamp: Some(DateTime::try_from(time)?),
            component: Some(component(program, Classification::Application)?),
            ..Metadata::default()
        }),
        components: Some(Components(
            others
                .map(|part| component(part, Classification::Library))
                .collect::<Result<_, _>>()?,
        )),
        dependencies: Some(Dependencies(needs.collect())),
        ..Bom::default()
    };
    if !bom.validate().passed() {
        bail!("the bill of materials is not valid: {:?}", bom.validate());
    }
    let mut json = Vec::new();
    bom.output_as_json_v1_5(&mut json)?;
    json.push(b'\n');
    Ok(json)
}

fn reference(part: &Part) -> String {
    format!("{}@{}", part.package.name, part.package.version)
}

fn component(part: &Part, kind: Classification) -> anyhow::Result<Component> {
    let (name, version) = (part.package.name.to_string(), part.package.version.to_string());
    let mut component = Component::new(kind, &name, &version, Some(reference(part)));
    component.scope = Some(if part.is_linked { Scope::Required } else { Scope::Excluded });
    component.description = part.package.description.as_deref().map(NormalizedString::new);
    component.purl = Some(Purl::new("cargo", &name, &version)?);
    component.hashes = part.digest.clone().map(|digest| {
        Hashes(vec![Hash { alg: HashAlgorithm::SHA_256, content: HashValue(digest) }])
    });
    if let Some(license) = &part.package.license {
        let license = SpdxExpression::parse_lax(license.clone())?;
        component.licenses = Some(Licenses(vec![LicenseChoice::Expression(license)]));
    }
    Ok(component)
}
