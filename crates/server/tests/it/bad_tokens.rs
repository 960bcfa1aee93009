//! Every way to write a bad token, tried on every ring of ours and every kind of outside issuer. The forger holds the right
//! key wherever that makes the case sharper, so that only the one thing that is wrong can be what is refused.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use crate::foreign::{ForeignKey, hmac, key_set, with};
use crate::issuers::{AUDIENCE, SUPABASE, claims, linked, supabase_claims, with_issuer};
use crate::people::roomy;
use crate::world::{Reply, World};
use base64::Engine as _;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use chatward::ops::rotation;
use chatward::ops::signing::{self, PURPOSES, Purpose};
use chatward::ops::trail::Actor;
use chatward_testkit::issuer::{Answer, FakeIssuer};
use chatward_types::{Clock, Role, SECOND};
use http::Method;
use serde_json::{Value, json};

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// What a good token is made of, and who signs.
struct Forger {
    header: Value,
    claims: Value,
    now: i64,
    /// Whether the key is chosen by name.
    names_a_key: bool,
    /// Bytes that are known to everybody: a public key in the forms in which it is written.
    public: Vec<Vec<u8>>,
    sign: Sign,
    /// Another key of the same kind.
    stranger: Sign,
}

impl Forger {
    fn bytes(&self, header: &[u8], claims: &[u8]) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        format!("{message}.{}", URL_SAFE_NO_PAD.encode((self.sign)(message.as_bytes())))
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        self.bytes(header.to_string().as_bytes(), claims.to_string().as_bytes())
    }

    fn good(&self) -> String {
        self.token(&self.header, &self.claims)
    }

    /// Every bad token, with what is wrong with it.
    fn bad(&self) -> Vec<(String, String)> {
        let mut bad = self.bad_forms();
        bad.extend(self.bad_headers());
        bad.extend(self.bad_claims());
        assert!(bad.len() >= 100, "{}", bad.len());
        bad
    }

    fn bad_forms(&self) -> Vec<(String, String)> {
        let good = self.good();
        let (message, signature) = good.rsplit_once('.').unwrap();
        let (head, body) = message.split_once('.').unwrap();
        let raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let resigned = |message: &str| format!("{message}.{}", encode(&(self.sign)(message.as_bytes())));
        let mut uneven = self.header.to_string();
        while uneven.len().is_multiple_of(3) {
            uneven.push(' ');
        }
        let mut flipped = raw.clone();
        flipped[0] ^= 1;
        let mut bad = vec![
            ("no signature", format!("{message}.")),
            ("no signature and no dot", message.to_owned()),
            ("a signature of one byte", format!("{message}.AA")),
            ("a signature of zeros", format!("{message}.{}", encode(&vec![0; raw.len()]))),
            ("a signature that is cut", format!("{message}.{}", encode(&raw[..raw.len() - 1]))),
            ("a signature that is too long", format!("{message}.{}", encode(&[&raw[..], &[0]].concat()))),
            ("a signature with another bit", format!("{message}.{}", encode(&flipped))),
            ("a signature that is encoded twice", format!("{message}.{}", encode(signature.as_bytes()))),
            ("a signature of the claims alone", format!("{message}.{}", encode(&(self.sign)(body.as_bytes())))),
            ("another key's signature", format!("{message}.{}", encode(&(self.stranger)(message.as_bytes())))),
            ("a dot at the end", format!("{good}.")),
            ("a dot at the beginning", format!(".{good}")),
            ("two dots", format!("{head}..{body}.{signature}")),
            ("a part too many", format!("{good}.{signature}")),
            ("a part too many before the signature", resigned(&format!("{message}.{body}"))),
            ("a part too few", format!("{body}.{signature}")),
            ("five parts, as of an encrypted one", format!("{head}.{body}.{body}.{body}.{signature}")),
            ("no header", resigned(&format!(".{body}"))),
            ("no claims", resigned(&format!("{head}."))),
            ("nothing but dots", "..".to_owned()),
            ("parts in another order", resigned(&format!("{body}.{head}"))),
            ("a space inside", resigned(&format!("{head}. {body}"))),
            ("a space in the signature", format!("{message}. {signature}")),
            ("a comma and another", format!("{good},{good}")),
            ("padding at the end", format!("{good}=")),
            ("a padded header", resigned(&format!("{}.{body}", URL_SAFE.encode(&uneven)))),
            ("a header with padding", resigned(&format!("{head}=.{body}"))),
            ("claims with padding", resigned(&format!("{head}.{body}=="))),
            ("percent signs", good.replace('.', "%2E")),
            ("all in capitals", good.to_ascii_uppercase()),
            ("a quotation", format!("\"{good}\"")),
        ];
        // Bits that no byte takes may be anything to a lenient reader: the same token in another spelling.
        bad.push(("a signature in another spelling", format!("{message}.{}", respelled(signature))));
        for (name, part, other) in [("header", head, body), ("claims", body, head)] {
            if !part.len().is_multiple_of(4) {
                let spelled = respelled(part);
                let message =
                    if name == "header" { format!("{spelled}.{other}") } else { format!("{other}.{spelled}") };
                bad.push(("a part in another spelling", resigned(&message)));
            }
        }
        bad.push(("too long", self.token(&self.header, &with(&self.claims, "jti", json!("x".repeat(9000))))));
        bad.push(("too long a header", self.token(&with(&self.header, "x", json!("x".repeat(9000))), &self.claims)));
        named(bad)
    }

    fn bad_headers(&self) -> Vec<(String, String)> {
        let head = |name: &str, value: Value| self.token(&with(&self.header, name, value), &self.claims);
        let mut bad = Vec::new();
        let good = self.header["alg"].as_str().unwrap();
        for algorithm in [
            "none", "None", "NONE", "nOnE", "HS256", "HS384", "HS512", "RS256", "RS512", "PS256", "ES256", "ES384",
            "EdDSA", "",
        ] {
            if algorithm == good {
                continue;
            }
            let header = with(&self.header, "alg", json!(algorithm));
            bad.push((format!("algorithm {algorithm:?}"), self.token(&header, &self.claims)));
            let signed = self.token(&header, &self.claims);
            let (message, _) = signed.rsplit_once('.').unwrap();
            bad.push((format!("algorithm {algorithm:?} without a signature"), format!("{message}.")));
            for public in &self.public {
                let code = URL_SAFE_NO_PAD.encode(hmac(public, message.as_bytes()));
                bad.push((
                    format!("algorithm {algorithm:?} with the public key as the secret"),
                    format!("{message}.{code}"),
                ));
            }
            let empty = URL_SAFE_NO_PAD.encode(hmac(b"", message.as_bytes()));
            bad.push((format!("algorithm {algorithm:?} with an empty secret"), format!("{message}.{empty}")));
        }
        bad.extend(named(vec![
            ("the algorithm in small letters", head("alg", json!(good.to_ascii_lowercase().replace("eddsa", "edDSA")))),
            ("no algorithm", head("alg", Value::Null)),
            ("a number as the algorithm", head("alg", json!(256))),
            ("a list of algorithms", head("alg", json!([good]))),
            ("another type", head("typ", json!("dpop+jwt"))),
            ("a type that is none", head("typ", json!(1))),
            ("an encrypted one's type", head("typ", json!("JWE"))),
            ("a token in it", head("cty", json!("JWT"))),
            ("a key's address", head("jku", json!("https://stranger.test/keys"))),
            ("a key", head("jwk", json!({ "kty": "oct", "k": "AAAA" }))),
            ("no key", head("jwk", json!({}))),
            ("a certificate's address", head("x5u", json!("https://stranger.test/certificate"))),
            ("a certificate", head("x5c", json!(["AAAA"]))),
            ("a critical extension", head("crit", json!(["exp"]))),
            ("an empty list of them", head("crit", json!([]))),
            ("unencoded claims", head("b64", json!(false))),
            ("compressed claims", head("zip", json!("DEF"))),
            ("an encryption", head("enc", json!("A256GCM"))),
            ("a header that is a list", self.bytes(b"[]", self.claims.to_string().as_bytes())),
            ("an empty header", self.bytes(b"{}", self.claims.to_string().as_bytes())),
            ("a header that is a text", self.bytes(b"\"alg\"", self.claims.to_string().as_bytes())),
        ]));
        if self.names_a_key {
            for kid in
                [json!(""), json!("other"), json!("../../dev/null"), json!("' OR '1'='1"), json!(0), json!(["a"])]
            {
                bad.push((format!("key {kid}"), head("kid", kid)));
            }
            bad.push(("no key's name".to_owned(), head("kid", Value::Null)));
            bad.push(("a very long key's name".to_owned(), head("kid", json!("k".repeat(5000)))));
        }
        let claims = self.claims.to_string();
        let header = self.header.to_string();
        for (name, bytes) in [
            ("the algorithm twice", header.replacen('{', "{\"alg\":\"none\",", 1).into_bytes()),
            ("the same twice", header.replacen('{', &format!("{{\"alg\":\"{good}\","), 1).into_bytes()),
            ("an escaped name twice", header.replacen('{', "{\"\\u0061lg\":\"none\",", 1).into_bytes()),
            ("the key's name twice", header.replacen('{', "{\"kid\":\"x\",", 1).into_bytes()),
            ("bytes that are no text", [&header.as_bytes()[..header.len() - 1], b",\"x\":\"\xff\"}"].concat()),
            ("a byte of zero", format!("{header}\0").into_bytes()),
            ("a byte of zero in a text", header.replacen("\":\"", "\":\"\0", 1).into_bytes()),
            ("a mark of byte order", [b"\xef\xbb\xbf", header.as_bytes()].concat()),
            ("something after it", format!("{header}{{}}").into_bytes()),
            ("a comma too many", header.replace('}', ",}").into_bytes()),
            ("very deep", "[".repeat(3000).into_bytes()),
        ] {
            bad.push((format!("a header with {name}"), self.bytes(&bytes, claims.as_bytes())));
        }
        bad
    }

    fn bad_claims(&self) -> Vec<(String, String)> {
        let claim = |name: &str, value: Value| self.token(&self.header, &with(&self.claims, name, value));
        let mut bad = Vec::new();
        let (now, issuer) = (self.now, self.claims["iss"].as_str().unwrap());
        for (name, value) in [
            ("iss", json!("stranger")),
            ("iss", json!(format!("{issuer}/"))),
            ("iss", json!(issuer.to_ascii_uppercase())),
            ("iss", json!(format!(" {issuer}"))),
            ("iss", json!([issuer])),
            ("iss", json!(1)),
            ("iss", Value::Null),
            ("aud", json!("stranger")),
            ("aud", json!(self.claims["aud"].as_str().unwrap().to_ascii_uppercase())),
            ("aud", json!(["stranger"])),
            ("aud", json!([])),
            ("aud", json!([["authenticated"]])),
            ("aud", json!({ "aud": AUDIENCE })),
            ("aud", json!(7)),
            ("aud", json!("")),
            ("aud", Value::Null),
            ("exp", json!(now - 100_000)),
            ("exp", json!(0)),
            ("exp", json!(-1)),
            ("exp", json!(now as f64 + 600.5)),
            ("exp", json!((now + 600) as f64)),
            ("exp", json!((now + 600).to_string())),
            ("exp", json!(i64::MAX)),
            ("exp", json!(u64::MAX)),
            ("exp", json!(1e300)),
            ("exp", json!(true)),
            ("exp", json!([now + 600])),
            ("exp", Value::Null),
            ("iat", json!(now + 3600)),
            ("iat", json!(i64::MAX)),
            ("iat", json!(now.to_string())),
            ("iat", json!(now as f64 + 0.5)),
            ("iat", Value::Null),
            ("nbf", json!(now + 3600)),
            ("nbf", json!(now.to_string())),
            ("nbf", json!(1e300)),
        ] {
            bad.push((format!("{name} {value}"), claim(name, value)));
        }
        let header = self.header.to_string();
        let claims = self.claims.to_string();
        for (name, bytes) in [
            ("its end twice", claims.replacen('{', "{\"exp\":1,", 1).into_bytes()),
            ("the audience twice", claims.replacen('{', "{\"aud\":\"x\",", 1).into_bytes()),
            ("the issuer twice", claims.replacen('{', "{\"iss\":\"x\",", 1).into_bytes()),
            ("an escaped name twice", claims.replacen('{', "{\"\\u0065xp\":1,", 1).into_bytes()),
            ("a member twice inside", claims.replacen('{', "{\"x\":{\"a\":1,\"a\":2},", 1).into_bytes()),
            ("bytes that are no text", [&claims.as_bytes()[..claims.len() - 1], b",\"x\":\"\xff\"}"].concat()),
            ("half a pair", claims.replacen('{', "{\"x\":\"\\ud800\",", 1).into_bytes()),
            ("a byte of zero", format!("{claims}\0").into_bytes()),
            ("something after it", format!("{claims}{{}}").into_bytes()),
            ("nothing", Vec::new()),
            ("a list", format!("[{claims}]").into_bytes()),
            ("a text", b"\"claims\"".to_vec()),
            ("null", b"null".to_vec()),
            ("an empty object", b"{}".to_vec()),
            ("a token", self.good().into_bytes()),
            ("very deep", "[".repeat(3000).into_bytes()),
        ] {
            bad.push((format!("claims with {name}"), self.bytes(header.as_bytes(), &bytes)));
        }
        bad
    }
}

fn named(list: Vec<(&str, String)>) -> Vec<(String, String)> {
    list.into_iter().map(|(name, token)| (name.to_owned(), token)).collect()
}

/// Base64 that a lenient reader takes for the same bytes: with bits set that belong to none.
fn respelled(part: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = part.bytes().last().unwrap();
    let at = LETTERS.iter().position(|letter| *letter == last).unwrap();
    assert!(!part.len().is_multiple_of(4) && at.is_multiple_of(4), "the canonical spelling leaves them empty");
    format!("{}{}", &part[..part.len() - 1], char::from(LETTERS[at + 1]))
}

/// The forger of one of our own rings, by the key that signs now.
async fn forger_of(world: &World, purpose: Purpose) -> Forger {
    let row = world.app.store.signing_keys(purpose.name).await.unwrap().remove(0);
    let label = match row.algorithm.as_str() {
        "EdDSA" => format!("signing:{}:{}:EdDSA", purpose.name, row.kid),
        _ => format!("signing:{}:{}", purpose.name, row.kid),
    };
    let secret = world.app.vault.open(&label, &row.sealed).unwrap();
    let now = world.clock.now() / SECOND;
    let (sign, stranger, public): (Sign, Sign, Vec<Vec<u8>>) = if row.algorithm == "EdDSA" {
        let pair = aws_lc_rs::signature::Ed25519KeyPair::from_seed_unchecked(&secret).unwrap();
        let public = aws_lc_rs::signature::KeyPair::public_key(&pair).as_ref().to_vec();
        let other = ForeignKey::new("EdDSA", "x");
        let text = URL_SAFE_NO_PAD.encode(&public).into_bytes();
        let sign = move |message: &[u8]| pair.sign(message).as_ref().to_vec();
        (Box::new(sign), Box::new(move |message| other.signature(message)), vec![public, text])
    } else {
        (
            Box::new(move |message: &[u8]| hmac(&secret, message)),
            Box::new(|message: &[u8]| hmac(&[5; 32], message)),
            vec![row.kid.clone().into_bytes()],
        )
    };
    Forger {
        header: json!({ "alg": row.algorithm, "typ": purpose.kind, "kid": row.kid }),
        claims: json!({ "iss": "chatward", "aud": purpose.audience, "iat": now, "exp": now + 30 }),
        now,
        names_a_key: true,
        public,
        sign,
        stranger,
    }
}

/// The claims that every one of our tokens has.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Ours {
    #[expect(dead_code, reason = "it must be there")]
    iss: String,
    #[expect(dead_code, reason = "it must be there")]
    aud: String,
    iat: i64,
    exp: i64,
}

#[tokio::test]
async fn every_ring_refuses_every_bad_token_and_every_other_rings() {
    for algorithm in ["HS256", "EdDSA"] {
        let world = roomy().set("tokens.algorithm", algorithm).start().await;
        let rings = world.app.tokens.rings();
        assert_eq!(rings.map(signing::Ring::purpose), PURPOSES);
        let now = world.clock.now();
        let mut kids = std::collections::BTreeSet::new();
        for purpose in PURPOSES {
            let rows = world.app.store.signing_keys(purpose.name).await.unwrap();
            assert!(rows.len() == 1 && kids.insert(rows[0].kid.clone()), "{} has a key of its own", purpose.name);
        }
        let holds = |ring: &signing::Ring, token: &str| {
            let claims: Option<Ours> = ring.verify(token, now);
            claims.is_some_and(|claims| signing::end_of(claims.iat, claims.exp, now).is_some())
        };
        for signing_ring in rings {
            let purpose = signing_ring.purpose();
            let forger = forger_of(&world, purpose).await;
            for ring in rings {
                assert_eq!(
                    holds(ring, &forger.good()),
                    ring.purpose() == purpose,
                    "{} by {}",
                    purpose.name,
                    ring.purpose().name
                );
                // The right key and another purpose's type, or another purpose's audience.
                let other = ring.purpose();
                if other != purpose {
                    let typed = forger.token(&with(&forger.header, "typ", json!(other.kind)), &forger.claims);
                    let meant = forger.token(&forger.header, &with(&forger.claims, "aud", json!(other.audience)));
                    for token in [typed, meant] {
                        assert!(!holds(ring, &token) && !holds(signing_ring, &token), "{}", other.name);
                    }
                }
            }
            for (name, token) in forger.bad() {
                assert!(!holds(signing_ring, &token), "{} {name}", purpose.name);
            }
        }
        // What is handed out, tried where it does not belong.
        world.user("ann@example.test", Role::Owner).await;
        let user = world.tokens("ann@example.test").await.access;
        let visitor = world.visitor().await.token;
        assert!(!world.holds(&visitor).await);
        let call = world.call(Method::GET, "/api/v1/widget/session").header("authorization", &format!("Bearer {user}"));
        assert_eq!(call.send().await.code(), "session_invalid");
        for token in [&user, &visitor] {
            assert_eq!(world.trade(&json!({ "ticket": token })).await.code(), "ticket_invalid");
            assert_eq!(world.refresh(token).await.code(), "refresh_invalid");
            let accept = json!({ "token": token, "password": "x", "full_name": "x" });
            assert_eq!(world.post("/api/v1/auth/accept", &accept).await.status.as_u16(), 401);
        }
    }
}

/// What a caller learns from a refusal.
fn learned(reply: &Reply) -> (u16, Value, Vec<String>) {
    let mut body = reply.json();
    body["error"]["request_id"] = Value::Null;
    (reply.status.as_u16(), body, reply.headers.keys().map(ToString::to_string).collect())
}

async fn all_refused_alike(world: &World, what: &str, forger: &Forger) {
    assert!(world.holds(&forger.good()).await, "{what}: the forger's own form is right");
    let nobody = world.with("a.b.c", Method::GET, "/api/v1/auth/me").send().await;
    assert_eq!((nobody.status.as_u16(), nobody.code().as_str()), (401, "token_invalid"));
    for (name, token) in forger.bad() {
        let reply = world.with(&token, Method::GET, "/api/v1/auth/me").send().await;
        assert_eq!(learned(&reply), learned(&nobody), "{what}: {name}");
    }
    assert!(world.holds(&forger.good()).await, "{what}: still");
}

#[tokio::test]
async fn a_users_bad_tokens_are_refused_alike() {
    for algorithm in ["HS256", "EdDSA"] {
        let world = roomy().set("tokens.algorithm", algorithm).start().await;
        rotation::rotate(&world.app, "user", false, &Actor::Operator).await.unwrap();
        world.user("ann@example.test", Role::Owner).await;
        let token = world.tokens("ann@example.test").await.access;
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let claims = serde_json::from_slice(&claims).unwrap();
        let forger = Forger { claims, ..forger_of(&world, signing::USER).await };
        all_refused_alike(&world, algorithm, &forger).await;
    }
}

#[tokio::test]
async fn an_outside_issuers_bad_tokens_are_refused_alike() {
    for algorithm in ["RS256", "PS256", "ES256", "EdDSA"] {
        let key = ForeignKey::new(algorithm, "one");
        let server = FakeIssuer::start(Answer::Keys(key_set(&[&key]))).await.unwrap();
        let world = with_issuer(&server, "").start().await;
        linked(&world, "ann@example.test", Role::Member, "idp", "s").await;
        let jwk = key.jwk();
        let mut public: Vec<Vec<u8>> = vec![jwk.to_string().into_bytes(), key_set(&[&key]).into_bytes()];
        for part in ["x", "n"].iter().filter_map(|name| jwk[name].as_str()) {
            public.extend([part.as_bytes().to_vec(), URL_SAFE_NO_PAD.decode(part).unwrap()]);
        }
        let stranger = ForeignKey::new(algorithm, "one");
        let forger = Forger {
            header: key.header(),
            claims: claims(&world, "s"),
            now: world.clock.now() / SECOND,
            names_a_key: true,
            public,
            sign: Box::new(move |message| key.signature(message)),
            stranger: Box::new(move |message| stranger.signature(message)),
        };
        all_refused_alike(&world, algorithm, &forger).await;
        for (name, value) in [
            ("sub", json!("t")),
            ("sub", json!("")),
            ("sub", json!(1)),
            ("sub", json!("s\n")),
            ("sub", json!("x".repeat(300))),
            ("sub", Value::Null),
        ] {
            let token = forger.token(&forger.header, &with(&forger.claims, name, value.clone()));
            assert!(!world.holds(&token).await, "{algorithm}: {name} {value}");
        }
    }
}

#[tokio::test]
async fn supabases_bad_tokens_are_refused_alike() {
    let secret = ["test-only-", "Zq8Lm2Wx5Rt7Yu9Io3Pa6Sd1Fg4Hj0Kl"].concat();
    let key = ForeignKey::shared(&secret, "any");
    let table = format!(
        "[[issuer]]\nname = \"supabase\"\nkind = \"supabase\"\nissuer = \"{SUPABASE}\"\nsecret = \"{secret}\"\n"
    );
    let world = roomy().file(&table).start().await;
    linked(&world, "ann@example.test", Role::Member, "supabase", "s").await;
    let forger = Forger {
        header: key.header(),
        claims: supabase_claims(&world, "s"),
        now: world.clock.now() / SECOND,
        names_a_key: false,
        public: vec![SUPABASE.as_bytes().to_vec()],
        sign: Box::new(move |message| key.signature(message)),
        stranger: Box::new(|message| hmac(&[5; 32], message)),
    };
    all_refused_alike(&world, "supabase", &forger).await;
}
