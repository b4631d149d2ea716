// Monaco's web worker, which finds words for completion and links.
import "monaco-editor/editor/editor.worker.js";
