const sortValue = (row, column) => {
  const cell = (row.tagName === "TBODY" ? row.rows[0] : row).cells[column];
  const given = cell.dataset.sort;
  if (given === "") return null;
  return given === undefined ? cell.textContent.trim() : Number(given);
};

const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b));

// Rows without a number stay last in both directions. A table with a body per row (two lines each) moves the bodies.
function sortTable(table, column, descending) {
  const byBody = table.tBodies.length > 1;
  const rows = byBody ? [...table.tBodies] : [...table.tBodies[0].rows];
  const keyed = rows.map((row) => [sortValue(row, column), row]);
  keyed.sort(([a], [b]) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return descending ? compare(b, a) : compare(a, b);
  });
  (byBody ? table : table.tBodies[0]).append(...keyed.map(([, row]) => row));
}

function setOrder(table, column, descending) {
  const heads = [...table.tHead.rows[0].cells];
  for (const other of heads) other.removeAttribute("aria-sort");
  heads[column].setAttribute("aria-sort", descending ? "descending" : "ascending");
  sortTable(table, column, descending);
  if (table.id) extras.set(`sort.${table.id}`, `${column}${descending ? "down" : "up"}`);
}

function startSorting() {
  for (const table of all("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = element("button", { type: "button" }, ...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const numeric = head.classList.contains("n");
        const before = head.getAttribute("aria-sort");
        setOrder(table, column, before ? before === "ascending" : numeric);
        remember(table);
      });
    });
  }
}

function startFilters() {
  for (const controls of all("[data-filters]")) {
    const rows = [...byId(controls.dataset.filters).tBodies[0].rows];
    const selects = all("select", controls);
    const change = () => {
      const wanted = selects.filter((select) => select.value);
      for (const row of rows) row.hidden = wanted.some((select) => row.dataset[select.dataset.column] !== select.value);
      controls.querySelector(".count").textContent = wanted.length
        ? `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`
        : "";
    };
    for (const select of selects) select.addEventListener("change", change);
  }
}
