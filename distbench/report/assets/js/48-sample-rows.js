const SHORT = 220;
const KIND_WORDS = { lost: "lost", won: "won" };

// Pieces are [text, mark]; `mark` is null, "del" or "ins". Long texts open on demand.
function pieceNodes(pieces, limit) {
  const nodes = [];
  let left = limit;
  for (const [text, mark] of pieces) {
    if (left <= 0) break;
    const part = [...visible(text)].slice(0, left).join("");
    left -= part.length;
    nodes.push(mark ? element(mark, { textContent: part }) : document.createTextNode(part));
  }
  return nodes;
}

function shortened(pieces) {
  const length = pieces.reduce((sum, [text]) => sum + visible(text).length, 0);
  if (length === 0) return ["(empty)"];
  if (length <= SHORT) return pieceNodes(pieces, Infinity);
  const shown = element("span", {}, ...pieceNodes(pieces, SHORT), "… ");
  const button = element("button", { type: "button", className: "link", textContent: "show all" });
  button.setAttribute("aria-expanded", "false");
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") === "true";
    shown.replaceChildren(...pieceNodes(pieces, open ? SHORT : Infinity), open ? "… " : " ");
    button.textContent = open ? "show all" : "show less";
    button.setAttribute("aria-expanded", String(!open));
  });
  return [shown, button];
}

function sampleLink(s) {
  const href = fragmentOf("disagreements", {
    "s.kind": s.kind,
    "s.student": wellFormed(s.name),
    "s.task": wellFormed(s.task),
    "s.sample": wellFormed(s.id),
  });
  const link = element("a", { className: "permalink", href, textContent: "#" });
  link.setAttribute("aria-label", `Link to sample ${visible(s.id)}`);
  return link;
}

// A name breaks across lines after its separators.
const breakable = (name) => visible(name).split(/(?<=[_/.:-])/).flatMap((part) => [part, element("wbr")]);

function sampleRow(s, marked) {
  const badge = element("span", { className: `verdict ${s.kind === "lost" ? "fail" : "pass"}`, textContent: KIND_WORDS[s.kind] });
  const about = [element("span", { className: "under digest" }, visible(s.id), " ", sampleLink(s))];
  if (s.groups.length) about.push(element("span", { className: "under", textContent: visible(s.groups.join("; ")) }));
  const plain = (text) => [[text, null]];
  const compared = marked ? textDiff(s.teacher, s.answer) : null;
  const [teacher, answer] = compared
    ? compared.map((pieces, side) => pieces.map(([text, differs]) => [text, differs ? ["del", "ins"][side] : null]))
    : [plain(s.teacher), plain(s.answer)];
  const cells = [
    element("td", { className: "tight" }, badge),
    element("td", { className: "tight" }, element("bdi", { textContent: visible(s.student) })),
    element("td", { className: "tight" }, ...breakable(s.task), ...about),
    ...[plain(s.question), plain(s.expected), teacher, answer].map((pieces) =>
      element("td", { dir: "auto" }, ...shortened(pieces)),
    ),
  ];
  return element("tr", {}, ...cells);
}
