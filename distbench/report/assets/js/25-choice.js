// Which models are shown, page-wide: null is all of them. Charts drop traces, tables hide rows, samples are filtered.
let chosen = null;
const isChosen = (name) => chosen === null || chosen.has(name);

function chooseColumns(data, layout) {
  const names = data[0].meta.columns;
  const kept = names.map((_, i) => i).filter((i) => isChosen(names[i]));
  if (!kept.length) return;
  const pick = (row) => kept.map((i) => row[i]);
  const [heat, holes] = data;
  for (const key of ["z", "text", "hovertext"]) heat[key] = heat[key].map(pick);
  heat.x = kept.map((_, i) => i);
  const left = holes.x.map((column, i) => [kept.indexOf(column), i]).filter(([column]) => column >= 0);
  for (const key of ["y", "text"]) holes[key] = left.map(([, i]) => holes[key][i]);
  holes.x = left.map(([column]) => column);
  layout.xaxis.tickvals = heat.x;
  layout.xaxis.ticktext = pick(layout.xaxis.ticktext);
}

function onlyChosen(data, layout) {
  if (chosen === null) return data;
  if (data[0] && data[0].meta && data[0].meta.columns) {
    chooseColumns(data, layout);
    return data;
  }
  layout.annotations = (layout.annotations || []).filter((note) => !note.hovertext || isChosen(note.hovertext));
  return data.filter((trace) => !trace.meta || isChosen(trace.meta));
}

function hideRows() {
  for (const who of all("[data-who]")) {
    const row = who.closest("tbody[data-name]") || who.closest("tbody tr");
    if (row) row.classList.toggle("not-chosen", !isChosen(who.dataset.who));
  }
}

function startChoice(listeners) {
  const select = byId("show");
  if (!select) return;
  select.addEventListener("change", () => {
    const found = DATA.choices[Number(select.value)];
    chosen = select.value === "" ? null : new Set(found);
    byId("show-note").textContent = chosen === null ? "" : `${chosen.size} of ${DATA.result.students.length} models`;
    hideRows();
    listeners.forEach((listener) => listener());
  });
}
