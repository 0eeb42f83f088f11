const root = document.documentElement;
root.classList.add("js");
const byId = (id) => document.getElementById(id);
const all = (selector, from = document) => [...from.querySelectorAll(selector)];
const DATA = JSON.parse(byId("data").textContent);

// The same characters as in visible.py: controls, lone surrogates, and what reorders or hides its neighbours.
const UNSEEN = /[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff]/gu;
const visible = (text) =>
  text.replace(UNSEEN, (c) => "⟨U+" + c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0") + "⟩");

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function save(name, type, text) {
  const link = element("a", { href: URL.createObjectURL(new Blob([text], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// JSON.stringify may leave lone surrogates only as escapes, so that the file is valid UTF-8.
const saveJson = (name, value) => save(name, "application/json", JSON.stringify(value, null, 1));

// The library and the samples are in the page as base64 of gzip; browsers from 2023 on can read that.
async function unpack(block) {
  const bytes = Uint8Array.from(atob(block.textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}
