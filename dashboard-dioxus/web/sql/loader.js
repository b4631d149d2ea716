// Loads the SQL editor, which is too large for the first load of the dashboard. The bundler adds this file to the
// script that starts the app.

let loading;

// Resolves to the module `editor.js`. After a failure, the next call tries again.
export function loadEditor() {
  loading ??= load().catch((error) => {
    loading = undefined;
    throw error;
  });
  return loading;
}

async function load() {
  const urls = document.querySelector('meta[name="sql-editor"]')?.dataset;
  if (!urls) throw new Error("The page does not name the editor's files.");
  globalThis.MonacoEnvironment = { getWorker: () => new Worker(urls.worker, { type: "module", name: "sql-editor" }) };
  const [editor] = await Promise.all([import(urls.script), loadStyle(urls.style)]);
  return editor;
}

function loadStyle(url) {
  return new Promise((resolve, reject) => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = url;
    link.onload = () => resolve();
    link.onerror = () => {
      link.remove();
      reject(new Error("The editor's style did not load."));
    };
    document.head.append(link);
  });
}

// Saves `text` as a file, through a download.
export function download(name, type, text) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
