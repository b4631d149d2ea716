// The editor of the SQL page: Monaco with Postgres's SQL, and the functions that the page calls. Offsets are in UTF-16
// code units, as in JavaScript.

import { KeyCode, KeyMod, MarkerSeverity, Range, editor as monaco } from "monaco-editor/editor.js";
import "monaco-editor/features/codeEditor/register.js";
import "monaco-editor/features/codicon/register.js";
import "monaco-editor/features/bracketMatching/register.js";
import "monaco-editor/features/caretOperations/register.js";
import "monaco-editor/features/clipboard/register.js";
import "monaco-editor/features/comment/register.js";
import "monaco-editor/features/cursorUndo/register.js";
import "monaco-editor/features/find/register.js";
import "monaco-editor/features/hover/register.js";
import "monaco-editor/features/indentation/register.js";
import "monaco-editor/features/linesOperations/register.js";
import "monaco-editor/features/multicursor/register.js";
import "monaco-editor/features/placeholderText/register.js";
import "monaco-editor/features/snippet/register.js";
import "monaco-editor/features/suggest/register.js";
import "monaco-editor/editor/contrib/suggest/browser/suggestController.js";
import "monaco-editor/features/toggleTabFocusMode/register.js";
import "monaco-editor/features/wordHighlighter/register.js";
import "monaco-editor/features/wordOperations/register.js";
import { setCompletionSchema } from "./completion.js";
import { LANGUAGE, registerLanguage } from "./language.js";
import { applyTheme, followTheme } from "./theme.js";

const COMMANDS = [
  ["run", KeyMod.CtrlCmd | KeyCode.Enter],
  ["run-all", KeyMod.CtrlCmd | KeyMod.Shift | KeyCode.Enter],
  ["cancel", KeyMod.CtrlCmd | KeyCode.Period],
  ["save", KeyMod.CtrlCmd | KeyCode.KeyS],
  ["older", KeyMod.Alt | KeyCode.UpArrow],
  ["newer", KeyMod.Alt | KeyCode.DownArrow],
];

// Monaco has other keys on a Mac.
const IS_MAC = navigator.userAgent.includes("Macintosh");

registerLanguage();

function createModel(text) {
  const model = monaco.createModel(text, LANGUAGE);
  model.updateOptions({
    bracketColorizationOptions: { enabled: false, independentColorPoolPerBracketType: false },
    tabSize: 2,
  });
  return model;
}

// Creates the editor in an element. `notify` is called with "changed", "moved" or the name of a command.
export function createEditor(element, notify) {
  applyTheme();
  const view = monaco.create(element, {
    model: null,
    // Enter accepts a suggestion that the owner chose with the arrow keys, and otherwise starts a new line. While the
    // owner types, no suggestion is chosen, see `selectionMode` below.
    acceptSuggestionOnEnter: "on",
    ariaLabel: "SQL text",
    // Inserted text keeps its whitespace. The Enter key indents, see below.
    autoIndent: "none",
    automaticLayout: true,
    contextmenu: false,
    fixedOverflowWidgets: true,
    folding: false,
    fontFamily: '"JetBrains Mono Variable", ui-monospace, monospace',
    fontLigatures: false,
    fontSize: 13,
    fontWeight: "450",
    guides: { indentation: false },
    lineDecorationsWidth: 12,
    lineHeight: 20,
    lineNumbersMinChars: 4,
    minimap: { enabled: false },
    occurrencesHighlight: "off",
    overviewRulerLanes: 0,
    hideCursorInOverviewRuler: true,
    overviewRulerBorder: false,
    padding: { top: 8, bottom: 8 },
    placeholder: "Write SQL. Ctrl-Enter runs the statement under the cursor.",
    quickSuggestions: { other: true, comments: false, strings: false },
    renderLineHighlight: "none",
    scrollBeyondLastLine: false,
    scrollbar: { verticalScrollbarSize: 10, horizontalScrollbarSize: 10, useShadows: false },
    suggest: { selectionMode: "never", showIcons: true, showWords: false, preview: false },
    tabSize: 2,
    theme: "atlashub",
    unicodeHighlight: { ambiguousCharacters: false },
    wordBasedSuggestions: "off",
    wordWrap: "off",
  });
  const models = new Map();
  const states = new Map();
  const statement = view.createDecorationsCollection();
  let current;
  let isOpening = false;

  view.onDidChangeModelContent(() => isOpening || notify("changed"));
  view.onDidChangeCursorSelection(() => isOpening || notify("moved"));
  for (const [name, keys] of COMMANDS) {
    view.addCommand(keys, () => notify(name));
    // On a Mac, both ⌘ and Ctrl work, as in the plain text field that the page shows until this editor has loaded.
    if (IS_MAC && keys & KeyMod.CtrlCmd) view.addCommand(keys ^ KeyMod.CtrlCmd ^ KeyMod.WinCtrl, () => notify(name));
  }
  // Otherwise, Monaco waits for the second key of its own shortcuts that begin with Ctrl-K.
  view.addCommand(KeyMod.CtrlCmd | KeyCode.KeyK, () => notify("palette"));
  view.addCommand(KeyCode.Enter, () => {
    view.updateOptions({ autoIndent: "keep" });
    view.trigger("keyboard", "type", { text: "\n" });
    view.updateOptions({ autoIndent: "none" });
  }, "editorTextFocus && !renameInputVisible && !inSnippetMode && !suggestWidgetHasFocusedSuggestion");
  // Tab accepts the chosen suggestion, or the first one if none is chosen.
  view.addCommand(
    KeyCode.Tab,
    () => view.trigger("keyboard", "focusAndAcceptSuggestion"),
    "editorTextFocus && suggestWidgetVisible && !suggestWidgetHasFocusedSuggestion",
  );
  // Otherwise, Monaco chooses the first suggestion when its list is opened with these keys.
  for (const keys of [(IS_MAC ? KeyMod.WinCtrl : KeyMod.CtrlCmd) | KeyCode.Space, KeyMod.CtrlCmd | KeyCode.KeyI]) {
    view.addCommand(
      keys,
      () => view.trigger("keyboard", "editor.action.triggerSuggest", { auto: true }),
      "editorTextFocus && !suggestWidgetVisible",
    );
  }
  // Monaco makes another field for each text.
  view.onDidChangeModel(() => {
    const field = element.querySelector(".native-edit-context, textarea");
    field?.setAttribute("aria-description", `${IS_MAC ? "Ctrl-Shift-M" : "Ctrl-M"} lets Tab leave the editor`);
  });
  const stopFollowing = followTheme();
  // Monaco has two elements with the role `alert` for its announcements. On this page only failures have that role.
  for (const announcer of document.querySelectorAll(".monaco-aria-container > [role]")) {
    announcer.setAttribute("aria-live", announcer.getAttribute("role") === "alert" ? "assertive" : "polite");
    announcer.removeAttribute("role");
  }

  const model = () => view.getModel();
  const offset = (line, column) => model().getOffsetAt({ lineNumber: line, column });
  const range = (start, end) => Range.fromPositions(model().getPositionAt(start), model().getPositionAt(end));

  // Replaces a range as one undo step.
  function edit(where, text) {
    view.pushUndoStop();
    view.executeEdits("page", [{ range: where, text, forceMoveMarkers: true }]);
    view.pushUndoStop();
  }

  return {
    // Shows the text of a tab. Each tab keeps its own undo steps, cursor and scroll position.
    open(id, text) {
      isOpening = true;
      if (current !== undefined) states.set(current, view.saveViewState());
      if (!models.has(id)) models.set(id, createModel(text));
      view.setModel(models.get(id));
      current = id;
      const state = states.get(id);
      if (state) view.restoreViewState(state);
      if (model().getValue() !== text) model().setValue(text);
      isOpening = false;
      notify("moved");
    },
    close(id) {
      if (current === id) {
        view.setModel(null);
        current = undefined;
      }
      models.get(id)?.dispose();
      models.delete(id);
      states.delete(id);
    },
    text: () => model()?.getValue() ?? "",
    replaceText: (text) => model() && edit(model().getFullModelRange(), text),
    insert(text) {
      if (model()) edit(view.getSelection(), text);
      view.focus();
    },
    // Returns the cursor, and the start and end of the selection.
    selection() {
      const selection = model() && view.getSelection();
      if (!selection) return new Uint32Array(3);
      return Uint32Array.of(
        offset(selection.positionLineNumber, selection.positionColumn),
        offset(selection.startLineNumber, selection.startColumn),
        offset(selection.endLineNumber, selection.endColumn),
      );
    },
    select(start, end) {
      if (!model()) return;
      view.setSelection(range(start, end));
      view.revealRangeInCenterIfOutsideViewport(range(start, end));
    },
    // Marks the lines of the statement that "Run" would run.
    showStatement(start, end) {
      if (!model() || start >= end) return statement.clear();
      statement.set([
        {
          range: range(start, end),
          options: { isWholeLine: true, className: "sql-at", linesDecorationsClassName: "sql-at-bar" },
        },
      ]);
    },
    // Underlines problems, given as JSON: [{start, end, message}].
    showProblems(json) {
      if (!model()) return;
      const markers = JSON.parse(json).map(({ start, end, message }) => {
        const where = range(start, Math.max(end, start + 1));
        return { ...where, message, severity: MarkerSeverity.Error };
      });
      monaco.setModelMarkers(model(), "postgres", markers);
    },
    setSchema: (json) => setCompletionSchema(JSON.parse(json)),
    focus: () => view.focus(),
    hasFocus: () => view.hasTextFocus(),
    dispose() {
      stopFollowing();
      view.dispose();
      for (const each of models.values()) each.dispose();
    },
  };
}
