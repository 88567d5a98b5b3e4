//! A metric definition, compiled for the search.

use regex_syntax::hir::Hir;

use super::checks::{Defect, defect};
use super::core::Core;
use super::translate::{PatternError, translate};
use crate::job::config::MetricDefinition;

/// A metric definition with its compiled pattern.
#[derive(Debug)]
pub(super) struct CompiledMetric {
    /// The name of the metric.
    pub(super) name: String,
    /// The pattern, in Python's syntax.
    pub(super) pattern: String,
    /// The part of the pattern to search for.
    pub(super) core: Core,
    /// The structure of the pattern.
    pub(super) hir: Hir,
    /// The defect that was found before the job wrote a line.
    pub(super) defect: Option<Defect>,
}

impl CompiledMetric {
    /// Compiles a definition.
    ///
    /// # Errors
    /// The pattern is not valid, uses a feature that the `regex` crate lacks, or is too large.
    pub(super) fn compile(given: &MetricDefinition) -> Result<CompiledMetric, PatternError> {
        let translated = translate(&given.pattern)?;
        let hir = regex_syntax::parse(&translated).map_err(|_| PatternError::TooLarge)?;
        let core = Core::of(&hir).ok_or(PatternError::TooLarge)?;
        // The clone compiles its own core, which is freed afterwards.
        let defect = defect(&hir, &core.clone());
        Ok(CompiledMetric { name: given.name.clone(), pattern: given.pattern.clone(), core, hir, defect })
    }

    /// Returns the literal words of the pattern, for finding similar lines.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        collect_words(&self.hir, &mut words);
        words
    }
}

fn collect_words(pattern: &Hir, words: &mut Vec<String>) {
    use regex_syntax::hir::HirKind;
    match pattern.kind() {
        HirKind::Literal(literal) => {
            let text = String::from_utf8_lossy(&literal.0).to_lowercase();
            words.extend(
                text.split(|letter: char| !letter.is_alphanumeric()).filter(|word| word.len() > 1).map(str::to_owned),
            );
        }
        HirKind::Repetition(repetition) => collect_words(&repetition.sub, words),
        HirKind::Capture(capture) => collect_words(&capture.sub, words),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().for_each(|part| collect_words(part, words))
        }
        HirKind::Empty | HirKind::Class(_) | HirKind::Look(_) => {}
    }
}
