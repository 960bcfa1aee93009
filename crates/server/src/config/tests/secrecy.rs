//! Secrets, and whatever may be one, are in no output.

use super::super::*;
use super::{PRODUCTION, canary, load};

#[test]
fn no_printed_form_holds_a_secret() {
    let (database, migrate, admin) = (canary("database"), canary("migrate"), canary("admin"));
    let (openai, other, jwt) = (canary("openai"), canary("other"), canary("jwt"));
    let master = "9f86d081884c7d65".repeat(4);
    let file = format!(
        "[database]\nurl = \"postgres://u:{database}@localhost/c\"\nmigrate_url = \"postgres://v:{migrate}@localhost/c\"\n\
         admin_url = \"postgres://w:{admin}@localhost/c\"\n[vault]\nkey = \"{master}\"\n\
         [[providers]]\nname = \"other\"\nkind = \"openai-compatible\"\nbase_url = \"https://a.example\"\nmodel = \"m\"\napi_key = \"{other}\"\n"
    );
    let config = load(&file, &[("OPENAI_API_KEY", &openai), ("JWT_SECRET", &jwt)]).expect("it starts");
    for printed in [config.redacted(), format!("{config:?}"), format!("{config:#?}"), reference(), example()] {
        for secret in [&database, &migrate, &admin, &openai, &other, &jwt, &master] {
            assert!(!printed.contains(secret.as_str()), "{secret} in {printed}");
        }
    }
    let printed = config.redacted();
    assert!(printed.contains("api_key = \"[redacted]\" # environment OPENAI_API_KEY"), "{printed}");
    assert!(printed.parse::<toml::Table>().is_ok(), "{printed}");
}

/// A secret in the wrong place, or beside a typing mistake, must not be repeated by the complaint.
#[test]
fn no_complaint_repeats_a_value() {
    let secret = canary("lost");
    let bare = secret.replace('-', "");
    let files = [
        format!("{bare}\n"),
        format!("{bare} = 1\n"),
        format!("\"{secret}\" = 1\n"),
        format!("[{bare}]\nx = 1\n"),
        format!("[server]\n{bare} = 1\n"),
        format!("[server]\nlisten = \"{secret}\"\n"),
        format!("[server]\nlisten = \"{secret}\n"),
        format!("[server]\nhosts = [\"{secret}/\"]\n"),
        format!("[server]\nbody_timeout = \"{secret}\"\n"),
        format!("[server]\nclient_address_header = \"{secret}\"\n"),
        format!("[server]\ntrusted_proxies = [\"{secret}\"]\n"),
        format!("[cors]\nallowed_origins = [\"{secret}\"]\n"),
        format!("public_url = \"{secret}\"\n"),
        format!("environment = \"{secret}\"\n"),
        format!("[database]\nurl = \"mysql://u:{secret}@localhost/c\"\n"),
        format!("[database]\nurl_file = \"{secret}\"\n"),
        format!("[vault]\nkey = \"{secret}\"\n"),
        format!("[feeds]\njwt_secret = \"{}\"\n", &bare[..20]),
        format!("[feeds]\nallowed_devices = [\"{secret} \\\\\"]\n"),
        format!("[headers]\nx_xss_protection = \"{secret}\"\n"),
        format!("[crawl]\nuser_agent = \"{secret}\\u0007\"\n"),
        format!("[[providers]]\nname = \"{secret} \\\\\"\nkind = \"ollama\"\n"),
        format!("[[providers]]\nname = \"a\"\nkind = \"{secret}\"\n"),
        format!("[[providers]]\nname = \"a\"\nkind = \"openai\"\napi_key = \"{secret}\"\nbase_url = \"{secret}\"\n"),
        format!("[[providers]]\nname = \"a\"\nkind = \"extractive\"\napi_key = \"{secret}\"\n"),
        format!(
            "[[providers]]\nname = \"a\"\nkind = \"openai\"\napi_key = \"{secret}\"\napi_key_file = \"{secret}\"\n"
        ),
        PRODUCTION.replace("chat.example.com", &format!("user:{secret}@chat.example.com")),
    ];
    for file in files {
        let error = load(&file, &[]).expect_err(&file);
        for printed in [error.to_string(), format!("{error:?}")] {
            assert!(!printed.contains(&bare[..12]) && !printed.contains(&secret[..12]), "{file}: {printed}");
            assert_eq!(printed.lines().count(), 1);
        }
    }
    let variables = [
        ("OPENAI_API_KEY_FILE", secret.clone()),
        ("MAX_REQUESTS_PER_MINUTE", secret.clone()),
        ("PORT", secret.clone()),
        ("NODE_ENV", secret.clone()),
        ("DATABASE_URL", secret.clone()),
        ("ALLOWED_ORIGINS", format!("[\"{secret}")),
        ("JWT_SECRET", "short".to_owned() + &bare[..12]),
    ];
    for (name, value) in variables {
        let error = load("", &[(name, &value)]).expect_err(name);
        let printed = format!("{error} {error:?}");
        assert!(!printed.contains(&bare[..12]) && !printed.contains(&secret[..12]), "{name}: {printed}");
    }
    for name in [format!("CHATWARD_{bare}"), format!("CHATWARD_PROVIDER_{bare}\n")] {
        let error = load("", &[(&name, "1")]).expect_err("an unknown variable");
        assert!(!error.to_string().contains(&bare) && !error.to_string().contains('\n'), "{error}");
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(200))]
    #[test]
    fn no_file_makes_the_reader_panic_or_complain_in_two_lines(
        text in "([a-z_\\[\\]=\"'.,0-9 \n\t\r{}#é\u{0}\u{1b}]{0,80}|\\PC{0,80})",
        value in "\\PC{0,40}",
    ) {
        for file in [text.clone(), format!("[server]\nlisten = \"\"\"{value}\"\"\"\n"), format!("[[providers]]\n{text}")] {
            if let Err(error) = load(&file, &[("CHATWARD_SERVER_HOSTS", &value), ("ALLOWED_ORIGINS", &text)]) {
                let line = error.to_string();
                proptest::prop_assert!(!line.chars().any(char::is_control), "{:?}", line);
            }
        }
    }
}

#[cfg(unix)]
#[test]
fn files_with_secrets_that_others_can_read_are_reported() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("chatward.toml");
    let key = folder.path().join("key");
    std::fs::write(&key, canary("key")).expect("written");
    let file = format!(
        "[[providers]]\nname = \"openai\"\nkind = \"openai\"\napi_key_file = \"{}\"\n[feeds]\njwt_secret = \"{}\"\n",
        key.display(),
        canary("jwt")
    );
    std::fs::write(&path, file).expect("written");
    let warnings = |mode: u32| {
        for file in [&path, &key] {
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).expect("a mode");
        }
        let config = Config::load(Some(&path), &BTreeMap::new(), &Overrides::default()).expect("it starts");
        config.warnings().len()
    };
    assert_eq!(warnings(0o600), 0);
    assert_eq!(warnings(0o644), 2);
}
