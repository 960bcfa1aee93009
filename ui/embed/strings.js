// Every word the chat page says that does not stand in index.html.
// Owns: the wording, and how a number of seconds is said. Plain words, no jargon.
// Never: a word from the server, an element, or a decision about when to say what.

export const strings = {
  you: "You",
  answer: "Answer",
  sources: "Sources",
  noSources: "No source on this site",
  working: "Looking through this website",
  answering: "Answering",
  stopped: "Stopped",
  cutShort: "Cut short",
  connectionEnded: "The answer ended before it was complete. Please try again.",
  opensNewTab: "opens in a new tab",
  sourceLabel: (number, title) => `Source ${number}: ${title}, opens in a new tab`,
  helpful: "Helpful",
  notHelpful: "Not helpful",
  feedbackThanks: "Thank you.",
  feedbackFailed: "Your rating could not be saved.",
  feedbackWhy: "What was wrong? (optional)",
  feedbackSend: "Send",
  deleted: "The conversation was deleted.",
  deleteFailed: "It could not be deleted just now. Please try again.",
  deleting: "Deleting…",
  remove: "Delete",
  counter: (used, limit) => `${used} / ${limit}`,
  tooLong: (over) => `${over} ${over === 1 ? "character" : "characters"} too long`,
  offline: "The chat could not be reached. Check your connection and try again.",
  slow: "The answer took too long. Please try again.",
  failed: "Something went wrong on our side. Please try again.",
  busy: "The chat is busy. Please try again in a moment.",
  refused: "This chat is not available on this site.",
  reference: (id) => `Reference: ${id}`,
  limited: (wait) => `That was a lot of questions in a short time. Please wait ${wait}, then try again.`,
  limitOver: "You can ask again now.",
  defaultTitle: "Chat",
  defaultGreeting: "Hello. What would you like to know?",
};

/**
 * Says a waiting time in words a person would use.
 * @param {number} seconds whole seconds, at least 1
 */
export function sayWait(seconds) {
  if (seconds < 90) return seconds === 1 ? "1 second" : `${seconds} seconds`;
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 90) return `about ${minutes} minutes`;
  const hours = Math.ceil(minutes / 60);
  return `about ${hours} hours`;
}
