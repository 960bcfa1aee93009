// When the people behind the chat are away.
// Owns: the clock of the owner's time zone, and periods that end on the next day.
// Never: throws because of a zone or a time that is none; there are no quiet hours then. Pure.

/**
 * @param {{from?: unknown, to?: unknown, zone?: unknown} | null} hours times as "22:00", zone as "Europe/Berlin"
 * @param {Date} now
 * @returns {string} the time of the zone when they end, or "" outside of them
 */
export function quietUntil(hours, now) {
  const from = minutes(hours?.from);
  const to = minutes(hours?.to);
  if (from === null || to === null || from === to) return "";
  let here;
  try {
    here = minutes(new Intl.DateTimeFormat("en-GB", { timeZone: String(hours.zone), hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(now));
  } catch {
    return "";
  }
  const isWithin = from < to ? here >= from && here < to : here >= from || here < to;
  return isWithin ? hours.to : "";
}

function minutes(time) {
  const found = typeof time === "string" ? /^([01]\d|2[0-3]):([0-5]\d)$/.exec(time) : null;
  return found === null ? null : Number(found[1]) * 60 + Number(found[2]);
}
