// Two texts side by side, word by word: what only one of them has is marked. Longest common subsequence.
const MOST_PAIRS = 400000; // of words: more would take longer than a click may

const wordsOf = (text) => text.split(/(\s+)/).filter((word) => word !== "");

function commonWords(a, b) {
  const width = b.length + 1;
  const lengths = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      lengths[i * width + j] =
        a[i] === b[j]
          ? lengths[(i + 1) * width + j + 1] + 1
          : Math.max(lengths[(i + 1) * width + j], lengths[i * width + j + 1]);
    }
  }
  const [inA, inB] = [new Set(), new Set()];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) {
      inA.add(i++);
      inB.add(j++);
    } else if (lengths[(i + 1) * width + j] >= lengths[i * width + j + 1]) i++;
    else j++;
  }
  return [inA, inB];
}

// Returns both texts as [text, differs] pieces, or null where they are too long, or one word against another.
function textDiff(left, right) {
  const [a, b] = [wordsOf(left), wordsOf(right)];
  const few = (words) => words.filter((word) => word.trim()).length < 2;
  if (few(a) || few(b) || a.length * b.length > MOST_PAIRS) return null;
  const kept = commonWords(a, b);
  return [a, b].map((words, side) => {
    const pieces = [];
    words.forEach((word, i) => {
      const differs = !kept[side].has(i);
      const last = pieces[pieces.length - 1];
      if (last && last[1] === differs) last[0] += word;
      else pieces.push([word, differs]);
    });
    return pieces;
  });
}
