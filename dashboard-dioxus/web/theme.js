// Sets the theme and density before the first paint, so that the page never flashes in another theme.
try {
  const read = (name) => localStorage.getItem(`atlashub.${name}`);
  const theme = read("theme") ?? "dark";
  const light = theme === "light" || (theme === "system" && matchMedia("(prefers-color-scheme: light)").matches);
  document.documentElement.dataset.theme = light ? "light" : "dark";
  document.documentElement.dataset.density = read("density") ?? "compact";
} catch {
  // Without access to storage, the page keeps its default theme.
}
