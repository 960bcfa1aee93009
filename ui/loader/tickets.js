// Asks the server for a ticket: proof, for 30 seconds and one use, of which page shows the chat.
// Owns: the one request that the loader makes, its deadline and its bounded retries.
// Never: sends a cookie, is called before the first opening, or holds what a ticket is traded for.

// Three tries and the pauses end within 18 seconds: a frame waits for 20.
const DEADLINE_MS = 5_300;
const PAUSES_MS = [0, 400, 1600];
// Below the server's 30 seconds, for a frame that loads slowly.
const FRESH_MS = 20_000;

/** @returns {Promise<{ticket?: string, until?: number, code?: string, message?: string, retry_after?: number}>} never rejects */
export async function requestTicket(origin, site) {
  for (const pause of PAUSES_MS) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    try {
      const response = await fetch(`${origin}/api/v1/widget/tickets`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ site }),
        credentials: "omit",
        referrerPolicy: "strict-origin",
        signal: AbortSignal.timeout(DEADLINE_MS),
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
