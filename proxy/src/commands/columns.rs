//! Tables for people.

use std::io::{self, Write};

/// How wide each column is.
pub(super) struct Columns<const N: usize>([usize; N]);

impl<const N: usize> Columns<N> {
    /// Wide enough for all of these rows.
    pub(super) fn fit(rows: &[[String; N]]) -> Self {
        let mut widths = [0; N];
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        Self(widths)
    }

    /// Writes one row; a cell that is wider than its column pushes the rest to the right.
    pub(super) fn write(&self, row: &[String; N], out: &mut dyn Write) -> io::Result<()> {
        let padded: Vec<String> =
            row.iter().zip(self.0).map(|(cell, width)| format!("{cell:<width$}")).collect();
        writeln!(out, "{}", padded.join("  ").trim_end())
    }
}
