// The launcher's and the panel's style sheet.
// Owns: everything that is seen before the frame has loaded, and the names that a page may set:
// --chatward-color, --chatward-launcher-size, --chatward-offset-x, --chatward-offset-y,
// --chatward-radius, --chatward-z-index, and ::part(launcher).
// Never: a size in rem or em (the page's root font may be anything). What must hold against the
// page's own rules stands on :host as !important: there the shadow tree's word is the last.
// Written as it is sent, as bundlers leave the inside of a string alone.

export const SMALL = "(max-width:520px),(max-height:480px)";

// The icon and the inline launcher's words are painted in the launcher's own ground, whatever it is, and then made black or
// white by filters, so that they have at least 3:1 on any colour: white below a luma of 0.43, where even pure green is dark
// enough for it, and black above, where every colour is light enough.
const LEGIBLE = "filter:grayscale(1) brightness(1.15) invert(1) contrast(1e6)";

// --x and --y: how far from the corner. Chats of other sites in the same corner stand beside.
export const STYLES = `
:host{all:initial!important;display:block!important;position:fixed!important;z-index:var(--chatward-z-index,2147483000)!important}
:host([position=inline]){position:relative!important;width:100%!important;height:100%!important;z-index:auto!important}
*{box-sizing:border-box;--size:var(--chatward-launcher-size,56px);--edge:max(var(--chatward-offset-x,20px),env(safe-area-inset-left),env(safe-area-inset-right));--foot:max(var(--chatward-offset-y,20px),env(safe-area-inset-bottom));font:15px/1.5 system-ui}
[hidden]{display:none!important}
button{margin:0;padding:8px 18px;min-height:44px;border:1px solid #8888;border-radius:12px;background:none;color:inherit;cursor:pointer}
button:focus-visible{outline:3px solid}
.launcher,.panel{position:fixed;inset:var(--at,auto var(--x) var(--y) auto);border-radius:var(--chatward-radius,18px)}
.launcher{--x:calc(var(--edge) + var(--place,0)*(var(--size) + 12px));--y:var(--foot);width:var(--size);height:var(--size);padding:0;border-color:transparent;gap:8px;background:var(--owner,var(--chatward-color,#0f5d58));color:#fff;box-shadow:0 0 0 1px #fff2,0 10px 28px #0003}
.launcher:focus-visible{outline-offset:-6px;box-shadow:0 0 0 3px #888}
i{width:24px;height:24px;scale:1.15;background:inherit;${LEGIBLE};clip-path:path("M5 3h14a3 3 0 0 1 3 3v9a3 3 0 0 1-3 3h-7l-5 4v-4H5a3 3 0 0 1-3-3V6a3 3 0 0 1 3-3Z")}
[aria-expanded=true] i{clip-path:path("M5 7l7 7 7-7 2 2-9 9-9-9Z")}
span{position:absolute;top:-5px;right:-5px;min-width:22px;padding:0 5px;border:2px solid #fff;border-radius:11px;background:#c62828;color:#fff;font:700 12px/18px system-ui}
b{position:absolute;clip-path:inset(50%)}
.panel{color-scheme:light dark;--x:var(--edge);--y:calc(var(--foot) + var(--size) + 14px);margin:0;padding:0;width:400px;max-width:calc(100vw - 40px);height:660px;max-height:calc(100dvh - var(--y) - 20px);border:1px solid #8884;overflow:hidden;background:Canvas;color:CanvasText;box-shadow:0 24px 64px #0004}
.panel:not([open]){display:none}
:host([position=bottom-left]) *{--at:auto auto var(--y) var(--x)}
:host([position=top-right]) *{--at:var(--y) var(--x) auto auto}
:host([position=top-left]) *{--at:var(--y) auto auto var(--x)}
iframe{display:block;width:100%;height:100%;border:0;color-scheme:inherit}
.launcher,div{display:flex;align-items:center;justify-content:center}
div{position:absolute;inset:0;flex-direction:column;gap:16px;padding:24px;text-align:center}
div+iframe{visibility:hidden}
p{margin:0}
p:empty:after{content:"• • •"}
:host([position=inline]) :is(.launcher,.panel){position:relative;inset:auto;width:100%;max-width:none;max-height:none;box-shadow:none}
:host([position=inline]) .launcher:after{content:attr(aria-label);background:inherit;-webkit-background-clip:text;color:transparent;${LEGIBLE}}
:host([position=inline]) .launcher[aria-expanded=true]{display:none}
:host([position=inline]) .panel{height:100%;min-height:480px}
:host([position=inline]) iframe{position:absolute}
@media ${SMALL}{
.panel{inset:var(--top,0) 0 auto;width:100%;max-width:none;height:var(--tall,100dvh);max-height:none;padding:env(safe-area-inset-top) env(safe-area-inset-right) env(safe-area-inset-bottom) env(safe-area-inset-left);border:0;border-radius:0}
.launcher[aria-expanded=true]{display:none}
}
@media (forced-colors:active){.launcher{border-color:ButtonText}.launcher:after,i{filter:none!important}i{forced-color-adjust:none;background:ButtonText}}
@media print{:host{display:none!important}}`;
