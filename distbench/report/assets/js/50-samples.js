const PAGE = 50;
const FIELDS = ["student", "kind", "task", "sample_id", "question", "expected", "teacher", "student_answer", "groups"];

// A sample as an object; the page holds every text once, and rows name texts by number.
function unpackSamples({ students, names, texts, rows }) {
  return rows.map(([student, kind, ...numbers], place) => {
    const [task, id, question, expected, teacher, answer, ...groups] = numbers.map((number) => texts[number]);
    const found = { place, name: names[student], student: students[student], kind, task, id };
    return Object.assign(found, { question, expected, teacher, answer, groups });
  });
}

// A spreadsheet runs cells that begin like a formula; a leading ' makes them text.
const csvCell = (text) => `"${(/^[=+\-@\t\r]/.test(text) ? "'" + text : text).replaceAll('"', '""')}"`;
const asRow = (s) => [s.student, s.kind, s.task, s.id, s.question, s.expected, s.teacher, s.answer, s.groups.join("; ")];
const asCsv = (rows) => [FIELDS, ...rows.map(asRow)].map((row) => row.map(csvCell).join(",")).join("\r\n") + "\r\n";
const asObjects = (rows) => rows.map((row) => Object.fromEntries(asRow(row).map((text, i) => [FIELDS[i], text])));

const sampleKey = (s) => s.task + "\0" + s.id;

function sampleOrders(samples) {
  const shared = new Map();
  for (const s of samples) if (s.kind === "lost") shared.set(sampleKey(s), (shared.get(sampleKey(s)) || 0) + 1);
  const by = (...keys) => (a, b) => keys.reduce((found, key) => found || key(a).localeCompare(key(b)), 0) || a.place - b.place;
  return {
    task: by((s) => s.task, (s) => s.id),
    sample: by((s) => s.id, (s) => s.task),
    longest: (a, b) => b.question.length - a.question.length || a.place - b.place,
    shared: (a, b) => (shared.get(sampleKey(b)) || 0) - (shared.get(sampleKey(a)) || 0) || by((s) => s.task, (s) => s.id)(a, b),
  };
}

function fillOptions(select, values) {
  for (const value of new Set(values)) select.append(element("option", { value, textContent: visible(value) }));
}

// Returns what filters the samples again; nothing where there are none, or where this browser cannot unpack them.
async function startSamples() {
  const block = byId("samples-packed");
  if (!block) return () => {};
  let samples;
  try {
    samples = unpackSamples(JSON.parse(await unpack(block)));
  } catch (error) {
    byId("samples").hidden = true;
    byId("samples-lost").hidden = false;
    return () => {};
  }
  const searchable = []; // filled when somebody searches
  const textOf = (s) =>
    (searchable[s.place] ??= [s.task, s.id, s.question, s.expected, s.teacher, s.answer].join("\n").toLowerCase());
  const control = (name) => byId("samples-" + name);
  const [kind, student, task, group] = ["kind", "student", "task", "group"].map(control);
  const [search, order, diff, one] = ["search", "order", "diff", "one"].map(control);
  const orders = sampleOrders(samples);
  for (const s of samples) if (![...student.options].some((o) => o.value === s.name)) student.append(element("option", { value: s.name, textContent: visible(s.student) }));
  fillOptions(task, samples.map((s) => s.task));
  fillOptions(group, samples.flatMap((s) => s.groups).sort());
  group.closest("label").hidden = group.options.length < 2;
  if (samples.some((s) => s.kind === "lost")) kind.value = "lost";
  let found = [];
  let from = 0;

  const show = () => {
    const page = found.slice(from, from + PAGE);
    byId("samples-table").tBodies[0].replaceChildren(...page.map((s) => sampleRow(s, diff.checked)));
    control("status").textContent = found.length ? `${from + 1}–${from + page.length} of ${found.length}` : "none";
    control("previous").disabled = from === 0;
    control("next").disabled = from + PAGE >= found.length;
    control("only").hidden = one.value === "";
  };
  const kept = (s, words) =>
    isChosen(s.name) &&
    (!one.value || wellFormed(s.id) === wellFormed(one.value)) &&
    (!kind.value || s.kind === kind.value) &&
    (!student.value || s.name === student.value) &&
    (!task.value || s.task === task.value) &&
    (!group.value || s.groups.includes(group.value)) &&
    (!words || textOf(s).includes(words));
  const change = () => {
    const words = search.value.trim().toLowerCase();
    found = samples.filter((s) => kept(s, words));
    if (order.value) found.sort(orders[order.value]);
    from = 0;
    show();
  };
  const move = (by) => {
    from += by;
    show();
  };
  for (const each of [kind, student, task, group, order]) each.addEventListener("change", change);
  for (const each of [search, one]) each.addEventListener("input", change);
  diff.addEventListener("change", show);
  control("previous").addEventListener("click", () => move(-PAGE));
  control("next").addEventListener("click", () => move(PAGE));
  control("every").addEventListener("click", () => {
    setControl(one, "");
    remember(one);
  });
  control("csv").addEventListener("click", () => save("disagreements.csv", "text/csv", asCsv(found)));
  control("json").addEventListener("click", () => saveJson("disagreements.json", asObjects(found)));
  change();
  return change;
}
