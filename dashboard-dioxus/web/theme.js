// Runs before the first paint: sets the theme and density, so that the page never flashes in another theme. Also shows
// a message if the app does not start, because this may be the only script that has loaded.
try {
  const read = (name) => localStorage.getItem(`atlashub.${name}`);
  const system = matchMedia("(prefers-color-scheme: light)");
  const applyTheme = () => {
    const theme = read("theme") ?? "dark";
    const light = theme === "light" || (theme === "system" && system.matches);
    document.documentElement.dataset.theme = light ? "light" : "dark";
    document.querySelector("meta[name=color-scheme]").content = light ? "light" : "dark";
  };
  applyTheme();
  // The system may switch between day and night while the page is open.
  system.addEventListener("change", applyTheme);
  document.documentElement.dataset.density = read("density") ?? "compact";
} catch {
  // Without access to storage, the page keeps its default theme.
}

globalThis.showStartFailure = (reason) => {
  const message = document.getElementById("not-started");
  if (!message || document.getElementById("main")?.dataset.started) return;
  message.hidden = false;
  document.title = "The dashboard could not start · AtlasHub";
  document.getElementById("not-started-reason").textContent = String(reason);
};
setTimeout(() => showStartFailure("It did not load within 10 seconds."), 10_000);
addEventListener("error", (event) => {
  if (event.target instanceof HTMLScriptElement) showStartFailure(`${event.target.src} could not be loaded.`);
}, true);
