//! What came of it: a table for people, JUnit and JSON for machines.

use crate::rows::{self, Row, Strength};
use crate::verdict::Verdict;
use serde_json::{Value, json};
use std::fmt;

/// What the checks of one row found.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The row's id.
    pub row: &'static str,
    /// What they found.
    pub verdict: Verdict,
    /// How long they took.
    pub seconds: f64,
}

impl Finding {
    /// Takes another check of the same row in: a failure counts most, and what passed counts more than what
    /// could not be seen.
    pub(crate) fn join(&mut self, other: Self) {
        self.seconds += other.seconds;
        let rank = |verdict: &Verdict| match verdict {
            Verdict::Fail(_) => 0,
            Verdict::Pass => 1,
            Verdict::Skip(_) => 2,
        };
        match (&mut self.verdict, other.verdict) {
            (Verdict::Fail(why), Verdict::Fail(more)) => *why += &format!("; {more}"),
            (verdict, other) if rank(&other) < rank(verdict) => *verdict = other,
            _ => {}
        }
    }

    /// What the row asks.
    pub fn row(&self) -> &'static Row {
        rows::row(self.row).expect("a test holds the checks against the rows")
    }
}

/// All findings, in the order of the rows.
#[derive(Clone, Debug)]
pub struct Report {
    /// One for each row that was looked at.
    pub findings: Vec<Finding>,
    /// How long it all took.
    pub seconds: f64,
}

impl Report {
    /// Whether no MUST failed.
    pub fn is_conformant(&self) -> bool {
        self.failed(|strength| strength == Strength::Must).next().is_none()
    }

    /// The failures of those strengths.
    pub fn failed(&self, which: impl Fn(Strength) -> bool) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(move |finding| {
            matches!(finding.verdict, Verdict::Fail(_)) && which(finding.row().strength)
        })
    }

    fn count(&self, which: impl Fn(&Verdict) -> bool) -> usize {
        self.findings.iter().filter(|finding| which(&finding.verdict)).count()
    }

    fn counts(&self) -> [usize; 3] {
        [
            self.count(|verdict| *verdict == Verdict::Pass),
            self.count(|verdict| matches!(verdict, Verdict::Fail(_))),
            self.count(|verdict| matches!(verdict, Verdict::Skip(_))),
        ]
    }

    /// As JSON.
    pub fn to_json(&self) -> Value {
        let [passed, failed, skipped] = self.counts();
        let findings: Vec<_> = self
            .findings
            .iter()
            .map(|finding| {
                let row = finding.row();
                let (verdict, why) = parts(&finding.verdict);
                json!({
                    "row": row.id, "strength": row.strength, "text": row.text, "source": row.source,
                    "verdict": verdict, "why": why, "seconds": (finding.seconds * 1000.0).round() / 1000.0,
                })
            })
            .collect();
        json!({
            "schema": 1, "ok": self.is_conformant(), "passed": passed, "failed": failed, "skipped": skipped,
            "seconds": (self.seconds * 1000.0).round() / 1000.0, "findings": findings,
        })
    }

    /// As JUnit: a suite for each section.
    pub fn to_junit(&self) -> String {
        let [_, failed, skipped] = self.counts();
        let mut xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"wtn conformance\" tests=\"{}\" \
             failures=\"{failed}\" skipped=\"{skipped}\" time=\"{:.3}\">\n",
            self.findings.len(),
            self.seconds
        );
        for (title, findings) in self.by_section() {
            let count = |name: &str| findings.iter().filter(|each| parts(&each.verdict).0 == name).count();
            xml += &format!(
                "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{}\" skipped=\"{}\">\n",
                escaped(title),
                findings.len(),
                count("fail"),
                count("skip")
            );
            for finding in findings {
                let row = finding.row();
                xml += &format!(
                    "    <testcase classname=\"{}\" name=\"{} {}\" time=\"{:.3}\"",
                    row.strength.name(),
                    row.id,
                    escaped(&row.text),
                    finding.seconds
                );
                xml += &match &finding.verdict {
                    Verdict::Pass => "/>\n".to_owned(),
                    Verdict::Fail(why) => {
                        format!(
                            "><failure message=\"{}\">{}</failure></testcase>\n",
                            escaped(why),
                            escaped(&row.source)
                        )
                    }
                    Verdict::Skip(why) => format!("><skipped message=\"{}\"/></testcase>\n", escaped(why)),
                };
            }
            xml += "  </testsuite>\n";
        }
        xml + "</testsuites>\n"
    }

    fn by_section(&self) -> impl Iterator<Item = (&'static str, Vec<&Finding>)> {
        rows::sections().iter().filter_map(|section| {
            let rows = section.rows.iter();
            let findings: Vec<_> =
                rows.filter_map(|row| self.findings.iter().find(|finding| finding.row == row.id)).collect();
            (!findings.is_empty()).then_some((&*section.title, findings))
        })
    }
}

fn parts(verdict: &Verdict) -> (&'static str, Option<&str>) {
    match verdict {
        Verdict::Pass => ("pass", None),
        Verdict::Fail(why) => ("fail", Some(why)),
        Verdict::Skip(why) => ("skip", Some(why)),
    }
}

/// For text and attributes of XML 1.0, which has no place for control characters.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        match character {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\n' | '\t' => out.push(' '),
            control if control.is_control() => out.push('\u{fffd}'),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
    out
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (title, findings) in self.by_section() {
            writeln!(f, "{title}")?;
            for finding in findings {
                let row = finding.row();
                let (verdict, why) = parts(&finding.verdict);
                writeln!(f, "  {verdict:4}  {:8} {:8} {}", row.id, row.strength.name(), row.text)?;
                if let Some(why) = why {
                    writeln!(f, "        {why}")?;
                }
                if verdict == "fail" {
                    writeln!(f, "        see {}", row.source)?;
                }
            }
            writeln!(f)?;
        }
        let [passed, failed, skipped] = self.counts();
        let musts = self.failed(|strength| strength == Strength::Must).count();
        writeln!(
            f,
            "{passed} passed, {failed} failed ({musts} of them MUST), {skipped} not seen, in {:.1} s",
            self.seconds
        )
    }
}
