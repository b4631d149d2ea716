// Monaco's web worker.
import "monaco-editor/editor/editor.worker.js";
