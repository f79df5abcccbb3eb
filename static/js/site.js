// Comforts on every page; all of it works without them.
(() => {
  const root = document.documentElement;

  // The theme switch: the form sets a cookie and reloads; here it changes at once.
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("[data-theme-switch]");
    if (!form) return;
    event.preventDefault();
    const theme = event.submitter.value;
    if (theme) root.dataset.theme = theme;
    else delete root.dataset.theme;
    // keepalive: whoever moves on at once keeps the choice all the same.
    fetch(form.action, { method: "POST", body: new FormData(form, event.submitter), keepalive: true });
    form.closest("details")?.removeAttribute("open");
  });

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") closeMenus(null, true);
  });

  document.addEventListener("click", (event) => closeMenus(event.target.closest("details.menu"), false));

  function closeMenus(except, giveFocusBack) {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (menu === except) continue;
      menu.removeAttribute("open");
      if (giveFocusBack) menu.querySelector("summary").focus();
    }
  }

  // A field of names, one a line, offers what its last line may mean.
  let asked = 0;
  document.addEventListener("input", (event) => {
    const field = event.target.closest("[data-suggest]");
    if (!field) return;
    clearTimeout(asked);
    asked = setTimeout(() => offer(field), 150);
  });

  async function offer(field) {
    const line = field.value.split("\n").at(-1).trim();
    const list = offersOf(field);
    const answer = line.length > 1 ? await fetch(`${field.dataset.suggest}?q=${encodeURIComponent(line)}`) : null;
    list.innerHTML = answer?.ok ? await answer.text() : "";
  }

  function offersOf(field) {
    if (field.nextElementSibling?.matches(".suggestions")) return field.nextElementSibling;
    const list = document.createElement("div");
    list.className = "suggestions";
    list.setAttribute("role", "group");
    list.setAttribute("aria-label", "Suggestions");
    field.after(list);
    list.addEventListener("click", (event) => {
      const name = event.target.closest("[data-name]")?.dataset.name;
      if (!name) return;
      const lines = field.value.split("\n");
      field.value = [...lines.slice(0, -1), name, ""].join("\n");
      list.innerHTML = "";
      field.focus();
    });
    return list;
  }

  // The server writes times in this zone, from the next page on, unless the account names another.
  const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
  document.cookie = `zone=${timeZone}; path=/; max-age=31536000; samesite=lax`;
})();
