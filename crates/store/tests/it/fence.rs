//! The fence as it is written: every statement on a tenant's table names the owner, in its own text.
//!
//! On PostgreSQL row-level security stands behind the texts; on SQLite nothing does, so the sources themselves are read.

use std::path::Path;

const TENANT_TABLES: [&str; 13] = [
    "owners",
    "data_keys",
    "sites",
    "pages",
    "chunks",
    "index_segments",
    "conversations",
    "sessions",
    "messages",
    "feedback",
    "usage",
    "issued_keys",
    "refused_origins",
];

/// Every source file of the store: its name and text.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    for folder in [root.clone(), root.join("append")] {
        for entry in std::fs::read_dir(folder).expect("the sources") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).expect("inside").display().to_string();
                sources.push((name, std::fs::read_to_string(&path).expect("a source")));
            }
        }
    }
    assert!(sources.len() > 20);
    sources
}

/// Every statement of a source: its name and its text with single spaces.
fn statements(source: &str) -> Vec<(String, String)> {
    source
        .split("const ")
        .filter_map(|rest| rest.split_once(": Statement ="))
        .filter(|(name, _)| name.chars().all(|letter| letter.is_ascii_uppercase() || letter == '_'))
        .map(|(name, rest)| {
            let text = rest.split(");\n").next().unwrap_or_default();
            (name.to_owned(), text.split_whitespace().collect::<Vec<_>>().join(" "))
        })
        .collect()
}

fn touches_a_tenant(text: &str) -> bool {
    TENANT_TABLES.iter().any(|table| {
        ["FROM", "JOIN", "INTO", "UPDATE"].iter().any(|word| {
            text.match_indices(&format!("{word} {table}")).any(|(start, found)| {
                let after = text[start + found.len()..].chars().next();
                !after.is_some_and(|letter| letter.is_alphanumeric() || letter == '_')
            })
        })
    })
}

fn names_the_owner(text: &str) -> bool {
    text.contains("owner_id = $1")
        || text.contains("owner_id = r.value ->> 0")
        || TENANT_TABLES.iter().any(|table| text.contains(&format!("INSERT INTO {table} (owner_id,")))
}

#[test]
fn every_statement_on_a_tenants_table_names_the_owner() {
    let mut fenced = 0;
    for (file, source) in sources() {
        for (name, text) in statements(&source) {
            if !touches_a_tenant(&text) || name.starts_with("ADMIN_") {
                continue;
            }
            assert!(names_the_owner(&text), "{file}: {name} does not name the owner: {text}");
            fenced += 1;
        }
    }
    assert!(fenced > 40, "{fenced} statements found; the reading of the sources is broken");
}

#[test]
fn the_reading_would_notice() {
    let bad = "const BAD: Statement = Statement::both(\n \"DELETE FROM sessions WHERE id = $1\",\n);\n";
    let found = statements(bad);
    assert_eq!(found.len(), 1);
    assert!(touches_a_tenant(&found[0].1) && !names_the_owner(&found[0].1));
    assert!(!touches_a_tenant("SELECT 1 FROM site_directory"));
    assert!(!touches_a_tenant("SELECT 1 FROM pages_of_another"));
}

#[test]
fn only_administrative_functions_read_across_owners() {
    for (file, source) in sources() {
        for (name, _) in statements(&source).iter().filter(|(name, _)| name.starts_with("ADMIN_")) {
            // Used in one function, of the same name in small letters.
            let function = format!("pub async fn {}(", name.to_lowercase());
            let body = source.split(&function).nth(1).unwrap_or_else(|| panic!("{file}: {function} is missing"));
            let body = body.split("\n    }\n").next().unwrap_or_default();
            assert!(body.contains(name.as_str()), "{file}: {name}");
            assert_eq!(source.matches(name.as_str()).count(), 2, "{file}: {name} is used elsewhere too");
        }
        for call in source.split(".admin(").skip(1) {
            assert!(call.starts_with("\"admin_"), "{file}: the administrative pool is used by another function");
        }
        // postgres.rs makes the pool, store.rs hands it out and closes it.
        if !matches!(file.as_str(), "postgres.rs" | "store.rs") {
            assert!(!source.contains("postgres.admin"), "{file}");
        }
    }
}

#[test]
fn engine_specific_texts_stand_in_one_file() {
    for (file, source) in sources() {
        if matches!(file.as_str(), "engine_sql.rs" | "statement.rs" | "migrate.rs") {
            continue;
        }
        for word in ["Statement::pair", "json_each", "jsonb_", "set_config", "SKIP LOCKED", "pg_advisory"] {
            assert!(!source.contains(word), "{file} holds {word}");
        }
    }
}
