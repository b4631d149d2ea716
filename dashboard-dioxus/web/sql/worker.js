// Monaco's worker: words for completion and links, computed beside the page.
import "monaco-editor/editor/editor.worker.js";
