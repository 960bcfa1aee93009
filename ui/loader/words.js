// The loader's own four texts in the interface languages, and which language to use.
// Owns: the name of the launcher and what is said when the chat cannot be had. Everything else
// that a visitor reads is the frame's (ui/embed/strings.json).
// Never: a text from the page's attributes; those go to the frame, which bounds them.

// language | name | close | try again | cannot be had
const WORDS = [
  "en|Chat|Close|Try again|The chat is not available.",
  "de|Chat|Schließen|Erneut versuchen|Der Chat ist nicht verfügbar.",
  "fr|Chat|Fermer|Réessayer|Le chat n’est pas disponible.",
  "es|Chat|Cerrar|Reintentar|El chat no está disponible.",
  "pt|Chat|Fechar|Tentar de novo|O chat não está disponível.",
  "it|Chat|Chiudi|Riprova|La chat non è disponibile.",
  "nl|Chat|Sluiten|Opnieuw|De chat is niet beschikbaar.",
  "pl|Czat|Zamknij|Ponów|Czat jest niedostępny.",
  "tr|Sohbet|Kapat|Tekrar dene|Sohbet kullanılamıyor.",
  "ar|الدردشة|إغلاق|إعادة المحاولة|الدردشة غير متاحة.",
  "he|צ׳אט|סגירה|לנסות שוב|הצ׳אט אינו זמין.",
  "zh|聊天|关闭|重试|聊天不可用。",
  "ja|チャット|閉じる|再試行|チャットを利用できません。",
];

/**
 * @param {string} [wanted] a language tag; the browser's own languages follow
 * @returns {string[]} the language and its texts, in the order above
 */
export function wordsFor(wanted) {
  for (const tag of [wanted, ...navigator.languages]) {
    const found = WORDS.find((line) => String(tag).toLowerCase().startsWith(line.slice(0, 2)));
    if (found) return found.split("|");
  }
  return WORDS[0].split("|");
}
