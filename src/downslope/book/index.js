// Players are loaded when they are asked for; without this script the links lead to them all the same.
for (const button of document.querySelectorAll("button[data-player]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const figure = document.createElement("figure");
    const frame = document.createElement("iframe");
    frame.src = button.dataset.player;
    frame.title = button.dataset.title;
    frame.style.aspectRatio = "800 / 740";
    figure.append(frame);
    button.closest(".play").after(figure);
    button.remove();
  });
}
