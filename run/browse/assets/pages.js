// Makes pages smoother; each is complete without it.
"use strict";

// A filter takes effect when it is chosen, without the button.
for (const form of document.querySelectorAll("form[data-submits]")) {
  form.addEventListener("change", (event) => {
    if (event.target.type === "checkbox") form.requestSubmit();
  });
  // Empty fields need not be in the address.
  form.addEventListener("formdata", (event) => {
    for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
  });
}

// Lines to copy get a button.
for (const block of document.querySelectorAll("[data-copies]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.setAttribute("aria-label", `Copy: ${block.dataset.copies}`);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(block.querySelector("pre").textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(block.querySelector("pre"));
      button.textContent = "Selected: press Ctrl-C";
    }
  });
  block.append(button);
}

// What is being done is asked again without loading the whole page.
const watch = (section) => {
  setTimeout(async () => {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
    if (!answer || answer.status === 429 || answer.status >= 502) return watch(section);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const next = page.querySelector("[data-watched]");
    if (!next) return location.reload();
    section.replaceWith(next);
    watch(next);
  }, 1000);
};
document.querySelectorAll("[data-watched]").forEach(watch);
