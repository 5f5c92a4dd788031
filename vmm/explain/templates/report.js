"use strict";
(() => {
  const list = document.getElementById("list");
  const byId = (id) => document.getElementById(id);
  const rows = Array.from(list.children, (element) => ({
    element,
    text: element.querySelector("summary").textContent.toLowerCase() + " " +
      element.querySelector("mark").textContent.toLowerCase(),
    name: element.querySelector(".place").textContent,
    kind: element.dataset.class,
    address: Number(element.dataset.address),
    traps: Number(element.dataset.traps),
    cycles: Number(element.dataset.cycles),
  }));
  const collator = new Intl.Collator("en");
  const orders = {
    cycles: (a, b) => b.cycles - a.cycles || a.address - b.address,
    traps: (a, b) => b.traps - a.traps || a.address - b.address,
    address: (a, b) => a.address - b.address,
    name: (a, b) => collator.compare(a.name, b.name) || a.address - b.address,
    kind: (a, b) => collator.compare(a.kind, b.kind) || b.cycles - a.cycles || a.address - b.address,
  };
  const filters = ["class", "policy", "found"];
  const number = new Intl.NumberFormat("en");

  function show() {
    const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = filters.map((name) => [name, byId(name).value]).filter(([, value]) => value);
    let shown = 0;
    for (const row of rows) {
      const fits = words.every((word) => row.text.includes(word)) &&
        wanted.every(([name, value]) => row.element.dataset[name] === value);
      row.element.hidden = !fits;
      shown += fits;
    }
    byId("count").value = `${number.format(shown)} of ${number.format(rows.length)} sites`;
    document.querySelector(".nothing").hidden = shown > 0;
  }

  function sort() {
    rows.sort(orders[byId("order").value]);
    const sorted = document.createDocumentFragment();
    rows.forEach((row) => sorted.append(row.element));
    list.append(sorted);
  }

  function open() {
    const target = location.hash && byId(location.hash.slice(1));
    const details = target && target.querySelector("details");
    if (details) {
      details.open = true;
      target.hidden = false;
      target.scrollIntoView();
    }
  }

  // What is looked at is printed in full, unless that would be a book.
  const MOST_PRINTED = 200;
  let opened = [];
  addEventListener("beforeprint", () => {
    const shown = rows.filter((row) => !row.element.hidden);
    if (shown.length > MOST_PRINTED) return;
    opened = shown.map((row) => row.element.firstElementChild).filter((details) => !details.open);
    opened.forEach((details) => { details.open = true; });
  });
  addEventListener("afterprint", () => {
    opened.forEach((details) => { details.open = false; });
    opened = [];
  });

  const form = document.querySelector(".controls");
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  let waiting = 0;
  byId("search").addEventListener("input", () => {
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(show);
  });
  filters.forEach((name) => byId(name).addEventListener("change", show));
  byId("order").addEventListener("change", sort);
  addEventListener("hashchange", open);
  show();
  open();
})();
