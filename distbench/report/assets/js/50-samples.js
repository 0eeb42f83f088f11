const PAGE = 50;
const SHORT = 220;
const FIELDS = ["student", "kind", "task", "sample_id", "question", "expected", "teacher", "student_answer"];
const KINDS = { lost: "lost", won: "won" };

function unpackSamples({ students, texts, rows }) {
  return rows.map(([student, kind, ...numbers]) => [students[student], kind, ...numbers.map((number) => texts[number])]);
}

function shortened(text) {
  const whole = visible(text);
  if (whole.length <= SHORT) return [whole === "" ? "(empty)" : whole];
  const shown = document.createTextNode(whole.slice(0, SHORT) + "… ");
  const button = element("button", { type: "button", className: "link", textContent: "show all" });
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") === "true";
    shown.data = open ? whole.slice(0, SHORT) + "… " : whole + " ";
    button.textContent = open ? "show all" : "show less";
    button.setAttribute("aria-expanded", String(!open));
  });
  return [shown, button];
}

function sampleRow([student, kind, task, id, question, expected, teacher, answer]) {
  const badge = element("span", { className: `verdict ${kind === "lost" ? "fail" : "pass"}`, textContent: KINDS[kind] });
  const cells = [
    element("td", { className: "tight" }, badge),
    element("td", { className: "tight" }, element("bdi", { textContent: visible(student) })),
    element("td", { className: "tight" }, visible(task), element("span", { className: "under digest", textContent: visible(id) })),
    ...[question, expected, teacher, answer].map((text) => element("td", { dir: "auto" }, ...shortened(text))),
  ];
  return element("tr", {}, ...cells);
}

// A spreadsheet runs cells that begin like a formula; a leading ' makes them text.
const csvCell = (text) => `"${(/^[=+\-@\t\r]/.test(text) ? "'" + text : text).replaceAll('"', '""')}"`;
const asCsv = (rows) => [FIELDS, ...rows].map((row) => row.map(csvCell).join(",")).join("\r\n") + "\r\n";
const asObjects = (rows) => rows.map((row) => Object.fromEntries(row.map((text, i) => [FIELDS[i], text])));

function startSamples() {
  if (!DATA.samples) return;
  const samples = unpackSamples(DATA.samples);
  const searchable = samples.map((row) => row.slice(2).join("\n").toLowerCase());
  const filters = { 0: byId("samples-student"), 1: byId("samples-kind"), 2: byId("samples-task") };
  const search = byId("samples-search");
  for (const column of [0, 2]) {
    for (const value of new Set(samples.map((row) => row[column]))) {
      filters[column].append(element("option", { value, textContent: visible(value) }));
    }
  }
  if (samples.some((row) => row[1] === "lost")) filters[1].value = "lost";
  let found = [];
  let from = 0;

  const show = () => {
    const page = found.slice(from, from + PAGE);
    byId("samples-table").tBodies[0].replaceChildren(...page.map(sampleRow));
    byId("samples-status").textContent = found.length ? `${from + 1}–${from + page.length} of ${found.length}` : "none";
    byId("samples-previous").disabled = from === 0;
    byId("samples-next").disabled = from + PAGE >= found.length;
  };
  const change = () => {
    const wanted = search.value.trim().toLowerCase();
    const kept = (row) => Object.entries(filters).every(([column, select]) => !select.value || row[column] === select.value);
    found = samples.filter((row, i) => kept(row) && (!wanted || searchable[i].includes(wanted)));
    from = 0;
    show();
  };
  const move = (by) => {
    from += by;
    show();
  };
  for (const select of Object.values(filters)) select.addEventListener("change", change);
  search.addEventListener("input", change);
  byId("samples-previous").addEventListener("click", () => move(-PAGE));
  byId("samples-next").addEventListener("click", () => move(PAGE));
  byId("samples-csv").addEventListener("click", () => save("disagreements.csv", "text/csv", asCsv(found)));
  byId("samples-json").addEventListener("click", () => saveJson("disagreements.json", asObjects(found)));
  change();
}
