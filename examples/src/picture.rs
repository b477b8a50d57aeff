//! Pictures in one style: SVG on a white card, which is legible on light and on dark pages.

use std::error::Error;
use std::ops::Range;
use std::path::{Path, PathBuf};

use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

/// What drawing gives.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A part of a picture.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A chart with numbers along both axes.
pub type Chart<'a, 'b> =
    ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// The colour of what is computed.
pub const FOUND: RGBColor = RGBColor(31, 111, 180);
/// The colour of what it is compared with.
pub const OTHER: RGBColor = RGBColor(217, 98, 43);
/// A third colour.
pub const THIRD: RGBColor = RGBColor(44, 140, 90);
/// The colour of measurements.
pub const GIVEN: RGBColor = RGBColor(130, 130, 130);

/// The path that the program was given, if it was: where its picture goes.
pub fn asked() -> Option<PathBuf> {
    std::env::args().nth(1).map(PathBuf::from)
}

/// Draws a picture into a file.
pub fn draw(
    path: &Path,
    size: (u32, u32),
    paint: impl FnOnce(&Area<'_>) -> Result<()>,
) -> Result<()> {
    let font = epaint_default_fonts::UBUNTU_LIGHT;
    // It serves to measure texts; a second registration changes nothing.
    plotters::style::register_font("sans-serif", FontStyle::Normal, font)
        .map_err(|_| "the font cannot be read")?;
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        area.fill(&WHITE)?;
        paint(&area)?;
        area.present()?;
    }
    // The background is the first rectangle: its corners become round.
    std::fs::write(path, text.replacen("<rect ", "<rect rx=\"8\" ", 1))?;
    println!("drawn: {}", path.display());
    Ok(())
}

/// A chart with a title, and the names and ranges of its axes.
pub fn chart<'a, 'b>(
    area: &'a Area<'b>,
    title: &str,
    x: (&str, Range<f64>),
    y: (&str, Range<f64>),
) -> Result<Chart<'a, 'b>> {
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 18))
        .margin(14)
        .margin_right(26)
        .x_label_area_size(38)
        .y_label_area_size(52)
        .build_cartesian_2d(x.1, y.1)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(RGBColor(232, 232, 232))
        .axis_style(GIVEN)
        .label_style(("sans-serif", 13))
        .x_labels(6)
        .y_labels(6)
        .x_desc(x.0)
        .y_desc(y.0)
        .draw()?;
    Ok(chart)
}

/// A line through points.
pub fn line(
    chart: &mut Chart<'_, '_>,
    x: &[f64],
    y: &[f64],
    color: RGBColor,
    name: &str,
) -> Result<()> {
    let points = x.iter().copied().zip(y.iter().copied());
    let drawn = chart.draw_series(LineSeries::new(points, color.stroke_width(2)))?;
    if !name.is_empty() {
        let mark = move |(x, y)| PathElement::new([(x, y), (x + 18, y)], color.stroke_width(2));
        drawn.label(name).legend(mark);
    }
    Ok(())
}

/// Dots at points.
pub fn dots(
    chart: &mut Chart<'_, '_>,
    x: &[f64],
    y: &[f64],
    color: RGBColor,
    name: &str,
) -> Result<()> {
    let points = x.iter().copied().zip(y.iter().copied());
    let drawn = chart.draw_series(points.map(|at| Circle::new(at, 3, color.mix(0.75).filled())))?;
    if !name.is_empty() {
        drawn.label(name).legend(move |(x, y)| Circle::new((x + 9, y), 3, color.filled()));
    }
    Ok(())
}

/// The band between two lines.
pub fn band(
    chart: &mut Chart<'_, '_>,
    x: &[f64],
    low: &[f64],
    high: &[f64],
    color: RGBColor,
) -> Result<()> {
    let above = x.iter().copied().zip(high.iter().copied());
    let below = x.iter().copied().zip(low.iter().copied()).rev();
    let outline: Vec<(f64, f64)> = above.chain(below).collect();
    chart.draw_series([Polygon::new(outline, color.mix(0.18))])?;
    Ok(())
}

/// The names of what was drawn.
pub fn legend<'a, 'b: 'a>(chart: &mut Chart<'a, 'b>, position: SeriesLabelPosition) -> Result<()> {
    chart
        .configure_series_labels()
        .position(position)
        .background_style(WHITE.mix(0.85))
        .label_font(("sans-serif", 13))
        .draw()?;
    Ok(())
}
