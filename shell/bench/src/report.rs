//! Figures as tables for people, and as a page with plots. JSON comes of the reports themselves.

use crate::{FanoutReport, IngestReport, JoinReport, Step};
use std::fmt::{self, Display, Write as _};

impl Display for FanoutReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = if self.gro { "receivers take runs" } else { "the kernel cuts runs" };
        writeln!(f, "one stream, {} frames a second, {cut}\n", self.stream.fps)?;
        writeln!(
            f,
            "{:>7} {:>9} {:>8} {:>8} {:>6} {:>6} {:>28} {:>8} {:>9} {:>12} {:>8}",
            "viewers",
            "packets/s",
            "ns/pkt",
            "floor",
            "ratio",
            "cores",
            "transit p50/p99/p99.9/max ms",
            "loss %",
            "KiB/view",
            "first pkt ms",
            "joins/s"
        )?;
        for step in &self.steps {
            writeln!(f, "{}", row(step))?;
            for doubt in &step.doubts {
                writeln!(f, "        not the server's alone: {doubt}")?;
            }
            if step.corrupted > 0 {
                writeln!(f, "        {} of {} compared packets differ", step.corrupted, step.compared)?;
            }
        }
        let sampled = self.steps.last().map_or(0, |step| step.sampled);
        write!(f, "\nevery packet counted; those of {sampled} viewers decrypted, compared and timed")
    }
}

fn row(step: &Step) -> String {
    let optional =
        |value: Option<f64>, digits| value.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
    let [p50, p99, p999, worst] = step.transit_ms;
    format!(
        "{:>7} {:>9.0} {:>8.0} {:>8} {:>6} {:>6.3} {:>28} {:>8.3} {:>9.1} {:>12.1} {:>8.0}",
        step.viewers,
        step.packets_per_second,
        step.server_ns_per_packet,
        optional(step.floor_ns_per_packet, 0),
        optional(step.ratio(), 2),
        step.server_cores,
        format!("{p50:.2} / {p99:.2} / {p999:.2} / {worst:.1}"),
        step.totals.loss(),
        step.kib_per_viewer,
        step.joins.first_packet_ms[0],
        step.joins.per_second,
    )
}

impl Display for JoinReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pair = |[middle, p99]: [f64; 2]| format!("{middle:.1} / {p99:.1} ms");
        let three = |[p50, p99, worst]: [f64; 3]| format!("{p50:.2} / {p99:.2} / {worst:.1} ms");
        writeln!(f, "{} viewers came, {:.0} a second", self.joins.viewers, self.joins.per_second)?;
        writeln!(f, "  server, POST to keys       {:.0} µs each", self.server_us_per_join)?;
        writeln!(f, "  memory of the server       {:.1} KiB each", self.kib_per_viewer)?;
        writeln!(f, "  POST to answer             {} (p50 / p99)", pair(self.joins.post_ms))?;
        writeln!(f, "  POST to end of DTLS        {}", pair(self.joins.connected_ms))?;
        writeln!(f, "{} watched meanwhile", self.watching)?;
        writeln!(f, "  lost                       {:.4} %", self.watched.loss())?;
        writeln!(f, "  transit before             {} (p50 / p99 / worst)", three(self.transit_before_ms))?;
        write!(f, "  transit while they came    {}", three(self.transit_during_ms))?;
        self.doubts.iter().try_for_each(|doubt| write!(f, "\nnot the server's alone: {doubt}"))
    }
}

impl Display for IngestReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} publishers, {:.0} packets a second", self.publishers, self.packets_per_second)?;
        writeln!(
            f,
            "  server                     {:.0} ns a packet, {:.3} cores",
            self.server_ns_per_packet, self.server_cores
        )?;
        write!(f, "  no room in receive buffers {} datagrams", self.dropped)?;
        self.doubts.iter().try_for_each(|doubt| write!(f, "\nnot the server's alone: {doubt}"))
    }
}

/// A page that stands alone: the table, and plots of cost and delay over viewers.
pub fn html(report: &FanoutReport) -> String {
    let table = escape(&report.to_string());
    let xs: Vec<f64> = report.steps.iter().map(|step| step.viewers as f64).collect();
    let line = |name, look: &dyn Fn(&Step) -> f64| (name, report.steps.iter().map(look).collect::<Vec<_>>());
    let cost = [
        line("server", &|step| step.server_ns_per_packet),
        line("bare limit", &|step| step.floor_ns_per_packet.unwrap_or(f64::NAN)),
    ];
    let delay = [
        line("p50", &|step| step.transit_ms[0]),
        line("p99", &|step| step.transit_ms[1]),
        line("p99.9", &|step| step.transit_ms[2]),
    ];
    format!(
        "<!doctype html><meta charset=\"utf-8\"><title>wtn bench fanout</title>\n\
         <style>body{{font:14px system-ui;margin:2em}}pre{{overflow:auto}}svg{{max-width:46em;display:block}}</style>\n\
         <h1>wtn bench fanout</h1><pre>{table}</pre>\n\
         <h2>CPU time of the server per packet, ns</h2>{}\n<h2>Transit, ms</h2>{}\n",
        plot(&xs, &cost),
        plot(&xs, &delay)
    )
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 260.0;
const MARGIN: f64 = 48.0;

fn plot(xs: &[f64], lines: &[(&str, Vec<f64>)]) -> String {
    const COLOURS: [&str; 3] = ["#1b6ac9", "#c2410c", "#15803d"];
    let greatest =
        |values: &mut dyn Iterator<Item = f64>| values.filter(|value| value.is_finite()).fold(0.0, f64::max);
    let x_max = greatest(&mut xs.iter().copied()).max(1.0);
    let y_max = greatest(&mut lines.iter().flat_map(|(_, ys)| ys.iter().copied())).max(1e-6) * 1.1;
    let place = |x: f64, y: f64| {
        let across = MARGIN + x / x_max * (WIDTH - 2.0 * MARGIN);
        (across, HEIGHT - MARGIN - y / y_max * (HEIGHT - 2.0 * MARGIN))
    };
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">");
    let ((left, bottom), (right, top)) = (place(0.0, 0.0), place(x_max, y_max));
    let _ = write!(svg, "<path d=\"M{left} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"#888\"/>");
    for part in [0.5, 1.0] {
        let ((_, y), (x, _)) = (place(0.0, y_max / 1.1 * part), place(x_max * part, 0.0));
        let (value, count) = (y_max / 1.1 * part, x_max * part);
        let _ = write!(svg, "<text x=\"2\" y=\"{y:.0}\" font-size=\"11\">{value:.1}</text>");
        let _ =
            write!(svg, "<text x=\"{x:.0}\" y=\"{:.0}\" font-size=\"11\">{count:.0}</text>", bottom + 14.0);
    }
    for (at, (name, ys)) in lines.iter().enumerate() {
        let points = xs.iter().zip(ys).filter(|(_, y)| y.is_finite()).map(|(x, y)| {
            let (x, y) = place(*x, *y);
            format!("{x:.1},{y:.1}")
        });
        let (points, colour) = (points.collect::<Vec<_>>().join(" "), COLOURS[at % COLOURS.len()]);
        let _ = write!(
            svg,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
        );
        let y = top + 16.0 * at as f64;
        let _ = write!(
            svg,
            "<text x=\"{:.0}\" y=\"{y:.0}\" font-size=\"12\" fill=\"{colour}\">{name}</text>",
            left + 10.0
        );
    }
    svg + "</svg>"
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
