const KEY = "distbench-theme";
const systemDark = matchMedia("(prefers-color-scheme: dark)");

function stored(value) {
  try {
    if (value === undefined) return localStorage.getItem(KEY);
    localStorage.setItem(KEY, value);
  } catch {
    // A page opened from a file may have no storage; the choice then lasts as long as the page.
  }
  return null;
}

const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches);

function startTheme(redraw) {
  const button = byId("theme");
  const show = () => button.setAttribute("aria-pressed", String(isDark()));
  const chosen = stored();
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    stored(root.dataset.theme);
    show();
    redraw();
  });
  systemDark.addEventListener("change", () => {
    show();
    redraw();
  });
  show();
}

// Figures come in light colours; a dark page swaps each for its twin, in properties that hold colours only.
function inTheme(value, dark, colour = false) {
  if (typeof value === "string") return (dark && colour && DATA.dark[value]) || value;
  if (Array.isArray(value)) return value.map((item) => inTheme(item, dark, colour));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, inTheme(item, dark, /color(scale)?$/.test(key))]),
  );
}
