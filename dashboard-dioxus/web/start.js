// Loads the module and starts the app. Shows an error if that fails or takes longer than 10 seconds.
import init from "./dashboard.js";

function showFailure(reason) {
  const message = document.getElementById("not-started");
  if (!message || document.getElementById("main")?.dataset.started) return;
  message.hidden = false;
  const detail = document.getElementById("not-started-reason");
  if (detail && reason) detail.textContent = String(reason);
}

const timer = setTimeout(() => showFailure("It did not load within 10 seconds."), 10_000);
init({ module_or_path: "{{dashboard.wasm}}" })
  .then(() => clearTimeout(timer))
  .catch((error) => showFailure(error));
