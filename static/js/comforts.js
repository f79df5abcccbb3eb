// Small comforts: copying names and SQL, choosing the columns of a list, the help on keys. All works without them.
(() => {
  const main = document.getElementById("main");

  // Names and SQL are copied by a button beside them.
  function offerCopy(put, words, text) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy quiet small-button";
    button.textContent = "Copy";
    button.setAttribute("aria-label", words);
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(text());
      button.textContent = "Copied";
      setTimeout(() => (button.textContent = "Copy"), 1500);
    });
    put(button);
  }
  if (navigator.clipboard && main) {
    const name = main.dataset.visit && main.querySelector("h1");
    const spelled = name?.textContent.trim();
    if (name) offerCopy((button) => name.after(button), "Copy the name", () => spelled);
    for (const code of main.querySelectorAll(".code"))
      offerCopy((button) => (code.parentElement.querySelector(".card-head") ?? code).append(button), "Copy the SQL", () =>
        [...code.querySelectorAll("code.line")].map((line) => line.textContent.replace(/\n$/, "")).join("\n"),
      );
  }

  // A list shows the columns one wants; this browser remembers which.
  const shelf = `columns:${location.pathname}`;
  const hidden = () => new Set(JSON.parse(localStorage.getItem(shelf) ?? "[]"));

  function showColumns() {
    const table = document.querySelector("#results table.list");
    if (!table) return;
    const away = hidden();
    const heads = [...table.tHead.rows[0].cells].map((head) => head.textContent.trim());
    for (const row of table.rows) for (const [at, cell] of [...row.cells].entries()) cell.hidden = away.has(heads[at]);
    return heads;
  }

  function offerColumns() {
    const menu = document.querySelector(".choose-columns");
    const heads = showColumns();
    if (!menu || !heads) return;
    for (const head of heads.slice(1)) {
      const label = document.createElement("label");
      label.className = "check";
      label.innerHTML = '<input type="checkbox"> ';
      label.append(head);
      const box = label.firstChild;
      box.checked = !hidden().has(head);
      box.addEventListener("change", () => {
        const away = hidden();
        if (box.checked) away.delete(head);
        else away.add(head);
        localStorage.setItem(shelf, JSON.stringify([...away]));
        showColumns();
      });
      menu.lastChild.append(label);
    }
  }
  offerColumns();

  // On a phone the navigation is one line: begin where one is.
  const nav = document.querySelector(".side");
  const here = nav?.querySelector("[aria-current]");
  if (here && nav.scrollWidth > nav.clientWidth) nav.scrollLeft = here.offsetLeft - nav.clientWidth / 3;

  // On a phone each fact of a row says after which column it is.
  function nameCells() {
    for (const table of document.querySelectorAll(".scroll > .grid")) {
      const heads = [...(table.tHead?.rows[0].cells ?? [])].map((head) => (head.querySelector(".hidden-visually") ? "" : head.textContent.trim()));
      for (const body of table.tBodies)
        for (const row of body.rows)
          for (const [at, cell] of [...row.cells].entries()) if (heads[at]) cell.dataset.label = heads[at];
    }
  }
  nameCells();

  // Filters change the address without a new page: what speaks of the address follows.
  document.addEventListener("htmx:afterSettle", () => {
    showColumns();
    nameCells();
    const query = new URLSearchParams(location.search);
    query.delete("cursor");
    for (const field of document.querySelectorAll("[data-address]")) field.value = query.toString();
    for (const link of document.querySelectorAll("[data-follows-address]")) {
      const form = new URL(link.href).searchParams.get("as");
      if (form) query.set("as", form);
      else query.delete("as");
      link.search = query.toString();
    }
  });

  // `?` lists the keys.
  const help = document.getElementById("keys");
  document.querySelector("[data-opens=keys]")?.addEventListener("click", () => help.showModal());
  document.addEventListener("keydown", (event) => {
    if (event.key !== "?" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, textarea, select, [contenteditable]")) return;
    event.preventDefault();
    help?.showModal();
  });
})();
