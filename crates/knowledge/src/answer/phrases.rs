//! The sentence for what a site does not say, by language.
//!
//! Owns: the texts.
//! Never does: naming the site or its contact; the page around the chat does that.

use crate::language::Language;

/// "Not on this site" in the site's language; English where there is no text of its own.
pub fn not_on_this_site(language: Language) -> &'static str {
    match language {
        Language::German => "Dazu steht nichts auf dieser Website.",
        Language::French => "Ce site ne contient pas de réponse à cette question.",
        Language::Spanish => "Este sitio no contiene información sobre eso.",
        Language::Italian => "Su questo sito non c’è una risposta a questa domanda.",
        Language::Portuguese => "Este site não tem informação sobre isso.",
        Language::Dutch => "Daarover staat niets op deze website.",
        Language::Danish => "Det står der ikke noget om på dette websted.",
        Language::Swedish => "Det står inget om detta på den här webbplatsen.",
        Language::Norwegian => "Det står ikke noe om dette på dette nettstedet.",
        Language::Chinese => "本网站上没有这方面的信息。",
        Language::Japanese => "このサイトには該当する情報がありません。",
        Language::Russian => "На этом сайте нет ответа на этот вопрос.",
        Language::Turkish => "Bu sitede bununla ilgili bilgi yok.",
        _ => "That is not on this site.",
    }
}
