//! What those should know who watch over a publisher.

use super::{Publisher, REPORT_INTERVAL};
use crate::lint::LintNews;
use crate::reception::Reception;
use std::sync::Arc;
use std::time::Instant;
use wtn_media::{Format, Layer, MediaKind};

impl Publisher {
    /// Whether it sends, if that is news.
    pub fn poll_flow(&mut self, now: Instant) -> Option<bool> {
        self.flow.poll(now)
    }

    /// A track that came alive or changed its format since it was last told of; each at most once a second, so
    /// that a publisher that alternates keeps nobody busy.
    pub fn poll_media(&mut self, now: Instant) -> Option<(MediaKind, Format)> {
        let rested = |told: &Option<Instant>| told.is_none_or(|at| now >= at + REPORT_INTERVAL);
        let is_due = |kind: &MediaKind| self.changed[kind.index()] && rested(&self.told[kind.index()]);
        let kind = MediaKind::ALL.into_iter().find(is_due)?;
        self.changed[kind.index()] = false;
        self.told[kind.index()] = Some(now);
        self.current[kind.index()].map(|format| (kind, format))
    }

    /// What its picture can be had in, if there is news of that.
    pub fn poll_layers(&mut self, now: Instant) -> Option<Arc<[Layer]>> {
        self.layers.poll(now)
    }

    /// What may be wrong with what it sends, if that is news.
    pub fn poll_lint(&mut self, now: Instant) -> Option<LintNews> {
        let counts = || {
            let receptions = self.sources.iter().filter_map(|source| source.reception.as_ref());
            let sums = |(expected, received), (e, r)| (expected + e, received + r);
            receptions.map(Reception::counts).fold((0, 0), sums)
        };
        self.lint.poll(now, counts)
    }
}
