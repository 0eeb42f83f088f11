// What a reader chose stands in the fragment, as #section?key=value&…: a link to it opens the page as it was.
// Every control with `data-state` takes part; `extras` holds what is no control (the order of a table).
const extras = new Map();
const defaults = new Map();
const controls = () => all("[data-state]");
const wellFormed = (text) => (text.toWellFormed ? text.toWellFormed() : text);
const readControl = (control) => (control.type === "checkbox" ? (control.checked ? "yes" : "no") : control.value);

function parseFragment() {
  const [anchor, query] = location.hash.slice(1).split(/\?(.*)/s);
  return { anchor: decodeURIComponent(anchor), given: query === undefined ? null : new URLSearchParams(query) };
}

function fragmentOf(anchor, changes = null) {
  const wanted = new URLSearchParams(changes || {});
  if (!changes) {
    for (const control of controls()) {
      if (readControl(control) !== defaults.get(control)) wanted.set(control.dataset.state, readControl(control));
    }
    for (const [key, value] of extras) wanted.set(key, value);
  }
  return "#" + anchor + (wanted.size ? "?" + wanted : "");
}

function remember(element) {
  const section = element.closest("section");
  const anchor = section ? section.id : parseFragment().anchor || "verdict";
  try {
    history.replaceState(null, "", fragmentOf(anchor));
  } catch {
    // Some viewers embed the page without an address of its own; the choice then lasts as long as the page.
  }
}

function setControl(control, value) {
  if (readControl(control) === value) return;
  if (control.type === "checkbox") control.checked = value === "yes";
  else if (control.tagName === "SELECT") {
    const option = [...control.options].find((each) => wellFormed(each.value) === value);
    control.value = option ? option.value : defaults.get(control);
  } else control.value = value;
  control.dispatchEvent(new Event(control.tagName === "INPUT" && control.type !== "checkbox" ? "input" : "change"));
}

function applyFragment() {
  const { anchor, given } = parseFragment();
  if (given) {
    for (const control of controls()) setControl(control, given.get(control.dataset.state) ?? defaults.get(control));
    for (const table of all("table.sortable[id]")) {
      const order = /^(\d+)(up|down)$/.exec(given.get(`sort.${table.id}`) || "");
      if (order && table.tHead.rows[0].cells[order[1]]) setOrder(table, Number(order[1]), order[2] === "down");
    }
  }
  const target = byId(anchor);
  if (!target) return;
  for (let outer = target.closest("details"); outer; outer = outer.parentElement.closest("details")) outer.open = true;
  if (given) target.scrollIntoView();
}

function startState() {
  for (const control of controls()) {
    defaults.set(control, readControl(control));
    // Programs that set a control dispatch the same events; only those of a person are remembered.
    for (const kind of ["change", "input"]) control.addEventListener(kind, (event) => event.isTrusted && remember(control));
  }
  window.addEventListener("hashchange", applyFragment);
  if (location.hash) applyFragment();
}

// Headings get a link to themselves.
function startPermalinks() {
  for (const section of all("main > section")) {
    const heading = section.querySelector("h2");
    const place = section.classList.contains("band") ? section.querySelector(".question") : heading;
    const link = element("a", { className: "permalink", href: "#" + section.id, textContent: "#" });
    link.setAttribute("aria-label", `Link to the section ${section.id}`);
    if (place === heading) heading.after(link);
    else place.append(" ", link);
  }
}
