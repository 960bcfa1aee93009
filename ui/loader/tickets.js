// Asks the server for a ticket: proof, for 30 seconds and one use, of which page shows the chat.
// Owns: the one request that the loader makes, its deadline and its bounded retries.
// Never: sends a cookie, is called before the first opening, or holds what a ticket is traded for.

const DEADLINE_MS = 10_000;
// All of it together, below the 20 seconds that a frame waits.
const WHOLE_MS = 18_000;
const PAUSES_MS = [0, 400, 1200, 3600];
// Below the server's 30 seconds, for a frame that loads slowly.
const FRESH_MS = 20_000;

/** @returns {Promise<{ticket?: string, until?: number, code?: string, message?: string, retry_after?: number}>} never rejects */
export async function requestTicket(origin, site) {
  const end = performance.now() + WHOLE_MS;
  for (const pause of PAUSES_MS) {
    if (performance.now() + pause >= end) break;
    await new Promise((resolve) => setTimeout(resolve, pause));
    try {
      const response = await fetch(`${origin}/api/v1/widget/tickets`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ site }),
        credentials: "omit",
        referrerPolicy: "strict-origin",
        signal: AbortSignal.timeout(Math.min(DEADLINE_MS, end - performance.now())),
      });
      if (response.status === 429) return { code: "limited", retry_after: +response.headers.get("retry-after") };
      if (response.status < 500) {
        const { ticket, error } = await response.json();
        return { ...error, ticket, until: ticket && performance.now() + FRESH_MS };
      }
    } catch {
      // Neither an answer nor a reason: worth another try, like a server's own failure.
    }
  }
  return { code: "offline" };
}
