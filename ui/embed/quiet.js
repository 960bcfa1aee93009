// When the people behind the chat are away.
// Owns: the clock of the owner's time zone, periods that end on the next day, and the moment when they end.
// Never: throws because of a zone or a time that is none; there are no quiet hours then. Pure.

const DAY = 1440;
const MINUTE = 60_000;

/**
 * @param {{from?: unknown, to?: unknown, zone?: unknown} | null} hours times as "22:00", zone as "Europe/Berlin"
 * @param {Date} now
 * @returns {number} when they end, in milliseconds since 1970, or 0 outside of them
 */
export function quietUntil(hours, now) {
  const from = minutes(hours?.from);
  const to = minutes(hours?.to);
  if (from === null || to === null || from === to) return 0;
  let clock;
  try {
    clock = new Intl.DateTimeFormat("en-GB", { timeZone: String(hours.zone), hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  } catch {
    return 0;
  }
  const here = minutes(clock.format(now));
  const isWithin = from < to ? here >= from && here < to : here >= from || here < to;
  if (!isWithin) return 0;
  const end = (Math.floor(now / MINUTE) + ((to - here + DAY) % DAY)) * MINUTE;
  // The clock may have been changed in between.
  const off = ((minutes(clock.format(end)) - to + DAY * 1.5) % DAY) - DAY / 2;
  return end - off * MINUTE;
}

function minutes(time) {
  const found = typeof time === "string" ? /^([01]\d|2[0-3]):([0-5]\d)$/.exec(time) : null;
  return found === null ? null : Number(found[1]) * 60 + Number(found[2]);
}
