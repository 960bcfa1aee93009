// How the chat presents itself: the owner's settings, then the page's attributes, then our own.
// Owns: which of them counts, the bounds of each, and what of it is put on the page: theme, colours, corners.
// Never: believes either side: everything here has been checked and cleaned when it leaves.

import { accentColors, parseColor } from "./color.js";
import { webAddress } from "./links.js";
import { clean, cleanLine } from "./text.js";

const MOST_STARTERS = 6;
const MOST_RECIPIENTS = 10;
const MOST_ORIGINS = 50;
const LONGEST_GREETING = 500;
const DEFAULT_CHARACTERS = 1000;
const THEMES = ["auto", "light", "dark"];

/**
 * @param {object} owner `look` of the session; unchecked
 * @param {object} page the attributes that the page's loader was given; unchecked
 */
export function settleLook(owner, page) {
  const first = (name, check) => check(owner?.[name]) ?? check(page?.[name]) ?? null;
  const line = (limit) => (raw) => cleanLine(raw, limit) || undefined;
  const one = (names) => (raw) => (names.includes(raw) ? raw : undefined);
  return {
    // Whoever asks for an agreement has a name, at the least that of the page's host.
    name: cleanLine(owner?.name, 80) || hostOf(page?.origin),
    title: first("title", line(80)) ?? cleanLine(owner?.name, 80),
    greeting: first("greeting", lines) ?? "",
    starters: first("starters", starters) ?? [],
    contact: cleanLine(owner?.contact, 300),
    theme: first("theme", one(THEMES)) ?? "auto",
    color: first("color", (raw) => (parseColor(raw) === null ? undefined : raw.trim())),
    position: first("position", one(["bottom-right", "bottom-left", "top-right", "top-left"])),
    avatar: initials(owner?.avatar),
    corner: Number.isFinite(owner?.corner) ? Math.min(24, Math.max(0, owner.corner)) : null,
    keptHours: owner?.kept_hours > 0 && Number.isInteger(owner.kept_hours) ? owner.kept_hours : 0,
    recipients: list(owner?.recipients, MOST_RECIPIENTS, 80),
    consent: owner?.consent === true || page?.consent === true,
    quietHours: owner?.quiet_hours ?? null,
    privacyAddress: webAddress(owner?.privacy_url)?.href ?? "",
    language: /^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}$/.test(owner?.language ?? "") ? owner.language : "",
    languages: owner?.languages,
    linkOrigins: new Set((Array.isArray(owner?.link_origins) ? owner.link_origins : []).filter((origin) => typeof origin === "string").slice(0, MOST_ORIGINS)),
    maxCharacters: owner?.max_characters > 0 && Number.isInteger(owner.max_characters) ? owner.max_characters : DEFAULT_CHARACTERS,
  };
}

function hostOf(origin) {
  return webAddress(origin)?.host ?? window.location.host;
}

function starters(raw) {
  const sound = list(raw, MOST_STARTERS, 120);
  return sound.length > 0 ? sound : undefined;
}

function list(raw, most, limit) {
  return Array.isArray(raw) ? raw.slice(0, most).map((text) => cleanLine(text, limit)).filter(Boolean) : [];
}

// The owner's line breaks stay.
function lines(raw) {
  const text = Array.from(clean(raw)).slice(0, LONGEST_GREETING).join("").trim();
  return text.replace(/\n{3,}/g, "\n\n") || undefined;
}

function initials(raw) {
  return Array.from(cleanLine(raw, 24)).slice(0, 2).join("");
}

/** Puts theme, colours and corners on the page, by properties that the style sheet reads. */
export function wear({ theme, color, corner }) {
  const { dataset, style } = document.documentElement;
  dataset.theme = theme;
  for (const [name, value] of Object.entries(accentColors(color) ?? {})) style.setProperty(`--${name}`, value);
  if (corner !== null) style.setProperty("--radius", `${corner / 16}rem`);
}
