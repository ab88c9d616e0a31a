//! What a viewer got while its line changed, as a table and as a picture.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// One moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moment {
    pub at: Duration,
    pub link_kbps: u64,
    pub estimate_kbps: u64,
    /// What the encoding that was watched carries.
    pub watched_kbps: u64,
    pub queue_ms: u64,
}

/// Writes `<name>.csv` and `<name>.svg` into `target/tmp`.
pub fn write(name: &str, moments: &[Moment]) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let mut table = "seconds,link_kbps,estimate_kbps,watched_kbps,queue_ms\n".to_owned();
    for moment in moments {
        let Moment { at, link_kbps, estimate_kbps, watched_kbps, queue_ms } = moment;
        let seconds = at.as_secs_f64();
        let _ = writeln!(table, "{seconds:.1},{link_kbps},{estimate_kbps},{watched_kbps},{queue_ms}");
    }
    fs::write(folder.join(format!("{name}.csv")), table).expect("target can be written to");
    fs::write(folder.join(format!("{name}.svg")), picture(moments)).expect("target can be written to");
}

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 300.0;
/// Estimates above this are drawn at the edge.
const KBPS_MAX: f64 = 5_000.0;
const QUEUE_MAX_MS: f64 = 500.0;
const MARGIN: f64 = 50.0;

fn picture(moments: &[Moment]) -> String {
    let end = moments.last().map_or(1.0, |moment| moment.at.as_secs_f64());
    let x = |moment: &Moment| MARGIN + moment.at.as_secs_f64() / end * WIDTH;
    let y = |share: f64| MARGIN + HEIGHT * (1.0 - share.clamp(0.0, 1.0));
    let line = |colour: &str, share: &dyn Fn(&Moment) -> f64| {
        let points: Vec<String> =
            moments.iter().map(|moment| format!("{:.1},{:.1}", x(moment), y(share(moment)))).collect();
        format!(
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{}\"/>\n",
            points.join(" ")
        )
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        WIDTH + 2.0 * MARGIN,
        HEIGHT + 2.0 * MARGIN
    );
    for mbps in 0..=5 {
        let height = y(f64::from(mbps) * 1000.0 / KBPS_MAX);
        let _ = writeln!(
            svg,
            "<line x1=\"{MARGIN}\" x2=\"{}\" y1=\"{height}\" y2=\"{height}\" stroke=\"#ddd\"/>\
             <text x=\"8\" y=\"{}\">{mbps} Mbit</text>",
            MARGIN + WIDTH,
            height + 4.0
        );
    }
    for second in (0..=end as u32).step_by(10) {
        let place = MARGIN + f64::from(second) / end * WIDTH;
        let _ = writeln!(svg, "<text x=\"{place:.1}\" y=\"{}\">{second} s</text>", MARGIN + HEIGHT + 18.0);
    }
    svg += &line("#bbbbbb", &|moment| moment.link_kbps as f64 / KBPS_MAX);
    svg += &line("#1f77b4", &|moment| moment.estimate_kbps as f64 / KBPS_MAX);
    svg += &line("#2ca02c", &|moment| moment.watched_kbps as f64 / KBPS_MAX);
    svg += &line("#d62728", &|moment| moment.queue_ms as f64 / QUEUE_MAX_MS);
    for (at, colour, text) in [
        (0.0, "#888888", "what the line carries"),
        (200.0, "#1f77b4", "what is believed of it"),
        (400.0, "#2ca02c", "the encoding watched"),
        (600.0, "#d62728", "queue (the height is 500 ms)"),
    ] {
        let _ = writeln!(svg, "<text x=\"{}\" y=\"20\" fill=\"{colour}\">{text}</text>", MARGIN + at);
    }
    svg + "</svg>\n"
}
