// The search field at the top offers hits while one types: `/` or Ctrl+K to come here, arrows and Enter to go there.
(() => {
  const form = document.querySelector("[data-offers]");
  const field = form?.querySelector("input");
  if (!field) return;
  const list = form.querySelector("[role=listbox]");
  const whole = "wholePage" in field.dataset; // the page of results itself follows what is typed
  const icons = list.dataset.icons;
  const shelf = `visited:${form.dataset.reader}`; // people may share a browser
  let asked = null;
  let waiting = 0;
  remember();

  if (!whole) {
    for (const [name, value] of Object.entries({ role: "combobox", "aria-controls": list.id, "aria-expanded": "false", "aria-autocomplete": "list" }))
      field.setAttribute(name, value);
    field.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(offer, 60);
    });
    field.addEventListener("focus", offer);
    field.addEventListener("blur", () => setTimeout(close, 150));
    field.addEventListener("keydown", steer);
    list.addEventListener("pointerdown", (event) => event.preventDefault()); // keeps the focus in the field
    list.addEventListener("click", (event) => go(event.target.closest("[data-url]"), event));
  }

  document.addEventListener("keydown", (event) => {
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey;
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    const slash = event.key === "/" && plain && !typing;
    const command = event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
    if (!slash && !command) return;
    event.preventDefault();
    field.focus();
    field.select();
  });

  async function offer() {
    const q = field.value.trim();
    asked?.abort();
    if (!q) return show(visited().filter((each) => each.url !== location.pathname).map(asOption));
    asked = new AbortController();
    try {
      const answer = await fetch(`${form.dataset.offers}?q=${encodeURIComponent(q)}`, { signal: asked.signal });
      if (answer.ok && document.activeElement === field) show(await answer.text());
    } catch (error) {
      if (error.name !== "AbortError") close();
    }
  }

  // What was visited of late, kept in this browser alone: offered before anything is typed.
  function visited() {
    try {
      return JSON.parse(localStorage.getItem(shelf)) ?? [];
    } catch {
      return [];
    }
  }

  function remember() {
    const kind = document.getElementById("main").dataset.visit;
    if (!kind) return;
    const here = { kind, url: location.pathname, name: document.querySelector("h1").textContent.trim() };
    const others = visited().filter((each) => each.url !== here.url);
    localStorage.setItem(shelf, JSON.stringify([here, ...others].slice(0, 9)));
  }

  function asOption({ kind, url, name }, place) {
    const option = document.createElement("li");
    option.setAttribute("role", "option");
    option.id = `offer-${place + 1}`;
    option.dataset.url = url;
    option.innerHTML = `<svg class="icon" width="16" height="16" aria-hidden="true"><use href="${icons}#${kind}"></use></svg><span class="grow"><span class="name"></span><span class="hit-place">visited</span></span>`;
    option.querySelector(".name").textContent = name;
    return option;
  }

  function show(options) {
    if (typeof options === "string") list.innerHTML = options;
    else list.replaceChildren(...options);
    list.hidden = !list.childElementCount;
    field.setAttribute("aria-expanded", String(!list.hidden));
    choose(null);
  }

  function close() {
    list.hidden = true;
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
  }

  function choose(option) {
    for (const each of list.children) each.setAttribute("aria-selected", String(each === option));
    if (option) field.setAttribute("aria-activedescendant", option.id);
    else field.removeAttribute("aria-activedescendant");
    option?.scrollIntoView({ block: "nearest" });
  }

  function steer(event) {
    const options = [...list.querySelectorAll("[data-url]")];
    const now = options.findIndex((each) => each.getAttribute("aria-selected") === "true");
    if (event.key === "Escape") {
      if (list.hidden) return field.blur();
      event.preventDefault(); // a search field would lose its text
      return close();
    }
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) return offer();
      const step = event.key === "ArrowDown" ? 1 : -1;
      return choose(options.at(now < 0 && step < 0 ? -1 : (now + step) % options.length));
    }
    if (event.key === "Enter" && now >= 0 && !list.hidden) go(options[now], event);
  }

  function go(option, event) {
    if (!option) return;
    event.preventDefault();
    if (event.ctrlKey || event.metaKey) window.open(option.dataset.url);
    else location.assign(option.dataset.url);
  }
})();
