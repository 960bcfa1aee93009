//! Meanings that a word search misses: "How much is it?" is answered by "$14.90", and "delivery" by "shipping".
//!
//! Owns: two features of a chunk (it names an amount of money; it names a span or time), the words that ask for them,
//! and a short list of words that visitors and shops use for the same thing, in en, de, fr and es.
//! Never does: general synonymy; embeddings will do that where an owner turns them on.

use crate::fingerprint::WordHash;
use crate::language::Language;
use crate::words::Analyser;
use std::collections::{HashMap, HashSet};

/// Something a chunk contains that a question may ask for without using its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Feature {
    /// An amount of money.
    Money,
    /// A span of time or a time of day.
    Time,
}

impl Feature {
    /// The term under which it is indexed; no text can contain it, for control characters never reach a term.
    pub(crate) fn term(self) -> &'static str {
        match self {
            Self::Money => "\u{1}money",
            Self::Time => "\u{1}time",
        }
    }
}

/// The features of a text.
pub(crate) fn of_text(text: &str) -> impl Iterator<Item = Feature> + use<> {
    let money = names_money(text);
    let time = names_time(text);
    [(money, Feature::Money), (time, Feature::Time)]
        .into_iter()
        .filter_map(|(present, feature)| present.then_some(feature))
}

fn names_money(text: &str) -> bool {
    const CODES: [&str; 9] = ["EUR", "USD", "GBP", "CHF", "CAD", "AUD", "SEK", "PLN", "JPY"];
    let bytes = text.as_bytes();
    text.char_indices().any(|(at, character)| {
        let after = at + character.len_utf8();
        match character {
            '$' | '€' | '£' | '¥' | '₹' | '₽' | '₩' | '₺' | '元' | '円' => digit_near(bytes, at, after),
            'A'..='Z' => {
                text.get(at..at + 3).is_some_and(|code| CODES.contains(&code)) && digit_near(bytes, at, at + 3)
            }
            _ => false,
        }
    })
}

/// Whether a digit stands beside `from..to`, with at most one space (which may be a no-break space) between.
fn digit_near(bytes: &[u8], from: usize, to: usize) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_digit();
    let before = bytes[from.saturating_sub(3)..from].iter().any(is_digit);
    before || bytes[to..(to + 3).min(bytes.len())].iter().any(is_digit)
}

fn names_time(text: &str) -> bool {
    const UNITS: [&str; 32] = [
        "day",
        "days",
        "hour",
        "hours",
        "week",
        "weeks",
        "month",
        "months",
        "year",
        "years",
        "minutes",
        "am",
        "pm",
        "business",
        "working",
        "tag",
        "tage",
        "tagen",
        "stunden",
        "wochen",
        "werktage",
        "werktagen",
        "uhr",
        "jahre",
        "monate",
        "jours",
        "heures",
        "semaines",
        "días",
        "horas",
        "semanas",
        "ans",
    ];
    const NUMBERS: [&str; 32] = [
        "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "ein", "eine", "einem", "zwei",
        "drei", "vier", "fünf", "sechs", "sieben", "acht", "zehn", "un", "une", "deux", "trois", "quatre", "cinq",
        "una", "dos", "tres", "cuatro", "cinco",
    ];
    let mut after_number = false;
    for word in text.split(|c: char| !c.is_alphanumeric() && c != ':') {
        if word.is_empty() {
            continue;
        }
        if after_number && stands_in(&UNITS, word) {
            return true;
        }
        // 9:30
        if let Some((hour, minute)) = word.split_once(':')
            && minute.len() == 2
            && !hour.is_empty()
            && hour.len() <= 2
            && hour.bytes().chain(minute.bytes()).all(|b| b.is_ascii_digit())
        {
            return true;
        }
        let digits = word.starts_with(|c: char| c.is_ascii_digit());
        after_number = digits || (word.len() <= 6 && stands_in(&NUMBERS, word));
        if digits {
            // 9am, 30min
            let unit = word.trim_start_matches(|c: char| c.is_ascii_digit());
            if stands_in(&UNITS, unit) {
                return true;
            }
        }
    }
    false
}

fn stands_in(list: &[&str], word: &str) -> bool {
    list.iter().any(|listed| listed.eq_ignore_ascii_case(word))
}

const MONEY: [(Language, &str); 4] = [
    (
        Language::English,
        "cost costs price prices priced pricing charge charges fee fees expensive cheap pay rate rates",
    ),
    (Language::German, "kosten kostet preis preise gebühr gebühren teuer günstig bezahlen"),
    (Language::French, "coût coûts coûte coûtent prix tarif tarifs frais cher"),
    (Language::Spanish, "cuesta cuestan coste costo costes precio precios tarifa tarifas vale caro"),
];

const TIME: [(Language, &str); 4] = [
    (Language::English, "long take takes fast quick quickly soon time times hours"),
    (Language::German, "lange dauert dauern dauer schnell lieferzeit öffnungszeiten uhrzeit"),
    (Language::French, "longtemps temps délai délais vite heures horaires heure"),
    (Language::Spanish, "tarda tardan tiempo plazo plazos rápido horario horarios hora horas"),
];

/// Words that name no thing by themselves.
const GENERAL: [(Language, &str); 4] = [
    (
        Language::English,
        "number information info detail details policy question answer way kind type work use website site page located location available company thing help possible offer sell item product",
    ),
    (
        Language::German,
        "nummer information informationen hoch art frage antwort weg seite website verfügbar möglich firma ding angebot anbieten verkaufen artikel produkt",
    ),
    (
        Language::French,
        "numéro information informations détail question réponse page site disponible possible entreprise offrir vendre vendez article produit",
    ),
    (
        Language::Spanish,
        "número información detalle pregunta respuesta página sitio disponible posible empresa ofrecer vender venden artículo producto",
    ),
];

/// Words for the same thing; a line holds one thing.
const ALIKE: [(Language, &str); 40] = [
    (Language::English, "shipping ship delivery deliver dispatch postage"),
    (Language::English, "return refund"),
    (Language::English, "cost price fee charge rate"),
    (Language::English, "buy order purchase"),
    (Language::English, "coupon voucher discount promo"),
    (Language::English, "warranty guarantee"),
    (Language::English, "phone telephone call"),
    (Language::English, "email mail contact reach"),
    (Language::English, "open opening hours"),
    (Language::English, "pay payment"),
    (Language::English, "job career vacancy hiring"),
    (Language::English, "size dimension measurement"),
    (Language::English, "located location address"),
    (Language::English, "broken damaged defective"),
    (Language::German, "versand lieferung liefern verschicken porto versenden"),
    (Language::German, "rückgabe rücksendung umtausch retoure zurückgeben zurückschicken widerruf"),
    (Language::German, "kosten preis gebühr"),
    (Language::German, "kaufen bestellen bestellung"),
    (Language::German, "gutschein rabatt"),
    (Language::German, "garantie gewährleistung"),
    (Language::German, "telefon anrufen"),
    (Language::German, "mail kontakt erreichen"),
    (Language::German, "bezahlen zahlung zahlen"),
    (Language::German, "geöffnet öffnungszeiten"),
    (Language::German, "defekt kaputt beschädigt"),
    (Language::French, "livraison livrer expédition expédier envoi"),
    (Language::French, "retour retourner remboursement rembourser"),
    (Language::French, "prix coût coûte tarif frais"),
    (Language::French, "acheter commander commande achat"),
    (Language::French, "payer paiement"),
    (Language::French, "téléphone appeler"),
    (Language::French, "contact contacter joindre mail"),
    (Language::French, "horaires ouvert ouverture"),
    (Language::Spanish, "envío envíos entrega entregar enviar"),
    (Language::Spanish, "devolución devolver reembolso"),
    (Language::Spanish, "precio coste costo cuesta tarifa"),
    (Language::Spanish, "comprar pedir pedido compra"),
    (Language::Spanish, "pagar pago"),
    (Language::Spanish, "teléfono llamar"),
    (Language::Spanish, "horario abierto apertura"),
];

/// An analyser with the special words of its language, analysed once.
#[derive(Debug)]
pub(crate) struct Vocabulary {
    analyser: Analyser,
    asks: HashMap<Box<str>, Feature, WordHash>,
    general: HashSet<Box<str>, WordHash>,
    /// A term to the lines of [`ALIKE`] that it stands in.
    groups: HashMap<Box<str>, Vec<u8>, WordHash>,
    lines: Vec<Vec<Box<str>>>,
}

impl Vocabulary {
    pub(crate) fn new(analyser: Analyser) -> Self {
        let language = analyser.language();
        let terms_of = |words: &str| {
            let mut terms: Vec<Box<str>> = Vec::new();
            analyser.terms(words, |term| terms.push(term.text.into()));
            terms.dedup();
            terms
        };
        let mut asks = HashMap::default();
        for (table, feature) in [(&TIME, Feature::Time), (&MONEY, Feature::Money)] {
            for (_, words) in table.iter().filter(|(of, _)| *of == language) {
                asks.extend(terms_of(words).into_iter().map(|term| (term, feature)));
            }
        }
        let general = GENERAL.iter().filter(|(of, _)| *of == language);
        let general = general.flat_map(|(_, words)| terms_of(words)).collect();
        let mut groups: HashMap<Box<str>, Vec<u8>, WordHash> = HashMap::default();
        let mut lines = Vec::new();
        for (_, words) in ALIKE.iter().filter(|(of, _)| *of == language) {
            let terms = terms_of(words);
            for term in &terms {
                groups.entry(term.clone()).or_default().push(lines.len() as u8);
            }
            lines.push(terms);
        }
        Self { analyser, asks, general, groups, lines }
    }

    pub(crate) fn analyser(&self) -> &Analyser {
        &self.analyser
    }

    /// What a question with this term asks for.
    pub(crate) fn asks_for(&self, term: &str) -> Option<Feature> {
        self.asks.get(term).copied()
    }

    /// Whether a term names no thing by itself.
    pub(crate) fn is_general(&self, term: &str) -> bool {
        self.general.contains(term)
    }

    /// Terms for the same thing, itself left out.
    pub(crate) fn alike<'a>(&'a self, term: &'a str) -> impl Iterator<Item = &'a str> {
        self.groups
            .get(term)
            .into_iter()
            .flatten()
            .filter_map(|&line| self.lines.get(usize::from(line)))
            .flatten()
            .map(|alike| &**alike)
            .filter(move |alike| *alike != term)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_and_spans_are_seen() {
        for text in ["CA$14.90", "14,90 €", "USD 20", "20\u{a0}€", "5 EUR"] {
            assert!(names_money(text), "{text}");
        }
        for text in ["the $ sign", "EUROPE 2", "free", "size 14"] {
            assert!(!names_money(text), "{text}");
        }
        for text in ["5–8 business days", "within 30 days", "9:30 to 17:00", "9am", "14 Tage", "within five years"] {
            assert!(names_time(text), "{text}");
        }
        for text in ["some days", "5 apples", "a:b", "20 mugs"] {
            assert!(!names_time(text), "{text}");
        }
    }

    #[test]
    fn words_for_the_same_thing_are_known_by_their_stems() {
        let english = Vocabulary::new(Analyser::new(Language::English));
        assert!(english.alike("deliveri").any(|term| term == "ship"));
        assert_eq!(english.asks_for("price"), Some(Feature::Money));
        assert_eq!(english.alike("canada").count(), 0);
        let chinese = Vocabulary::new(Analyser::new(Language::Chinese));
        assert_eq!(chinese.asks_for("price"), None);
    }
}
