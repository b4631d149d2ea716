// Monaco's theme, in the colors of the page's tokens.

import { editor as monaco } from "monaco-editor/editor.js";

export function applyTheme() {
  const root = document.documentElement;
  const style = getComputedStyle(root);
  const token = (name) => hex(style.getPropertyValue(`--${name}`).trim());
  const color = (name) => token(name).slice(1, 7);
  monaco.defineTheme("atlashub", {
    base: root.dataset.theme === "light" ? "vs" : "vs-dark",
    inherit: false,
    rules: [
      { token: "", foreground: color("text") },
      { token: "comment", foreground: color("faint") },
      { token: "keyword", foreground: color("accent") },
      { token: "predefined", foreground: color("accent") },
      { token: "string", foreground: color("good") },
      { token: "number", foreground: color("warning") },
      { token: "operator", foreground: color("muted") },
      { token: "delimiter", foreground: color("muted") },
    ],
    colors: {
      "editor.background": token("panel"),
      "editor.foreground": token("text"),
      "editorLineNumber.foreground": token("faint"),
      "editorLineNumber.activeForeground": token("text"),
      "editorCursor.foreground": token("accent"),
      "editor.selectionBackground": `${token("accent")}40`,
      "editor.inactiveSelectionBackground": `${token("accent")}26`,
      "editor.findMatchBackground": `${token("warning")}66`,
      "editor.findMatchHighlightBackground": `${token("warning")}33`,
      "editorBracketMatch.background": "#00000000",
      "editorBracketMatch.border": token("edge"),
      "editorError.foreground": token("bad"),
      "editorWidget.background": token("raised"),
      "editorWidget.foreground": token("text"),
      "editorWidget.border": token("strong"),
      "editorSuggestWidget.background": token("raised"),
      "editorSuggestWidget.foreground": token("text"),
      "editorSuggestWidget.border": token("strong"),
      "editorSuggestWidget.selectedBackground": `${token("accent")}33`,
      "editorSuggestWidget.selectedForeground": token("text"),
      "editorSuggestWidget.highlightForeground": token("accent"),
      "editorSuggestWidget.focusHighlightForeground": token("accent"),
      "editorHoverWidget.background": token("raised"),
      "editorHoverWidget.foreground": token("text"),
      "editorHoverWidget.border": token("strong"),
      "editor.placeholder.foreground": token("faint"),
      "input.background": token("ground"),
      "input.foreground": token("text"),
      "input.border": token("edge"),
      "inputOption.activeBackground": `${token("accent")}33`,
      "inputOption.activeBorder": token("accent"),
      "inputOption.activeForeground": token("text"),
      "focusBorder": token("accent"),
      "icon.foreground": token("muted"),
      "list.hoverBackground": `${token("text")}0f`,
      "scrollbarSlider.background": `${token("edge")}66`,
      "scrollbarSlider.hoverBackground": `${token("edge")}99`,
      "scrollbarSlider.activeBackground": `${token("edge")}cc`,
      "widget.shadow": "#00000040",
    },
  });
}

// Applies the theme again whenever the page's theme changes. Returns a function that stops this.
export function followTheme() {
  const observer = new MutationObserver(applyTheme);
  observer.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
  return () => observer.disconnect();
}

function hex(value) {
  if (/^#[0-9a-f]{3}$/i.test(value)) return `#${[...value.slice(1)].map((digit) => digit + digit).join("")}`;
  return /^#[0-9a-f]{6}/i.test(value) ? value.slice(0, 7) : "#808080";
}
