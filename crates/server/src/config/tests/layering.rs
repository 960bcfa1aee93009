//! Which layer wins, what the guides' names mean, and that documentation and table agree.

use super::super::*;
use super::{PRODUCTION, canary, environment, load};
use std::time::Duration;

#[test]
fn nothing_set_gives_the_stated_defaults() {
    let config = Config::load(None, &BTreeMap::new(), &Overrides::default()).expect("defaults start");
    assert_eq!(config.environment, Environment::Development);
    assert_eq!(config.server.listen, "127.0.0.1:3001".parse().expect("an address"));
    assert_eq!(config.public_url.as_str(), "http://localhost:3001/");
    assert_eq!(config.server.hosts, ["localhost", "127.0.0.1", "[::1]"]);
    assert_eq!(config.server.max_body_bytes, 65_536);
    assert_eq!((config.limits.per_minute, config.limits.per_hour), (60, 1000));
    assert_eq!((config.limits.api_requests, config.limits.api_window_seconds), (100, 900));
    assert_eq!(config.sessions.idle_hours, 24);
    assert_eq!(config.messages.max_characters, 1000);
    assert_eq!(
        (config.budgets.site_daily_micro_usd, config.budgets.installation_daily_micro_usd),
        (1_000_000, 5_000_000)
    );
    assert_eq!((config.budgets.output_tokens, config.budgets.upstream_messages), (500, 10));
    assert_eq!(config.database.url.expose(), "sqlite://data/chatward.db");
    assert_eq!(config.vault.key_file.as_deref(), Some(Path::new("data/keys/master.key")));
    assert_eq!(config.logging.security_file.as_deref(), Some(Path::new("data/logs/security.log")));
    assert_eq!(config.headers.x_xss_protection.as_deref(), Some("1; mode=block"));
    assert_eq!(config.providers.len(), 1);
    assert_eq!(config.providers[0].kind, ProviderKind::Extractive);
    assert_eq!(config.admin.listen, Some("127.0.0.1:9464".parse().expect("an address")));
}

#[test]
fn a_later_layer_wins_and_each_value_knows_its_origin() {
    let file = "[limits]\nper_minute = 30\nper_hour = 300\n[server]\nlisten = \"127.0.0.1:4000\"\n";
    let pairs = environment(&[("CHATWARD_LIMITS_PER_HOUR", "400"), ("MAX_REQUESTS_PER_HOUR", "500")]);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("chatward.toml");
    std::fs::write(&path, file).expect("written");
    let overrides = Overrides {
        listen: Some("127.0.0.1:0".parse().expect("an address")),
        data_dir: Some(PathBuf::from("/tmp/elsewhere")),
        settings: BTreeMap::from([("admin.listen", "off".to_owned())]),
    };
    let config = Config::load(Some(&path), &pairs, &overrides).expect("it starts");
    assert_eq!(config.limits.per_minute, 30);
    assert_eq!(config.limits.per_hour, 400, "our own name wins over a guide's");
    assert_eq!(config.server.listen.port(), 0);
    assert_eq!(config.admin.listen, None);
    assert_eq!(config.database.url.expose(), "sqlite:///tmp/elsewhere/chatward.db");
    assert_eq!(config.origin("limits.per_minute"), &Origin::File { line: 2 });
    assert_eq!(config.origin("limits.per_hour"), &Origin::Environment("CHATWARD_LIMITS_PER_HOUR".to_owned()));
    assert_eq!(config.origin("server.listen"), &Origin::CommandLine("--listen".to_owned()));
    assert_eq!(config.origin("limits.api_requests"), &Origin::Default);
    let bound = config.bound_to("127.0.0.1:5123".parse().expect("an address"));
    assert_eq!(bound.public_url.as_str(), "http://localhost:5123/");
}

#[test]
fn the_guides_own_names_are_understood() {
    let key = canary("key");
    let secret = ["mZ4!q8Lw_", "e2Rt6Yu1-Ik9Op3As5Df7Gx"].concat();
    let config = load(
        "",
        &[
            ("OPENAI_API_KEY", &key),
            ("OPENAI_MODEL", "gpt-4.1-mini"),
            ("OLLAMA_BASE_URL", "http://127.0.0.1:11500"),
            ("ALLOWED_ORIGINS", "https://your-website.com,https://www.your-website.com"),
            ("MAX_REQUESTS_PER_MINUTE", "61"),
            ("MAX_REQUESTS_PER_HOUR", "1001"),
            ("SESSION_MAX_AGE_HOURS", "23"),
            ("JWT_SECRET", &secret),
            ("ALLOWED_DEVICE_ID", "your-secure-device_identifier"),
            ("DATABASE_URL", "postgres://chatward@localhost/chatward"),
            ("PORT", "3456"),
        ],
    )
    .expect("it starts");
    let names: Vec<&str> = config.providers.iter().map(|provider| provider.name.as_str()).collect();
    assert_eq!(names, ["ollama", "openai", "extractive"], "Ollama first, as the guide asks them");
    assert_eq!(config.providers[0].base_url.as_ref().map(Url::as_str), Some("http://127.0.0.1:11500/"));
    assert_eq!(config.providers[1].model, "gpt-4.1-mini");
    assert_eq!(config.providers[1].api_key.as_ref().map(|key| key.expose().as_str()), Some(key.as_str()));
    assert_eq!(config.cors.allowed_origins, ["https://your-website.com", "https://www.your-website.com"]);
    assert_eq!((config.limits.per_minute, config.limits.per_hour), (61, 1001));
    assert_eq!(config.sessions.idle_hours, 23);
    assert_eq!(config.feeds.allowed_devices, ["your-secure-device_identifier"]);
    assert!(config.feeds.jwt_secret.is_some());
    assert_eq!(config.database.url.expose(), "postgres://chatward@localhost/chatward");
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:3456");
    assert_eq!(config.public_url.as_str(), "http://localhost:3456/");
}

#[test]
fn origins_are_read_in_json_and_in_comma_form() {
    let expected = ["https://yourdomain.com", "https://www.yourdomain.com"];
    for text in [
        "[\n    \"https://yourdomain.com\",\n    \"https://www.yourdomain.com\"\n]",
        "[\"https://yourdomain.com\", \"https://www.yourdomain.com\",]",
        "https://yourdomain.com/, https://www.yourdomain.com,",
    ] {
        let config = load("", &[("ALLOWED_ORIGINS", text)]).expect(text);
        assert_eq!(config.cors.allowed_origins, expected, "{text}");
    }
}

#[test]
fn a_secret_stands_in_a_file_as_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("key");
    let key = canary("file");
    std::fs::write(&path, format!("{key}\n")).expect("written");
    let path = path.to_string_lossy().into_owned();
    let file = format!("[[providers]]\nname = \"openai\"\nkind = \"openai\"\napi_key_file = \"{path}\"\n");
    let config = load(&file, &[]).expect("it starts");
    assert_eq!(config.providers[0].api_key.as_ref().map(|key| key.expose().clone()), Some(key.clone()));
    let other = canary("environment");
    let config = load(&file, &[("OPENAI_API_KEY", &other)]).expect("the environment wins");
    assert_eq!(config.providers[0].api_key.as_ref().map(|key| key.expose().clone()), Some(other));
    let config = load("", &[("OPENAI_API_KEY_FILE", &path)]).expect("it starts");
    assert_eq!(config.providers[0].api_key.as_ref().map(|key| key.expose().clone()), Some(key));
}

#[test]
fn a_key_may_be_given_by_the_providers_name() {
    let file = "[[providers]]\nname = \"my-azure\"\nkind = \"openai-compatible\"\nbase_url = \"https://llm.example.com/v1\"\nmodel = \"m\"\n";
    let key = canary("named");
    let config = load(file, &[("CHATWARD_PROVIDER_MY_AZURE_API_KEY", &key)]).expect("it starts");
    assert_eq!(config.providers[0].api_key.as_ref().map(|key| key.expose().clone()), Some(key.clone()));
    let named = "[[providers]]\nname = \"openai\"\nkind = \"openai\"\n";
    let pairs = [("CHATWARD_PROVIDER_OPENAI_API_KEY", &*key), ("OPENAI_API_KEY", "another")];
    let config = load(named, &pairs).expect("it starts");
    assert_eq!(config.providers[0].api_key.as_ref().map(|key| key.expose().clone()), Some(key.clone()), "ours wins");
    let error = load(file, &[("CHATWARD_PROVIDER_MY_AZUR_API_KEY", &key)]).expect_err("no such provider");
    assert!(error.to_string().ends_with("did you mean CHATWARD_PROVIDER_MY_AZURE_API_KEY?"), "{error}");
}

#[test]
fn a_listed_extractive_provider_stays_last_when_the_environment_adds_one() {
    let file = "[[providers]]\nname = \"quotes\"\nkind = \"extractive\"\n";
    let config = load(file, &[("OPENAI_API_KEY", &canary("key"))]).expect("it starts");
    let kinds: Vec<ProviderKind> = config.providers.iter().map(|provider| provider.kind).collect();
    assert_eq!(kinds, [ProviderKind::OpenAi, ProviderKind::Extractive]);
}

#[test]
fn node_env_tightens_and_never_loosens() {
    let config = load(PRODUCTION, &[("NODE_ENV", "development")]).expect("it starts");
    assert_eq!(config.environment, Environment::Production);
    assert_eq!(config.warnings().len(), 1, "{:?}", config.warnings());
    let error = load("environment = \"development\"\n", &[("NODE_ENV", "production")]).expect_err("production rules");
    assert_eq!(error.setting(), "public_url");
    let error = load("", &[("NODE_ENV", "prodution")]).expect_err("a typing mistake is not development");
    assert_eq!(error.setting(), "environment");
}

#[test]
fn what_kubernetes_sets_is_passed_over() {
    let pairs = [
        ("CHATWARD_SERVICE_HOST", "10.0.0.1"),
        ("CHATWARD_SERVICE_PORT", "3001"),
        ("CHATWARD_SERVICE_PORT_HTTP", "3001"),
        ("CHATWARD_PORT", "tcp://10.0.0.1:3001"),
        ("CHATWARD_PORT_3001_TCP_ADDR", "10.0.0.1"),
        ("CHATWARD_POSTGRES_PORT_5432_TCP", "tcp://10.0.0.1:5432"),
    ];
    load("", &pairs).expect("it starts");
}

#[test]
fn administrators_must_have_a_second_factor_in_production_unless_it_is_set() {
    let demand = |file: &str| load(file, &[]).expect("it starts").accounts.second_factor;
    assert_eq!(demand(PRODUCTION), SecondFactorDemand::Admins);
    assert_eq!(demand(""), SecondFactorDemand::Optional);
    for (word, wanted) in [
        ("optional", SecondFactorDemand::Optional),
        ("admins", SecondFactorDemand::Admins),
        ("everyone", SecondFactorDemand::Everyone),
    ] {
        assert_eq!(demand(&format!("{PRODUCTION}\n[accounts]\nsecond_factor = \"{word}\"\n")), wanted);
    }
}

#[test]
fn production_starts_when_it_is_safe() {
    let config = load(PRODUCTION, &[]).expect("it starts");
    assert!(config.server.hosts.is_empty());
    assert_eq!(config.logging.format, LogFormat::Json);
    let postgres = format!(
        "{PRODUCTION}\n[database]\nurl = \"postgres://app@10.0.0.4/c?sslmode=verify-full\"\nmigrate_url = \"postgres://owner@10.0.0.4/c?sslmode=verify-full\"\nadmin_url = \"postgres://admin@10.0.0.4/c?sslmode=verify-full\"\n"
    );
    load(&postgres, &[]).expect("it starts");
}

#[test]
fn every_default_fits_its_own_setting_and_no_two_settings_share_a_variable() {
    let mut variables = std::collections::BTreeSet::new();
    for (section, key, names) in super::super::environment::variables() {
        for name in names {
            assert!(variables.insert(name.clone()), "{section}.{key} shares {name}");
        }
    }
    for section in sections() {
        for setting in section.settings {
            assert!(setting.default.is_some() || setting.otherwise.is_some(), "{}.{}", section.name, setting.key);
            assert!(setting.about.iter().all(|line| !line.is_empty()));
        }
    }
}

#[test]
fn durations_print_as_they_are_written() {
    let config = load("[server]\nbody_timeout = \"1500ms\"\n", &[]).expect("it starts");
    assert_eq!(config.server.body_timeout, Duration::from_millis(1500));
    assert!(config.redacted().contains("body_timeout = \"1500ms\" # line 2 of the configuration file"));
}

/// The repository's copies; print new ones with `chatward config reference` and `chatward config example`.
#[test]
fn the_documentation_is_what_the_table_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap_or_default();
    assert_eq!(read("docs/configuration.md"), reference(), "chatward config reference > docs/configuration.md");
    assert_eq!(read("chatward.example.toml"), example(), "chatward config example > chatward.example.toml");
}

#[test]
fn the_example_file_changes_nothing_and_each_of_its_lines_is_a_setting() {
    let plain = load("", &[]).expect("it starts");
    assert_eq!(load(&example(), &[]).expect("it starts").redacted(), plain.redacted());
    // Every commented default, uncommented, is still the same configuration.
    let uncommented: String = example()
        .lines()
        .take_while(|line| *line != "# [[providers]]")
        .map(|line| match line.strip_prefix("# ") {
            Some(setting) if setting.contains(" = ") && !setting.contains(" =   # ") => setting,
            _ if line.starts_with('[') => line,
            _ => "",
        })
        .collect::<Vec<_>>()
        .join("\n");
    let config = load(&uncommented, &[]).expect("it starts");
    assert_eq!((config.server, config.limits, config.budgets), (plain.server, plain.limits, plain.budgets));
}
