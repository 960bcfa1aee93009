//! Passwords: which are refused, how they are hashed, and how many at once.
//!
//! argon2id with 19 MiB, two passes and one lane, as OWASP recommends at least
//! (<https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html>). Each evaluation takes a core for a
//! moment, so they run in a bounded pool, and whoever finds it full is told to come back. What proves a password is stored
//! in the usual text form and says what it was made with; bcrypt from elsewhere is checked too. Never logs or keeps a password.

use crate::app::App;
use crate::ops::breached;
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use chatward_types::{Error, Kind, Result, Secret};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use unicode_normalization::UnicodeNormalization as _;

/// The longest password, in bytes: longer ones would only cost time.
pub const LONGEST: usize = 256;
/// How many may wait for a place.
const WAITING: usize = 32;
/// How long they wait.
const DEADLINE: Duration = Duration::from_secs(5);
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT: usize = 16;
const HASH: usize = 32;
/// What an unknown account is compared with: the form and the cost of any other, and nobody's password.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
const COMMON: &str = include_str!("common_passwords.txt");

/// The pool, and the words that make no password.
#[derive(Debug)]
pub struct Passwords {
    places: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    evaluations: AtomicU64,
    common: HashSet<&'static str>,
}

impl Passwords {
    /// A pool of so many places.
    pub fn new(workers: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(workers)),
            queue: Arc::new(Semaphore::new(workers + WAITING)),
            evaluations: AtomicU64::new(0),
            common: COMMON.lines().filter(|line| !line.starts_with('#')).collect(),
        }
    }

    /// How many hashes were computed since the start.
    pub fn evaluations(&self) -> u64 {
        self.evaluations.load(Ordering::Relaxed)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let busy = || {
            Error::new(
                Kind::Unavailable,
                "passwords_busy",
                "Too many passwords are being checked at the moment. Try again in a few seconds.",
            )
            .retry_after(2)
        };
        let queued = Arc::clone(&self.queue).try_acquire_owned().map_err(|_| busy())?;
        let place = tokio::time::timeout(DEADLINE, Arc::clone(&self.places).acquire_owned());
        let place = place.await.map_err(|_| busy())?.map_err(Error::internal)?;
        self.evaluations.fetch_add(1, Ordering::Relaxed);
        // The places go with the work: a client that leaves does not make room before it is done.
        let working = tokio::task::spawn_blocking(move || {
            let _held = (queued, place);
            work()
        });
        working.await.map_err(Error::internal)?
    }
}

/// What proves a password, to be stored.
///
/// # Errors
/// [`Kind::Unavailable`] when the pool is full; else when the entropy source fails.
pub async fn hash(app: &App, password: &Secret<String>) -> Result<String> {
    let mut salt = [0_u8; SALT];
    app.entropy.fill(&mut salt)?;
    let text = normal(password);
    app.passwords
        .run(move || {
            let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH)).map_err(|error| failed(&error))?;
            let out = evaluate(&text, &salt, params)?;
            Ok(format!(
                "$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${}${}",
                STANDARD_NO_PAD.encode(salt),
                STANDARD_NO_PAD.encode(out)
            ))
        })
        .await
}

/// What a password came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is the one that is proven.
    pub right: bool,
    /// Whether what proves it was made elsewhere, and should be made anew.
    pub outdated: bool,
}

/// Whether a password is the one that is proven. Without an account there is nothing to prove, and it takes as long.
///
/// # Errors
/// [`Kind::Unavailable`] when the pool is full; [`Kind::Internal`] for a proof of another form.
pub async fn verify(app: &App, password: &Secret<String>, proof: Option<&str>) -> Result<Verdict> {
    let known = proof.is_some();
    let proof = read(proof.unwrap_or(NOBODYS))
        .ok_or_else(|| Error::internal("what proves a password is of a form that this version does not know"))?;
    let outdated = matches!(proof, Proof::Bcrypt(_));
    let text = normal(password);
    let same = app
        .passwords
        .run(move || match proof {
            Proof::Argon2 { params, salt, hash } => {
                Ok(chatward_vault::equal_constant_time(&evaluate(&text, &salt, params)?, &hash))
            }
            Proof::Bcrypt(proof) => bcrypt::verify(text.expose(), &proof)
                .map_err(|error| Error::internal(format!("a password cannot be compared: {error}"))),
        })
        .await?;
    Ok(Verdict { right: same && known, outdated })
}

/// Whether a text proves a password in a form that [`verify`] knows: argon2id, or bcrypt from elsewhere.
pub fn is_proof(text: &str) -> bool {
    read(text).is_some()
}

/// Refuses a password that is too short or long, breached or very common, or made of the user's own names.
///
/// # Errors
/// [`Kind::Invalid`], `password_refused`, with what to do; never the password.
pub fn check(app: &App, password: &Secret<String>, own: &[&str]) -> Result<()> {
    let text = password.expose();
    let least = app.config.accounts.password_min_length as usize;
    let refuse = |why: String| Err(Error::new(Kind::Invalid, "password_refused", why));
    if text.chars().count() < least {
        return refuse(format!(
            "A password takes at least {least} characters. A few words that do not belong together do."
        ));
    }
    if text.len() > LONGEST {
        return refuse(format!("A password takes at most {LONGEST} bytes."));
    }
    let host = app.config.public_url.host_str().unwrap_or_default();
    let words = own.iter().copied().chain([host]).flat_map(words);
    if is_made_of(text, words) {
        return refuse("This password is made of your own names or this server's. Choose another.".to_owned());
    }
    if app.config.accounts.password_letters_and_digits
        && !(text.chars().any(char::is_alphabetic) && text.chars().any(|c| c.is_ascii_digit()))
    {
        return refuse("A password takes letters and digits here.".to_owned());
    }
    if is_common(text, &app.passwords.common) {
        return refuse("This password is among the first that anybody tries. Choose another.".to_owned());
    }
    Ok(())
}

/// One password has several spellings in Unicode, and keyboards differ in them.
fn normal(password: &Secret<String>) -> Secret<String> {
    Secret::new(password.expose().nfc().collect())
}

fn evaluate(password: &Secret<String>, salt: &[u8], params: Params) -> Result<[u8; HASH]> {
    let mut out = [0_u8; HASH];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.expose().as_bytes(), salt, &mut out)
        .map_err(|error| failed(&error))?;
    Ok(out)
}

fn failed(error: &argon2::Error) -> Error {
    Error::internal(format!("a password cannot be hashed: {error}"))
}

enum Proof {
    Argon2 { params: Params, salt: Vec<u8>, hash: Vec<u8> },
    Bcrypt(String),
}

/// The parts of a stored proof.
fn read(proof: &str) -> Option<Proof> {
    if let Some(rest) = ["$2a$", "$2b$", "$2y$"].iter().find_map(|form| proof.strip_prefix(form)) {
        let (cost, body) = rest.split_once('$')?;
        // Each step of the cost doubles the time; beyond 14 a login would take seconds of a core.
        let fine = cost.parse().is_ok_and(|cost: u32| (4..=14).contains(&cost))
            && body.len() == 53
            && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/'));
        return fine.then(|| Proof::Bcrypt(proof.to_owned()));
    }
    let mut parts = proof.strip_prefix("$argon2id$v=19$")?.split('$');
    let (costs, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
    let mut numbers =
        costs.split(',').zip(["m=", "t=", "p="]).map(|(part, name)| part.strip_prefix(name)?.parse().ok());
    let (memory, passes, lanes) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let hash = STANDARD_NO_PAD.decode(hash).ok().filter(|hash| hash.len() == HASH)?;
    let params = Params::new(memory, passes, lanes, Some(HASH)).ok()?;
    let salt = STANDARD_NO_PAD.decode(salt).ok().filter(|salt| salt.len() >= 8)?;
    // What was not made here must not cost more than a login may.
    let affordable = (MEMORY_KIB..=4 * MEMORY_KIB).contains(&memory) && (PASSES..=8).contains(&passes) && lanes <= 4;
    (parts.next().is_none() && affordable).then_some(Proof::Argon2 { params, salt, hash })
}

fn words(text: &str) -> impl Iterator<Item = String> {
    let lower = text.to_lowercase();
    let words: Vec<String> = lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| word.chars().count() >= 3)
        .map(str::to_owned)
        .collect();
    words.into_iter()
}

/// Whether fewer than eight characters are left without these words.
fn is_made_of(password: &str, own: impl Iterator<Item = String>) -> bool {
    let lower = password.to_lowercase();
    let rest = own.fold(lower.clone(), |rest, word| rest.replace(&word, ""));
    rest != lower && rest.chars().count() < 8
}

/// Whether a password was found in a breach, as it is or dressed up; is one common word or two, dressed up; a run along the
/// alphabet or the digits; or few characters.
fn is_common(password: &str, common: &HashSet<&'static str>) -> bool {
    let lower = password.to_lowercase();
    let characters: Vec<char> = lower.chars().collect();
    let distinct: HashSet<char> = characters.iter().copied().collect();
    let steps = characters.windows(2).filter(|pair| (pair[1] as i64 - pair[0] as i64).abs() <= 1).count();
    if distinct.len() < 5 || steps * 4 >= characters.len().saturating_sub(1) * 3 {
        return true;
    }
    if breached::contains(&lower) {
        return true;
    }
    let known = |text: &str| common.contains(once(text));
    let bare = lower.trim_matches(|c: char| !c.is_alphabetic());
    let dressed = lower.trim_matches(|c: char| !c.is_alphabetic() && !matches!(c, '@' | '$' | '0'));
    let mut forms = vec![lower.clone()];
    forms.extend([bare, dressed].iter().flat_map(|text| [undressed(text, 'i'), undressed(text, 'l')]));
    forms.iter().map(|form| form.trim_matches(|c: char| !c.is_alphabetic())).any(|form| {
        // What was breached is refused with a year or a sign behind it too, as long as it is the larger part.
        if form.len() * 2 > lower.len() && breached::contains(once(form)) {
            return true;
        }
        let form: String = form.chars().filter(|c| c.is_alphanumeric()).collect();
        known(&form) || (3..form.len()).any(|at| form.is_char_boundary(at) && known(&form[..at]) && known(&form[at..]))
    })
}

/// The digits and signs that stand for letters, undone. A one stands for either of two.
fn undressed(text: &str, one: char) -> String {
    let undone = text.chars().map(|c| match c {
        '0' => 'o',
        '1' | '!' => one,
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    });
    undone.collect()
}

/// A text that repeats itself, once.
fn once(text: &str) -> &str {
    let whole = (1..=text.len() / 2).filter(|at| text.len().is_multiple_of(*at) && text.is_char_boundary(*at));
    whole.map(|at| &text[..at]).find(|part| text == part.repeat(text.len() / part.len())).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_everybody_tries_is_common_however_it_is_dressed() {
        let words = Passwords::new(1).common;
        for common in [
            "password1234",
            "P@ssw0rd2024!",
            "passwordpassword",
            "qwertyuiop12",
            "123456789012",
            "aaaaaaaaaaaaa",
            "Sunshine2025!",
            "abcdefghijkl",
            "monkeydragon1",
            "1q1q1q1q1q1q",
            "MotDePasse!!!",
            "zyxwvutsrqpo",
            "ch4tw4rd12345",
            // From the list of breached ones alone: as it is, in capitals, with a year, with a sign for a letter, twice.
            "1qaz2wsx3edc4rfv",
            "1QAZ2wsx3EDC",
            "Liverpoolfc2024",
            "B@rbarossa1!",
            "slipknotslipknot",
        ] {
            assert!(is_common(common, &words), "{common}");
        }
        for fine in ["seven lamps under glass", "vorhangstoffmuster", "Kx7!mQe2#vRt", "tide-oboe-fern-9"] {
            assert!(!is_common(fine, &words), "{fine}");
        }
        assert!(words.len() > 900, "{}", words.len());
    }

    #[test]
    fn own_names_make_no_password() {
        let own = || ["ann.example@shop.test", "Ann Marie Example"].into_iter().flat_map(words);
        for made in ["AnnExample2024", "example-shop-1", "annmarieexample"] {
            assert!(is_made_of(made, own()), "{made}");
        }
        assert!(!is_made_of("annual-harvest-of-figs", own()));
        assert!(!is_made_of("short", own()), "nothing of theirs in it; its length is another rule's");
    }

    #[test]
    fn a_proof_says_what_it_was_made_with() {
        assert!(read(NOBODYS).is_some());
        for bad in ["", "plain", "$2b$12$abc", "$argon2id$v=19$m=1,t=0,p=0$AAAA$AAAA", &format!("{NOBODYS}$x")] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }
}
