// Loads the modules and starts the app. `theme.js` shows a message if that takes too long.
import init from "./dashboard.js";

// The other modules by name. `shared` contains the code that several of them need. Empty in development.
const modules = {{modules}};
const hasModules = Object.keys(modules).length > 0;
const loading = {};
const loaded = new Set();

// Loads a module, and all modules that it needs, once. After a failure, the next call tries again.
globalThis.loadModule = (name) => {
  if (!loading[name]) {
    loading[name] = load(name);
    loading[name].catch(() => delete loading[name]);
  }
  return loading[name];
};

// Returns whether the functions of a module can be called.
globalThis.hasModule = (name) => !(name in modules) || loaded.has(name);

// The styles of the pages in later modules.
let pageStyle;
function loadPageStyle() {
  pageStyle ??= new Promise((resolve, reject) => {
    const link = document.createElement("link");
    link.rel = "stylesheet";
    link.href = "{{pages.css}}";
    link.onload = resolve;
    link.onerror = () => {
      pageStyle = undefined;
      link.remove();
      reject(new Error("The styles of the pages could not be loaded."));
    };
    document.head.append(link);
  });
  return pageStyle;
}

const app = (hasModules ? Promise.resolve() : loadPageStyle()).then(() =>
  init({ module_or_path: "{{dashboard.wasm}}" }),
);
app.catch((error) => showStartFailure(error));

async function load(name) {
  if (!(name in modules)) return undefined;
  const { url, needs } = modules[name];
  const [module, main, ...needed] = await Promise.all([
    WebAssembly.compileStreaming(fetch(url)),
    app,
    ...needs.map(loadModule),
    name === "shared" ? loadPageStyle() : undefined,
  ]);
  const imports = { main };
  needs.forEach((need, at) => (imports[need] = needed[at]));
  const { exports } = await WebAssembly.instantiate(module, imports);
  loaded.add(name);
  return exports;
}
