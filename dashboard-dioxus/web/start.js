// Loads the module and starts the app. `theme.js` says so if that takes too long.
import init from "./dashboard.js";

init({ module_or_path: "{{dashboard.wasm}}" }).catch((error) => showStartFailure(error));
