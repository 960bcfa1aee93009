// The owner's colour, made readable: what stands on it, and what it becomes as text, on light and on dark ground.
// Owns: sRGB luminance and contrast (WCAG 2), and mixing with black or white until a contrast is reached.
// Never: touches the page (look.js does). Pure.

const BLACK = [0, 0, 0];
const WHITE = [1, 1, 1];
// A little above what AA asks for, since colours are rounded to whole steps.
const TEXT_CONTRAST = 4.6;
// The grounds of embed.css on which words in the accent colour stand; the tint is the owner's colour thinned with it.
const THEMES = { light: { ground: [1, 1, 1], far: BLACK, thin: 0.9 }, dark: { ground: [0.11, 0.125, 0.14], far: WHITE, thin: 0.78 } };

/**
 * @param {unknown} hex `#rgb` or `#rrggbb`
 * @returns {Record<string, string> | null} custom properties by name without `--`, or null for no colour
 */
export function accentColors(hex) {
  const fill = parseColor(hex);
  if (fill === null) return null;
  const on = contrast(fill, WHITE) >= TEXT_CONTRAST || contrast(fill, WHITE) >= contrast(fill, BLACK) ? WHITE : BLACK;
  const colors = { fill: toHex(fill), "on-fill": toHex(on), "fill-hover": toHex(mix(fill, on === WHITE ? BLACK : WHITE, 0.16)) };
  for (const [theme, { ground, far, thin }] of Object.entries(THEMES)) {
    const tint = mix(fill, ground, thin);
    colors[`${theme}-tint`] = toHex(tint);
    colors[`${theme}-tint-ink`] = toHex(readable(mix(fill, far, 0.4), far, [tint]));
    colors[`${theme}-text`] = toHex(readable(fill, far, [ground, tint]));
  }
  return colors;
}

export function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

/** @returns {number[] | null} red, green, blue from 0 to 1 */
export function parseColor(raw) {
  const found = typeof raw === "string" ? /^#([0-9a-f]{3}|[0-9a-f]{6})$/i.exec(raw.trim()) : null;
  if (found === null) return null;
  const digits = found[1].length === 6 ? found[1] : found[1].replace(/./g, "$&$&");
  return [0, 2, 4].map((at) => Number.parseInt(digits.slice(at, at + 2), 16) / 255);
}

// The colour, moved towards black or white as little as makes it readable on all of the grounds.
function readable(color, far, grounds) {
  let share = 0;
  while (share < 1 && grounds.some((ground) => contrast(mix(color, far, share), ground) < TEXT_CONTRAST)) share += 0.02;
  return mix(color, far, Math.min(1, share));
}

const mix = (one, other, share) => one.map((part, at) => part + (other[at] - part) * share);
const toHex = (color) => `#${color.map((part) => Math.round(part * 255).toString(16).padStart(2, "0")).join("")}`;

function luminance(color) {
  const [red, green, blue] = color.map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
