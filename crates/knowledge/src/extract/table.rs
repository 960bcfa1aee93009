//! Tables as sentences: each row reads alone, with the names of its columns.
//!
//! Owns: telling a table of data from one used for layout, and the text of a row.
//! Never does: row or column spans; a cell counts where it stands.

use super::walk::{element_name, plain_text};
use dom_query::NodeRef;

const MAX_ROWS: usize = 1_000;
const MAX_COLUMNS: usize = 30;
const MAX_CELL_CHARS: usize = 300;

struct Row {
    cells: Vec<String>,
    /// All cells are headers.
    header: bool,
    /// The first cell is.
    labelled: bool,
}

/// The lines of a table of data; `None` for one that only arranges things.
pub(super) fn rows(table: &NodeRef<'_>, inside_main: bool) -> Option<Vec<String>> {
    let mut caption = None;
    let mut rows = Vec::new();
    for child in table.children_it(false) {
        match element_name(&child, inside_main).as_deref() {
            Some("caption") => caption = Some(plain_text(&child, MAX_CELL_CHARS)),
            Some("tr") => rows.push(row(&child, inside_main)?),
            Some("thead" | "tbody" | "tfoot") => {
                for inner in child.children_it(false) {
                    if element_name(&inner, inside_main).as_deref() == Some("tr") {
                        rows.push(row(&inner, inside_main)?);
                    }
                    if rows.len() > MAX_ROWS {
                        return None;
                    }
                }
            }
            _ => {}
        }
        if rows.len() > MAX_ROWS {
            return None;
        }
    }
    rows.retain(|row| row.cells.iter().any(|cell| !cell.is_empty()));
    let columns = rows.iter().map(|row| row.cells.len()).max()?;
    if columns < 2 || !rows.iter().any(|row| row.cells.len() > 1) {
        return None;
    }
    let mut lines: Vec<String> = caption.into_iter().filter(|caption| !caption.is_empty()).collect();
    let mut header: Vec<String> = Vec::new();
    for row in rows {
        if row.header && row.cells.len() > 1 {
            header = row.cells;
            continue;
        }
        let line = sentence(&header, &row);
        if line.chars().any(char::is_alphanumeric) {
            lines.push(line);
        }
    }
    Some(lines)
}

fn row(node: &NodeRef<'_>, inside_main: bool) -> Option<Row> {
    let mut row = Row { cells: Vec::new(), header: true, labelled: false };
    for cell in node.children_it(false) {
        let name = element_name(&cell, inside_main);
        let is_header = match name.as_deref() {
            Some("th") => true,
            Some("td") => false,
            _ => continue,
        };
        if holds_structure(&cell, 0) {
            return None;
        }
        let text = plain_text(&cell, MAX_CELL_CHARS + 1);
        if text.chars().count() > MAX_CELL_CHARS || row.cells.len() >= MAX_COLUMNS {
            return None;
        }
        row.labelled |= is_header && row.cells.is_empty();
        row.header &= is_header;
        row.cells.push(text);
    }
    row.header &= !row.cells.is_empty();
    Some(row)
}

/// A cell with headings, tables or sections of its own is layout.
fn holds_structure(node: &NodeRef<'_>, depth: usize) -> bool {
    depth > 20
        || node.children_it(false).any(|child| {
            element_name(&child, true).is_some_and(|name| {
                matches!(
                    &*name,
                    "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "table" | "section" | "article" | "dl" | "form"
                ) || holds_structure(&child, depth + 1)
            })
        })
}

fn sentence(header: &[String], row: &Row) -> String {
    let mut line = String::new();
    let named = header.len() == row.cells.len();
    for (at, cell) in row.cells.iter().enumerate() {
        if cell.is_empty() {
            continue;
        }
        let name = header.get(at).filter(|_| named).map_or("", String::as_str);
        let after_label = at == 1 && (!named || row.labelled) && !row.cells[0].is_empty();
        if !line.is_empty() {
            line.push_str(if after_label { ": " } else { "; " });
        }
        // The label of a row says what it is by itself: "Canada", not "Destination: Canada".
        let labels = at == 0 && row.labelled;
        if !name.is_empty() && !labels {
            line.push_str(name.trim_end_matches(':'));
            line.push_str(": ");
        }
        line.push_str(cell);
    }
    line
}
