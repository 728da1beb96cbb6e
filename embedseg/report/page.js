"use strict";
// Buttons show and hide layers, of one image or of all; a slider moves through a volume; a click on
// an image, or its button, makes it as large as the window, and Escape takes that back.
const press = (button, on) => button.setAttribute("aria-pressed", String(on));
const pressed = (button) => button.getAttribute("aria-pressed") === "true";

function show(picture, layer, on) {
  for (const image of picture.querySelectorAll("img"))
    if (image.dataset.layer === layer) image.hidden = !on;
  for (const button of picture.querySelectorAll("button"))
    if (button.dataset.layer === layer) press(button, on);
  const seen = [...picture.querySelectorAll("img:not([hidden])")].map((i) => i.dataset.layer);
  picture.querySelector(".layers").textContent = seen.join(", ") || "nothing";
}

function enlarge(picture, on) {
  for (const other of document.querySelectorAll(".picture.large")) other.classList.remove("large");
  picture.classList.toggle("large", on);
  document.body.classList.toggle("covered", on);
  for (const button of document.querySelectorAll(".enlarge"))
    press(button, on && picture.contains(button));
}

document.addEventListener("keydown", (event) => {
  const picture = document.querySelector(".picture.large");
  if (event.key === "Escape" && picture) enlarge(picture, false);
});

for (const picture of document.querySelectorAll(".picture")) {
  const toggle = () => enlarge(picture, !picture.classList.contains("large"));
  picture.querySelector(".stack").addEventListener("click", toggle);
  picture.querySelector(".enlarge").addEventListener("click", toggle);
  for (const button of picture.querySelectorAll("button[data-layer]")) {
    show(picture, button.dataset.layer, pressed(button));
    button.addEventListener("click", () => show(picture, button.dataset.layer, !pressed(button)));
  }
  for (const slider of picture.querySelectorAll("input")) {
    slider.addEventListener("input", () => {
      const place = slider.dataset.places.split(",")[slider.value];
      const text = `z = ${place} (0 to ${slider.dataset.depth - 1})`;
      picture.style.setProperty("--slice", slider.value);
      picture.querySelector("output").textContent = text;
      slider.setAttribute("aria-valuetext", text);
    });
  }
}

for (const bar of document.querySelectorAll(".all")) {
  for (const button of bar.querySelectorAll("button")) {
    button.addEventListener("click", () => {
      press(button, !pressed(button));
      for (const picture of bar.parentElement.querySelectorAll(".picture"))
        show(picture, button.dataset.layer, pressed(button));
    });
  }
}
