const CONFIG = { displayModeBar: false, showSendToCloud: false, plotlyServerURL: "", responsive: true, displaylogo: false };

// Marks are named by one of three sets, each placed for a width (PLOT_WIDTHS); a phone has no room for any.
const namesFor = (width) => (width >= 1040 ? "wide" : width >= 740 ? "middle" : width >= 595 ? "narrow" : "none");

const PAPER = 680; // pixels between the margins of an A4 page; a chart keeps its width in print

// Unpacking starts first and goes on beside everything else; null: not in the page, or not readable by this browser.
const plotlyText = byId("plotly") ? unpack(byId("plotly")).catch(() => null) : Promise.resolve(null);

async function loadPlotly() {
  const text = await plotlyText;
  if (text === null) return Boolean(window.Plotly); // loaded from beside the page, or from a server
  const script = document.createElement("script");
  script.textContent = text;
  document.head.append(script); // runs only if its hash is the one that the page's policy names
  byId("plotly").remove();
  return Boolean(window.Plotly);
}

function draw(figure, dark = isDark(), printing = false) {
  const drawn = DATA.figures[figure.dataset.figure];
  const chart = figure.querySelector(".chart");
  const themed = inTheme(drawn, dark);
  const layout = themed.layout;
  const data = onlyChosen(themed.data, layout);
  if (printing) layout.width = figure.closest(".panel") ? PAPER - 40 : PAPER;
  const names = namesFor(layout.width || chart.clientWidth);
  layout.annotations = (layout.annotations || []).filter((note) => !note.name || note.name === names);
  return window.Plotly.react(chart, data, layout, CONFIG);
}

const redraw = (dark, printing) =>
  window.Plotly && all("[data-figure]").forEach((figure) => draw(figure, dark, printing));

// A chart takes its room before it is drawn, so that nothing below it moves.
function reserveHeights() {
  for (const figure of all("[data-figure]")) {
    figure.querySelector(".chart").style.minHeight = DATA.figures[figure.dataset.figure].layout.height + "px";
  }
}

// Between two charts the page answers; charts in sight come first.
const breath = () => new Promise((go) => setTimeout(go));
const inSight = (figure) => {
  const { top, bottom } = figure.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
};

// What can be seen is drawn, and everything else answers already.
function markReady() {
  if (root.classList.contains("ready")) return;
  root.classList.add("ready");
  performance.mark("distbench-ready");
}

async function drawAll() {
  const waiting = all("[data-figure]");
  while (waiting.length) {
    const next = waiting.findIndex(inSight);
    if (next < 0 && !root.classList.contains("ready")) {
      markReady();
      await breath();
    }
    const [figure] = waiting.splice(Math.max(0, next), 1);
    await draw(figure);
    if (figure.classList.contains("key")) linkRows();
    await breath();
  }
}

function startKeyChart() {
  const axis = byId("key-axis");
  if (!axis) return;
  const range = byId("key-range");
  const figure = axis.closest("figure");
  const change = () => {
    const name = (which) => `key:${axis.value}:${which}`;
    const wanted = name(range ? range.value : "near");
    figure.dataset.figure = DATA.figures[wanted] ? wanted : name("near");
    byId("key-note").textContent = visible(DATA.key_notes[axis.value]);
    if (window.Plotly) draw(figure);
  };
  axis.addEventListener("change", change);
  if (range) range.addEventListener("change", change);
}

// A click on a mark lights the student's row in the table.
function linkRows() {
  for (const chart of all(".key .chart")) {
    chart.on("plotly_click", (event) => {
      const name = event.points[0].data.meta;
      for (const body of all("#students tbody")) {
        const lit = body.dataset.name === name;
        body.classList.toggle("lit", lit);
        if (lit) body.scrollIntoView({ block: "nearest" });
      }
    });
  }
}

// What is folded away on a screen is on paper: nobody can open it there.
function openForPrint() {
  let opened = [];
  window.addEventListener("beforeprint", () => {
    opened = all("main details:not([open])").filter((each) => !each.classList.contains("instrument"));
    for (const each of opened) each.open = true;
  });
  window.addEventListener("afterprint", () => opened.forEach((each) => (each.open = false)));
}

async function startCharts() {
  if (!all("[data-figure]").length) return markReady();
  try {
    if (!(await loadPlotly())) throw new Error("no plotly");
    await drawAll();
    root.classList.add("drawn");
  } catch (error) {
    root.classList.add("no-plotly");
    console.warn("The charts cannot be drawn:", error);
  }
  markReady();
  const key = document.querySelector(".key");
  let named = key && namesFor(key.clientWidth);
  window.addEventListener("resize", () => {
    if (!key || named === namesFor(key.clientWidth)) return;
    named = namesFor(key.clientWidth);
    draw(key);
  });
  window.addEventListener("beforeprint", () => redraw(false, true));
  window.addEventListener("afterprint", () => redraw());
  openForPrint();
}
