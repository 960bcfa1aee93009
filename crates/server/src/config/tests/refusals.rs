//! Bad input: one line each, naming the setting and the fix.

use super::super::*;
use super::{PRODUCTION, load};

#[track_caller]
fn refused(file: &str, pairs: &[(&str, &str)], line: &str) {
    let error = load(file, pairs).expect_err("it must not start");
    assert_eq!(error.to_string(), line);
    assert!(!error.to_string().contains('\n'));
}

#[test]
fn wrong_values_are_named_with_their_place_and_the_fix() {
    let cases = [
        (
            "[server]\nlisten = \"localhost\"\n",
            "server.listen (line 2 of the configuration file): is not an address and port; write one such as \"127.0.0.1:3001\" or \"[::1]:3001\"",
        ),
        (
            "[server]\n\n\nlisten = 3001\n",
            "server.listen (line 4 of the configuration file): is not a text; write an address and port such as \"127.0.0.1:3001\" in quotation marks",
        ),
        (
            "[limits]\nper_minute = 0\n",
            "limits.per_minute (line 2 of the configuration file): is out of range; write a whole number from 1 to 1000000",
        ),
        (
            "[limits]\nper_minute = \"60\"\n",
            "limits.per_minute (line 2 of the configuration file): is not a whole number; write a whole number from 1 to 1000000",
        ),
        (
            "[limits]\nper_minute = 99999999999999999999\n",
            "limits.per_minute (line 2 of the configuration file): is not a whole number; write a whole number from 1 to 1000000",
        ),
        (
            "[server]\nbody_timeout = 10\n",
            "server.body_timeout (line 2 of the configuration file): is not a text; write a span of time from \"100ms\" to \"5m\" in quotation marks",
        ),
        (
            "[server]\nbody_timeout = \"10\"\n",
            "server.body_timeout (line 2 of the configuration file): is not a span of time; write a number and ms, s, m, h or d, such as \"10s\"",
        ),
        (
            "[server]\nbody_timeout = \"2h\"\n",
            "server.body_timeout (line 2 of the configuration file): is out of range; write a span from \"100ms\" to \"5m\"",
        ),
        (
            "[budgets]\nwarn_at = 1.5\n",
            "budgets.warn_at (line 2 of the configuration file): is out of range; write a number from 0.01 to 1",
        ),
        (
            "[budgets]\nsite_daily_usd = -1\n",
            "budgets.site_daily_usd (line 2 of the configuration file): is out of range; write a number from 0 to 1000000",
        ),
        (
            "[budgets]\nsite_daily_usd = nan\n",
            "budgets.site_daily_usd (line 2 of the configuration file): is out of range; write a number from 0 to 1000000",
        ),
        (
            "environment = \"prod\"\n",
            "environment (line 1 of the configuration file): is not one of its words; write \"development\", \"staging\" or \"production\"",
        ),
        (
            "[server]\nhosts = [\"ok.example\", \"https://chat.example.com\"]\n",
            "server.hosts (line 2 of the configuration file): entry 2 is not a host name; write a bare host name such as \"chat.example.com\", without scheme and port",
        ),
        (
            "[cors]\nallowed_origins = [\"*\"]\n",
            "cors.allowed_origins (line 2 of the configuration file): entry 1 holds a wildcard; list each origin, such as \"https://www.example.com\"",
        ),
        (
            "[cors]\nallowed_origins = [\"null\"]\n",
            "cors.allowed_origins (line 2 of the configuration file): entry 1 is not an origin; write one such as \"https://www.example.com\", without a path",
        ),
        (
            "[cors]\nallowed_origins = \"https://a.example\"\n",
            "cors.allowed_origins (line 2 of the configuration file): is not a list; write a list in square brackets",
        ),
        (
            "public_url = \"https://user:pw@chat.example.com\"\n",
            "public_url (line 1 of the configuration file): holds a user name or password; remove what stands before the @",
        ),
        (
            "public_url = \"https://chat.example.com/sub\"\n",
            "public_url (line 1 of the configuration file): has a path; write scheme and host alone, such as \"https://chat.example.com\"",
        ),
        (
            "[database]\nurl = \"mysql://a:b@localhost/c\"\n",
            "database.url (line 2 of the configuration file): is not a database address; write sqlite:///path/to/chatward.db or postgres://login:password@host/database",
        ),
        (
            "[database]\nurl = \"sqlite::memory:\"\n",
            "database.url (line 2 of the configuration file): is not a database address; write sqlite:///path/to/chatward.db or postgres://login:password@host/database",
        ),
        (
            "[database]\nurl = \"\"\n",
            "database.url (line 2 of the configuration file): is empty; set it to a sqlite:// or postgres:// address or remove it",
        ),
        (
            "[vault]\nkey = \"c2hvcnQ=\"\n",
            "vault.key (line 2 of the configuration file): is not 32 bytes in hexadecimal or base64; make one with: openssl rand -base64 32",
        ),
        (
            "[vault]\nkey = \"c2hvcnQ=\"\nkey_file = \"k\"\n",
            "vault.key_file (line 3 of the configuration file): stands beside vault.key; keep one of the two",
        ),
        (
            "[feeds]\nallowed_devices = [\"dev 1\"]\n",
            "feeds.allowed_devices (line 2 of the configuration file): entry 1 does not match [A-Za-z0-9_-]+; write 1 to 64 letters, digits, - or _",
        ),
        (
            "[headers]\nx_xss_protection = \"1\\r\\nX: y\"\n",
            "headers.x_xss_protection (line 2 of the configuration file): is not one of its words; write one of \"0\", \"1\", \"1; mode=block\"",
        ),
    ];
    for (file, line) in cases {
        refused(file, &[], line);
    }
}

#[test]
fn unknown_names_are_refused_with_the_nearest_one() {
    let cases = [
        (
            "[server]\nlisten = \"127.0.0.1:1\"\nlisen = \"x\"\n",
            "server.lisen (line 3 of the configuration file): is not a setting; did you mean listen?",
        ),
        (
            "[servr]\nlisten = \"x\"\n",
            "servr (line 1 of the configuration file): is not a setting; did you mean server?",
        ),
        (
            "listen = \"127.0.0.1:3001\"\n",
            "listen (line 1 of the configuration file): is not a setting; move it below [server]",
        ),
        (
            "[limits]\nmax_body_bytes = 1\n",
            "limits.max_body_bytes (line 2 of the configuration file): is not a setting; move it below [server]",
        ),
        (
            "[server]\nfrobnicate = 1\n",
            "server.frobnicate (line 2 of the configuration file): is not a setting; remove it, or see: chatward config reference",
        ),
        (
            "server = \"127.0.0.1:3001\"\n",
            "server (line 1 of the configuration file): is not a section; write [server] on a line of its own and its settings below",
        ),
        (
            "[providers]\nname = \"a\"\n",
            "providers (line 1 of the configuration file): is not a section; write [[providers]] on a line of its own and its settings below",
        ),
        (
            "[[providers]]\nname = \"a\"\nkind = \"openai\"\nmodle = \"m\"\n",
            "providers[0].modle (line 4 of the configuration file): is not a setting; did you mean model?",
        ),
        (
            "[server\nlisten = 1\n",
            "configuration file, line 1: is not valid TOML there; write `name = value`, with texts in quotation marks",
        ),
        (
            "[limits]\nper_minute = 1\nper_minute = 2\n",
            "configuration file, line 3: is not valid TOML there; write `name = value`, with texts in quotation marks",
        ),
    ];
    for (file, line) in cases {
        refused(file, &[], line);
    }
    refused(
        "",
        &[("CHATWARD_SERVER__LISTEN", "127.0.0.1:1")],
        "CHATWARD_SERVER__LISTEN: is not a setting; did you mean CHATWARD_SERVER_LISTEN?",
    );
    refused(
        "",
        &[("CHATWARD_LIMIT_PER_MINUTE", "5")],
        "CHATWARD_LIMIT_PER_MINUTE: is not a setting; did you mean CHATWARD_LIMITS_PER_MINUTE?",
    );
}

#[test]
fn wrong_variables_are_named() {
    refused(
        "",
        &[("MAX_REQUESTS_PER_MINUTE", "many")],
        "limits.per_minute (environment MAX_REQUESTS_PER_MINUTE): is not a whole number; write a whole number from 1 to 1000000",
    );
    refused(
        "",
        &[("ALLOWED_ORIGINS", "[https://a.example]")],
        "cors.allowed_origins (environment ALLOWED_ORIGINS): begins like JSON but is not a JSON list of texts; write [\"first\", \"second\"] or first,second",
    );
    refused(
        "",
        &[("OPENAI_API_KEY", "  ")],
        "providers[0].api_key (environment OPENAI_API_KEY): is empty; set it to the provider's key or remove it",
    );
    refused("", &[("PORT", "http")], "PORT: is not a port; write a number from 0 to 65535");
    refused(
        "",
        &[("JWT_SECRET", "short")],
        "feeds.jwt_secret (environment JWT_SECRET): is shorter than 32 characters; set at least 32 random characters, for example from: openssl rand -base64 48",
    );
    refused(
        "",
        &[("OPENAI_API_KEY_FILE", "/nowhere/at/all")],
        "providers[0].api_key_file (environment OPENAI_API_KEY_FILE): names a file that cannot be read (entity not found); name a readable text file that holds nothing but the secret",
    );
    refused(
        "",
        &[("DATABASE_URL", "sqlite://a.db"), ("DATABASE_URL_FILE", "b")],
        "database.url_file (environment DATABASE_URL_FILE): stands beside database.url; keep one of the two",
    );
    let missing = Config::load(Some(Path::new("/nowhere/chatward.toml")), &BTreeMap::new(), &Overrides::default());
    assert_eq!(
        missing.expect_err("no file").to_string(),
        "configuration file: cannot be read (entity not found); check the path that --config names, or print a new file with: chatward config example"
    );
}

#[test]
fn listening_beyond_loopback_needs_a_trusted_proxy_everywhere() {
    refused(
        "[server]\nlisten = \"0.0.0.0:80\"\n",
        &[],
        "server.listen (line 2 of the configuration file): is reachable from other machines without TLS; listen on 127.0.0.1, or name the TLS-ending reverse proxy in server.trusted_proxies",
    );
    refused(
        "[server]\nlisten = \"[::ffff:192.0.2.1]:80\"\n",
        &[],
        "server.listen (line 2 of the configuration file): is reachable from other machines without TLS; listen on 127.0.0.1, or name the TLS-ending reverse proxy in server.trusted_proxies",
    );
    refused(
        "[server]\nlisten = \"0.0.0.0:80\"\ntrusted_proxies = [\"0.0.0.0/1\", \"128.0.0.0/1\"]\nclient_address_header = \"x-real-ip\"\n",
        &[],
        "server.trusted_proxies (line 3 of the configuration file): trusts a large part of the internet; list the networks of your reverse proxies alone, none wider than /8 (IPv6: /16)",
    );
    refused(
        "[server]\ntrusted_proxies = [\"10.0.0.2\"]\n",
        &[],
        "server.client_address_header: is missing although there are trusted proxies; name the one header that they set, such as \"x-forwarded-for\"",
    );
    refused(
        "[server]\nclient_address_header = \"x-real-ip\"\n",
        &[],
        "server.client_address_header (line 2 of the configuration file): is set although no proxy is trusted; list the proxies in server.trusted_proxies, or remove it",
    );
    refused(
        "[admin]\nlisten = \"0.0.0.0:9464\"\n",
        &[],
        "admin.listen (line 2 of the configuration file): is reachable from the internet; write a loopback or private address such as \"127.0.0.1:9464\", or \"off\"",
    );
    refused(
        "[admin]\nlisten = \"127.0.0.1:3001\"\n",
        &[],
        "admin.listen (line 2 of the configuration file): is the same as server.listen; choose another port",
    );
    load("[server]\nlisten = \"0.0.0.0:80\"\ntrusted_proxies = [\"10.0.0.2\"]\nclient_address_header = \"x-forwarded-for\"\n", &[])
        .expect("it starts behind a proxy");
}

#[test]
fn providers_are_checked_as_a_list() {
    let one = "[[providers]]\nname = \"a\"\nkind = \"ollama\"\n";
    refused(
        &format!("{one}{one}"),
        &[],
        "providers[1].name (line 5 of the configuration file): is the name of an earlier provider; give each provider a name of its own",
    );
    refused(
        &format!("[[providers]]\nname = \"q\"\nkind = \"extractive\"\n{one}"),
        &[],
        "providers[0].kind (line 3 of the configuration file): is extractive before the last place, where no later provider is ever asked; move it to the end, or remove it: it is always there, last",
    );
    refused(
        "[[providers]]\nname = \"a\"\n",
        &[],
        "providers[0].kind: is missing; set it to \"extractive\", \"openai\", \"openai-compatible\" or \"ollama\"",
    );
    refused(
        "[[providers]]\nname = \"a\"\nkind = \"openai\"\n",
        &[],
        "providers[0].api_key: is missing; set OPENAI_API_KEY, or api_key_file to a file with the key, or remove the provider",
    );
    refused(
        "[[providers]]\nname = \"a\"\nkind = \"openai-compatible\"\nmodel = \"m\"\n",
        &[],
        "providers[0].base_url: is missing; set it to the service's address such as \"https://llm.example.com/v1\"",
    );
    refused(
        "[[providers]]\nname = \"a\"\nkind = \"openai-compatible\"\nmodel = \"m\"\nbase_url = \"http://llm.example.com\"\napi_key = \"k\"\n",
        &[],
        "providers[0].base_url (line 5 of the configuration file): would send keys and conversations over the internet in clear; write it with https",
    );
    refused(
        &"[[providers]]\nname = \"a\"\nkind = \"ollama\"\n".repeat(17),
        &[],
        "providers (line 1 of the configuration file): has too many entries; list at most 16",
    );
}

#[test]
fn production_refuses_what_is_unsafe() {
    let more = |rest: &str| format!("{PRODUCTION}{rest}");
    let cases = [
        (PRODUCTION.replace("https://chat", "http://chat"), "public_url", "is not an https address in production"),
        (PRODUCTION.replace("chat.example.com", "localhost"), "public_url", "is a loopback address in production"),
        (PRODUCTION.replace("public_url = \"https://chat.example.com\"", ""), "public_url", "is missing in production"),
        (
            PRODUCTION.replace("key_file = \"/etc/chatward/master.key\"", ""),
            "vault.key_file",
            "is missing in production",
        ),
        (PRODUCTION.replace("/etc/chatward/", "/srv/chatward/keys/"), "vault.key_file", "stands inside data_dir"),
        (PRODUCTION.replace("/etc/chatward/", "/etc/../srv/chatward/"), "vault.key_file", "stands inside data_dir"),
        (
            more("[cors]\nallowed_origins = [\"http://localhost:5173\"]\n"),
            "cors.allowed_origins",
            "holds a localhost origin",
        ),
        (
            more("[cors]\nallowed_origins = [\"https://127.0.0.1\"]\n"),
            "cors.allowed_origins",
            "holds a localhost origin",
        ),
        (more("[cors]\nallowed_origins = [\"https://[::1]\"]\n"), "cors.allowed_origins", "holds a localhost origin"),
        (more("[cors]\nallowed_origins = [\"http://a.example\"]\n"), "cors.allowed_origins", "holds an http origin"),
        (
            more("[audit]\nhead_webhook = \"http://127.0.0.1:9/heads\"\n"),
            "audit.head_webhook",
            "is not an https address",
        ),
        (more("[logging]\nlevel = \"debug\"\n"), "logging.level", "may show what people wrote"),
        (more("[logging]\nsecurity_file = \"off\"\n"), "logging.security_file", "is off in production"),
        (
            more("[database]\nurl = \"postgres://a@8.8.8.8/c?sslmode=verify-full\"\n"),
            "database.url",
            "names a public address",
        ),
        (
            more("[database]\nurl = \"postgres://a@localhost/c?host=8.8.8.8&sslmode=verify-full\"\n"),
            "database.url",
            "names a public address",
        ),
        (
            more("[database]\nurl = \"postgres://a@db.internal/c\"\n"),
            "database.url",
            "reaches a remote database without verified TLS",
        ),
        (
            more("[database]\nurl = \"postgres://a@10.0.0.4/c?sslmode=require\"\n"),
            "database.url",
            "reaches a remote database without verified TLS",
        ),
        (
            more("[database]\nurl = \"postgres://a@10.0.0.4/c?sslmode=verify-full&sslmode=disable\"\n"),
            "database.url",
            "reaches a remote database",
        ),
        (more("[database]\nurl = \"postgres:///c\"\n"), "database.url", "names no host in production"),
        (more("[database]\nurl = \"postgres://a@localhost/c\"\n"), "database.migrate_url", "is missing in production"),
        (
            more(
                "[database]\nurl = \"postgres://a@localhost/c\"\nmigrate_url = \"postgres://b@localhost/c\"\nadmin_url = \"postgres://a@localhost/c\"\n",
            ),
            "database.url",
            "shares its login",
        ),
        (
            more("[[providers]]\nname = \"a\"\nkind = \"ollama\"\nbase_url = \"http://ollama.example.com\"\n"),
            "providers[0].base_url",
            "would send keys and conversations",
        ),
    ];
    for (file, setting, problem) in cases {
        let error = load(&file, &[]).expect_err(problem);
        assert_eq!(error.setting(), setting, "{error}");
        assert!(error.problem().starts_with(problem), "{error}");
        // Production alone refuses: the same file starts elsewhere (a missing setting gets its default).
        load(&file.replace("\"production\"", "\"development\""), &[]).expect("development starts");
    }
}

#[test]
fn a_report_lists_every_problem_at_once() {
    let config = load("", &[]).expect("it starts");
    assert!(config.problems().is_empty());
    let production = Config { environment: Environment::Production, ..config };
    let settings: Vec<String> = production.problems().iter().map(|problem| problem.setting().to_owned()).collect();
    assert_eq!(settings, ["public_url", "vault.key_file"]);
}
