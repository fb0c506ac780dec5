//! Medians, and the table that says them.

use crate::drive::Measured;

/// What a contestant did in a scenario, round by round.
pub(crate) struct Row {
    pub(crate) scenario: &'static str,
    pub(crate) contestant: &'static str,
    pub(crate) measured: Vec<Measured>,
}

/// The table, as Markdown. A ratio is the median of the rounds' ratios: both sides of one had the machine at about the
/// same moment. Those of requests are better above 1, those of latency below it.
pub(crate) fn print(rows: &[Row]) -> String {
    let mut text = String::from(
        "\n| target | | req/s | p99 ms | CPU µs/req | req/s to nginx | p99 to nginx | req/s to hyper | p99 to hyper |\n\
         |---|---|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    for row in rows {
        let (rate, p99): (Column, Column) = (|turn| turn.per_second, |turn| turn.p99_ms);
        let other = |name: &str| {
            let other = rows.iter().find(|other| other.scenario == row.scenario && other.contestant == name);
            other.filter(|_| row.contestant != name)
        };
        let ratio = |name: &str, column: Column| {
            other(name).map_or_else(|| "–".to_owned(), |other| format!("{:.2}", row.ratio(other, column)))
        };
        text += &format!(
            "| {} | {} | {:.0} | {:.2} | {:.1} | {} | {} | {} | {} |\n",
            row.scenario,
            row.contestant,
            row.median(rate),
            row.median(p99),
            row.median(|turn| turn.cpu_us),
            ratio("nginx", rate),
            ratio("nginx", p99),
            ratio("bare hyper", rate),
            ratio("bare hyper", p99),
        );
    }
    text
}

type Column = fn(&Measured) -> f64;

impl Row {
    fn median(&self, column: Column) -> f64 {
        median(self.measured.iter().map(column).collect())
    }

    fn ratio(&self, other: &Self, column: Column) -> f64 {
        let rounds = self.measured.iter().zip(&other.measured);
        median(rounds.map(|(own, other)| column(own) / column(other)).collect())
    }
}

/// The middle one; of an even number, the mean of the middle two. Not a number when there is none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle.wrapping_sub(1)), values.get(middle)) {
        (Some(lower), Some(upper)) if values.len().is_multiple_of(2) => f64::midpoint(*lower, *upper),
        (_, Some(upper)) => *upper,
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_found() {
        assert!((median(vec![9.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(vec![9.0, 1.0, 2.0, 4.0]) - 3.0).abs() < 1e-9);
        assert!((median(vec![7.0]) - 7.0).abs() < 1e-9);
        assert!(median(Vec::new()).is_nan());
    }

    #[test]
    fn ratios_are_taken_round_by_round() {
        let row = |contestant, rates: [f64; 3]| Row {
            scenario: "s",
            contestant,
            measured: rates
                .map(|per_second| Measured { requests: 1, per_second, p99_ms: 1.0, cpu_us: 1.0 })
                .to_vec(),
        };
        // The second round had the machine to itself: in each round the first is twice as fast.
        let rows = [row("usher", [20.0, 200.0, 22.0]), row("nginx", [10.0, 100.0, 11.0])];
        let text = print(&rows);
        assert!(text.contains("| s | usher | 22 | 1.00 | 1.0 | 2.00 | 1.00 | – | – |"), "{text}");
        assert!(text.contains("| s | nginx | 11 | 1.00 | 1.0 | – | – | – | – |"), "{text}");
    }
}
