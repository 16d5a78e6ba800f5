// The overview: its rows, filtered by words.

const rows = all(".cases > tbody > tr");
for (const input of all(".tools input")) {
  const tools = input.parentElement;
  const show = () => {
    const words = wordsOf(input);
    for (const row of rows) row.hidden = !has(row.textContent, words);
    tools.querySelector(".count").textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} cases`;
  };
  input.addEventListener("input", show);
  tools.hidden = false;
  show();
}
