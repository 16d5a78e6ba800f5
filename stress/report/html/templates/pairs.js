// The overview: its rows, filtered by words.

const rows = all(".pairs > tbody > tr");
for (const input of all(".tools input")) {
  const tools = input.parentElement;
  const show = () => {
    const words = wordsOf(input);
    for (const row of rows) row.hidden = !has(row.textContent, words);
    tools.querySelector(".count").textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} pairs`;
  };
  input.addEventListener("input", show);
  tools.hidden = false;
  show();
}
